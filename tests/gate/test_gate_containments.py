import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from gate_house import make_gate
from measuring_house import code_problem, publish_problems, tool_problem

from flywheel.core.jobs import Job, JobState
from flywheel.core.lines import Line
from flywheel.core.releases import Release, ReleaseState
from flywheel.core.suites import Suite
from flywheel.core.training import AdapterManifest
from flywheel.gate.containments import NONE_NAMED, obstacles
from flywheel.gate.identities import identities
from flywheel.gate.plan import plan
from flywheel.gate.situations import LineSituation, Situation
from flywheel.sandbox.frames import encode, read_frame
from flywheel.store.runs import record_adapter
from flywheel.store.stores import open_store, sqlite_url

LINE = Line(name="scope", why="tests", base="tiny", gate="tool-calling")
CANDIDATE = Release(
    line="scope", number=1, adapter="hash", state=ReleaseState.REGISTERED, changed_at=datetime(2026, 1, 1, tzinfo=UTC)
)


def waiting(digest, **more):
    """A line whose candidate is loaded and was not measured on its suite."""
    suite = Suite(hash=digest, line="scope", dataset="d", problems=2, groups=2, seq=1)
    line = LineSituation(line=LINE, gate=make_gate(), suite=suite, candidates=(CANDIDATE,), registered=1)
    return Situation(lines=(line,), warmed=frozenset({"scope@1"}), bases={"tiny": "base"}, **more)


@asynccontextmanager
async def executor(folder, why_not):
    """An executor that answers one question: whether it is fit."""

    async def answer(reader, writer):
        await read_frame(reader)
        writer.write(encode({"why_not": why_not}))
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, folder / "socket")
    async with server:
        yield folder / "socket"


@pytest.mark.asyncio
async def test_a_suite_without_programs_needs_no_executor(tmp_path):
    """Nobody is asked, and nothing stands in the way."""
    digest = publish_problems(tmp_path, [tool_problem(1)]).hash
    assert await obstacles(waiting(digest), tmp_path, None) == {}


@pytest.mark.asyncio
@pytest.mark.parametrize("why", ["", "user namespaces are blocked — install the profile"])
async def test_a_suite_with_programs_waits_until_they_are_contained(tmp_path, why):
    """What the executor says against itself is what the line waits for."""
    digest = publish_problems(tmp_path / "suites", [tool_problem(1), code_problem(1)]).hash
    here = waiting(digest)
    async with executor(tmp_path, why) as socket:
        unrun = await obstacles(here, tmp_path / "suites", socket)
    planned = plan(here.model_copy(update={"unrun": unrun}))
    assert ("gate.measure_adapter" in {one.intent.kind for one in planned.proposals}) == (not why)
    assert planned.waits == ({"scope": f"scope@1 waits for the executor: {why}"} if why else {})


@pytest.mark.asyncio
async def test_an_executor_that_is_not_there_is_said_with_the_mend(tmp_path):
    """Without a name, or without a listener; a line that is being measured already is not asked about."""
    digest = publish_problems(tmp_path / "suites", [code_problem(1)]).hash
    assert await obstacles(waiting(digest), tmp_path / "suites", None) == {digest: NONE_NAMED}
    (said,) = (await obstacles(waiting(digest), tmp_path / "suites", tmp_path / "socket")).values()
    assert "no executor listens" in said
    assert "flywheel executor" in said
    job = Job(id="j", kind="measure", line="scope", subject="scope@1", state=JobState.RUNNING)
    assert await obstacles(waiting(digest, jobs=(job,)), tmp_path / "suites", None) == {}


def test_what_status_says_of_a_measurement():
    """Answers while asking, programs while running, and the warning in both."""
    said = []
    for progress in (
        {"done": 3, "of": 9, "eta_seconds": 120.0},
        {"done": 3, "of": 9, "eta_seconds": 120.0, "warning": "none can be used"},
        {"done": 9, "of": 9, "eta_seconds": 0.0, "programs_run": 2, "programs": 4},
    ):
        job = Job(id="j", kind="measure", line="scope", subject="scope@1", state=JobState.RUNNING, progress=progress)
        said.append(plan(waiting("x", jobs=(job,))).waits["scope"])
    assert said == [
        "scope@1 is being measured, 3 of 9 answers, about 2 min left",
        "scope@1 is being measured, 3 of 9 answers, about 2 min left: none can be used",
        "scope@1 is being measured, 2 of 4 programs run",
    ]


def test_who_stands_behind_a_role(tmp_path):
    """An adapter is its files on its base, a base its fingerprint; a base that nobody vouches for is left out."""
    store = open_store(sqlite_url(tmp_path / "flywheel.db"))
    with store.write() as session:
        for number in (1, 2):
            manifest = AdapterManifest(
                hash=f"{number:064d}", line="scope", number=number, run=f"run-{number}", dataset="d", base_name="tiny",
                base_fingerprint="print", rank=8, target_modules=("q_proj",), files={},
            )  # fmt: skip
            record_adapter(session, manifest, f"/adapters/{number}", 1)
    models = {"base": "served", "candidate": "scope@2", "active": "scope@1"}
    with store.read() as session:
        assert identities(session, models, "tiny") == {
            "base": "served print", "candidate": f"{2:064d} on print", "active": f"{1:064d} on print",
        }  # fmt: skip
        assert "base" not in identities(session, models, "the base below the layers of tiny")
        assert identities(session, {"base": "served", "candidate": "scope@9"}, "tiny") == {}
    store.close()
