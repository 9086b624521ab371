"""Standstills: what is wanted for too long is told once; an approval is asked for once; failing cycles are told."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from daemon_house import House, Scripted, guardrail, proposal
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.attempts import Failed
from flywheel.core.clocks import ManualClock
from flywheel.core.errors import ResourceError
from flywheel.core.jobs import Job, JobState
from flywheel.core.releases import ReleaseState, approval_words
from flywheel.core.rooms import Proposal
from flywheel.core.training import AdapterManifest
from flywheel.daemon.cycles import CycleReport
from flywheel.daemon.denials import Denial
from flywheel.daemon.failing_cycles import FailingCycles
from flywheel.daemon.notification_couriers import Couriers
from flywheel.daemon.notification_kinds import Notice
from flywheel.daemon.notifications import Notifications
from flywheel.daemon.settings import Settings
from flywheel.daemon.standstills import CURSOR, Standstills, asked_for, marked, stalled, wants_of
from flywheel.policy.guardrails import Guardrail
from flywheel.store import releases
from flywheel.store.counters import cursor, move_cursor
from flywheel.store.runs import Adapter
from flywheel.store.stores import Store

NOW = ManualClock().now()
PATIENCE = timedelta(hours=48)
HELD = Denial(kind="train.start_run", line="l", subject="run-1", why="hold: too few examples")


def report(*denied: Denial, **given: Any) -> CycleReport:
    return CycleReport(sentence="s", denied=denied, **given)


def told(house: House, kind: str = "daemon.line_stalled") -> list[str]:
    return [event.body["sentence"] for event in house.events(kind)]


def test_what_is_wanted_too_long_is_told_once_and_again_only_after_it_was_had(house: House) -> None:
    """A line held for 48 hours is told of once, whatever its subject meanwhile; had in between, it may be told anew."""
    watch = Standstills(house.store, house.clock)
    for hours in range(50):
        watch.look(report(HELD.model_copy(update={"subject": f"run-{hours}"})), PATIENCE)
        assert len(told(house)) == (hours >= 48)
        house.clock.advance(3600)
        watch = Standstills(house.store, house.clock)  # a restart forgets nothing
    assert told(house) == ["line l has wanted to start run for 48 hours: hold: too few examples"]
    watch.look(report(), PATIENCE)
    for _ in range(50):
        watch.look(report(HELD), PATIENCE)
        house.clock.advance(3600)
    assert len(told(house)) == 2


def test_what_a_person_paused_or_what_is_under_way_is_no_standstill() -> None:
    """A paused line wants nothing, and neither does work that runs; work that waits in its queue does."""
    jobs = [
        Job(id=name, kind="train", line="l", subject=name, state=state)
        for name, state in (("a", JobState.RUNNING), ("b", JobState.QUEUED))
    ]
    assert list(wants_of([HELD.model_copy(update={"is_paused": True})], jobs)) == ["job b 0"]


def test_a_cycle_that_saw_only_a_part_forgets_nothing(house: House) -> None:
    """While a room is broken, what it would have wanted keeps its moment."""
    watch = Standstills(house.store, house.clock)
    watch.look(report(HELD), PATIENCE)
    house.clock.advance(47 * 3600)
    watch.look(report(broken=("train: it broke",)), PATIENCE)
    house.clock.advance(3600)
    watch.look(report(HELD), PATIENCE)
    assert len(told(house)) == 1


def test_an_idle_daemon_writes_nothing(house: House) -> None:
    """As long as nothing changes, a look changes nothing in the store; marks of another version are no fault."""
    watch = Standstills(house.store, house.clock)
    with house.store.write() as session:
        move_cursor(session, CURSOR, {"x": {"of": "another version"}})
    watch.look(report(HELD), PATIENCE)
    with house.store.read() as session:
        before = cursor(session, CURSOR)
    house.clock.advance(60)
    steps: list[str] = []
    house.store.steps._listener = steps.append
    assert not watch.look(report(HELD), PATIENCE)
    with house.store.read() as session:
        assert cursor(session, CURSOR) == before
    assert not steps


KEYS = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(st.sets(KEYS), st.booleans(), st.integers(0, 60))))
def test_marks_never_tell_twice_and_never_too_soon(looks: list[tuple[set[str], bool, int]]) -> None:
    """Over any course of looks: nothing is told before its time or twice without having been had in between."""
    marks, now = {}, NOW
    since: dict[str, datetime] = {}
    open_told: set[str] = set()
    for wanted, whole, hours in looks:
        marks = marked(marks, wanted, now, whole=whole)
        if whole:
            since = {key: at for key, at in since.items() if key in wanted}
            open_told &= wanted
        for key in wanted:
            since.setdefault(key, now)
        for key in stalled(marks, wanted, now, PATIENCE):
            assert now - since[key] >= PATIENCE
            assert key not in open_told
            open_told.add(key)
            marks[key] = marks[key].model_copy(update={"told": True})
        assert all(key in open_told for key in wanted if now - since[key] >= PATIENCE)
        now += timedelta(hours=hours)


def approval() -> Guardrail:
    require = [{"kind": "equals", "fact": "release.approved", "value": True}]
    return Guardrail.model_validate(
        {"name": "approved", "why": "w", "guards": "rollout.promote_adapter", "mode": "enforce", "verdict": "hold",
         "require": require}
    )  # fmt: skip


def canary(store: Store) -> None:
    """Put l@1 on its canary."""
    manifest = AdapterManifest(
        hash="h", line="l", number=1, run="r", dataset="d", base_name="b", base_fingerprint="f", rank=8,
        target_modules=("q_proj",), files={},
    )  # fmt: skip
    adapter = Adapter(name="l@1", line="l", number=1, hash="h", run="r", path="l/1", seq=1, manifest=manifest)
    with store.write() as session:
        releases.register(session, adapter, NOW, 1)
        releases.start_canary(session, "l@1", 0.1, NOW, 2)


@pytest.mark.asyncio
async def test_an_approval_is_asked_for_once_when_nothing_else_is_missing(house: House) -> None:
    """What policy holds for a person's word alone is told once, with the command; held for more, it is not told yet."""
    canary(house.store)
    wish = proposal("rollout.promote_adapter", "l@1")
    wish = Proposal(intent=wish.intent, facts={"release.approved": False, "dataset.examples": 1})
    watch = Standstills(house.store, house.clock)
    more = guardrail(least=3).model_copy(update={"guards": ("rollout.promote_adapter",)})
    for guardrails, expected in (((approval(), more), []), ((approval(),), [approval_words("l@1")])):
        house.guardrails = guardrails
        for _ in range(3):
            watch.look(await house.cycle(Scripted("rollout", [wish])).run(), PATIENCE)
        assert told(house, "daemon.approval_wanted") == expected


