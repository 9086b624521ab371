import asyncio
import html
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gate_house import ScriptedServer, make_gate, simulate

from flywheel.core.attempts import Done, Failed, Retry
from flywheel.core.facts import check_facts
from flywheel.core.jobs import ProcessMark
from flywheel.core.releases import ReleaseState
from flywheel.core.verdicts import Verdict
from flywheel.gate import run as place
from flywheel.gate import suite_shelves
from flywheel.gate.measuring import main
from flywheel.gate.pages import render
from flywheel.gate.results import write_result
from flywheel.gate.specs import MeasureSpec, read_spec
from flywheel.gate.statistics import alpha_for
from flywheel.gate.verdicts import Subject, judge
from flywheel.store import jobs, releases, reports, suites

REPORT_KINDS = ("gate.adapter_measured", "gate.adapter_passed", "gate.adapter_failed", "gate.measurement_failed")


async def step(world):
    """One cycle of the room alone: everything it proposes is performed; return the kinds and the attempts."""
    found = await world.room.propose()
    for proposal in found.proposals:
        check_facts(proposal.facts)
    return [(p.intent.kind, await world.room.perform(p.intent, p.cause)) for p in found.proposals]


async def begin(world, number=1, **options):
    """Freeze a suite, register an adapter, start its measurement; return the job."""
    world.freeze_dataset()
    world.register(number, **options)
    await step(world)
    await step(world)
    return only_job(world)


def only_job(world):
    with world.store.read() as session:
        (job,) = jobs.unhandled_jobs(session, "measure")
    return job


def measure_by_hand(job, gain, seed=1):
    """Leave a result as the measuring process would, from simulated evidence."""
    spec = spec_of(job)
    report = judge(
        simulate(seed, 200, gain), spec.gate, Subject(adapter=spec.adapter, suite=spec.suite, alpha=spec.alpha)
    )
    write_result(Path(spec.out), report, render(report, job.subject))
    return report


def spec_of(job):
    return MeasureSpec.model_validate(
        {key: value for key, value in job.spec.items() if key in MeasureSpec.model_fields}
    )


@pytest.mark.asyncio
async def test_from_dataset_to_verdict_over_the_real_server(world):
    """A dataset gives a suite, a loaded adapter its measurement, the measurement a verdict, each with its cause."""
    async with ScriptedServer() as server:
        world.server = world.server.model_copy(update={"url": server.url})
        job = await begin(world, server=server.url)
        assert job.spec["argv"][1:] == ["-m", "flywheel.gate.measuring", str(Path(job.folder) / "spec.json")]
        assert read_spec(Path(job.folder) / "spec.json") == spec_of(job)
        assert await asyncio.to_thread(main, job.spec["argv"][3:]) == 0
    world.end_job(job.id)
    await step(world)
    (stored,) = await listed(world)
    assert stored.report.numbers["problems"] == 12
    assert stored.report.alpha_spent == alpha_for(1, 0.05)
    assert (world.folders.reports / f"{stored.id}.html").read_text().startswith("<!doctype html>")
    measured, judged = world.events(*REPORT_KINDS)
    assert (measured.kind, judged.cause, judged.seq) == ("gate.adapter_measured", measured.seq, stored.seq)
    assert measured.cause == job.cause
    assert not (await world.room.propose()).proposals


async def listed(world):
    with world.store.read() as session:
        return reports.reports(session, line="scope")


@pytest.mark.asyncio
async def test_a_suite_is_frozen_once_with_its_questions(world):
    """The first dataset with rows held out gives the line its live suite; later ones change nothing."""
    assert (await world.room.propose()).waits == {"scope": "waits for a dataset with rows held out"}
    manifest = world.freeze_dataset()
    ((kind, attempt),) = await step(world)
    assert (kind, type(attempt)) == ("gate.freeze_suite", Done)
    with world.store.read() as session:
        suite = suites.live_suite(session, "scope")
        assert suites.suites(session, "scope") == [suite]
        assert suites.suite_prompts(session, "scope") == {f"key-{n}" for n in range(12)}
    (event,) = world.events("gate.suite_frozen")
    assert (suite.dataset, suite.problems, suite.groups, suite.seq) == (manifest.hash, 12, 10, event.seq)
    assert event.cause == 1
    world.freeze_dataset(14, number=2)
    assert await step(world) == []


@pytest.mark.asyncio
async def test_rows_nobody_can_judge_say_so(world):
    """A dataset whose held-out answers call nothing gives no suite and a reason."""
    manifest = world.freeze_dataset()
    (world.folders.datasets / manifest.hash / "test.jsonl").write_text("{}\n")
    ((_, attempt),) = await step(world)
    assert isinstance(attempt, Failed)
    assert "not what was frozen" in attempt.reason


