"""Tidying: only what nobody needs and only after its days; a kill at any step is repaired by the next cycle."""

import asyncio
import json
from datetime import timedelta

import pytest
from fixtures.homes import LINE, NOON, Home, killed_at_each, long_ago
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.attempts import Done
from flywheel.core.errors import SettingsError
from flywheel.core.releases import ReleaseState
from flywheel.core.requests import Request
from flywheel.core.serving import Loaded
from flywheel.core.steps import Steps
from flywheel.daemon.houses import Ground
from flywheel.daemon.schedules import Schedules
from flywheel.daemon.tidyings import ask_to_tidy
from flywheel.keep.facts import Looks
from flywheel.keep.plan import days_of, going, plan, stays
from flywheel.keep.run import KeepRoom
from flywheel.keep.situations import Leaving, Retention, Situation
from flywheel.keep.verifications import verify
from flywheel.proc.children import launch
from flywheel.store.ledger import events
from flywheel.store.loaded import mark_loaded
from flywheel.store.releases import move
from flywheel.store.requests import make_request, open_requests, request_by_id

KINDS = ["checkpoints", "trial", "remains", "dataset", "adapter", "aside"]
LEAVINGS = st.builds(
    Leaving,
    kind=st.sampled_from(KINDS),
    name=st.text("abc", min_size=1, max_size=3),
    places=st.just(("x",)),
    size=st.integers(0, 1000),
    since=st.integers(-400, 10).map(lambda days: NOON + timedelta(days=days)),
    needed=st.sampled_from(["", "somebody"]),
)
RETENTIONS = st.builds(Retention, run_days=st.integers(0, 99), trial_days=st.integers(0, 99),
                       adapter_days=st.integers(0, 99), dataset_days=st.integers(0, 99))  # fmt: skip


@settings(max_examples=50)
@given(st.lists(LEAVINGS, max_size=8), RETENTIONS)
def test_what_is_needed_or_young_or_kept_for_ever_never_goes(leavings, retention):
    """Whatever there is and however long it is kept: what goes is old enough and needed by nobody."""
    situation = Situation(now=NOON, retention=retention, leavings=tuple(leavings))
    gone = going(situation)
    for one in gone:
        days = days_of(one, retention)
        assert not one.needed
        assert days > 0
        assert one.since <= NOON - timedelta(days=days)
        assert one.kind != "aside"
    assert all(stays(one, situation) for one in leavings if one not in gone)


@settings(max_examples=50)
@given(st.lists(LEAVINGS, max_size=8), RETENTIONS)
def test_keeping_longer_never_deletes_more(leavings, retention):
    """A day more, and what goes is among what would have gone."""
    longer = Retention.model_validate({name: days + 1 if days else 0 for name, days in retention})
    here = going(Situation(now=NOON, retention=retention, leavings=tuple(leavings)))
    there = going(Situation(now=NOON, retention=longer, leavings=tuple(leavings)))
    assert all(one in here for one in there)


def test_nobody_asked_nothing_is_proposed():
    """Without a request there is no plan, whatever lies there."""
    assert plan(Situation(now=NOON, retention=Retention())).proposals == ()


def ask(home):
    """Ask as the command line does; return the request's id."""
    with home.store.write() as session:
        make_request(session, Request(id="t", kind="tidy", line="", subject="home", at=home.clock.now(), by="ada"))
    return "t"


def tidy(home, retention=None, steps=None):
    """Run a cycle of the room; return how it ended."""
    if steps is not None:
        home.store.steps = steps
    room = KeepRoom(home.store, home.clock, home.path, retention or Retention())

    async def cycle():
        return [await room.perform(one.intent, one.cause) for one in (await room.propose()).proposals]

    return asyncio.run(cycle())


def names(home, retention=None):
    """Return what would go and what stays, with its reason."""
    situation = Looks(home.store, home.clock, home.path, retention or Retention()).whole()
    return {f"{one.kind} {one.name}": stays(one, situation) for one in situation.leavings}


