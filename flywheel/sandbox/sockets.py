"""Unix sockets to listen at: their file's permissions are the key."""

import contextlib
import grp
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flywheel.core.errors import ConflictError, SettingsError

_LONGEST_PATH = 107  # what the kernel takes
_BACKLOG = 1024
_FOR_THE_GROUP = 0o660


class Place(NamedTuple):
    """Where a service listens, and the settings that say so."""

    path: Path
    group: str | None
    service: str
    path_setting: str
    group_setting: str


@contextlib.contextmanager
def unix_listener(place: Place) -> Iterator[socket.socket]:
    """Give a listening socket that its owner, or a group, may talk to; a dead one in its place is taken over.

    Raises SettingsError when there can be none at that path, ConflictError when somebody listens there.
    """
    listener = listening(place)
    inode = place.path.stat().st_ino
    try:
        yield listener
    finally:
        listener.close()
        remove(place.path, inode)


def listening(place: Place) -> socket.socket:
    """Return what `unix_listener` gives; whoever takes it removes the file in the end."""
    path, mend = place.path, f"set {place.path_setting}"
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise SettingsError(f"the path of a socket is at most {_LONGEST_PATH} bytes: {path}", mend)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        _clear(place)
        return _bound(path, grp.getgrnam(place.group).gr_gid if place.group else None)
    except LookupError as error:
        raise SettingsError(
            f"there is no group {place.group}", f"set {place.group_setting} to one that is there"
        ) from error
    except OSError as error:
        raise ConflictError(f"no socket at {path}: {error.strerror or error}", mend) from error


def remove(path: Path, inode: int) -> None:
    """Remove a socket's file, unless somebody else has one there by now."""
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def _bound(path: Path, group: int | None) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # closed to others from its first moment
    try:
        listener.bind(str(path))
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(_FOR_THE_GROUP)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _clear(place: Place) -> None:
    """Remove a socket that nobody listens at."""
    if not place.path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(place.path))
        except OSError:
            place.path.unlink()
            return
    mend = f"end it first, or set {place.path_setting}"
    raise ConflictError(f"{place.service} listens at {place.path} already", mend)
