"""A home whose model server is scripted, adapters written by hand, and a store brought to where a test begins."""

import http.server
import json
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from acceptance_house import LINE, Model, World, right_call

from flywheel.cli.demos import worlds
from flywheel.cli.demos.agents import Task
from flywheel.core.clocks import SystemClock
from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.ids import content_hash
from flywheel.core.releases import ReleaseState
from flywheel.core.training import AdapterManifest
from flywheel.proc.files import file_hash
from flywheel.store import releases as release_rows
from flywheel.store.datasets import record_dataset
from flywheel.store.ledger import append
from flywheel.store.runs import adapter_by_name, pin_base, record_adapter
from flywheel.store.stores import open_store, sqlite_url
from flywheel.train.fingerprints import fingerprint

HIDDEN, RANK = 4, 2
MODULE = "model.layers.0.self_attn.q_proj"
HALVES = {"A": (RANK, HIDDEN), "B": (HIDDEN, RANK)}
NAN = float("nan")

DAEMON = """
[daemon]
poll_seconds = 0.1
look_seconds = 1
"""

#: Stands for the train environment's python: called with the job and the path of its orders.
TRAINER = """#!/bin/sh
mkdir -p out/adapter
echo '{"r": 2, "target_modules": ["q_proj"]}' > out/adapter/adapter_config.json
cp "$0.safetensors" out/adapter/adapter_model.safetensors
sha=$(sha256sum < out/adapter/adapter_model.safetensors | cut -d' ' -f1)
echo "{\\"sha256\\": \\"$sha\\", \\"loss\\": 0.5, \\"steps\\": 7}" > out/result.json
"""


#: What stands before every such script: called for the check before a run, it saw nothing wrong.
CHECK = """case "$1" in *preflight.py)
mkdir -p out
echo '{"base": {"config": {"eos_token_id": 1}}, "tokenizer": {"eos": "e", "eos_id": 1, "pad": "p", "pad_id": 2,
"ending": "e", "ending_id": 1}, "files": [{"name": "train", "rows": 1}]}' > out/facts.json
exit 0;; esac
"""


