"""The train room with its check before it: no run starts unlooked at, and what stops one is named once."""

import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from train_house import House, KilledError, once_at

from flywheel.core.attempts import Failed
from flywheel.core.events import Event
from flywheel.core.serving import ModelServer
from flywheel.core.steps import Steps
from flywheel.proc.children import mark
from flywheel.store import jobs as job_rows
from flywheel.store.stores import open_store, sqlite_url
from flywheel.train.preflight_facts import Sample, TokenizerFacts
from flywheel.train.preflight_looks import EVENT, PreflightPlaces, Preflights
from flywheel.train.preflight_servers import compare
from flywheel.train.run import TrainRoom

FACTS: dict[str, Any] = {
    "base": {"config": {"eos_token_id": 7, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
                        "num_attention_heads": 1, "vocab_size": 32}, "generation": None, "weight_bytes": 9},
    "tokenizer": {"eos": "<end>", "eos_id": 7, "pad": "<pad>", "pad_id": 8, "ending": "<end>", "ending_id": 7},
    "files": [{"name": "train", "rows": 20, "tokens": 200, "lengths": {"p50": 9, "p95": 11, "max": 12}}],
}  # fmt: skip


class CheckedHouse(House):
    """A house whose room checks runs first, on a machine whose memory the test decides."""

    def __init__(self, house: House) -> None:
        self.__dict__.update(house.__dict__)
        self.ram = 1 << 40
        self.server = ModelServer(url="http://127.0.0.1:9", max_lora_rank=16)
        self.observe: tuple[str, ...] = ()

    @property
    def room(self) -> TrainRoom:
        """Return a room as a daemon that just started would make it."""
        places = PreflightPlaces(
            datasets=self.places.datasets, runs=self.places.runs, python=self.places.python, servers=(self.server,),
            observe=self.observe,
        )  # fmt: skip
        checks = Preflights(self.store, self.clock, places, gpu=lambda: None, ram=lambda: self.ram)
        plain = super().room
        return TrainRoom(self.store, self.clock, plain._readings, self.places, checks)

    async def next(self) -> str:
        """Return what the room wants to do for its line now, or what the line waits for."""
        plan = await self.plan()
        return plan.proposals[0].intent.kind if plan.proposals else plan.waits["l"]

    def look(self, run: str, facts: dict[str, Any] | None = None, error: str = "") -> None:
        """Do what the daemon does with the queued check: let it end, with these facts or an error."""
        if not error:
            path = self.places.runs / f"preflight-{run}" / "out" / "facts.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(facts or FACTS))
        with self.store.write() as session:
            token = job_rows.acquire(session, f"preflight-{run}", self.clock.now(), timedelta(seconds=60))
            job_rows.mark_running(session, f"preflight-{run}", token, mark(1))
            job_rows.finish(session, f"preflight-{run}", token, error)

    async def looked(self, facts: dict[str, Any] | None = None, error: str = "") -> str:
        """Freeze a dataset and bring its run past the look; return the run's name."""
        self.freeze()
        run = (await self.proposal("train.check_run")).intent.subject
        await self.do("train.check_run")
        self.look(run, facts, error)
        return run

    def told(self) -> list[Event]:
        """Return what the ledger says about checks."""
        return self.events(EVENT)


@pytest.fixture
def checked(house: House) -> CheckedHouse:
    return CheckedHouse(house)


def long_rows() -> dict[str, Any]:
    """Return facts with one row that is too long."""
    file = {**FACTS["files"][0], "long": {"count": 1, "rows": [[3, 9000]]}, "lengths": {"max": 9000}}
    return {**FACTS, "files": [file]}


@pytest.mark.asyncio
async def test_a_run_is_looked_at_recorded_and_only_then_started(checked: CheckedHouse) -> None:
    """Check, wait, record, start: one job, one event, and the job sees no GPU."""
    _, frozen = checked.freeze()
    assert await checked.next() == "train.check_run"
    proposal = await checked.proposal("train.check_run")
    await checked.do("train.check_run")
    run = proposal.intent.subject
    with checked.store.read() as session:
        job = job_rows.job_by_id(session, f"preflight-{run}")
    assert job is not None
    assert (job.kind, job.line, job.subject, job.cause) == ("preflight", "l", run, frozen)
    assert job.spec["env"]["CUDA_VISIBLE_DEVICES"] == ""
    orders = json.loads((Path(job.folder) / "orders.json").read_text())
    assert [Path(name).name for name in orders["files"]] == ["train.jsonl"]
    assert await checked.next() == f"{run} is being checked before it starts"
    checked.look(run)
    assert await checked.next() == "train.record_check"
    await checked.do("train.record_check")
    assert await checked.next() == "train.start_run"
    await checked.do("train.start_run")
    (told,) = checked.told()
    assert (told.subject, told.cause, told.body["errors"]) == (run, frozen, [])
    assert [one["name"] for one in told.body["findings"]] == ["dataset.below-floor", "template.unchecked"]
    assert checked.run(run).state == "running"


