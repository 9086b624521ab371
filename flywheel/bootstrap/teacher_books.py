"""The teachers' book, `teachers.db` in the home: every answer, and what was paid and set aside for it.

Before a call its upper bound is set aside, afterwards what it cost takes that place together with the answer, each in
one transaction that is on the disk before it is relied on. What was set aside for a call that nobody can tell the end
of (a process killed, a connection cut) stays taken: it may have been charged. So spent, set aside and lost together
never pass a bound, whatever is killed and however many processes ask.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, NamedTuple

from flywheel.bootstrap.databases import problem_of, writing
from flywheel.bootstrap.questions import Answer
from flywheel.core.errors import ConflictError

_PRIVATE = 0o600
_LOCK_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, teacher TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_subject ON answers (subject);
CREATE TABLE IF NOT EXISTS spoiled (
    key TEXT NOT NULL, run INTEGER NOT NULL, times INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (key, run)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, ended INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
    teacher TEXT NOT NULL, run INTEGER NOT NULL, month TEXT NOT NULL, bound INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS accounts (
    scope TEXT PRIMARY KEY, spent INTEGER NOT NULL DEFAULT 0, held INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0, answers INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS habits (
    teacher TEXT PRIMARY KEY, bytes INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, max_tokens INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS paces (teacher TEXT PRIMARY KEY, free_at REAL NOT NULL) WITHOUT ROWID;
"""


class Account(NamedTuple):
    """What was paid, what is set aside for calls under way, what is lost to calls without an end; in picos."""

    spent: int = 0
    held: int = 0
    lost: int = 0
    answers: int = 0

    @property
    def taken(self) -> int:
        """Return what is not to be spent again."""
        return self.spent + self.held + self.lost


class Claim(NamedTuple):
    """A call that somebody is about to make: at most `bound` picos, within the bounds of its scopes."""

    key: str
    teacher: str
    run: int
    month: str
    bound: int
    limits: Mapping[str, int]


class Taken(NamedTuple):
    """What a call is known by while it is under way."""

    number: int


class Short(NamedTuple):
    """The scope whose bound leaves too little."""

    scope: str


class Usage(NamedTuple):
    """How much was said: for telling what the next will cost."""

    bytes: int
    prompt_tokens: int
    completion_tokens: int
    max_tokens: int


Busy = Literal["busy"]


def scopes_of(run: int, month: str, teacher: str) -> tuple[str, ...]:
    """Return where a call is booked: its teacher's run and month, and those of all teachers."""
    return f"run/{run}", f"run/{run}/{teacher}", f"month/{month}", f"month/{month}/{teacher}"


