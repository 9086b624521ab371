"""Taking out of the gateway's capture what is to be forgotten: by the calls' own names, and by what they say.

The capture is another process's file. It is read without holding anybody up, and written in transactions of a few
rows; the gateway waits for one, as for any other writer, and keeps its calls in memory meanwhile.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from flywheel.core.errors import ResourceError
from flywheel.core.examples import prompt_key
from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Message
from flywheel.sources.capture_bodies import asked_of, said_of
from flywheel.sources.connections import columns_of

SHORTEST_TELLING = 40  # characters: shorter words are said in every conversation and tell nothing about one
_ROWS_AT_ONCE = 100
_LOCK_SECONDS = 10.0
_CALLS = "SELECT seq, id, session, task, request, response FROM calls WHERE seq > ? ORDER BY seq LIMIT ?"


class Wanted(NamedTuple):
    """Which calls to take out: by id, by session or task, by the question they ask, by words they repeat.

    With `whole`, all calls of a conversation go when one of them does.
    """

    calls: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    questions: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    whole: bool = False


def telling(text: str) -> str | None:
    """Return the hash of words long enough to be told by, white space folded."""
    folded = " ".join(text.split())
    return content_hash(folded) if len(folded) >= SHORTEST_TELLING else None


def find_calls(path: Path, wanted: Wanted) -> list[int]:
    """Return the row numbers of the calls to take out; none where nothing was ever captured."""
    if not path.exists():
        return []
    with closing(_open(path, "ro")) as connection:
        try:
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'calls'").fetchone() is None:
                return []
            return _found(connection, wanted)
        except sqlite3.Error as error:
            raise ResourceError(f"{path.name} cannot be read now: {error}", "it is tried again") from error


def delete_calls(path: Path, rows: Sequence[int]) -> None:
    """Delete rows, a few at a time; doing it twice is the same as doing it once."""
    if not rows:
        return
    with closing(_open(path, "rw")) as connection:
        try:
            connection.execute("PRAGMA secure_delete = ON")
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                chunk = rows[start : start + _ROWS_AT_ONCE]
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("DELETE FROM calls WHERE seq = ?", [(row,) for row in chunk])
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise ResourceError(f"{path.name} cannot be written now: {error}", "it is tried again") from error


def _found(connection: sqlite3.Connection, wanted: Wanted) -> list[int]:
    found = {
        seq: session
        for seq, call, session, task, request, response in _rows(connection)
        if _is_named(wanted, call, session, task) or _says(wanted, request, response)
    }
    if wanted.whole:
        names = {session for session in found.values() if session}
        every = connection.execute("SELECT seq, session FROM calls").fetchall()
        found.update({seq: session for seq, session in every if session in names})
    return sorted({*found, *_shadows(connection, found)})


def _shadows(connection: sqlite3.Connection, found: Collection[int]) -> list[int]:
    """Return the calls that repeat one of these for comparison: they hold the same words."""
    if not found or "mirrors" not in columns_of(connection, "calls"):
        return []
    gone = {call for seq, call in connection.execute("SELECT seq, id FROM calls").fetchall() if seq in found}
    shadows = connection.execute("SELECT seq, mirrors FROM calls WHERE mirrors IS NOT NULL").fetchall()
    return [seq for seq, mirrored in shadows if mirrored in gone]


def _is_named(wanted: Wanted, call: str, session: str, task: str | None) -> bool:
    if call in wanted.calls or session in wanted.sessions:
        return True
    return task in wanted.tasks or task in wanted.sessions


def _says(wanted: Wanted, request: bytes, response: bytes) -> bool:
    if not wanted.questions and not wanted.words:
        return False
    asked, said = asked_of(request), said_of(response)
    if said is not None and telling(said.text) in wanted.words:
        return True
    if asked is None:
        return False
    return prompt_key(asked.messages) in wanted.questions or _repeats(wanted, asked.messages)


def _repeats(wanted: Wanted, messages: Sequence[Message]) -> bool:
    return any(message.role != "system" and telling(message.content) in wanted.words for message in messages)


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    after = 0
    while rows := connection.execute(_CALLS, (after, _ROWS_AT_ONCE)).fetchall():
        yield from rows
        after = int(rows[-1][0])


def _open(path: Path, mode: str) -> sqlite3.Connection:
    try:
        uri = f"file:{quote(str(path))}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=_LOCK_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise ResourceError(f"{path.name} cannot be opened now: {error}", "it is tried again") from error