def test_old_checkpoints_go_and_the_record_of_the_run_stays(home):
    """Of a run long over its checkpoints and the copy of its adapter go; orders, log and result stay."""
    (run,) = (home.path / "runs").iterdir()
    long_ago(run, 31)
    ask(home)
    (done,) = tidy(home)
    assert isinstance(done, Done)
    assert done.sentence.startswith("deleted 1 runs' checkpoints: ")
    assert sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()) == [
        "log.jsonl", "out/result.json", "spec.json",
    ]  # fmt: skip
    with home.store.read() as session:
        (event,) = events(session, kinds=["keep.leftovers_deleted"])
        assert open_requests(session) == []
    assert event.body["kinds"] == {"checkpoints": 1}
    assert event.body["bytes"] > 500
    assert home.whole() == ()
    assert tidy(home) == []


def test_work_in_progress_stays(home, tmp_path):
    """A run that its room has not seen to, and a folder in which a process is at work, keep everything."""
    run = home.run(7, "d", ended=False)
    long_ago(home.path / "runs", 400)
    assert names(home)[f"checkpoints train-{run}"] == "train is in progress"
    ended = next(path for path in (home.path / "runs").iterdir() if path.name != run)
    child = launch(["sleep", "60"], ended, {"PATH": "/usr/bin:/bin"})
    try:
        assert names(home)[f"checkpoints train-{ended.name}"] == "a process is at work in it"
        ask(home)
        tidy(home)
        assert (ended / "out" / "checkpoints").is_dir()
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    "state", [one for one in ReleaseState if one not in {ReleaseState.RETIRED, ReleaseState.REJECTED}]
)
def test_adapters_that_may_be_met_again_are_never_named(home, state):
    """Active, superseded, canary, taken back, in the shadow, new: however old, they are no leftovers."""
    way = {
        ReleaseState.ACTIVE: ["canary", "active"], ReleaseState.SUPERSEDED: ["canary", "active", "superseded"],
        ReleaseState.ROLLED_BACK: ["canary", "rolled back"],
    }.get(state, [] if state is ReleaseState.REGISTERED else [state.value])  # fmt: skip
    with home.store.write() as session:
        for step in way:
            move(session, f"{LINE}@1", ReleaseState(step), NOON, 1)
    home.clock.advance(3600 * 24 * 4000)
    assert not any(name.startswith("adapter ") for name in names(home))


def test_an_adapter_long_over_is_asked_to_be_pruned(home):
    """It goes the way of `adapters prune`, which asks every server; what is loaded is not even asked for."""
    name = f"{LINE}@1"
    with home.store.write() as session:
        move(session, name, ReleaseState.RETIRED, NOON, 1)
    home.clock.advance(3600 * 24 * 91)
    with home.store.write() as session:
        mark_loaded(session, Loaded(server="http://x", name=name, path="p", warmed_at=NOON))
    assert names(home)[f"adapter {name}"] == "it is loaded on http://x"
    with home.store.write() as session:
        session.connection().exec_driver_sql("DELETE FROM loaded")
    ask(home)
    (done,) = tidy(home)
    assert f"asked for the folders of {name} to be deleted" in done.sentence
    with home.store.read() as session:
        (prune,) = open_requests(session, "prune")
    assert prune.body == {"names": [name]}
    assert next((home.path / "adapters" / LINE).iterdir()).is_dir()


def test_a_dataset_that_is_cited_stays(home):
    """While an adapter that learned from it has its folder, or it is its line's last one; else it goes by its days."""
    lonely = home.dataset(0, created=NOON - timedelta(days=50))
    retention = Retention(dataset_days=40)
    cited = next(path.name for path in (home.path / "datasets").iterdir() if path.name != lonely)
    found = names(home, retention)
    assert "last one" in found[f"dataset {cited}"] or "learned from it" in found[f"dataset {cited}"]
    assert found[f"dataset {lonely}"] == ""
    assert names(home)[f"dataset {lonely}"] == "it is kept for ever"
    ask(home)
    tidy(home, retention)
    assert not (home.path / "datasets" / lonely).exists()
    assert (home.path / "datasets" / cited).is_dir()
    assert home.whole() == ()