@pytest.mark.asyncio
async def test_a_run_with_an_error_waits_by_name_until_the_spec_changes(checked: CheckedHouse) -> None:
    """The line says what stops it, with numbers and mend; nothing is tried again; another limit is another run."""
    run = await checked.looked(long_rows())
    await checked.do("train.record_check")
    for _ in range(3):
        wait = await checked.next()
        assert wait.startswith(f"{run} may not start: rows.too-long: 1 of 20 rows")
        assert "raise max_length to 9000" in wait
    assert [event.body["errors"] for event in checked.told()] == [["rows.too-long"]]
    assert checked.events("train.run_started") == []
    line = checked.lines["l"]
    values = line.train.hyperparameters.model_copy(update={"max_length": 9000})
    checked.lines["l"] = line.model_copy(update={"train": line.train.model_copy(update={"hyperparameters": values})})
    assert await checked.next() == "train.check_run"


@pytest.mark.asyncio
async def test_memory_that_comes_back_lets_the_run_go_without_another_look(checked: CheckedHouse) -> None:
    """The rows are counted once; what is free is asked again, and news are told once each."""
    checked.ram = 1
    run = await checked.looked()
    await checked.do("train.record_check")
    assert "memory.short" in await checked.next()
    checked.ram = 2
    assert "memory.short" in await checked.next(), "other numbers are no news"
    checked.ram = 1 << 40
    assert await checked.next() == "train.record_check"
    await checked.do("train.record_check")
    assert await checked.next() == "train.start_run"
    assert [event.body["errors"] for event in checked.told()] == [["memory.short"], []]
    assert {event.subject for event in checked.told()} == {run}


@pytest.mark.asyncio
async def test_a_rank_the_server_does_not_take_is_refused_until_it_does(checked: CheckedHouse) -> None:
    """The settings say what the server was started for; an operator may also only want to be told."""
    checked.server = ModelServer(url="http://127.0.0.1:9", max_lora_rank=8)
    await checked.looked()
    await checked.do("train.record_check")
    assert "rank.refused: the line trains rank 16" in await checked.next()
    checked.observe = ("rank.refused",)
    await checked.do("train.record_check")
    assert await checked.next() == "train.start_run"


@pytest.mark.asyncio
async def test_a_check_that_failed_stops_the_run_until_somebody_looks_again(checked: CheckedHouse) -> None:
    """No facts are no permission; facts that a person's look left there are as good."""
    run = await checked.looked(error="the tokenizer cannot be read")
    await checked.do("train.record_check")
    assert "check.failed: the check ended without a result: the tokenizer cannot be read" in await checked.next()
    path = checked.places.runs / f"preflight-{run}" / "out" / "facts.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(FACTS))
    await checked.do("train.record_check")
    assert await checked.next() == "train.start_run"


@pytest.mark.asyncio
async def test_a_changed_dataset_is_refused_before_it_is_counted(checked: CheckedHouse) -> None:
    """What is not what was frozen is not even looked at."""
    digest, _ = checked.freeze()
    (checked.places.datasets / digest / "train.jsonl").write_text("{}\n{}\n")
    attempt = await checked.do("train.check_run")
    assert isinstance(attempt, Failed)
    assert "is not what was frozen" in attempt.reason


@pytest.mark.asyncio
async def test_a_missing_environment_is_told_with_its_mend(checked: CheckedHouse) -> None:
    """Nothing is enqueued that could not run."""
    checked.freeze()
    checked.places.python.unlink()
    attempt = await checked.do("train.check_run")
    assert attempt == Failed(reason="the train environment is not there", mend="run `flywheel env create train`")


