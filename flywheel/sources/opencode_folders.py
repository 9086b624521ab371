"""The sessions in the `storage` folder that opencode wrote up to 1.1: one JSON file a session, a message and a part.

`session/<project>/<session>.json`, `message/<session>/<message>.json`, `part/<message>/<part>.json` and
`project/<project>.json`; nothing else there is opened. Names of files are right where what they hold says otherwise.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flywheel.core.ids import content_hash
from flywheel.sources.conversations import UnreadableError
from flywheel.sources.opencode_databases import MOST_BYTES, entry_v1, repo_in, safe_id
from flywheel.sources.opencode_json import loaded
from flywheel.sources.opencode_records import Changes, Head, Roll, Session, name_in, number_in, object_in, text_in
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Refusal

Stamp = tuple[str, int, int]


class _File(NamedTuple):
    """A file's name without its ending, and what tells that it was written again."""

    name: str
    path: str
    stamp: Stamp


class FolderArchive:
    """The folder as it is now. See `opencode_records.Archive`."""

    def __init__(self, root: Path) -> None:
        """Look at a `storage` folder; nothing is opened yet."""
        self._root = root
        self._sessions: dict[str, _File] = {}

    def changes(self, before: Roll) -> Changes:
        """Return what happened since; of a file that is not whole JSON nothing is known but its name."""
        heads: dict[str, Head] = {}
        refusals: list[Refusal] = []
        if (self._root / "session" / "info").is_dir():
            refusals.append(Refusal(row="schema/session/info", rule="unknown-schema",
                                    reason="a folder of an older opencode; let a newer one move it"))  # fmt: skip
        for project in _folders(self._root / "session"):
            for file in _files(project):
                self._sessions[file.name] = file
                try:
                    heads[file.name] = self._head(file)
                except UnreadableError as error:
                    refusals.append(Refusal(row=f"session/{file.name}", rule=error.rule, reason=error.reason))
        seen = {(head.id, head.looks) for head in heads.values()}
        known = {row for rows in before.rows for row in rows}
        changed = [heads[name] for name, _ in seen - known]
        return Changes(
            changed, frozenset(name for name, _ in known if name not in heads), Roll((list(seen),)), refusals
        )

    def depth(self, head: Head) -> str:
        """Return nothing more: a head's looks are those of all its files."""
        return head.looks

    def session(self, head: Head) -> Session:
        """Read a session whole; raises UnreadableError."""
        file = self._file_of(head)
        data = _read(file)
        messages = sorted(_files(self._root / "message" / head.id), key=lambda one: one.name)
        raw = [(one, [(part, _text(part)) for part in _parts(self._root, one.name)]) for one in messages]
        stamps = [one.stamp for one, parts in raw for one in (one, *(part for part, _ in parts))]
        size = sum(stamp[2] for stamp in stamps)
        if size > MOST_BYTES:
            raise UnreadableError("too-large", f"the session holds more than {MOST_BYTES} bytes")
        entries = [entry_v1(safe_id(one.name), _text(one), [text for _, text in parts]) for one, parts in raw]
        time = object_in(data.get("time"), "a session's times")
        where = name_in(data.get("directory"), "a directory")
        return Session(
            id=head.id,
            parent=head.parent,
            version=head.version,
            directory=where,
            repo=self._repo(Path(file.path).parent.name) or where,
            created=number_in(time.get("created"), "a time"),
            updated=max([head.updated, *(stamp[1] // 1_000_000 for stamp in stamps)]),
            size=size,
            entries=tuple(sorted(entries, key=lambda entry: (entry.at, entry.id))),
            reverted=text_in(object_in(data.get("revert"), "a revert").get("messageID"), "a message's id"),
        )

    def _head(self, file: _File) -> Head:
        if safe_id(file.name) != file.name:
            raise UnreadableError("wrong-type", "its name is no id")
        data = _read(file)
        time = object_in(data.get("time"), "a session's times")
        messages = list(_files(self._root / "message" / file.name))
        stamps = [
            stamp for one in messages for stamp in (one.stamp, *(part.stamp for part in _parts(self._root, one.name)))
        ]
        return Head(
            id=file.name,
            parent=name_in(data.get("parentID"), "a session's id"),
            version=name_in(data.get("version"), "a version"),
            updated=number_in(time.get("updated", time.get("created")), "a time"),
            looks=content_hash([file.stamp, sorted(stamps)])[:24],
        )

    def _file_of(self, head: Head) -> _File:
        try:
            return self._sessions[head.id]
        except KeyError:
            raise UnreadableError("gone", "its file is gone") from None

    def _repo(self, project: str) -> str:
        try:
            return repo_in(_read(_file(self._root / "project" / f"{project}.json")).get("worktree"))
        except (UnreadableError, SourceProblemError):
            return ""


def storage_in(path: Path) -> Path | None:
    """Return the folder that holds sessions: the path itself, or `storage` in it; None when neither does."""
    return next((one for one in (path, path / "storage") if (one / "session").is_dir()), None)


def glance(root: Path) -> tuple[tuple[str, int], ...]:
    """Return what changes when a session, or a folder for a message, comes or goes; costs the same at any size."""
    folders = [root / "session", root / "message", root / "part", *_folders(root / "session")]
    return tuple((str(one), _changed(one)) for one in folders)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _folders(path: Path) -> Iterator[Path]:
    try:
        with os.scandir(path) as found:
            yield from sorted(Path(one.path) for one in found if one.is_dir())
    except OSError:
        return


def _parts(root: Path, message: str) -> list[_File]:
    return sorted(_files(root / "part" / message), key=lambda one: one.name)


def _files(path: Path) -> Iterator[_File]:
    """Yield the JSON files of a folder; hidden ones are still being written."""
    try:
        with os.scandir(path) as found:
            names = [one for one in found if one.name.endswith(".json") and not one.name.startswith(".")]
            for one in names:
                status = one.stat()
                name = one.name.removesuffix(".json")
                yield _File(name, one.path, (one.name, status.st_mtime_ns, status.st_size))
    except OSError:
        return


def _file(path: Path) -> _File:
    try:
        status = path.stat()
    except OSError as error:
        raise SourceProblemError(f"cannot be reached: {error.strerror}", "check the rights of its folders") from error
    return _File(path.stem, str(path), (path.name, status.st_mtime_ns, status.st_size))


def _read(file: _File) -> Mapping[str, Any]:
    return loaded(_text(file), "a file")


def _text(file: _File) -> object:
    """Return a file's text; bytes where it is none; nothing where it is gone."""
    try:
        raw = Path(file.path).read_bytes()
    except OSError:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
