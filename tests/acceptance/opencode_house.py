"""The real opencode client in a home of its own: its installation, a scripted model behind our gateway, a project."""

import fcntl
import http.server
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from flywheel.cli.demos.processes import Processes, flywheel_command, free_port, wait_until
from flywheel.core.routing import Alias, Arm, Routing

VERSION = "1.18.33"
LINE = "build-python"
ARMS = (Arm(model=f"{LINE}@1", share=0.5, role="active"), Arm(model=f"{LINE}@2", share=0.5, role="canary"))
TITLE = "A title that nobody learns from"
FOREVER = 300.0
CONTEXT = 32_000
SWITCHES = ("OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_LSP_DOWNLOAD",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS", "OPENCODE_PURE",
            # Two edits of one size within a second: Python would run the bytecode of the first again.
            "PYTHONDONTWRITEBYTECODE")  # fmt: skip

Json = dict[str, Any]

#: What a person had in the configuration before: it stays.
OWN = """{
  // nothing leaves this machine
  "share": "disabled", "autoupdate": false,
  "permission": {"edit": "allow", "bash": "allow"},
}
"""


def installed() -> Path:
    """The client's program, installed through npm once a machine and version."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel"
    program = cache / f"opencode-{VERSION}" / "opencode"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "opencode.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.is_file():
            _install(program)
    return program


def _install(program: Path) -> None:
    """Take the native program out of the package; it needs no node."""
    if shutil.which("npm") is None:
        _say("apt-get", "update", "-qq")
        _say("apt-get", "install", "-y", "-qq", "--no-install-recommends", "npm")
    with tempfile.TemporaryDirectory(dir=program.parent.parent) as folder:
        _say("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", f"opencode-ai@{VERSION}")
        for found in sorted(Path(folder).glob("node_modules/opencode-*/bin/opencode"), key=lambda path: len(str(path))):
            with suppress(OSError, AssertionError):  # built for another processor
                if _say(str(found), "--version").strip() == VERSION:
                    program.parent.mkdir(parents=True, exist_ok=True)
                    found.rename(program)
                    return
    raise AssertionError(f"no program of opencode-ai@{VERSION} runs on this machine")


def _say(*argv: str) -> str:
    ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, f"{' '.join(argv)}: {ended.stdout[-500:]}{ended.stderr[-1500:]}"
    return ended.stdout


class Step(NamedTuple):
    """One answer of the scripted model; with `waits` it stops in the middle until the client is gone."""

    text: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    waits: bool = False


class Seen(NamedTuple):
    """A request as the model server saw it, and the answer it gave."""

    headers: Json
    body: Json
    step: Step | None

    @property
    def session(self) -> str:
        """The session it came from."""
        return str(self.headers.get("x-session-id", ""))

    @property
    def model(self) -> str:
        """The model that was asked, after the gateway."""
        return str(self.body["model"])


class Upstream:
    """An OpenAI-compatible server whose answers are scripts: `[[name]]` in what the user said says which."""

    def __init__(self, scripts: dict[str, list[Step]]) -> None:
        self.scripts = scripts
        self.seen: list[Seen] = []
        self.waiting = threading.Event()
        handler = type("Handler", (_Handler,), {"upstream": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Go away."""
        self._server.shutdown()
        self._server.server_close()

    def step(self, body: Json) -> Step | None:
        """The answer to a request; None for a request for a title."""
        if "tools" not in body:
            return None
        said = 0
        for message in reversed(body["messages"]):
            if message["role"] == "assistant":
                said += 1
            elif message["role"] == "user" and (found := re.search(r"\[\[([\w-]+)\]\]", str(message["content"]))):
                steps = self.scripts[found[1]]
                return steps[min(said, len(steps) - 1)]
        raise AssertionError(f"no script is named in {body['messages']}")


