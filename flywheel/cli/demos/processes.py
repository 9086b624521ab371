"""The demo's processes: model server, gateway, daemon. Each in a group of its own, each ended at the end."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import flywheel.serve.middleware
from flywheel.core.errors import PermanentError
from flywheel.proc import children

_JOBS = Path(__file__).parent.parent.parent / "jobs"
# One more than flywheel is told of: vLLM's CPU kernels give requests without an adapter the weights of the last slot
# when adapters share their batch, so the last slot stays empty; the middleware empties those of what was unloaded.
SLOTS = "5"
VLLM_ENV = {
    "PYTHONPATH": flywheel.serve.middleware.__path__[0],
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # A model this small wants one thread, in the engine's own process: a worker beside it would cost as much again as
    # all of serving, and ten seconds of a core at the start.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


class Processes:
    """Starts programs and ends every one of them, however the demo ends."""

    def __init__(self, folder: Path) -> None:
        """Keep their logs below `folder`."""
        self._folder = folder
        # vLLM leaves its sockets behind, and they want a short path.
        self._sockets = tempfile.TemporaryDirectory(prefix="flywheel-")
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: list[str], env: Mapping[str, str] | None = None) -> None:
        """Start a program under a name."""
        sockets = {"VLLM_RPC_BASE_PATH": self._sockets.name}
        self._children[name] = children.launch(argv, self._folder / name, {**os.environ, **sockets, **(env or {})})

    def check(self, name: str) -> None:
        """Refuse to go on when a program is gone."""
        child = self._children[name]
        if child.poll() is not None:
            log = self._folder / name / "stderr.log"
            lines = log.read_text(errors="replace").strip().splitlines()
            raise PermanentError(
                f"the {name} ended by itself: {lines[-1] if lines else child.returncode}", f"see {log}"
            )

    def stop(self) -> None:
        """End every program: first in order, then by force."""
        for child in reversed(self._children.values()):
            if child.poll() is None:
                children.end(children.mark(child.pid))
        end = time.monotonic() + 10
        for child in self._children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.1, end - time.monotonic()))
            if child.poll() is None:
                children.end(children.mark(child.pid), force=True)
                child.wait()
        self._sockets.cleanup()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.stop()


def vllm_command(python: Path, base: Path, served_as: str, port: int) -> list[str]:
    """Return the command line of real vLLM on a CPU for a small model."""
    return [
        str(python),
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(base),
        "--served-model-name",
        served_as,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--dtype",
        "bfloat16",
        "--max-model-len",
        "1024",
        "--max-num-seqs",
        "16",
        "--enable-lora",
        "--max-lora-rank",
        "16",
        "--max-loras",
        SLOTS,
        "--max-cpu-loras",
        SLOTS,
        "--enforce-eager",
        "--middleware",
        "flywheel_slots.FreeSlots",
        "--disable-log-stats",
    ]


def double_command(python: Path, base: Path, served_as: str, port: int) -> list[str]:
    """Return the command line of the shipped double of vLLM."""
    return [
        str(python),
        str(_JOBS / "serve_double.py"),
        "--model",
        str(base),
        "--served-model-name",
        served_as,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--max-lora-rank",
        "16",
        "--max-loras",
        SLOTS,
        "--max-cpu-loras",
        SLOTS,
    ]


def flywheel_command(*arguments: str) -> list[str]:
    """Return the command line of flywheel itself, by the interpreter that runs this."""
    return [sys.executable, "-m", "flywheel", *arguments]


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float, what: str, check: Callable[[], None] = lambda: None) -> float:
    """Wait for something to become true; return how long it took, or say what did not come."""
    began = time.monotonic()
    for _ in _ticks(seconds):
        check()
        if true():
            return time.monotonic() - began
    raise PermanentError(f"{what} did not come within {seconds:.0f} s", "see the logs in the demo's home")


def _ticks(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.1)
