"""How long commands take from their start to their end, on a home in which nothing has happened yet.

Each is run several times as a process of its own; the shortest time counts, because everything else on the machine
only ever adds to it. The bar is half a second.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flywheel.store.stores import open_store, sqlite_url

BAR = 0.5
COMMANDS = (
    ("--version",),
    ("--help",),
    ("status",),
    ("decisions",),
    ("adapters", "list"),
    ("outcomes", "list"),
    ("policy", "check"),
    ("sources", "list"),
    ("emit", "vllm"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often each is run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = _home(Path(folder))
        print(f"{'command':<24} {'seconds':>8} {'of them computing':>18}   bar {BAR} s")
        for words in COMMANDS:
            whole, computed = min(_run(words, config) for _ in range(asked.times))
            print(f"{'flywheel ' + ' '.join(words):<24} {whole:8.3f} {computed:18.3f}   {_verdict(whole)}")


def _home(folder: Path) -> Path:
    config = folder / "flywheel.toml"
    (folder / "base").mkdir()
    config.write_text(
        f'home = "{folder}"\nlines = ["tool-calling"]\n[bases.main]\npath = "{folder / "base"}"\nserved_as = "m"\n'
        f'[[sources]]\nname = "agent"\npath = "{folder / "agent.db"}"\n'
    )
    open_store(sqlite_url(folder / "flywheel.db")).close()
    return config


def _run(words: tuple[str, ...], config: Path) -> tuple[float, float]:
    more = [] if words[0].startswith("-") else ["--config", str(config)]
    before, began = _computed(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "flywheel", *words, *more], capture_output=True, check=True)
    return time.perf_counter() - began, _computed() - before


def _computed() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _verdict(seconds: float) -> str:
    return "kept" if seconds <= BAR else "missed"


if __name__ == "__main__":
    main()