class _Handler(http.server.BaseHTTPRequestHandler):
    upstream: Upstream
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Only the list of models."""
        data = json.dumps({"object": "list", "data": [{"id": "base", "object": "model", "owned_by": "vllm"}]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        """Stream an answer."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        step = self.upstream.step(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.upstream.seen.append(Seen(headers, body, step))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with suppress(OSError):
            self._stream(step or Step(text=TITLE))

    def _stream(self, step: Step) -> None:
        self._event({"role": "assistant", "content": ""})
        for word in re.findall(r"\S+\s*", step.text):
            self._event({"content": word})
        if step.waits:
            self.upstream.waiting.set()
            end = time.monotonic() + FOREVER
            while time.monotonic() < end:
                self._event({"content": ""})  # raises when the client has gone
                time.sleep(0.1)
        for number, (name, arguments) in enumerate(step.calls):
            self._call(number, name, json.dumps(arguments))
        self._event({}, "tool_calls" if step.calls else "stop")
        self._event({}, usage={"prompt_tokens": 50, "completion_tokens": 7, "total_tokens": 57})
        self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _call(self, number: int, name: str, arguments: str) -> None:
        call = {"index": number, "id": f"call_{time.time_ns()}", "type": "function"}
        self._event({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]})
        for start in range(0, len(arguments), 9):
            piece = arguments[start : start + 9]
            self._event({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})

    def _event(self, delta: Json, finish: str | None = None, **more: Any) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
        self._chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Client:
    """opencode with a home and a configuration of its own, to which flywheel added what it emits for it."""

    def __init__(self, program: Path, home: Path, settings: Path) -> None:
        self.program = program
        self.home = home
        self.database = home / "data" / "opencode" / "opencode.db"
        places = {"HOME": "home", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data",
                  "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}  # fmt: skip
        for name in places.values():
            (home / name).mkdir(parents=True)
        # No registry: it would look for its plugins there, and nothing here needs them.
        self.env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "npm_config_registry": "http://127.0.0.1:9/",
                    "GIT_CONFIG_GLOBAL": "/dev/null", **{key: str(home / name) for key, name in places.items()},
                    **dict.fromkeys(SWITCHES, "1")}  # fmt: skip
        self.config = home / "config" / "opencode" / "opencode.json"
        self.config.parent.mkdir()
        self.config.write_text(OWN)
        emitted = ("opencode", "--config", str(settings), "--model", LINE, "--merge", "--output", str(self.config))
        # With a key the gateway asks for one, and what is emitted says where the client finds it.
        self.key = _say(*flywheel_command("gateway", "key", "add", "opencode", "--config", str(settings))).strip()
        self.env["FLYWHEEL_GATEWAY_KEY"] = self.key
        _say(*flywheel_command("emit", *emitted))
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, project: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start it on a project; what it says goes to a file."""
        with (self.home / "client.log").open("ab") as log:
            argv = [str(self.program), *arguments]
            child = subprocess.Popen(argv, cwd=project, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True)  # fmt: skip
        self.running.append(child)
        return child

    def run(self, project: Path, said: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """`opencode run`, headless."""
        return self.start(project, "run", *arguments, said)

    def told(self, project: Path, *arguments: str) -> Json:
        """What it answers at once, as JSON."""
        ended = subprocess.run([str(self.program), *arguments], check=True, cwd=project, env=self.env, timeout=120,
                               capture_output=True, stdin=subprocess.DEVNULL)  # fmt: skip
        return dict(json.loads(ended.stdout))

    def close(self) -> None:
        """End what still runs, with all its children."""
        for child in self.running:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait(10)

    def log(self) -> str:
        """The end of what it said."""
        return (self.home / "client.log").read_text(errors="replace")[-3000:]

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What its database holds."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query, values).fetchall()


class Server:
    """`opencode serve`: the same client, spoken to over HTTP."""

    def __init__(self, client: Client, project: Path) -> None:
        self._client = client
        self._port = free_port()
        self._process = client.start(project, "serve", "--port", str(self._port))
        wait(self._listens, "opencode serve")

    def ask(self, path: str, body: Json | None = None, method: str = "POST") -> Any:
        """Call the API."""
        data, headers = (json.dumps(body or {}).encode(), {"content-type": "application/json"})
        url = f"http://127.0.0.1:{self._port}{path}"
        request = urllib.request.Request(url, data, headers) if method == "POST" else urllib.request.Request(url)
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def session(self, project: Path) -> str:
        """Begin a session on a project."""
        return str(self.ask(f"/session?directory={quote(str(project))}")["id"])

    def say(self, session: str, text: str, *, wait: bool = True) -> Any:
        """Say something in a session, and wait until it was answered."""
        body = {"parts": [{"type": "text", "text": text}]}
        return self.ask(f"/session/{session}/{'message' if wait else 'prompt_async'}", body)

    def _listens(self) -> bool:
        """By its own word: asking a port before anyone listens on it may reach oneself."""
        assert self._process.poll() is None, self._client.log()
        return f"listening on http://127.0.0.1:{self._port}" in self._client.log()


class House:
    """The gateway in front of the scripted model, the client behind it, and projects to work on."""

    def __init__(self, home: Path, scripts: dict[str, list[Step]], program: Path) -> None:
        self.home = home
        self.upstream = Upstream(scripts)
        self.flywheel = home / "flywheel"
        self.flywheel.mkdir(parents=True)
        self.capture = self.flywheel / "capture.db"
        self._port = free_port()
        self.gateway = f"http://127.0.0.1:{self._port}"
        self.processes = Processes(home / "processes")
        self.settings = self._configure()
        self.client = Client(program, home / "client", self.settings)

    def _configure(self) -> Path:
        """Write the settings that the gateway runs with and the client's configuration is emitted from."""
        base, config = self.flywheel / "base", self.flywheel / "flywheel.toml"
        base.mkdir()
        (base / "config.json").write_text(json.dumps({"max_position_embeddings": CONTEXT}))
        config.write_text(f'home = "{self.flywheel}"\nlines = ["{LINE}"]\n'
                          f'[bases.main]\npath = "{base}"\nserved_as = "base"\n'
                          f'[[servers]]\nurl = "{self.upstream.url}"\n[gateway]\nport = {self._port}\n')  # fmt: skip
        return config

    def start_gateway(self) -> None:
        """Start the gateway under a routing with two arms."""
        alias = Alias(arms=ARMS)
        routing = Routing(version=1, upstreams=(self.upstream.url,), base_model="base", aliases={LINE: alias})
        (self.flywheel / "routing.json").write_bytes(routing.dump())
        self.processes.start("gateway", flywheel_command("gateway", "--config", str(self.settings)))
        wait_until(self._answers, 120, "the gateway", lambda: self.processes.check("gateway"))

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.gateway}/health", timeout=2):
            return True
        return False

    def project(self, name: str) -> Path:
        """A repository with a wrong function and a test that says so."""
        return made_project(self.home / "projects" / name)

    def close(self) -> None:
        """End everything."""
        self.client.close()
        self.processes.stop()
        self.upstream.close()


def made_project(folder: Path) -> Path:
    """A repository with a wrong function and a test that says so."""
    folder.mkdir(parents=True)
    (folder / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (folder / "test_calc.py").write_text(
        "import unittest\nfrom calc import add\n\n\nclass Adding(unittest.TestCase):\n"
        "    def test_it(self):\n        self.assertEqual(add(2, 3), 5)\n"
    )
    git = ("git", "-c", "user.name=dev", "-c", "user.email=dev@localhost", "-C", str(folder))
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run([*git, *arguments], check=True, capture_output=True)
    return folder


@contextmanager
def house(home: Path, scripts: dict[str, list[Step]]) -> Iterator[House]:
    """A house whose gateway answers; everything ends with it."""
    made = House(home, scripts, installed())
    try:
        made.start_gateway()
        yield made
    finally:
        made.close()


def wait(true: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    """Wait until something holds; return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds} s")
