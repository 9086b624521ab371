"""Hints that a watched database was written: the truth is read elsewhere, so a lost hint only costs the poll's time."""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

log = structlog.get_logger(__name__)

Wake = Callable[[str], None]

REASON = "a file changed"
_ENDINGS = ("", "-wal", "-journal")  # never -shm: our own reading touches it
_WRITES = frozenset({"created", "modified", "moved", "deleted"})  # opening and closing would wake us by our own reading
_TRIES = 3


class Hints:
    """Calls `wake` from a thread of its own when one of the databases was written, came or went.

    A path at which a folder stands is watched with everything below it: agents write files there. Which of them matter
    is not asked here.

    `wake` has to be safe to call from any thread (`loop.call_soon_threadsafe` behind it). A folder that is not there
    yet is waited for from its nearest parent that is; what cannot be watched at all is left to the poll.
    """

    def __init__(self, paths: Iterable[Path], wake: Wake) -> None:
        """Prepare for these databases; nothing is watched before `start`."""
        self._paths = tuple(dict.fromkeys(paths))
        self._wake = wake
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, ObservedWatch] = {}
        self._whole: set[Path] = set()
        self._blind: set[Path] = set()
        self._waited: dict[Path, set[Path]] = {}
        self._names = {f"{path}{ending}" for path in self._paths for ending in _ENDINGS}

    def start(self) -> None:
        """Begin to watch; a system that cannot is left to the poll."""
        observer = Observer()
        observer.daemon = True  # a watch that hangs must not keep the process from ending
        try:
            observer.start()
        except OSError as error:
            log.warning("watch.unavailable", reason=str(error))
            return
        self._observer = observer
        self._follow()

    def stop(self) -> None:
        """End the thread; no call of `wake` comes after."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            observer.join()
        self._watches.clear()
        self._whole.clear()
        self._waited.clear()

    def _follow(self) -> None:
        """Watch every folder, and the folder of every database or its nearest parent that is there until it appears."""
        for _ in range(_TRIES):
            self._follow_once()
            behind = any(path.is_dir() != (path in self._whole) for path in self._paths)
            if not behind and all(_nearest(path.parent) in self._watches for path in self._paths):
                return  # nothing came or went before it was watched

    def _follow_once(self) -> None:
        self._waited.clear()
        for path in self._paths:
            if path.is_dir() and path not in self._whole:
                if path in self._watches:
                    self._unwatch(path)
                self._watch(path, recursive=True)
        for path in self._paths:
            folder = _nearest(path.parent)
            if folder != path.parent:
                self._waited.setdefault(folder, set()).add(path)
            if folder not in self._watches:
                self._watch(folder)

    def _watch(self, folder: Path, *, recursive: bool = False) -> None:
        observer = self._observer
        if observer is None:
            return
        try:
            self._watches[folder] = observer.schedule(_Handler(self._seen), str(folder), recursive=recursive)
            if recursive:
                self._whole.add(folder)
        except OSError as error:  # no such folder any more, no right to it, or no watches left
            if folder not in self._blind:
                log.warning("watch.folder_unwatched", folder=str(folder), reason=str(error))
            self._blind.add(folder)

    def _seen(self, event: FileSystemEvent) -> None:
        """Take one event in the observer's thread."""
        if event.event_type not in _WRITES or (event.is_directory and event.event_type == "modified"):
            return  # what was written in a folder has an event of its own
        touched = {str(event.src_path), str(event.dest_path)}
        if self._is_below(touched) or (touched & self._names and not self._concerns_a_folder(event)):
            self._wake(REASON)
            return
        vanished = [folder for folder in list(self._watches) if _vanished(folder, event)]
        if vanished or touched & self._awaited() or touched & self._names:
            for folder in vanished:
                self._unwatch(folder)
            self._follow()
            self._wake(REASON)  # a database may have come or gone together with its folder

    def _is_below(self, touched: set[str]) -> bool:
        """Tell whether something was written in a folder that is watched with everything in it."""
        written = [name for name in touched if name and not name.endswith("-shm")]  # that our own reading touches
        return any(name.startswith(f"{folder}/") for folder in list(self._whole) for name in written)

    def _concerns_a_folder(self, event: FileSystemEvent) -> bool:
        """Tell whether a path that is watched became a folder, or the folder there went: its watch has to follow."""
        went = event.event_type in {"deleted", "moved"}
        return any(
            path.is_dir() != (path in self._whole) or (went and path in self._whole)
            for path in self._paths
            if str(path) in {str(event.src_path), str(event.dest_path)}
        )

    def _awaited(self) -> set[str]:
        """Return the folders that are not there yet, above the databases that are waited for."""
        parents = {parent for paths in self._waited.values() for path in paths for parent in path.parents}
        return {str(parent) for parent in parents if not any(parent in (f, *f.parents) for f in self._waited)}

    def _unwatch(self, folder: Path) -> None:
        self._whole.discard(folder)
        watch, observer = self._watches.pop(folder), self._observer
        if observer is not None:
            with contextlib.suppress(KeyError, OSError):  # its thread has ended by itself
                observer.unschedule(watch)


class _Handler(FileSystemEventHandler):
    def __init__(self, seen: Callable[[FileSystemEvent], None]) -> None:
        super().__init__()
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._seen(event)


def _nearest(folder: Path) -> Path:
    return next((parent for parent in (folder, *folder.parents) if parent.is_dir()), folder)


def _vanished(folder: Path, event: FileSystemEvent) -> bool:
    """Tell whether a watched folder went: even when another of its name is there again, its watch is blind."""
    went = event.event_type in {"deleted", "moved"} and str(event.src_path) == str(folder)
    return went or not folder.is_dir()
