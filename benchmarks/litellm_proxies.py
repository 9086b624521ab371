"""For `gateway.py`: LiteLLM's proxy in an environment of its own, built from `litellm.lock`, tuned for production.

It is the yardstick of the closed loop: one process, one worker, the same server behind it, the same clients before it.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_loads import HOST, Client, wait_for

LOCK = Path(__file__).with_name("litellm.lock")
_WHOLE = ".flywheel-whole"
_START_SECONDS = 180


def environment() -> Path:
    """Return the folder of the environment, built when it is not there; beside flywheel's own."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("FLYWHEEL_ENVS") or cache / "flywheel" / "envs")
    folder = root / f"litellm-py{sys.version_info.major}{sys.version_info.minor}-{digest}"
    if not (folder / _WHOLE).is_file():
        print(f"building {folder.name} from {LOCK.name}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "-r", str(LOCK)], check=True)
        (folder / _WHOLE).write_text(f"{LOCK.name}\n", encoding="utf-8")
    return folder


@contextmanager
def litellm_proxy(port: int, upstream: int, home: Path) -> Iterator[int]:
    """Run the proxy until the block ends; gives its process's id."""
    folder = environment()
    model = {"model": "openai/line", "api_base": f"http://{HOST}:{upstream}/v1", "api_key": "k"}
    config = home / "litellm.yaml"
    config.write_text(  # JSON is YAML
        json.dumps(
            {
                "model_list": [{"model_name": "line", "litellm_params": model}],
                "litellm_settings": {"telemetry": False, "num_retries": 0, "set_verbose": False},
                "general_settings": {
                    "master_key": Client.key,
                    "disable_spend_logs": True,
                    "disable_error_logs": True,
                },
            }
        ),
        encoding="utf-8",
    )
    command = [str(folder / "bin" / "litellm"), "--config", str(config), "--host", HOST, "--port", str(port)]
    told = home / "litellm.log"
    with told.open("wb") as log:
        child = subprocess.Popen(
            [*command, "--num_workers", "1"], stdout=log, stderr=log, cwd=home, start_new_session=True, env=_tuned()
        )
        try:
            try:
                wait_for(port, _START_SECONDS, lambda: child.poll() is None)
            except AssertionError as error:
                error.add_note(told.read_text(encoding="utf-8", errors="replace")[-2000:])
                raise
            yield child.pid
        finally:
            child.terminate()
            child.wait(20)


def _tuned() -> dict[str, str]:
    """Return its surroundings: production's, no log of requests, its own price list instead of the network's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return kept | {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
