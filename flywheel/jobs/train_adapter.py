"""Train one LoRA adapter: `train_adapter.py SPEC.json`.

Progress is JSON lines on stdout: started, step, eval, checkpoint, then finished or failed. The adapter lies whole in
out/adapter before out/result.json, written last, says so. A run that was killed goes on from its last sealed
checkpoint and ends with the very same bytes, whichever of its stages it was in. Exit status: 0 done, 1 failed, 2 asked
for the impossible, 143 ended by SIGTERM. The base is only ever read.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import gpu_shares
import progress
import seals
import stage_runs
import starts
import train_specs
import train_stages

Train = Callable[[train_specs.Spec], dict[str, Any]]


def _end(_number: int, _frame: Any) -> NoReturn:
    os._exit(143)  # nothing to tidy up: the next start goes on from the last sealed checkpoint


def _finished(result: dict[str, Any]) -> None:
    progress.tell("finished", **{key: result[key] for key in ("steps", "loss", "eval_loss", "seconds")})


def _claim(spec: train_specs.Spec) -> None:
    """Make `out` the home of this very spec; checkpoints of another one must not be gone on from."""
    spec.out.mkdir(parents=True, exist_ok=True)
    claim = spec.out / "started.json"
    if not claim.exists():
        seals.write_last(claim, spec.text())
    elif claim.read_text() != spec.text():
        raise train_specs.MisuseError(f"{spec.out} belongs to a run with another spec; name another folder")


def train(spec: train_specs.Spec) -> dict[str, Any]:
    """Do the stages that are not done yet, one after the other; return what the last one left."""
    done: dict[str, Any] = {"steps": 0, "seconds": 0.0}
    left = train_stages.stages(spec)
    while left:
        stage = left.pop(0)
        if earlier := stage_runs.earlier(stage.out):
            done = earlier
            continue
        stage.out.mkdir(parents=True, exist_ok=True)
        after = sum(train_stages.planned_steps(one, spec.hyperparameters, stage_runs.count_rows(one)) for one in left)
        done = stage_runs.run(spec, stage, done, after)
    return done


def _run(argv: list[str], train: Train) -> None:
    if len(argv) != 1:
        raise train_specs.MisuseError("usage: train_adapter.py SPEC.json")
    spec = train_specs.read(Path(argv[0]))
    if earlier := stage_runs.earlier(spec.out):
        _finished(earlier)
        return
    _claim(spec)
    gpu_shares.keep_to_share()
    _finished(train(spec))


def main(argv: list[str], train: Train = train) -> int:
    """Do the one run that SPEC.json describes; the exit status tells how it ended. Others bring their `train`."""
    signal.signal(signal.SIGTERM, _end)
    progress.keep_chatter_off()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with more devices the trainer would multiply the batch
    try:
        _run(argv, train)
    except train_specs.MisuseError as error:
        progress.failed(str(error))
        return 2
    except Exception as error:  # noqa: BLE001 - the edge of the process: whatever went wrong is told in one line
        traceback.print_exc()
        progress.broke(error)
        return 1
    return 0


if __name__ == "__main__":
    starts.leave(main(sys.argv[1:]))