@pytest.mark.asyncio
async def test_asked_again_for_a_run_that_may_not_start_a_person_is_answered(checked: CheckedHouse) -> None:
    """A wish for another attempt is turned down with what stops it."""
    from flywheel.core.requests import Request
    from flywheel.store.requests import make_request, request_by_id

    run = await checked.looked()
    await checked.do("train.record_check")
    await checked.do("train.start_run")
    checked.train(run, error="CUDA out of memory")
    await checked.do("train.close_run")
    with checked.store.write() as session:
        make_request(session, Request(id="req-1", kind="train", line="l", subject="l", at=checked.clock.now()))
    again = (await checked.proposal("train.check_run")).intent
    assert again.subject != run
    await checked.do("train.check_run")
    checked.look(again.subject, long_rows())
    await checked.do("train.record_check")
    await checked.do("operator.refuse_request")
    with checked.store.read() as session:
        request = request_by_id(session, "req-1")
    assert request is not None
    assert request.state == "refused"
    assert "rows.too-long" in request.answer


@pytest.mark.parametrize("boundary", range(1, 9))
@pytest.mark.asyncio
async def test_killed_anywhere_the_check_is_made_and_told_once(
    tmp_path: Path, empty_train_store: Path, boundary: int
) -> None:
    """A power cut at any boundary of a write leaves one job and one event in the end."""
    shutil.copyfile(empty_train_store, tmp_path / "flywheel.db")
    steps = Steps(once_at(boundary))
    with open_store(sqlite_url(tmp_path / "flywheel.db"), steps) as store:
        checked = CheckedHouse(House(store, steps, tmp_path))
        for _ in range(12):
            try:
                plan = await checked.plan()
                if not checked.events("curate.dataset_frozen"):
                    checked.freeze()
                elif plan.proposals and plan.proposals[0].intent.kind != "train.start_run":
                    await checked.do(plan.proposals[0].intent.kind)
                elif "is being checked" in plan.waits.get("l", ""):
                    checked.look(str(plan.waits["l"]).split()[0])
            except KilledError:
                continue
        assert len(checked.told()) == 1
        assert await checked.next() == "train.start_run"


class _Server(http.server.BaseHTTPRequestHandler):
    """A model server that tells these tokens for every conversation."""

    tokens: tuple[int, ...] | None = (1, 2, 3)
    root = "elsewhere"

    def do_GET(self) -> None:
        self._send(200, {"data": [{"id": "tiny", "root": self.root}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(404 if self.tokens is None else 200, {"tokens": self.tokens})

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


SAMPLE = Sample(name="row 1", messages=({"role": "user", "content": "Hi"},), tokens=(1, 2, 3))
TOLD = TokenizerFacts(eos="e", eos_id=1, pad="p", pad_id=2, ending="e", ending_id=1, template="other")


def test_a_server_is_held_against_the_trainer_token_by_token(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tokens are no difference; the first other one is named."""
    found = compare([url], "tiny", [SAMPLE], TOLD)
    assert (found.differs, found.unchecked) == (None, "")
    monkeypatch.setattr(_Server, "tokens", (1, 9, 3, 4))
    found = compare([url], "tiny", [SAMPLE], TOLD)
    assert found.differs == "the prompt of 'row 1' is 4 tokens there and 3 here, unlike from token 2 on"


def test_without_that_door_the_template_files_are_compared(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server's model folder is looked at where it is on this machine; else it is said that nothing was compared."""
    import hashlib

    monkeypatch.setattr(_Server, "tokens", None)
    assert "its model's folder is not on this machine" in compare([url], "tiny", [SAMPLE], TOLD).unchecked
    (tmp_path / "chat_template.jinja").write_text("template")
    monkeypatch.setattr(_Server, "root", str(tmp_path))
    assert compare([url], "tiny", [SAMPLE], TOLD).differs == f"the chat template in {tmp_path} is not the base's"
    same = TOLD.model_copy(update={"template": hashlib.sha256(b"template").hexdigest()})
    assert compare([url], "tiny", [SAMPLE], same).differs is None


def test_a_server_that_is_away_or_serves_others_is_said(url: str) -> None:
    """Nothing is compared then, and the run is not stopped."""
    assert "does not serve other" in compare([url], "other", [SAMPLE], TOLD).unchecked
    assert "does not answer" in compare(["http://127.0.0.1:9"], "tiny", [SAMPLE], TOLD).unchecked
    assert compare([], "tiny", [SAMPLE], TOLD).unchecked == "no model server is set"