def wait(true: Callable[[], Any], what: str, seconds: float = 25) -> Any:
    """Wait until something holds; return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds} s")


def write_tensors(path: Path, tensors: dict[str, tuple[tuple[int, int], float]]) -> None:
    """Write a safetensors file of float32: {name: (shape, value of every number)}."""
    header: dict[str, Any] = {}
    blobs: list[bytes] = []
    at = 0
    for name, (shape, value) in tensors.items():
        blob = struct.pack("<f", value) * (shape[0] * shape[1])
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"".join(blobs))


def write_base(folder: Path) -> Path:
    """Write a base of one module."""
    folder.mkdir(parents=True)
    config = {"hidden_size": HIDDEN, "num_attention_heads": 1, "num_hidden_layers": 1, "intermediate_size": HIDDEN}
    (folder / "config.json").write_text(json.dumps(config))
    write_tensors(folder / "model.safetensors", {f"{MODULE}.weight": ((HIDDEN, HIDDEN), 0.0)})
    return folder


class ScriptedServer:
    """vLLM's doors, with switches for everything that can go wrong. `loads` remembers where the alias pointed then."""

    def __init__(self) -> None:
        self.base = worlds.BASE
        self.adapters: dict[str, str] = {}
        self.loads: list[str] = []
        self.on_load: Callable[[], None] = lambda: None
        self.garbage = ""
        self.status = 200
        self.seconds = 0.0
        self._server: http.server.ThreadingHTTPServer | None = None
        self.start(0)
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, port: int | None = None) -> None:
        """Listen; on the same port as before."""
        handler = type("Handler", (_Handler,), {"script": self})
        self._server = _Quiet(("127.0.0.1", self.port if port is None else port), handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Go away; what was loaded is forgotten, as a restart forgets it."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.adapters = {}


class _Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that left is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    script: ScriptedServer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Only the list of models."""
        script = self.script
        time.sleep(script.seconds)
        if script.garbage:
            return self._say(200, script.garbage)
        if script.status != 200:
            return self._error(script.status, "broken")
        data: list[dict[str, Any]] = [{"id": script.base, "object": "model", "root": "/base", "parent": None}]
        data += [{"id": name, "root": path, "parent": script.base} for name, path in script.adapters.items()]
        return self._say(200, json.dumps({"object": "list", "data": data}))

    def do_POST(self) -> None:
        """Load, unload, answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.script
        if self.path == "/v1/load_lora_adapter":
            script.on_load()
            script.loads.append(body["lora_name"])
            script.adapters[body["lora_name"]] = body["lora_path"]
            return self._say(200, "Success")
        if self.path == "/v1/unload_lora_adapter":
            script.adapters.pop(body["lora_name"], None)
            return self._say(200, "Success")
        model = body["model"]
        if model not in {script.base, *script.adapters}:
            return self._error(404, f"The model `{model}` does not exist.")
        message = {"role": "assistant", "content": "yes"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return self._say(200, json.dumps({"id": "c", "object": "chat.completion", "created": 0, "model": model,
                                          "choices": choices}))  # fmt: skip

    def _error(self, status: int, message: str) -> None:
        self._say(status, json.dumps({"error": {"message": message, "type": "x", "code": status}}))

    def _say(self, status: int, text: str) -> None:
        data = text.encode()
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


class BadWorld(World):
    """A home that needs no torch: a scripted server, a base of one module, no guardrail in the way."""

    def __init__(self, home: Path, server: ScriptedServer) -> None:
        super().__init__(home, Model(url=server.url, base=write_base(home.parent / "base")))
        self.server = server
        self.config = self.paths.config
        self.config.write_text(self.config.read_text() + DAEMON)
        self.store_file = home / "flywheel.db"

    def close(self) -> None:
        """End everything."""
        self.stop_daemon()
        self.processes.stop()
        self.agent.close()
        self.server.stop()

    def lessons(self, start: int, count: int) -> None:
        """Write finished tasks to the agent's database."""
        self.agent.write_all([(task, [right_call(task)]) for task in tasks(start, count)], solved=True)

    def seed(self, write: Callable[[Any, Callable[[Event], int]], Any]) -> Any:
        """Write to the store before the daemon starts."""
        with open_store(sqlite_url(self.store_file)) as store, store.write() as session:
            return write(session, lambda event: append(session, event))

    def publish(self, number: int, *states: str, damage: Callable[[Path], None] = lambda _: None,
                value: float = 0.5, more: Callable[[Path], None] = lambda _: None) -> str:  # fmt: skip
        """Publish an adapter and move it along; `more` happens before its files are hashed, `damage` after."""
        folder = self.home / "adapters" / LINE / f"{number}-x"
        folder.mkdir(parents=True)
        write_tensors(
            folder / "adapter_model.safetensors",
            {f"base_model.model.{MODULE}.lora_{half}.weight": (shape, value) for half, shape in HALVES.items()},
        )
        config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 4, "target_modules": ["q_proj"], "bias": "none"}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        more(folder)
        files = {path.name: file_hash(path) for path in folder.iterdir()}
        manifest = AdapterManifest(
            hash=content_hash([files, number]), line=LINE, number=number, run=f"run-{number}", dataset="d",
            base_name="tiny", base_fingerprint=fingerprint(self.model.base), rank=RANK, target_modules=("q_proj",),
            files=files,
        )  # fmt: skip
        (folder / "manifest.json").write_text(manifest.model_dump_json())
        damage(folder)
        self.seed(lambda session, tell: _register(session, tell, manifest, folder, states))
        return manifest.name

    def freeze(self) -> Path:
        """Freeze a dataset; return its folder."""
        folder = self.home / "datasets" / "d1"
        folder.mkdir(parents=True)
        (folder / "train.jsonl").write_text('{"messages": []}\n')
        splits = {"train": Split(rows=1, sha256=file_hash(folder / "train.jsonl"))}
        now = SystemClock().now()
        manifest = DatasetManifest(hash="d1", line=LINE, number=1, parent=None, splits=splits, examples=1, fresh=1,
                                   replayed=0, created_at=now)  # fmt: skip
        frozen = Event(kind="curate.dataset_frozen", at=now, line=LINE, subject="d1")
        self.seed(lambda session, tell: record_dataset(session, manifest, 1, tell(frozen)))
        return folder

    def use_trainer(self, text: str | None) -> Path:
        """Let this shell script stand for the train environment; None leaves it away."""
        path = self.home / "trainer"
        before = next(line for line in self.config.read_text().splitlines() if line.startswith("train_python"))
        self.config.write_text(self.config.read_text().replace(before, f'train_python = "{path}"'))
        for guardrail in (self.home / "policies" / "guardrails").iterdir():
            guardrail.unlink()
        if text is not None:
            self.write_trainer(text)
        return path

    def write_trainer(self, text: str) -> None:
        """Put the script in place."""
        path = self.home / "trainer"
        path.write_text(text.replace("#!/bin/sh\n", f"#!/bin/sh\n{CHECK}", 1))
        path.chmod(0o755)
        write_tensors(
            path.with_name("trainer.safetensors"),
            {f"base_model.model.{MODULE}.lora_{half}.weight": (shape, 0.5) for half, shape in HALVES.items()},
        )

    def pointed(self) -> dict[str, float]:
        """Where the alias points by the file the gateway reads."""
        return {arm.model: arm.share for arm in self.arms()}

    def pointed_or_none(self) -> dict[str, float] | None:
        """Where the alias points; None while the file cannot be read."""
        try:
            return self.pointed()
        except ValueError:
            return None

    def said(self, text: str) -> bool:
        """Tell whether the daemon's log holds a text."""
        return text in (self.home / "daemon.log").read_text(errors="replace")

    def one_liners(self) -> None:
        """The daemon said everything in one JSON document a line, and no traceback."""
        text = (self.home / "daemon.log").read_text()
        assert "Traceback" not in text, text
        for line in text.splitlines():
            json.loads(line)


def _register(
    session: Any, tell: Callable[[Event], int], manifest: AdapterManifest, folder: Path, states: tuple[str, ...]
) -> None:
    now = SystemClock().now()
    kinds = {"canary": "rollout.canary_started", "active": "rollout.adapter_promoted"}
    pin_base(session, "tiny", "base", manifest.base_fingerprint, 0)
    seq = tell(Event(kind="rollout.adapter_registered", at=now, line=LINE, subject=manifest.name))
    record_adapter(session, manifest, str(folder), seq)
    adapter = adapter_by_name(session, manifest.name)
    assert adapter is not None
    release_rows.register(session, adapter, now, seq)
    for state in states:
        seq = tell(Event(kind=kinds[state], at=now, line=LINE, subject=manifest.name))
        if state == "canary":
            release_rows.start_canary(session, manifest.name, 0.2, now, seq)
        else:
            release_rows.move(session, manifest.name, ReleaseState(state), now, seq)


def tasks(start: int, count: int) -> tuple[Task, ...]:
    """Tasks that differ in their words; no environment is asked for them."""
    return tuple(
        Task(
            id=f"task-{number}",
            tool="read_file",
            messages=({"role": "user", "content": f"Please read file number {number}."},),
            expected=({"name": "read_file", "arguments": {"path": f"{number}.py"}},),
        )
        for number in range(start, start + count)
    )
