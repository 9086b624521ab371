"""Training for real: runs that end in the same bytes however often they are killed."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures.model_servers import ModelServer, serving
from fixtures.nurslings import Process, completed, environment, started
from fixtures.tiny import (
    JOBS,
    Json,
    command,
    conversations,
    digests,
    events,
    run,
    spec,
    tasks,
    train_adapter,
    train_python,
    write_rows,
    write_spec,
)

pytestmark = pytest.mark.train

STEPS, SAVE = 24, 4


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples for 24 steps."""
    return write_rows(tmp_path_factory.mktemp("rows") / "train.jsonl", conversations(tasks(STEPS * 8, seed=3)))


@pytest.fixture(scope="session")
def unbroken(tiny_base: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Json]]:
    """Return a run that nobody disturbed: its folder and what it said."""
    folder = tmp_path_factory.mktemp("unbroken")
    body = spec(tiny_base, rows, folder / "out", save_steps=SAVE)
    before = digests(tiny_base)
    # Started as users start it: what is born with its libraries loaded is compared with this byte for byte.
    done = run("train_adapter.py", write_spec(folder / "spec.json", body), python=train_python(), afresh=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(tiny_base) == before
    return folder, events(done.stdout)


@contextmanager
def running(path: Path) -> Iterator[Process]:
    """Yield a run in progress that does not outlive the test."""
    with started(command("train_adapter.py", path, python=train_python()), environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: Process, event: str, step: int) -> None:
    """Read what the run says until it says this."""
    assert process.stdout is not None
    for line in process.stdout:
        said = json.loads(line)
        if said["event"] == event and said.get("step", 0) >= step:
            return
    pytest.fail(f"the run ended without {event} {step}")


def start_and_kill(tiny_base: Path, rows: Path, folder: Path, step: int) -> Path:
    """Kill a run -9 just after `step` and return its spec."""
    path = write_spec(folder / "spec.json", spec(tiny_base, rows, folder / "out", save_steps=SAVE))
    with running(path) as process:
        wait_for(process, "step", step)
        process.send_signal(signal.SIGKILL)
    return path


def weights(folder: Path) -> bytes:
    """Return the bytes of the adapter that a run made."""
    return (folder / "out" / "adapter" / "adapter_model.safetensors").read_bytes()


def refusal(path: Path) -> str:
    """Return the one line with which a run says no."""
    done = run("train_adapter.py", path, python=train_python())
    (said,) = events(done.stdout)
    assert (done.returncode, said["event"]) == (2, "failed")
    return said["error"]


def test_a_run_says_what_it_does_in_json_lines(unbroken: tuple[Path, list[Json]]) -> None:
    """Only events reach stdout: started, steps, checkpoints, finished."""
    said = unbroken[1]
    started, finished = said[0], said[-1]
    assert (started["event"], started["steps"], started["examples"]) == ("started", STEPS, STEPS * 8)
    assert (started["resumed_from"], started["device"]) == (None, "cpu")
    assert started["trainable_parameters"] > 10_000
    assert [event["step"] for event in said if event["event"] == "step"] == list(range(1, STEPS + 1))
    assert [event["step"] for event in said if event["event"] == "checkpoint"] == list(range(SAVE, STEPS + 1, SAVE))
    assert all(event["tokens_per_second"] > 0 <= event["eta_seconds"] for event in said if event["event"] == "step")
    assert (finished["event"], finished["steps"], finished["eval_loss"]) == ("finished", STEPS, None)


def test_the_adapter_is_whole_and_readable_by_a_server(tiny_base: Path, unbroken: tuple[Path, list[Json]]) -> None:
    """Two files, mode 0644, sorted modules, the base named as it was given, and a digest that fits."""
    adapter = unbroken[0] / "out" / "adapter"
    config = json.loads((adapter / "adapter_config.json").read_text())
    result = json.loads((unbroken[0] / "out" / "result.json").read_text())
    assert sorted(path.name for path in adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert {path.stat().st_mode & 0o777 for path in adapter.iterdir()} == {0o644}
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["base_model_name_or_path"] == str(tiny_base)
    assert result["sha256"] == digests(adapter)[str(adapter / "adapter_model.safetensors")][0]


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    tiny_base: Path, rows: Path, unbroken: tuple[Path, list[Json]], tmp_path: Path
) -> None:
    """Kill -9 in mid run costs time, never the result."""
    path = start_and_kill(tiny_base, rows, tmp_path, step=2 * SAVE + 2)
    done = run("train_adapter.py", path, python=train_python())
    resumed = events(done.stdout)[0]["resumed_from"]
    assert resumed >= 2 * SAVE
    assert resumed % SAVE == 0
    assert weights(tmp_path) == weights(unbroken[0])


def test_checkpoints_that_do_not_verify_are_not_trusted(
    tiny_base: Path, rows: Path, unbroken: tuple[Path, list[Json]], tmp_path: Path
) -> None:
    """A newer checkpoint that is half written and one that was altered are deleted; the older sealed one is used."""
    path = start_and_kill(tiny_base, rows, tmp_path, step=2 * SAVE + 1)
    checkpoints = tmp_path / "out" / "checkpoints"
    sealed = checkpoints / f"checkpoint-{2 * SAVE}"
    half, altered = checkpoints / f"checkpoint-{STEPS - 1}", checkpoints / f"checkpoint-{3 * SAVE}"
    shutil.copytree(sealed, half, ignore=shutil.ignore_patterns("optimizer.pt", "manifest.json"))
    shutil.copytree(sealed, altered, dirs_exist_ok=True)
    (altered / "scheduler.pt").write_bytes(b"something else")
    done = run("train_adapter.py", path, python=train_python())
    assert events(done.stdout)[0]["resumed_from"] == 2 * SAVE
    assert not half.exists()
    assert weights(tmp_path) == weights(unbroken[0])


def test_sigterm_ends_a_run_quickly_and_without_a_result(tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    """143 within two seconds; there is nothing that must be saved first."""
    path = write_spec(tmp_path / "spec.json", spec(tiny_base, rows, tmp_path / "out", epochs=50))
    with running(path) as process:
        wait_for(process, "step", 2)
        began = time.monotonic()
        process.terminate()
        assert process.wait(10) == 143
        assert time.monotonic() - began < 2.0
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_finished_run_is_not_run_again(unbroken: tuple[Path, list[Json]]) -> None:
    """Starting once more is harmless, at once, and needs no torch."""
    before = digests(unbroken[0])
    done = run("train_adapter.py", unbroken[0] / "spec.json")
    assert done.returncode == 0
    assert [event["event"] for event in events(done.stdout)] == ["finished"]
    assert digests(unbroken[0]) == before


def test_a_folder_belongs_to_one_spec(tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    """Checkpoints of one spec are never gone on from by another."""
    path = start_and_kill(tiny_base, rows, tmp_path, step=1)
    body = json.loads(path.read_text())
    body["seed"] = 1
    assert "another spec" in refusal(write_spec(path, body))


def test_the_best_step_is_kept_when_there_is_patience(tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    """Evaluations are told, and a run that stops improving ends early with its best weights."""
    valid = write_rows(tmp_path / "valid.jsonl", conversations(tasks(16, seed=3, start=5000)))
    settings = {"eval_steps": 2, "save_steps": 2, "patience": 1, "learning_rate": 0.2, "epochs": 4}
    body = {**spec(tiny_base, rows, tmp_path / "out", **settings), "valid": str(valid)}
    done = run("train_adapter.py", write_spec(tmp_path / "spec.json", body), python=train_python())
    said = events(done.stdout)
    losses = {event["step"]: event["loss"] for event in said if event["event"] == "eval"}
    assert said[-1]["steps"] < 4 * STEPS
    assert said[-1]["eval_loss"] == pytest.approx(min(losses.values()), abs=1e-5)


def test_a_row_that_is_too_long_is_refused_by_name(tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    """Nothing is cut silently: the error counts the rows and names the first."""
    found = conversations(tasks(6, seed=3))
    found[3]["messages"][0]["content"] = "Show " + "src/cache.py " * 60
    train = write_rows(tmp_path / "train.jsonl", found)
    said = refusal(write_spec(tmp_path / "spec.json", spec(tiny_base, train, tmp_path / "out")))
    assert "1 of 6 rows are longer than max_length 128" in said
    assert "the first is row 4" in said


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "row 1 is not JSON"),
        ("{}", "row 1 has no list of messages"),
        ('{"messages": [{"role": "user", "content": "hi"}]}', "row 1 does not end with an assistant message"),
        ("", "has no rows"),
    ],
)
def test_a_row_that_is_no_example_is_refused_by_name(tiny_base: Path, tmp_path: Path, line: str, reason: str) -> None:
    """The error names the file and the row."""
    (tmp_path / "train.jsonl").write_text(line + "\n")
    assert reason in refusal(
        write_spec(tmp_path / "spec.json", spec(tiny_base, tmp_path / "train.jsonl", tmp_path / "out"))
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"leaning_rate": 1}, "unknown hyperparameters: leaning_rate"),
        ({"rank": None}, "rank must be a whole number from 1, not null"),
        ({"eval_steps": 5}, "eval_steps needs a valid file"),
        ({"precision": "fp8"}, 'precision must be "bf16" or "fp32"'),
    ],
)
def test_a_senseless_spec_is_refused_before_anything_is_loaded(
    tiny_base: Path, rows: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    """One line that names the key; exit 2."""
    path = write_spec(tmp_path / "spec.json", spec(tiny_base, rows, tmp_path / "out", **change))
    assert reason in refusal(path)
    assert not (tmp_path / "out").exists()


def test_missing_keys_are_named(tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    """A key that was forgotten has no silent default."""
    body = spec(tiny_base, rows, tmp_path / "out")
    del body["seed"]
    assert refusal(write_spec(tmp_path / "spec.json", body)) == "missing keys: seed"


def share_right(server: ModelServer, model: str) -> float:
    """How many held-out tasks `model` answers exactly."""
    found = tasks(160, seed=3, start=4000)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda task: server.chat(task["messages"][0]["content"], model).content, found))
    rows = conversations(found)
    return sum(answer == row["messages"][-1]["content"] for answer, row in zip(answers, rows, strict=True)) / 160


