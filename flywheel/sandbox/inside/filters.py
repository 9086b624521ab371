"""The seccomp filters: a short list of what is needed of the kernel; everything else is refused.

A filter is a program of the kernel's own small machine (classic BPF) over the call's number, machine and arguments,
built here as bytes. The fork server puts the long one on itself once, and every process of the box is born with it.
Each test's process adds a short one as its last wall, which takes away what only the server needs: for a test of a
function or script, which may start threads and nothing else; or for a command, which may start processes.
"""

import ctypes
import os
import struct
from typing import Final

from . import kernels, syscalls

_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT: Final = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _MASK, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_SET_MODE_FILTER = 1
_CLONE_VM, _CLONE_THREAD, _CLONE_NEW = 0x00000100, 0x00010000, 0x7E020080
_AF_UNIX = 1
#: TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX: what isatty, non-blocking reads and node ask.
_IOCTLS: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5451, 0x5450)
#: PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS.
_PRCTLS: Final = (15, 16, 0x53564D41, 3, 39)

_STEP: Final = struct.Struct("HBBI")
#: Stands in a filter for a process that is not known yet; no process has this number.
_NOBODY: Final = 0x7FFFFFFF

Code = list[tuple[int, int, int, int]]


def for_all(machine: str) -> bytes:
    """Return the filter of the whole box: the calls that somebody in it needs, on this machine alone."""
    listed = syscalls.numbers(machine, *syscalls.EVERYTHING).values()
    code: Code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for number in sorted(listed):
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    # A call younger than this list: its caller is told that the kernel is older, and takes another way.
    return _packed([*code, (_AT_LEAST, 0, 1, max(listed) + 1), _no(_ENOSYS), _no(_EPERM)])


def for_test(machine: str, *, alone: bool) -> bytes:
    """Return what a test's process adds: of a process alone (`for_process` says which), or of a command's processes."""
    numbers = syscalls.numbers(machine, syscalls.JUDGED, syscalls.SETUP)
    setup = {name: [_no(_EPERM)] for name in syscalls.numbers(machine, syscalls.SETUP)}
    rules = setup | _common() | (_alone() if alone else _with_children())
    code: Code = [(_LOAD, 0, 0, _NUMBER)]
    for name, number in numbers.items():
        code += [(_EQUAL, 0, len(rules[name]), number), *rules[name]]
    return _packed([*code, (_RETURN, 0, 0, _ALLOW)])


def for_process(code: bytes, pid: int) -> bytes:
    """Return the filter of a process alone, for this one: it may send signals to itself."""
    steps: Code = [
        step if step[0] != _EQUAL or step[3] != _NOBODY else (*step[:3], pid) for step in _STEP.iter_unpack(code)
    ]
    return _packed(steps)


def put_on(code: bytes) -> None:
    """Live by this filter from now on; needs NO_NEW_PRIVS, raises OSError with the kernel's reason."""
    steps = ctypes.create_string_buffer(code, len(code))
    words = _Program(len(code) // 8, ctypes.cast(steps, ctypes.c_void_p))
    kernels.syscall(syscalls.numbers(os.uname().machine, syscalls.SETUP)["seccomp"], _SET_MODE_FILTER, 0,
                    ctypes.pointer(words))  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def _packed(steps: Code) -> bytes:
    return b"".join(_STEP.pack(*step) for step in steps)


def _common() -> dict[str, Code]:
    return {
        "clone3": [_no(_ENOSYS)],  # its flags are out of a filter's sight; the C library then takes clone
        "prctl": _one_of(0, _PRCTLS),
        "ioctl": _one_of(1, _IOCTLS),
        "socketpair": _one_of(0, (_AF_UNIX,)),
        "prlimit64": _one_of(0, (0,)),  # its own limits, not those of another process of the same user
        "sched_setaffinity": _one_of(0, (0,)),
    }


def _alone() -> dict[str, Code]:
    """Return the rules of a single process: threads, signals to itself, no program but its own."""
    threads: Code = [_load(0), (_MASK, 0, 0, _CLONE_THREAD | _CLONE_VM | _CLONE_NEW),
                     (_EQUAL, 0, 1, _CLONE_THREAD | _CLONE_VM), (_RETURN, 0, 0, _ALLOW), _no(_EPERM)]  # fmt: skip
    refused = {name: [_no(_EPERM)] for name in ("fork", "vfork", "execve", "execveat", "setsid", "setpgid")}
    itself = {name: _one_of(0, (_NOBODY,)) for name in ("kill", "tgkill")}
    return {"clone": threads, "tkill": [_no(_EPERM)], **refused, **itself}


def _with_children() -> dict[str, Code]:
    """Return the rules of a command: processes of its own, in no new namespace; Landlock keeps its signals at home."""
    children: Code = [_load(0), (_ANY_BIT, 0, 1, _CLONE_NEW), _no(_EPERM), (_RETURN, 0, 0, _ALLOW)]
    names = ("fork", "vfork", "execve", "execveat", "setsid", "setpgid", "kill", "tkill", "tgkill")
    return {"clone": children, **{name: [(_RETURN, 0, 0, _ALLOW)] for name in names}}


def _one_of(argument: int, values: tuple[int, ...]) -> Code:
    """Allow the call when the low half of an argument is one of these; the kernel reads these arguments as 32 bits."""
    checks: Code = [step for value in values for step in ((_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]
    return [_load(argument), *checks, _no(_EPERM)]


def _load(argument: int) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)


def _no(errno: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _ERRNO | errno)
