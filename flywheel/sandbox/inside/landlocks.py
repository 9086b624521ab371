"""Landlock: what of the file system judged code may touch, no network, and no signal out of its own domain.

The rules are made once by the fork server and put on by each test's process; nothing takes them off again.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterable

from . import kernels, syscalls

_VERSION = 1  # a flag: ask for the version instead
_PATH_BENEATH = 1
_O_PATH = 0o10000000

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
#: How many rights on files each version knows: 13 in the first, then with REFER, TRUNCATE and IOCTL_DEV.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET_BIND_CONNECT_TCP, _NET_SINCE = 0b11, 4
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS, _SCOPE_SINCE = 0b11, 6

READ = _EXECUTE | _READ_FILE | _READ_DIR


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of Landlock that the kernel speaks; 0 where it has none."""
    try:
        return kernels.syscall(_number("landlock_create_ruleset"), None, 0, _VERSION)
    except OSError:
        return 0


def handled(found: int) -> tuple[int, int, int]:
    """Return what is taken in hand at a version: rights on files, on the network, and scopes."""
    files = (1 << _RIGHTS[min(found, max(_RIGHTS))]) - 1
    net = _NET_BIND_CONNECT_TCP if found >= _NET_SINCE else 0
    return files, net, _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if found >= _SCOPE_SINCE else 0


def ruleset(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> int:
    """Return a descriptor of rules: read and execute below some paths, everything below others, plain use of devices.

    A path that is not there is left out: what is not there cannot be read. OSError where the kernel has no Landlock.
    """
    files, net, scoped = handled(version())
    words = _Ruleset(files, net, scoped)
    size = 8 if not net else 16 if not scoped else 24
    rules = kernels.syscall(_number("landlock_create_ruleset"), ctypes.pointer(words), size, 0)
    for path in readable:
        _allow(rules, path, READ & files)
    for path in writable:
        _allow(rules, path, files)
    for path in devices:
        _allow(rules, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & files)
    return rules


def put_on(rules: int) -> None:
    """Live by these rules from now on, and every child with us."""
    kernels.syscall(_number("landlock_restrict_self"), rules, 0)


def _allow(rules: int, path: str, allowed: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        opened = os.open(path, _O_PATH | os.O_CLOEXEC)
        try:
            only = allowed if os.path.isdir(path) else allowed & ~(_READ_DIR) & _FILE_RIGHTS  # noqa: PTH112
            rule = _PathBeneath(only, opened)
            kernels.syscall(_number("landlock_add_rule"), rules, _PATH_BENEATH, ctypes.pointer(rule), 0)
        finally:
            os.close(opened)


_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


def _number(name: str) -> int:
    return syscalls.numbers(os.uname().machine, syscalls.SETUP)[name]