@pytest.mark.asyncio
async def test_nothing_is_measured_before_it_is_loaded_and_warm(world):
    """A candidate that no server holds is waited for, and so is the active adapter it is compared with."""
    world.freeze_dataset()
    await step(world)
    world.register(1, warm=False)
    assert (await world.room.propose()).waits == {"scope": "waits for scope@1 to be loaded and warmed up"}
    world.register(2)
    with world.store.write() as session:
        releases.move(session, "scope@1", ReleaseState.CANARY, world.clock.now(), 1)
        releases.move(session, "scope@1", ReleaseState.ACTIVE, world.clock.now(), 1)
    assert (await world.room.propose()).waits == {"scope": "waits for scope@1 to be loaded and warmed up"}
    world.server = world.server.model_copy(update={"bases": {}})
    assert "no model server serves base 'tiny'" in (await world.room.propose()).waits["scope"]


@pytest.mark.asyncio
async def test_one_measurement_at_a_time_each_with_its_alpha(world):
    """A second candidate waits for the first one's verdict and may spend less."""
    world.register(2)
    job = await begin(world)
    assert job.subject == "scope@1"
    found = await world.room.propose()
    assert (found.proposals, found.waits) == ((), {"scope": "scope@1 is about to be measured"})
    measure_by_hand(job, 0.3)
    world.end_job(job.id)
    assert [kind for kind, _ in await step(world)] == ["gate.judge_adapter"]
    ((kind, _),) = await step(world)
    assert (kind, spec_of(only_job(world)).alpha) == ("gate.measure_adapter", alpha_for(2, 0.05))
    with world.store.read() as session:
        assert reports.spent_on(session, job.spec["suite"]) == (1, alpha_for(1, 0.05))
    assert [event.kind for event in world.events(*REPORT_KINDS)] == ["gate.adapter_measured", "gate.adapter_passed"]


@pytest.mark.asyncio
async def test_the_guardrails_facts_come_along(world):
    """Each proposal carries what the suite holds and what of its alpha is left, and the event that led to it."""
    world.freeze_dataset()
    registered = world.register(1)
    (first,) = (await world.room.propose()).proposals
    assert first.facts == {"suite.exists": False, "suite.problems": 0, "suite.alpha_left": None}
    await step(world)
    (second,) = (await world.room.propose()).proposals
    assert second.facts == {"suite.exists": True, "suite.problems": 12, "suite.alpha_left": 1.0}
    assert second.cause == registered


@pytest.mark.asyncio
async def test_a_failing_candidate_fails_with_its_numbers(world):
    """A candidate that gained nothing ends as gate.adapter_failed, and its alpha is spent all the same."""
    job = await begin(world)
    report = measure_by_hand(job, 0.0)
    world.end_job(job.id)
    await step(world)
    failed = world.events("gate.adapter_failed")[0]
    assert failed.body["verdict"] == report.verdict.value == "fail"
    assert failed.body["numbers"]["gain"] == report.numbers["gain"]
    assert failed.body["alpha_spent"] > 0


@pytest.mark.asyncio
async def test_a_failed_measurement_is_tried_three_times_then_proves_nothing(world):
    """Three failures end in insufficient evidence that spent no alpha; each is told with its number."""
    job = await begin(world)
    for attempt in (1, 2, 3):
        job = only_job(world)
        assert job.id.endswith(f"-{attempt}")
        world.end_job(job.id, error="the model server gave no answer for 300 s")
        await step(world)
        await step(world)
    assert [event.body["attempt"] for event in world.events("gate.measurement_failed")] == [1, 2, 3]
    (stored,) = await listed(world)
    assert (stored.report.verdict, stored.report.alpha_spent) == (Verdict.INSUFFICIENT, 0.0)
    assert "3 attempts at measuring failed" in stored.report.sentence
    assert (world.folders.reports / f"{stored.id}.html").exists()
    assert not (await world.room.propose()).proposals


@pytest.mark.asyncio
async def test_a_result_that_was_changed_is_a_failed_measurement(world):
    """A report whose bytes do not match is never judged."""
    job = await begin(world)
    measure_by_hand(job, 0.3)
    (Path(job.folder) / "out" / "report.json").write_text("{}")
    world.end_job(job.id)
    await step(world)
    assert [event.kind for event in world.events(*REPORT_KINDS)] == ["gate.measurement_failed"]


@pytest.mark.asyncio
async def test_doing_it_twice_is_doing_it_once(world):
    """Every intent performed again, by a restarted room, changes nothing and writes no event."""
    world.freeze_dataset()
    world.register(1)
    kept = []
    for _ in range(3):
        proposals = (await world.room.propose()).proposals
        kept += proposals
        for proposal in proposals:
            await world.room.perform(proposal.intent, proposal.cause)
        with world.store.read() as session:
            waiting = jobs.unhandled_jobs(session, "measure")
        if waiting and not (Path(waiting[0].folder) / "out").exists():
            measure_by_hand(waiting[0], 0.3)
            world.end_job(waiting[0].id)
    before = world.events()
    again = [await world.make_room().perform(proposal.intent, proposal.cause) for proposal in kept]
    assert [p.intent.kind for p in kept] == ["gate.freeze_suite", "gate.measure_adapter", "gate.judge_adapter"]
    assert all(isinstance(attempt, Done) and not attempt.changed for attempt in again)
    assert world.events() == before


