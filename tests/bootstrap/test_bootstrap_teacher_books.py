"""The teachers' book: whatever happens in whatever order, no bound is passed and every account adds up."""

import sqlite3
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.bootstrap.presences import Presence
from flywheel.bootstrap.questions import Answer
from flywheel.bootstrap.teacher_books import Account, Claim, Short, Taken, TeacherBook
from flywheel.core.errors import ConflictError, CorruptError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = {"run/1": 150, "run/1/a": 100, "month/2026-01/a": 90, "month/2026-01/b": 80}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "settle", "free", "lose", "spoil", "die", "open"]),
        st.integers(0, 5), st.sampled_from("ab"), st.integers(0, 40), st.sampled_from(["2026-01", "2026-02"]),
    ),
    max_size=40,
)  # fmt: skip


def claim(key: str, teacher: str = "a", bound: int = 10, month: str = "2026-01", **limits: int) -> Claim:
    """A claim of the first run."""
    return Claim(key, teacher, 1, month, bound, limits)


def answer(cost: int) -> Answer:
    """An answer that costs so much."""
    return Answer(teacher="a", model="m", at=NOW, text="yes", cost=cost)


class Told:
    """What the accounts must say, kept by the test."""

    def __init__(self) -> None:
        self.under_way: dict[str, tuple[Taken, str, str, int, str]] = {}  # call, owner, teacher, bound, month
        self.answered: set[str] = set()
        self.sums: Counter[tuple[str, str]] = Counter()

    def add(self, what: str, amount: int, teacher: str, month: str) -> None:
        """Book an amount in each of its accounts."""
        for scope in ("run/1", f"run/1/{teacher}", f"month/{month}", f"month/{month}/{teacher}"):
            self.sums[scope, what] += amount


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_whatever_happens_no_bound_is_passed(steps) -> None:
    """Claims, ends of all kinds, deaths and reopenings in any order: each account is right, and below its bound."""
    with tempfile.TemporaryDirectory() as folder:
        path, told, owner = Path(folder) / "teachers.db", Told(), "o0"
        book = TeacherBook(path)
        book.begin_run("teach/code")
        for number, (what, which, teacher, amount, month) in enumerate(steps):
            key = f"k{which}"
            if what == "claim":
                _claim(book, told, Claim(key, teacher, 1, month, amount, LIMITS), owner)
            elif what == "die":
                owner = f"o{number + 1}"
            elif what == "open":
                book.close()
                book = TeacherBook(path)
            elif key in told.under_way and told.under_way[key][1] == owner:
                _end(book, told, key, what, amount)
            _check(book, told)
        book.sweep(lambda _: False)
        for _, _, teacher, bound, month in told.under_way.values():
            told.add("lost", bound, teacher, month)
        told.under_way.clear()
        _check(book, told)
        book.close()


def _claim(book: TeacherBook, told: Told, wanted: Claim, owner: str) -> None:
    result = book.claim(wanted, owner, lambda name: name == owner)
    known = told.under_way.get(wanted.key)
    if wanted.key in told.answered:
        assert isinstance(result, Answer)
    elif known and known[1] == owner:
        assert result == "busy"
    else:
        if known:
            told.add("lost", known[3], known[2], known[4])
            del told.under_way[wanted.key]
        if isinstance(result, Taken):
            told.under_way[wanted.key] = (result, owner, wanted.teacher, wanted.bound, wanted.month)
        else:
            assert isinstance(result, Short)
            assert book.account(result.scope).taken + wanted.bound > LIMITS[result.scope]


def _end(book: TeacherBook, told: Told, key: str, what: str, amount: int) -> None:
    call, _, teacher, bound, month = told.under_way.pop(key)
    if what == "settle":
        book.settle(call, answer(min(amount, bound)), "", None)
        told.add("spent", min(amount, bound), teacher, month)
        told.answered.add(key)
    elif what == "free":
        book.free(call)
    else:
        book.lose(call) if what == "lose" else book.spoil(call, "no answer")
        told.add("lost", bound, teacher, month)


def _check(book: TeacherBook, told: Told) -> None:
    held: Counter[str] = Counter()
    for _, _, teacher, bound, month in told.under_way.values():
        for scope in ("run/1", f"run/1/{teacher}", f"month/{month}", f"month/{month}/{teacher}"):
            held[scope] += bound
    for scope in {*(scope for scope, _ in told.sums), *held, *LIMITS}:
        found = book.account(scope)
        assert (found.spent, found.held, found.lost) == (
            told.sums[scope, "spent"],
            held[scope],
            told.sums[scope, "lost"],
        )
        assert found.taken <= LIMITS.get(scope, found.taken)


def test_a_run_goes_on_until_it_is_ended(home: Path) -> None:
    """The run of a name is the same one until it is ended; other names have their own."""
    book = TeacherBook(home / "teachers.db")
    first = book.begin_run("teach/code")
    assert book.begin_run("teach/code") == first
    assert book.begin_run("teach/plan") != first
    book.end_run(first)
    assert book.begin_run("teach/code") > first
    book.close()


def test_calls_begin_apart_in_all_processes_together(home: Path) -> None:
    """Slots follow each other whoever asks for them; a clock that was set back does not stop them."""
    books = [TeacherBook(home / "teachers.db") for _ in range(2)]
    assert [books[number % 2].slot("a", 100.0, 0.5) for number in range(4)] == [100.0, 100.5, 101.0, 101.5]
    assert books[0].slot("b", 100.0, 0.5) == 100.0
    assert books[0].slot("a", 500.0, 0.5) == 500.0
    assert books[0].slot("a", 500.0 - 86400, 0.5) == 500.0 - 86400
    for book in books:
        book.close()


def test_an_answer_comes_with_its_cost_or_not_at_all(home: Path) -> None:
    """Where keeping an answer fails, its cost is not booked either."""
    book = TeacherBook(home / "teachers.db")
    book.begin_run("teach/code")
    call = book.claim(claim("k"), "o", lambda _: True)
    with sqlite3.connect(home / "teachers.db") as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(CorruptError):
        book.settle(call, answer(7), "", None)
    assert book.account("run/1") == Account(held=10)
    book.close()


def test_who_was_taken_for_gone_is_told(home: Path) -> None:
    """One whose call was taken as lost meanwhile learns it when it wants to book its end; nothing is booked twice."""
    book = TeacherBook(home / "teachers.db")
    book.begin_run("teach/code")
    call = book.claim(claim("k"), "o", lambda _: True)
    book.sweep(lambda _: False)
    with pytest.raises(ConflictError):
        book.settle(call, answer(7), "", None)
    assert book.account("run/1") == Account(lost=10)
    book.close()


def test_damage_is_told(home: Path) -> None:
    """A file that is no book is an error that says so."""
    (home / "teachers.db").write_bytes(b"nothing of the kind " * 200)
    with pytest.raises(CorruptError):
        TeacherBook(home / "teachers.db")


def test_presence_ends_with_whoever_was_there(home: Path) -> None:
    """Somebody is at work until they leave; what the dead left behind is tidied away."""
    one, other = Presence(home / "at-work"), Presence(home / "at-work")
    assert other.is_at_work(one.name)
    assert not other.is_at_work("nobody")
    one.leave()
    assert not other.is_at_work(one.name)
    (home / "at-work" / "dead").touch()
    Presence(home / "at-work").leave()
    assert [path.name for path in (home / "at-work").iterdir()] == [other.name]
    other.leave()
