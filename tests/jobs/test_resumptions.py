"""Killed between the last step and the result: what was trained is taken up again, not trained further."""

import json
import shutil
from pathlib import Path

import pytest
from fixtures.nurslings import completed, environment
from fixtures.tiny import (
    JOBS,
    Json,
    conversations,
    events,
    run,
    spec,
    tasks,
    train_python,
    write_rows,
    write_spec,
)
from test_charts import points

pytestmark = pytest.mark.train


def trained(path: Path) -> tuple[Json, bytes, list[Json]]:
    """Do a run; return its result, the bytes of its adapter, and what it said."""
    done = run("train_adapter.py", path, python=train_python())
    assert done.returncode == 0, done.stdout + done.stderr
    out = Path(json.loads(path.read_text())["out"])
    result = json.loads((out / "result.json").read_text())
    return result, (out / "adapter" / "adapter_model.safetensors").read_bytes(), events(done.stdout)


def undone(path: Path) -> Path:
    """Leave of a run what a kill leaves that comes right after its last checkpoint."""
    out = Path(json.loads(path.read_text())["out"])
    (out / "result.json").unlink()
    shutil.rmtree(out / "adapter")
    return path


def same(one: Json, other: Json) -> bool:
    """Tell whether two results differ in nothing but their time."""
    return {**one, "seconds": 0} == {**other, "seconds": 0}


def test_patience_ends_a_run_early_and_its_best_checkpoint_is_what_comes_out(tiny_base: Path, tmp_path: Path) -> None:
    """Byte for byte the best one's weights, not the last one's; also when it is killed after patience ran out."""
    rows = write_rows(tmp_path / "train.jsonl", conversations(tasks(96, seed=3)))
    valid = write_rows(tmp_path / "valid.jsonl", conversations(tasks(16, seed=3, start=5000)))
    settings = {"eval_steps": 2, "save_steps": 2, "patience": 2, "learning_rate": 0.05, "epochs": 4}
    body = {**spec(tiny_base, rows, tmp_path / "out", **settings), "valid": str(valid)}
    path = write_spec(tmp_path / "spec.json", body)
    result, weights, said = trained(path)
    losses = {event["step"]: event["loss"] for event in said if event["event"] == "eval"}
    best = min(losses, key=lambda step: losses[step])
    assert result["steps"] == best + 4 < 48  # two evaluations without a gain, and there it ends
    assert result["eval_loss"] == pytest.approx(losses[best], abs=1e-5)
    kept = tmp_path / "out" / "checkpoints" / f"checkpoint-{best}" / "adapter_model.safetensors"
    last = kept.parents[1] / f"checkpoint-{result['steps']}" / "adapter_model.safetensors"
    assert weights == kept.read_bytes() != last.read_bytes()
    (curves,) = (tmp_path / "out" / "tensorboard").iterdir()
    assert [p.step for p in points(curves) if p.tag == "train/loss"] == list(range(1, result["steps"] + 1))
    assert {p.step: round(p.value, 6) for p in points(curves) if p.tag == "eval/loss"} == pytest.approx(
        losses, abs=1e-5
    )
    again, weights_again, _ = trained(undone(path))
    assert same(again, result)
    assert weights_again == weights


def test_a_last_step_in_the_middle_of_an_epoch_is_the_last(tiny_base: Path, tmp_path: Path) -> None:
    """The trainer would take one step more; the learning rate is not nothing there, so that it would be seen."""
    rows = write_rows(tmp_path / "train.jsonl", conversations(tasks(96, seed=3)))
    settings = {"save_steps": 4, "max_steps": 8, "scheduler": "constant"}
    path = write_spec(tmp_path / "spec.json", spec(tiny_base, rows, tmp_path / "out", **settings))
    result, weights, _ = trained(path)
    again, weights_again, _ = trained(undone(path))
    assert (result["steps"], weights_again == weights) == (8, True)
    assert same(again, result)


STARVED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import progress, torch
progress.keep_chatter_off()
now = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmSize"))) * 1024
resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20),) * 2)
for want in (lambda: torch.empty(1 << 32), lambda: bytearray(1 << 33), lambda: torch.empty(-1)):
    try:
        want()
    except (RuntimeError, MemoryError) as error:
        progress.broke(error)
progress.broke(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
"""


def test_what_libraries_say_when_memory_runs_out_is_understood() -> None:
    """Torch on a CPU, Python, torch on a GPU: each is told as an event of its own; other errors are not."""
    done = completed([train_python(), "-c", STARVED, str(JOBS)], environment(), 280)
    said = [(event["event"], event["error"]) for event in events(done.stdout)]
    names = [name for name, _ in said]
    assert names == ["out_of_memory", "failed", "out_of_memory", "failed", "failed", "out_of_memory", "failed"], said
    assert said[0] == ("out_of_memory", said[1][1])
    assert said[-1][1].startswith("OutOfMemoryError: CUDA out of memory")