def test_a_rollout_that_asks_for_a_person_is_told_too(house: House) -> None:
    """The sentence with which a rollout waits for a person is understood, and an approved adapter is not asked for."""
    canary(house.store)
    waits = {"l": ("canary l@1: better", approval_words("l@1"), "something else")}
    assert asked_for(waits) == {"l@1"}
    watch = Standstills(house.store, house.clock)
    assert [watch.look(report(waits=waits), PATIENCE) for _ in range(2)] == [True, False]
    with house.store.write() as session:
        releases.mark(session, "l@1", approved=True)
        releases.move(session, "l@1", ReleaseState.ROLLED_BACK, NOW, 5)
        releases.start_canary(session, "l@1", 0.1, NOW, 6)
    assert not watch.look(report(waits=waits), PATIENCE)


@pytest.mark.asyncio
async def test_a_cycle_says_what_it_could_not_do(house: House) -> None:
    """What policy holds and what rests after a failure are told apart from rooms that broke."""
    house.guardrails = (guardrail(),)
    held, broken, failing = Scripted(wants=[proposal(examples=1)]), Scripted("serve"), Scripted("gate")
    broken.fault = ResourceError("the disk is full")
    failing.wants = [proposal("gate.measure_adapter", "l@1")]
    failing.answer = lambda _: Failed(reason="no numbers")
    cycle = house.cycle(held, broken, failing)
    await cycle.run()
    found = await cycle.run()
    assert [(one.kind, one.waits_for_person) for one in found.denied] == [
        ("train.start_run", False), ("gate.measure_adapter", False)]  # fmt: skip
    assert found.broken == ("serve: the disk is full",)


def test_failures_are_news_once_when_they_last_and_once_when_they_are_over() -> None:
    """One failure is none; ten minutes of them are told, until then they stay news, and so does their end."""
    clock = ManualClock()
    failing = FailingCycles(clock)
    assert failing.failed("full", 600) == ""
    assert failing.worked() == ""
    for _ in range(10):
        assert failing.failed("full", 600) == ""
        clock.advance(60)
    assert [failing.failed("full", 600) for _ in range(2)] == ["failing", "failing"]
    failing.told("failing")
    assert failing.failed("full", 600) == ""
    assert [failing.worked() for _ in range(2)] == ["recovered", "recovered"]
    failing.told("recovered")
    assert failing.worked() == ""


@pytest.mark.asyncio
async def test_that_the_store_cannot_be_written_is_told_beside_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk cannot be written down; it is told all the same, once, and its end is written down."""
    heard: list[Notice] = []

    async def hear(_: Couriers, notice: Notice) -> None:
        heard.append(notice)

    def full(_: Notifications, event: object) -> None:
        raise ResourceError("the store cannot write")

    monkeypatch.setattr(Couriers, "tell_at_once", hear)
    settings = Settings(daemon={"failing_minutes": 1})
    tells = Notifications(house.store, house.clock, settings, lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr(Notifications, "_write", full)
        for _ in range(6):
            await tells.cycle_failed("the store cannot write")
            house.clock.advance(30)
    await tells.cycle_ended(report())
    await tells.close()
    assert [notice.kind for notice in heard] == ["stuck"]
    assert "the store cannot write" in heard[0].sentence
    assert [event.kind for event in house.events()] == ["daemon.cycles_recovered"]
