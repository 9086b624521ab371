"""Looking at a run and ending it: how far it is in words and as JSON, and what cannot be ended."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.events import Event
from flywheel.core.jobs import Job, JobState
from flywheel.core.requests import Request, RequestKind
from flywheel.core.training import TrainSpec
from flywheel.daemon.places import shipped
from flywheel.store import jobs as job_rows
from flywheel.store import runs as run_rows
from flywheel.store.ledger import append
from flywheel.store.requests import answer_request, open_requests
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.store.tables import JobRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = TrainSpec(line="tool-calling", dataset="d1", base_name="main", base_fingerprint="f")
NEXT = SPEC.model_copy(update={"halved": True})
RUN = SPEC.run_id


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of a house with one line."""
    policies = tmp_path / "policies"
    shutil.copytree(shipped("policies"), policies)
    (tmp_path / "home").mkdir()
    made = tmp_path / "flywheel.toml"
    made.write_text(
        f'home = "{tmp_path / "home"}"\nlines = ["tool-calling"]\npolicies = "{policies}"\n'
        f'[bases.main]\npath = "{tmp_path}"\nserved_as = "main"\n'
    )
    return made


@pytest.fixture
def store(config: Path) -> Iterator[Store]:
    """A store in which a run trains."""
    with open_store(sqlite_url(config.parent / "home" / "flywheel.db")) as made:
        begin(made, SPEC)
        yield made


def begin(store: Store, spec: TrainSpec) -> None:
    """Start a run, as the room does."""
    with store.write() as session:
        run_rows.start_run(session, spec, NOW, 1)
        job = Job(id=f"train-{spec.run_id}", kind="train", line=spec.line, subject=spec.run_id, state=JobState.RUNNING)
        job_rows.enqueue(session, job)


def tell(store: Store, spec: TrainSpec, **told: Any) -> None:
    """Let a run's program tell how far it is."""
    with store.write() as session:
        row = session.get(JobRow, f"train-{spec.run_id}")
        assert row is not None
        row.progress = told
        session.add(row)


def finish(store: Store, spec: TrainSpec, error: str = "", state: str = "") -> None:
    with store.write() as session:
        run_rows.end_run(session, spec.run_id, NOW, {}, error, state)


def argv(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "flywheel", *map(str, arguments)]


def flywheel(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command."""
    return subprocess.run(argv(*arguments), capture_output=True, text=True, timeout=60, check=False)


def test_a_run_is_shown_with_what_its_program_tells(config: Path, store: Store) -> None:
    """The row, the newest numbers, and where its folder is."""
    tell(store, SPEC, step=3, of=9, loss=0.5)
    shown = json.loads(flywheel("runs", "show", RUN[:6], "--json", "-c", config).stdout)
    assert (shown["id"], shown["progress"]) == (RUN, {"step": 3, "of": 9, "loss": 0.5})
    assert shown["folder"] == str(config.parent / "home" / "runs" / RUN)


def test_a_run_is_followed_to_its_end(config: Path, store: Store) -> None:
    """Each change is one line, in words or as JSON; the command ends with the run."""
    tell(store, SPEC, step=3, of=9, loss=0.5, eval_loss=0.75, tokens_per_second=7512.5, eta_seconds=8.0)
    with subprocess.Popen(argv("runs", "show", RUN, "--follow", "-c", config), text=True, stdout=subprocess.PIPE) as it:
        assert it.stdout is not None
        first = it.stdout.readline()
        tell(store, SPEC, step=9, of=9, loss=0.25)
        second = it.stdout.readline()
        finish(store, SPEC)
        assert it.wait(30) == 0
    assert first == f"{RUN} running, step 3 of 9, loss 0.5, eval 0.75, 7,512 tokens/s, 8 s left\n"
    assert second == f"{RUN} running, step 9 of 9, loss 0.25\n"
    lines = flywheel("runs", "show", RUN, "--follow", "--json", "-c", config).stdout.splitlines()
    assert [(one["state"], one["told"]["step"]) for one in map(json.loads, lines)] == [("finished", 9)]


def test_following_a_run_that_fails_is_a_failure(config: Path, store: Store) -> None:
    """Exit code 1 and the run's own reason."""
    finish(store, SPEC, error="the base changed")
    said = flywheel("runs", "show", RUN, "--follow", "-c", config)
    assert said.returncode == 1
    assert f"{RUN} failed: the base changed" in said.stderr


def test_following_goes_on_with_the_smaller_batch(config: Path, store: Store) -> None:
    """The run that stands for one that ran out of memory is what the person waits for."""
    finish(store, SPEC, error="memory ran out")
    with store.write() as session:
        told = Event(kind="train.batch_halved", at=NOW, line=SPEC.line, subject=RUN, body={"next": NEXT.run_id})
        append(session, told)
    begin(store, NEXT)
    finish(store, NEXT)
    said = flywheel("runs", "show", RUN, "--follow", "-c", config)
    assert said.returncode == 0
    assert f"{RUN} failed" in said.stdout
    assert f"{NEXT.run_id} finished" in said.stdout


@contextmanager
def daemon(store: Store, kind: RequestKind, *, satisfied: bool, answer: str) -> Iterator[list[Request]]:
    """Answer the one wish that comes, as the daemon does; give what was asked."""
    asked: list[Request] = []

    def work() -> None:
        end = time.monotonic() + 30
        while not asked and time.monotonic() < end:
            with store.write() as session:
                for request in open_requests(session, kind):
                    asked.append(request)
                    answer_request(session, request.id, satisfied=satisfied, answer=answer)
            time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield asked
    finally:
        thread.join()


def test_a_person_ends_a_run(config: Path, store: Store) -> None:
    """The wish is written with its reason, and the daemon's answer is what the person reads."""
    with daemon(store, "cancel", satisfied=True, answer=f"{RUN} was ended at step 3 of 9") as asked:
        said = flywheel("runs", "cancel", RUN[:7], "--reason", "the GPU is needed", "-c", config)
    assert (said.returncode, said.stdout) == (0, f"{RUN} was ended at step 3 of 9\n")
    assert [(one.subject, one.line, one.reason) for one in asked] == [(RUN, "tool-calling", "the GPU is needed")]


def test_a_refused_wish_is_not_followed(config: Path, store: Store) -> None:
    """Nothing will begin: the answer is all there is, and nobody waits for more."""
    with daemon(store, "train", satisfied=False, answer="tool-calling has no new examples"):
        said = flywheel("train", "tool-calling", "--follow", "--json", "-c", config)
    answered = json.loads(said.stdout)
    assert (answered["state"], answered["answer"]) == ("refused", "tool-calling has no new examples")


def test_what_has_ended_cannot_be_ended(config: Path, store: Store) -> None:
    """Misuse, with how it ended; so is a run that nobody knows."""
    finish(store, SPEC, error="anna ended it", state="cancelled")
    said = flywheel("runs", "cancel", RUN, "-c", config)
    assert said.returncode == 2
    assert f"{RUN} has ended already: cancelled" in said.stderr
    assert flywheel("runs", "cancel", "run-0", "-c", config).returncode == 2
