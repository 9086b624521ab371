"""A job is held by one holder at a time, and who lost its lease can never write to it again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlmodel import Session

from flywheel.core.errors import ConflictError
from flywheel.core.jobs import Job, JobState, ProcessMark
from flywheel.store.jobs import (
    acquire,
    enqueue,
    finish,
    handle,
    job_by_id,
    mark_running,
    open_jobs,
    renew,
    take_over,
    unhandled_jobs,
)
from flywheel.store.stores import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=60)
MARK = ProcessMark(pid=7, started=123.0)


def job(name: str = "j", kind: str = "train") -> Job:
    return Job(id=name, kind=kind, line="l", subject="s", state=JobState.QUEUED, folder="/f", spec={"argv": ["x"]})


def stored(store: Store, name: str = "j") -> Job:
    with store.read() as session:
        found = job_by_id(session, name)
    assert found is not None
    return found


def test_a_job_is_enqueued_once(store: Store) -> None:
    """Asking twice is asking once; the second does not touch what is under way."""
    with store.write() as session:
        assert enqueue(session, job())
        token = acquire(session, "j", NOW, LEASE)
        mark_running(session, "j", token, MARK)
        assert not enqueue(session, job())
    assert stored(store).model_dump(exclude={"lease_until"}) == job().model_copy(
        update={"state": JobState.RUNNING, "token": 1, "process": MARK, "attempts": 1}
    ).model_dump(exclude={"lease_until"})


def test_a_jobs_life(store: Store) -> None:
    """Queued, running with its process, progress kept, finished, seen to."""
    with store.write() as session:
        enqueue(session, job())
        token = acquire(session, "j", NOW, LEASE)
        mark_running(session, "j", token, MARK)
        renew(session, "j", token, NOW + 2 * LEASE, {"step": 3})
    assert (stored(store).progress, stored(store).lease_until) == ({"step": 3}, NOW + 2 * LEASE)
    with store.write() as session:
        finish(session, "j", token)
    ended = stored(store)
    assert (ended.state, ended.lease_until, ended.error) == (JobState.FINISHED, None, "")
    with store.write() as session:
        assert open_jobs(session) == []
        assert [found.id for found in unhandled_jobs(session, "train")] == ["j"]
        handle(session, "j")
        assert unhandled_jobs(session, "train") == []


def test_a_lease_that_runs_is_respected_and_one_that_ran_out_is_not(store: Store) -> None:
    """Until the very end of the lease nobody else may have it; then anybody may."""
    with store.write() as session:
        enqueue(session, job())
        assert acquire(session, "j", NOW, LEASE) == 1
    with pytest.raises(ConflictError, match="held until"), store.write() as session:
        acquire(session, "j", NOW + LEASE - timedelta(microseconds=1), LEASE)
    with store.write() as session:
        assert acquire(session, "j", NOW + LEASE, LEASE) == 2


def test_a_take_over_fences_off_who_held_it(store: Store) -> None:
    """The only daemon on a store takes what runs; the one before can no longer write anything."""
    with store.write() as session:
        enqueue(session, job())
        old = acquire(session, "j", NOW, LEASE)
        new = take_over(session, "j", NOW, LEASE)
    before = stored(store)
    for write in writes(old):
        with pytest.raises(ConflictError, match="lease of job j was lost"), store.write() as session:
            write(session)
    assert stored(store) == before
    with store.write() as session:
        finish(session, "j", new, "it broke")
    assert (stored(store).state, stored(store).error) == (JobState.FAILED, "it broke")


def writes(token: int) -> list[Any]:
    return [
        lambda session: renew(session, "j", token, NOW, {"step": 99}),
        lambda session: mark_running(session, "j", token, MARK),
        lambda session: finish(session, "j", token, "no"),
        lambda session: finish(session, "j", token),
    ]


def test_what_ended_stays_as_it_ended(store: Store) -> None:
    """Not even its last holder changes a job after its end, and nobody gets it again."""
    with store.write() as session:
        enqueue(session, job())
        token = acquire(session, "j", NOW, LEASE)
        finish(session, "j", token)
    before = stored(store)
    for write in writes(token):
        with pytest.raises(ConflictError), store.write() as session:
            write(session)
    for take in (acquire, take_over):
        with pytest.raises(ConflictError, match="finished"), store.write() as session:
            take(session, "j", NOW + 9 * LEASE, LEASE)
    assert stored(store) == before


@pytest.mark.parametrize("take", [acquire, take_over])
def test_a_job_nobody_knows_cannot_be_taken(store: Store, take: Any) -> None:
    """The name is told."""
    with pytest.raises(ConflictError, match="there is no job nobody"), store.write() as session:
        take(session, "nobody", NOW, LEASE)


def test_jobs_are_listed_by_kind_in_order(store: Store) -> None:
    """Open and unhandled jobs of a kind come by id."""
    with store.write() as session:
        for name, kind in (("b", "train"), ("a", "train"), ("c", "gate")):
            enqueue(session, job(name, kind))
        assert [found.id for found in open_jobs(session)] == ["a", "b", "c"]
        assert [found.id for found in open_jobs(session, "train")] == ["a", "b"]
        assert [found.id for found in unhandled_jobs(session, "gate")] == ["c"]


class Leases(RuleBasedStateMachine):
    """Two daemons, a clock, and every call in any order; the model is a few plain values."""

    store: Store
    made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1
        self.name = f"job-{type(self).made}"
        self.now = NOW
        self.tokens: list[int] = []  # every token ever given; the last one holds
        self.until: datetime | None = None
        self.ended: str | None = None
        self.progress: dict[str, int] = {}
        self._write(lambda session: enqueue(session, job(self.name)))

    def _write(self, action: Any) -> Any:
        with self.store.write() as session:
            return action(session)

    def _refused(self, action: Any) -> None:
        with pytest.raises(ConflictError):
            self._write(action)

    @rule(seconds=st.sampled_from([1, 30, 60, 61]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    @rule(force=st.booleans())
    def take(self, force: bool) -> None:  # noqa: FBT001
        """Ask for the lease, politely or not."""

        def action(session: Session) -> int:
            return (take_over if force else acquire)(session, self.name, self.now, LEASE)

        free = force or self.until is None or self.until <= self.now
        if self.ended is not None or not free:
            self._refused(action)
            return
        token = self._write(action)
        assert all(token > old for old in self.tokens)
        self.tokens.append(token)
        self.until = self.now + LEASE

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), step=st.integers(0, 9))
    def renew(self, data: st.DataObject, step: int) -> None:
        """Renew with any token ever given."""
        token = data.draw(st.sampled_from(self.tokens))

        def action(session: Session) -> None:
            renew(session, self.name, token, self.now + LEASE, {"step": step})

        if self._stale(token):
            self._refused(action)
            return
        self._write(action)
        self.until, self.progress = self.now + LEASE, {"step": step}

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), error=st.sampled_from(["", "broke"]))
    def end(self, data: st.DataObject, error: str) -> None:
        """End the job with any token ever given."""
        token = data.draw(st.sampled_from(self.tokens))

        def action(session: Session) -> None:
            finish(session, self.name, token, error)

        if self._stale(token):
            self._refused(action)
            return
        self._write(action)
        self.ended, self.until = error, None

    def _stale(self, token: int) -> bool:
        return token != self.tokens[-1] or self.ended is not None

    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        """Compare after every step."""
        found = stored(self.store, self.name)
        assert found.token == (self.tokens[-1] if self.tokens else 0)
        assert (found.lease_until, found.progress) == (self.until, self.progress)
        assert (found.state in {JobState.FINISHED, JobState.FAILED}) == (self.ended is not None)
        assert found.error == (self.ended or "")


def test_at_most_one_holder_whatever_happens(store: Store) -> None:
    """In any order of takes, waits, renewals and ends, only the newest token writes, and only until the end."""
    Leases.store = store
    run_state_machine_as_test(Leases, settings=settings(max_examples=25, stateful_step_count=15, deadline=None))