class Killed(BaseException):
    """The process died here."""


@pytest.mark.asyncio
@pytest.mark.parametrize("moment", range(1, 12))
async def test_a_kill_at_any_write_is_repaired_by_the_next_cycle(world, monkeypatch, moment):
    """Dying at any write of the whole way leaves what the next cycle completes: one suite, one job, one verdict."""
    count = 0
    world.freeze_dataset()
    world.register(1)

    def dying(real):
        def act(*args, **kwargs):
            nonlocal count
            count += 1
            if count == moment:
                raise Killed
            return real(*args, **kwargs)

        return act

    for owner, name in ((place, "write_file"), (place, "write_json"), (suite_shelves, "publish")):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    for owner, name in ((place.ledger, "append"), (place.jobs, "enqueue"), (place.jobs, "handle"),
                        (place.reports, "record_report"), (place.suites, "record_suite")):  # fmt: skip
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    for _ in range(8):
        try:
            await step(world)
        except Killed:
            world.room = world.make_room()
        with world.store.read() as session:
            waiting = jobs.unhandled_jobs(session, "measure")
        if waiting and not (Path(waiting[0].folder) / "out").exists():
            measure_by_hand(waiting[0], 0.3)
            world.end_job(waiting[0].id)
    kinds = [event.kind for event in world.events() if event.kind.startswith("gate.")]
    assert count > 11
    assert kinds == ["gate.suite_frozen", "gate.measurement_started", "gate.adapter_measured", "gate.adapter_passed"]
    assert len(await listed(world)) == 1


@pytest.mark.asyncio
async def test_a_full_disk_is_tried_again(world):
    """A folder that cannot be written is a reason to wait, not a verdict."""
    world.freeze_dataset()
    world.register(1)
    await step(world)
    world.folders.measurements.write_text("a file stands where the folder should")
    ((_, attempt),) = await step(world)
    assert isinstance(attempt, Retry)
    assert attempt.at > world.clock.now()


@pytest.mark.asyncio
async def test_a_missing_gate_is_told(world):
    """A line whose gate no policy declares waits and says which."""
    world.gates = {}
    assert "gate 'tool-calling' is not among the policies" in (await world.room.propose()).waits["scope"]


@pytest.mark.asyncio
async def test_progress_is_told_in_words(world):
    """While it measures, the line says how far it is."""
    job = await begin(world)
    with world.store.write() as session:
        token = jobs.acquire(session, job.id, world.clock.now(), world.clock.now() - world.clock.now())
        jobs.mark_running(session, job.id, token, ProcessMark(pid=1, started=0.0))
        jobs.renew(session, job.id, token, world.clock.now(), {"done": 12, "of": 48, "eta_seconds": 130.0})
    waits = (await world.room.propose()).waits
    assert waits == {"scope": "scope@1 is being measured, 12 of 48 answers, about 2 min left"}


def test_the_page_escapes_everything_a_model_wrote():
    """Names, categories, details and answers stand in the page as text, never as markup."""
    nasty = '<script>alert("x")</script><img src=x onerror=y>'
    evidence = [
        replace(one, problem=nasty, category=nasty, roles={
            role: replace(samples, first=nasty, detail=nasty) for role, samples in one.roles.items()
        })
        for one in simulate(1, 12)
    ]  # fmt: skip
    report = judge(evidence, make_gate(), Subject(adapter=nasty, suite=nasty, alpha=0.03))
    page = render(report, nasty, evidence)
    foreign = "script img iframe object embed link base form input button video audio source use image foreignObject"
    assert not set(re.findall(r"<(\w+)", page)) & set(foreign.split())
    assert html.escape(nasty) in page
    assert "onerror=y>" not in page
    assert not re.search(r"<[^>]*\s(on\w+|src|(href\s*=\s*[\"']?[^\"'#\s]))", page)


def test_planning_is_told_apart_by_the_import_rules():
    """Deciding imports neither the store nor a process."""
    text = Path("flywheel/gate/plan.py").read_text() + Path("flywheel/gate/situations.py").read_text()
    assert not re.search(r"^(from|import) (flywheel\.(store|proc)|asyncio|subprocess|sql)", text, re.MULTILINE)


def test_the_daemon_does_not_load_heavy_libraries_for_the_gate():
    """Importing the room brings neither scipy nor numpy nor aiohttp along."""
    code = (
        "import sys, flywheel.gate.run; print([m for m in ('scipy', 'numpy', 'aiohttp', 'openai') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
