"""Train one LoRA adapter with another project's program: `run_foreign_trainer.py llama-factory|mlx SPEC.json`.

Orders, protocol and result are those of train_adapter.py. The tool's configuration is written, the tool runs as a child
that ends with this process, what it reports is told in our words, and its adapter is brought into PEFT's form. The
tools cannot go on from a checkpoint and end with the same bytes, so a killed run begins anew and writes none.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import lora_models
import progress
import seals
import stage_runs
import tool_llama_factory
import tool_mlx
import train_adapter
from train_specs import MisuseError, Spec

TOOLS: dict[str, Any] = {"llama-factory": tool_llama_factory, "mlx": tool_mlx}
POLL_SECONDS = 0.2
WORK = "work-"


class ToolError(RuntimeError):
    """The tool ended without an adapter; its words tell whether memory ran out."""


def _fresh_work(out: Path) -> Path:
    """Return an empty folder for the tool; what a killed start left, data included, is gone."""
    for old in out.glob(f"{WORK}*"):
        shutil.rmtree(old)
    work = out / f"{WORK}{os.getpid()}"  # a dying child of a killed start cannot write into the new one's folder
    work.mkdir()
    return work


def _train(tool: str, spec: Spec) -> dict[str, Any]:
    began = time.monotonic()
    kind = TOOLS[tool]
    kind.refuse(spec)
    work = _fresh_work(spec.out)
    try:
        planned = kind.prepare(spec, work)
        progress.draw(spec.out / "tensorboard", 1)
        progress.tell("started", steps=planned["steps"], examples=planned["examples"], resumed_from=None, device=tool)
        _follow(tool, work, kind.Reader(work, planned["steps"]))
        left = kind.collect(spec, work)
        digest = _publish(kind.adapter(spec, work), spec.out)
        shutil.copyfile(work / kind.CONFIG, spec.out / kind.CONFIG)
    finally:
        shutil.rmtree(work, ignore_errors=True)  # it holds a copy of the rows, which must be forgettable
    result = {"adapter": "adapter", **left, "seconds": round(time.monotonic() - began, 2), "sha256": digest}
    seals.write_last(spec.out / stage_runs.RESULT, json.dumps(result, indent=1) + "\n")
    return result


def _follow(tool: str, work: Path, reader: Any) -> None:
    """Run the tool to its end and tell what it reports."""
    argv = [sys.executable, str(Path(__file__).with_name("foreign_child.py")), tool]
    argv += [str(work / TOOLS[tool].CONFIG), str(work / "progress.jsonl")]
    log = work / "output.log"
    with log.open("wb") as output:
        # Descriptors stay open: the run's lock is held as long as the tool lives.
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=work, close_fds=False)
        with child:
            while not _ended(child):
                reader.tell()
    reader.tell()
    if child.returncode:
        raise ToolError(_reason(tool, child.returncode, log))


def _ended(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _reason(tool: str, status: int, log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    sys.stderr.write("\n".join([*lines[-40:], ""]))
    if status < 0:
        return f"{tool} was ended by {signal.Signals(-status).name}"
    return f"{tool} ended with status {status}: {lines[-1].strip()[:400] if lines else 'it said nothing'}"


def _publish(files: dict[str, bytes], out: Path) -> str:
    """Put the adapter into out/adapter, whole and readable under any user; return the digest of its weights."""
    fresh, final = out / ".adapter", out / "adapter"
    for folder in (fresh, final):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir()
    for name, data in files.items():
        (fresh / name).write_bytes(data)
        (fresh / name).chmod(0o644)
        seals.fsync(fresh / name)
    seals.fsync(fresh)
    fresh.rename(final)
    seals.fsync(out)
    return seals.sha256(final / lora_models.WEIGHTS)


def main(argv: list[str]) -> int:
    """Do the one run that SPEC.json describes with the named tool; the exit status tells how it ended."""
    tool = argv[0] if argv else ""

    def train(spec: Spec) -> dict[str, Any]:
        if tool not in TOOLS:
            raise MisuseError(f"there is no trainer {tool!r}; choose from {', '.join(TOOLS)}")
        return functools.partial(_train, tool)(spec)

    return train_adapter.main(argv[1:], train)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