def test_remains_of_crashes_go_after_a_day(home):
    """Half-written folders and folders nobody recorded; what a person put there under another name stays."""
    for name in ("datasets/.abc.new", f"suites/{'a' * 64}", f"datasets/{'b' * 64}", "adapters/x/.pruned-1-a",
                 "datasets/mine", "imports/left"):  # fmt: skip
        (home.path / name).mkdir(parents=True)
        (home.path / name / "file").write_text("x" * 10)
    long_ago(home.path, 2)
    (home.path / "datasets" / ".young.new").mkdir()
    found = names(home)
    assert {name for name, why in found.items() if not why} == {
        "remains datasets/.abc.new", f"remains suites/{'a' * 64}", f"remains datasets/{'b' * 64}",
        "remains adapters/x/.pruned-1-a", "remains imports/left",
    }  # fmt: skip
    ask(home)
    tidy(home)
    assert (home.path / "datasets" / "mine" / "file").exists()
    assert (home.path / "datasets" / ".young.new").exists()
    assert home.whole() == ()


def test_nothing_outside_the_home_is_deleted(home, tmp_path):
    """A link in the home leads nowhere: what it points at stays."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    long_ago(tmp_path / "precious", 400)
    (home.path / "trials" / "s").mkdir(parents=True)
    (home.path / "trials" / "s" / "k").symlink_to(tmp_path / "precious")
    (home.path / "datasets" / ".x.new").symlink_to(tmp_path / "precious")
    home.clock.advance(3600 * 24 * 4000)
    ask(home)
    tidy(home)
    assert (tmp_path / "precious" / "file").exists()


def test_killed_anywhere_the_next_cycle_does_the_rest(home, tmp_path):
    """At every boundary: what was to go is gone in the end, once in the ledger, and everything else is whole."""
    lonely = home.dataset(0, created=NOON - timedelta(days=50))
    for number in range(3):
        (home.path / "trials" / "s" / f"k{number}").mkdir(parents=True)
        (home.path / "trials" / "s" / f"k{number}" / "answers").write_text("x")
    long_ago(home.path / "trials", 99)
    long_ago(home.path / "runs", 99)
    ask(home)
    home.close()

    def work(steps):
        made = Home(home.path)
        tidy(made, Retention(dataset_days=40), steps)
        made.close()

    def check():
        made = Home(home.path)
        assert verify(made.path, made.store).findings == ()
        made.close()

    assert killed_at_each(work, check, tmp_path / "seen") >= 7
    made = Home(home.path)
    with made.store.read() as session:
        request = request_by_id(session, "t")
        told = events(session, kinds=["keep.leftovers_deleted"])
    assert request is not None
    assert request.state == "satisfied"
    assert len(told) == 1
    assert json.dumps(told[0].body["kinds"], sort_keys=True) == '{"checkpoints": 1, "dataset": 1, "trial": 3}'
    assert not (made.path / "datasets" / lonely).exists()
    assert list((made.path / "trials").glob("*/*")) == []
    assert not list((made.path / "runs").glob("*/out/checkpoints"))
    made.close()


def test_the_schedule_asks_as_a_person_would(home):
    """At its moment the daemon writes the same request, once until it is answered; a wrong cron line is said."""
    base = Ground(home.store, home.clock, Steps())
    assert [ask_to_tidy(base, "tidy") for _ in range(3)] == ["tidy"] * 3
    with home.store.read() as session:
        (request,) = open_requests(session)
    assert (request.kind, request.by) == ("tidy", "the schedule")
    tidy(home)
    with home.store.read() as session:
        assert open_requests(session) == []
    with pytest.raises(SettingsError, match="not a cron line"):
        Schedules(home.store, home.clock).at("at night", "tidy", print)