SAMPLER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import stage_runs, train_specs, train_stages
for path in sys.argv[2:]:
    spec = train_specs.read(Path(path))
    trainer = stage_runs._trainer(spec, train_stages.stages(spec)[0], 0, 0)
    print("order", list(trainer._get_train_sampler(trainer.train_dataset)))
"""


def test_a_curriculum_is_gone_through_in_its_order(tiny_base: Path, tmp_path: Path) -> None:
    """Ordered rows are trained as they stand; all others are shuffled."""
    few = write_rows(tmp_path / "train.jsonl", conversations(tasks(24, seed=4)))
    body = spec(tiny_base, few, tmp_path / "out")
    paths = [write_spec(tmp_path / f"{way}.json", {**body, "ordered": way}) for way in (True, False)]
    done = completed([train_python(), "-c", SAMPLER, str(JOBS), *map(str, paths)], environment(), 280)
    orders = [json.loads(row[6:]) for row in done.stdout.splitlines() if row.startswith("order ")]
    assert [sorted(order) for order in orders] == [list(range(24))] * 2, done.stderr
    assert [order == list(range(24)) for order in orders] == [True, False]


def test_a_curriculum_that_would_be_cut_short_is_refused(tiny_base: Path, rows: Path, tmp_path: Path) -> None:
    """Steps that end before the hardest rows would train on the easy ones alone."""
    body = {**spec(tiny_base, rows, tmp_path / "out", max_steps=STEPS - 1), "ordered": True}
    said = refusal(write_spec(tmp_path / "spec.json", body))
    assert said.startswith(f"max_steps ends after {(STEPS - 1) * 8} of the curriculum's {STEPS * 8} rows")


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("FLYWHEEL_SOAK"), reason="test_train_techniques.py trains and scores the same: FLYWHEEL_SOAK=1"
)
def test_training_lifts_held_out_exactness(tiny_base: Path, tmp_path: Path) -> None:
    """The whole point: from about half to more than four in five, on tasks never seen."""
    settings = {"epochs": 4, "batch_size": 16, "dropout": 0.0}
    adapter = train_adapter(tiny_base, tmp_path, conversations(tasks(320, seed=3)), **settings)
    with serving("double", tiny_base, tmp_path / "log") as server:
        assert server.load("sft@1", adapter).status == 200
        assert share_right(server, "tiny") < 0.6
        assert share_right(server, "sft@1") > 0.8