class TeacherBook:
    """Keeps answers and accounts; any number of processes may have it open."""

    def __init__(self, path: Path | None) -> None:
        """Open the file, and make it where there is none; raises UnavailableError or CorruptError.

        Without a path it is an empty one that nobody else sees.
        """
        self._path = path or Path(":memory:")
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _PRIVATE))
            self._connection = sqlite3.connect(self._path, timeout=_LOCK_SECONDS, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise problem_of(self._path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def answer(self, key: str) -> Answer | None:
        """Return what was answered; None where nothing was."""
        found = self._connection.execute("SELECT body FROM answers WHERE key = ?", (key,)).fetchone()
        return Answer.model_validate_json(found[0]) if found else None

    def spoils(self, key: str, run: int) -> tuple[int, str]:
        """Return how often in a run something came that is no answer, and what was wrong with the last."""
        query = "SELECT times, note FROM spoiled WHERE key = ? AND run = ?"
        found = self._connection.execute(query, (key, run)).fetchone()
        return (int(found[0]), str(found[1])) if found else (0, "")

    def account(self, scope: str) -> Account:
        """Return what a scope has taken."""
        query = "SELECT spent, held, lost, answers FROM accounts WHERE scope = ?"
        found = self._connection.execute(query, (scope,)).fetchone()
        return Account(*found) if found else Account()

    def habit(self, teacher: str) -> Usage | None:
        """Return what all answers of a teacher came to; None before the first."""
        query = "SELECT bytes, prompt_tokens, completion_tokens, max_tokens FROM habits WHERE teacher = ?"
        found = self._connection.execute(query, (teacher,)).fetchone()
        return Usage(*found) if found else None

    def begin_run(self, name: str) -> int:
        """Return the run of that name that was not ended, else a new one."""
        with self._writing():
            query = "SELECT max(number) FROM runs WHERE name = ? AND NOT ended"
            found = self._connection.execute(query, (name,)).fetchone()[0]
            if found is None:
                found = self._connection.execute("INSERT INTO runs (name, ended) VALUES (?, 0)", (name,)).lastrowid
        return int(found)

    def end_run(self, number: int) -> None:
        """Let the next run of that name begin with nothing spent."""
        with self._writing():
            self._connection.execute("UPDATE runs SET ended = 1 WHERE number = ?", (number,))

    def claim(self, claim: Claim, owner: str, is_at_work: Callable[[str], bool]) -> Taken | Short | Busy | Answer:
        """Set a call's bound aside, or say why not: it was answered, it is being asked, a bound leaves too little."""
        with self._writing():
            if answer := self.answer(claim.key):
                return answer
            query = "SELECT number, owner FROM calls WHERE key = ?"
            if found := self._connection.execute(query, (claim.key,)).fetchone():
                if is_at_work(found[1]):
                    return "busy"
                self._lose(found[0])
            for scope, limit in claim.limits.items():
                if self.account(scope).taken + claim.bound > limit:
                    return Short(scope)
            values = (claim.key, owner, claim.teacher, claim.run, claim.month, claim.bound)
            insert = "INSERT INTO calls (key, owner, teacher, run, month, bound) VALUES (?, ?, ?, ?, ?, ?)"
            number = self._connection.execute(insert, values).lastrowid
            self._book(scopes_of(claim.run, claim.month, claim.teacher), Account(held=claim.bound))
        return Taken(int(number or 0))

    def settle(self, call: Taken, answer: Answer, subject: str, usage: Usage | None) -> None:
        """Keep an answer, and its cost in the place of what was set aside."""
        with self._writing():
            key = self._release(call.number, Account(spent=answer.cost, answers=1))
            values = (key, answer.teacher, subject, answer.model_dump_json())
            self._connection.execute("INSERT INTO answers (key, teacher, subject, body) VALUES (?, ?, ?, ?)", values)
            if usage is not None:
                self._connection.execute(
                    "INSERT INTO habits VALUES (?, ?, ?, ?, ?) ON CONFLICT (teacher) DO UPDATE SET "
                    "bytes = bytes + excluded.bytes, prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
                    "completion_tokens = completion_tokens + excluded.completion_tokens, "
                    "max_tokens = max_tokens + excluded.max_tokens",
                    (answer.teacher, *usage),
                )

    def spoil(self, call: Taken, note: str) -> None:
        """Remember that what came is no answer; it is taken as charged in full."""
        with self._writing():
            run = self._connection.execute("SELECT run FROM calls WHERE number = ?", (call.number,)).fetchone()
            key = self._lose(call.number)
            self._connection.execute(
                "INSERT INTO spoiled VALUES (?, ?, 1, ?) "
                "ON CONFLICT (key, run) DO UPDATE SET times = times + 1, note = excluded.note",
                (key, run[0], note),
            )

    def free(self, call: Taken) -> None:
        """Give back what was set aside for a call that was not charged."""
        with self._writing():
            self._release(call.number, Account())

    def lose(self, call: Taken) -> None:
        """Take what was set aside as spent: the call may have been charged."""
        with self._writing():
            self._lose(call.number)

    def sweep(self, is_at_work: Callable[[str], bool]) -> None:
        """Take as lost what was set aside by those who are gone."""
        with self._writing():
            for number, owner in self._connection.execute("SELECT number, owner FROM calls").fetchall():
                if not is_at_work(owner):
                    self._lose(number)

    def slot(self, teacher: str, now: float, apart: float) -> float:
        """Return when the next call may begin where calls begin so far apart, in all processes together."""
        with self._writing():
            query = "SELECT free_at FROM paces WHERE teacher = ?"
            found = self._connection.execute(query, (teacher,)).fetchone()
            # A clock that was set back must not stop the calls until it has caught up.
            free_at = found[0] if found and found[0] - now < _SLOTS_AHEAD * apart else now
            begin = max(now, free_at)
            self._connection.execute("INSERT OR REPLACE INTO paces VALUES (?, ?)", (teacher, begin + apart))
        return float(begin)

    def forget(self, subject: str) -> int:
        """Drop the answers about something, words and all; return how many. What they cost stays on the record."""
        self._connection.execute("PRAGMA secure_delete = ON")
        with self._writing():
            gone = self._connection.execute("DELETE FROM answers WHERE subject = ?", (subject,)).rowcount
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def _lose(self, number: int) -> str:
        return self._release(number, None)

    def _release(self, number: int, instead: Account | None) -> str:
        """Put something in the place of what was set aside for a call: all of it as lost, where nothing is said."""
        query = "DELETE FROM calls WHERE number = ? RETURNING key, teacher, run, month, bound"
        found = self._connection.execute(query, (number,)).fetchall()
        if not found:
            raise ConflictError("a call to a teacher was taken for lost while it was under way", "ask again")
        key, teacher, run, month, bound = found[0]
        instead = Account(lost=bound) if instead is None else instead
        self._book(scopes_of(run, month, teacher), instead._replace(held=-bound))
        return str(key)

    def _book(self, scopes: tuple[str, ...], change: Account) -> None:
        self._connection.executemany(
            "INSERT INTO accounts (scope, spent, held, lost, answers) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (scope) DO UPDATE SET spent = spent + excluded.spent, held = held + excluded.held, "
            "lost = lost + excluded.lost, answers = answers + excluded.answers",
            [(scope, *change) for scope in scopes],
        )

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self._connection, self._path)


_SLOTS_AHEAD = 4096
