"""Properties of the clean-room labels, over runs made up at random."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.labels import judge
from flywheel.core.outcomes import Label, Signal
from flywheel.sources.clean_room_answers import Edit
from flywheel.sources.clean_room_evidence import Evidence, weigh
from flywheel.sources.clean_room_labels import RootCall, label_calls
from flywheel.sources.clean_room_names import TaskName
from flywheel.sources.clean_room_rows import Attempt, History, Run, Validation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ORDER = {Label.NEGATIVE: 0, Label.UNKNOWN: 1, Label.POSITIVE: 2}
ANSWER = '<edit file="a.py"><search>\nx = first_value\n</search><replacement>\nx = second_value\n</replacement></edit>'
LIKELY = st.sampled_from([True] * 5 + [False])  # most made-up runs go well, so that there is something to lose
EDITS = (Edit("a.py", "x = first_value", "x = second_value"),)


def attempt(row: int, name: TaskName, *, applied: bool, validations: tuple[Validation, ...] = ()) -> Attempt:
    return Attempt(row, name, applied, NOW + timedelta(seconds=row), EDITS, validations, f"c{row}", "c")


@st.composite
def runs(draw) -> Run:
    attempts = []
    row = 0
    for part in ("p1", "p2")[: draw(st.integers(1, 2))]:
        slots = [("impl", part, "s1"), *([("test_impl", part, "t1")] if draw(st.booleans()) else [])]
        for kind, of, step in slots:
            row += 1
            attempts.append(attempt(row, TaskName("r", kind, of, step), applied=draw(LIKELY)))
        success = draw(st.sampled_from([True, True, True, True, False, None]))
        hanging = (Validation(row, success, ("t.py::test_a",)),) if draw(LIKELY) else ()
        attempts[-1] = attempts[-1]._replace(validations=hanging)
    status = draw(st.sampled_from(["complete"] * 6 + ["partial", "failed", "running"]))
    git = draw(st.sampled_from([True, False, None]))
    return Run(5, "r", "repo", status, NOW, NOW + timedelta(seconds=50), git, "base", parts=1,
               attempts=tuple(attempts), commits=tuple(one.commit for one in attempts))  # fmt: skip


def calls(run: Run) -> list[RootCall]:
    kinds = {"impl": "execute_implement", "test_impl": "execute_test_implement"}
    made = [RootCall(one.name, kinds[one.name.kind], "", "", "code", ANSWER) for one in run.attempts]
    asked = "File: a.py (language=python)"
    return [
        *made,
        *(RootCall(one.name, "scope", "", "yes or no", asked, word) for one in run.attempts for word in ("yes", "no")),
    ]


def labels(run: Run, around: list[Run], *, seen: bool) -> list[Label]:
    history = History(frozenset(run.commits[-1:]) if seen else frozenset())
    return [one.label for one in label_calls(calls(run), weigh(run, [*around, run], history), {})]


def lost(run: Run, at: int, **changes) -> Run:
    attempts = list(run.attempts)
    attempts[at % len(attempts)] = attempts[at % len(attempts)]._replace(**changes)
    return run._replace(attempts=tuple(attempts))


def worse(run: Run, how: int, at: int) -> Run:
    """Return the run with one piece of agreement taken away."""
    stray = Validation(99, success=False, failing=("t.py::test_a",))
    return [
        lambda: lost(run, at, applied=False),
        lambda: lost(run, at, validations=()),
        lambda: lost(run, at, validations=(Validation(1, success=False, failing=("t.py::test_a",)),)),
        lambda: lost(run, at, validations=(Validation(0, success=None), stray)),
        lambda: lost(run, at, edits=()),
        lambda: lost(run, at, commit="c", commit_before="c"),
        lambda: run._replace(status="failed"),
        lambda: run._replace(status="running"),
        lambda: run._replace(rolled_back=frozenset({run.attempts[at % len(run.attempts)].name.part})),
        lambda: run._replace(tries={one.name.slot: 1 for one in run.attempts}),
    ][how]()


@settings(max_examples=300, deadline=None)
@given(runs(), st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_taking_evidence_away_never_makes_anything_positive(run, how, at, seen) -> None:
    """Whatever agreement is lost, what was not positive before does not become so."""
    before, after = labels(run, [], seen=seen), labels(worse(run, how, at), [], seen=seen)
    assert not [
        new for old, new in zip(before, after, strict=True) if new is Label.POSITIVE and old is not Label.POSITIVE
    ]


@settings(max_examples=150, deadline=None)
@given(runs(), st.booleans())
def test_neighbours_never_make_anything_positive_without_its_own_evidence(run, seen) -> None:
    """A run at the same time, or one that died before on the same branch, only ever takes praise away."""
    for other in (
        run._replace(id=4, root="o", attempts=()),
        run._replace(id=4, root="o", attempts=(), status="running", started=NOW - timedelta(days=1),
                     ended=None, active=NOW - timedelta(days=1)),
    ):  # fmt: skip
        alone, beside = labels(run, [], seen=seen), labels(run, [other], seen=seen)
        assert {at for at, one in enumerate(beside) if one is Label.POSITIVE} <= {
            at for at, one in enumerate(alone) if one is Label.POSITIVE
        }


@settings(max_examples=150, deadline=None)
@given(runs())
def test_unknown_is_never_success(run) -> None:
    """A run that says it goes on, and one without a passing validation of its own, hold nothing positive."""
    assert set(labels(run._replace(status="running"), [], seen=True)) == {Label.UNKNOWN}
    silent = run._replace(attempts=tuple(one._replace(validations=()) for one in run.attempts))
    assert Label.POSITIVE not in labels(silent, [], seen=True)
    assert Label.POSITIVE not in [one.label for one in label_calls(calls(run), Evidence(), {})]


@settings(max_examples=150, deadline=None)
@given(runs(), st.floats(0, 1), st.booleans())
def test_adding_a_negative_signal_never_raises_a_label(run, strength, seen) -> None:
    """One more sign against an answer leaves its label where it was, or lower."""
    history = History(frozenset(run.commits[-1:]) if seen else frozenset())
    for labelled in label_calls(calls(run), weigh(run, [run], history), {}):
        more = judge((*labelled.signals, Signal(name="against", points=-1, strength=strength)))
        assert ORDER[more.label] <= ORDER[labelled.label]
