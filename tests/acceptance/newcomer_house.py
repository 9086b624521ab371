"""A new user's machine: a home of their own, flywheel installed into an environment of its own, the real opencode."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from opencode_house import SWITCHES, Server, Step, Upstream, made_project

from flywheel.cli.demos.processes import Processes, free_port

ROOT = Path(__file__).parents[2]
LINE = "build-python"
Json = dict[str, Any]


def mended(project: Path) -> list[Step]:
    """What the model says to mend a project: it reads, edits, and its tests pass."""
    path = str(project / "calc.py")
    check = {"command": "python3 -m unittest -q", "description": "Runs the tests"}
    return [
        Step("Let me read it.", (("read", {"filePath": path}),)),
        Step("It should add.", (("edit", {"filePath": path, "oldString": "a - b", "newString": "a + b"}),)),
        Step("", (("bash", check),)),
        Step("All tests pass now."),
    ]


class Newcomer:
    """A person who follows the README: their home, what they type, and what runs meanwhile."""

    def __init__(self, folder: Path, program: Path) -> None:
        """Give them opencode, and a model server that it already asks."""
        self.home = folder / "me"
        self.program = program
        self.upstream = Upstream({})
        self.venv = folder / "flywheel"
        self.processes = Processes(folder / "processes")
        self.opencode_config = self.home / ".config" / "opencode" / "opencode.json"
        self.flywheel_config = self.home / ".config" / "flywheel" / "flywheel.toml"
        self.port = free_port()  # the usual ones may be taken where tests run beside each other
        self.env = {"PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8", "HOME": str(self.home),
                    "npm_config_registry": "http://127.0.0.1:9/", "GIT_CONFIG_GLOBAL": "/dev/null",
                    "FLYWHEEL_GATEWAY__PORT": str(self.port), "FLYWHEEL_WEB__PORT": "0",
                    **dict.fromkeys(SWITCHES, "1")}  # fmt: skip
        self._opencode: subprocess.Popen[bytes] | None = None
        self._configure_opencode()

    def _configure_opencode(self) -> None:
        """Write what they had before: their own provider."""
        model = {"name": "base", "tool_call": True, "limit": {"context": 32_000, "output": 8_000}}
        provider = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": f"{self.upstream.url}/v1"},
                    "models": {"base": model}}  # fmt: skip
        self.opencode_config.parent.mkdir(parents=True)
        self.opencode_config.write_text(json.dumps({
            "share": "disabled", "autoupdate": False, "permission": {"edit": "allow", "bash": "allow"},
            "provider": {"mine": provider}, "model": "mine/base",
        }))  # fmt: skip

    def install(self, *, whole: bool) -> None:
        """Install the checkout as the README says; else without what it depends on, which the tests' own one lends."""
        self._say(sys.executable, "-m", "venv", str(self.venv))
        pip = [str(self.venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        if not whole:
            (lent,) = self.venv.glob("lib/python*/site-packages")
            (lent / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
            pip += ["--no-deps", "--no-build-isolation", "--ignore-installed"]
        self._say(*pip, str(ROOT))

    def installed_at(self) -> Path:
        """Where the flywheel that they run lies."""
        told = self._say(str(self.venv / "bin" / "python"), "-c", "import flywheel; print(flywheel.__file__)")
        return Path(told.strip())

    def flywheel(self, *arguments: str, statuses: Collection[int] = (0,)) -> str:
        """Type a command; what it says."""
        return self._say(str(self.venv / "bin" / "flywheel"), *arguments, statuses=statuses)

    def json(self, *arguments: str) -> Any:
        """Type a command with --json."""
        return json.loads(self.flywheel(*arguments, "--json"))

    def start_flywheel(self, name: str) -> None:
        """Start one of its processes, to run on."""
        self.processes.start(name, [str(self.venv / "bin" / "flywheel"), name], self.env)

    def work(self, names: list[str], agent: str = "") -> None:
        """Let opencode mend some projects, each in a session of its own."""
        projects = {name: made_project(self.home / "projects" / name) for name in names}
        self.upstream.scripts |= {name: mended(project) for name, project in projects.items()}
        server = Server(self, next(iter(projects.values())))  # type: ignore[arg-type]  # it starts, and has a log
        for name, project in projects.items():
            said = {"parts": [{"type": "text", "text": f"Please mend it [[{name}]]"}]}
            server.ask(f"/session/{server.session(project)}/message", said | ({"agent": agent} if agent else {}))
            assert "a + b" in (project / "calc.py").read_text(), self.log()
        self._end_opencode()

    def start(self, project: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start opencode on a project; what it says goes to a file."""
        with (self.home / "opencode.log").open("wb") as log:
            self._opencode = subprocess.Popen([str(self.program), *arguments], cwd=project, env=self.env, stdout=log,
                                              stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        return self._opencode

    def log(self) -> str:
        """The end of what opencode said."""
        return (self.home / "opencode.log").read_text(errors="replace")[-3000:]

    def _end_opencode(self) -> None:
        if self._opencode is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._opencode.pid, signal.SIGTERM)
            self._opencode.wait(30)
            self._opencode = None

    def close(self) -> None:
        """End everything."""
        self._end_opencode()
        self.processes.stop()
        self.upstream.close()

    def _say(self, *argv: str, statuses: Collection[int] = (0,)) -> str:
        ended = subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=600, env=self.env, cwd=self.home
        )
        assert ended.returncode in statuses, f"{' '.join(argv)}: {ended.stdout[-1500:]}{ended.stderr[-2500:]}"
        return ended.stdout
