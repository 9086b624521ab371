"""What each test's process puts on before it becomes the judged code: limits, Landlock, the filter. In this order.

The fork server itself wears none of them but what the box and its own user give it: it must be able to fork, to end
what it forked, and to put the walls on others.
"""

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Mapping
from typing import Any

from . import filters, kernels, landlocks, syscalls

_MIB = 1024 * 1024
#: What an interpreter takes of its address space before the judged code has asked for anything.
_OURS_MIB = 96
#: A command's own runtime: node's heap is reserved in pieces far larger than what it uses.
_RUNTIME_MIB = 512
_PROCESSES = 64
_DESCRIPTORS = 256
_SIGNALS = 64
_STACK = 64 * _MIB
_THREAD_STACK = 8 * _MIB  # what each thread of a started program takes of its address space
_FILE = 32 * _MIB
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_CAPABILITIES_V3 = 0x20080522


class Walls:
    """The walls of one box, made ready once."""

    def __init__(self, setup: Mapping[str, Any]) -> None:
        """Prepare the rules: `readable` paths, `scratch`, and whether Landlock alone has to hold."""
        self.landlock = landlocks.version()
        machine = os.uname().machine
        self._rules: dict[str, int] = {}
        if self.landlock:
            readable = list(setup["readable"])
            self._rules["alone"] = landlocks.ruleset([*readable, setup["scratch"]], (), _DEVICES)
            self._rules["command"] = landlocks.ruleset(readable, [setup["scratch"]], _DEVICES)
        self._command_filter = filters.for_test(machine, alone=False)
        self._alone_filter = filters.for_test(machine, alone=True)

    def put_on_all(self) -> None:
        """Put on, as the fork server, what holds for everybody in the box from now on."""
        filters.put_on(filters.for_all(os.uname().machine))

    def put_on(self, trial: Mapping[str, Any]) -> None:
        """Put everything on in the calling process; OSError when a wall does not stand."""
        command = trial["kind"] == "command"
        _limit(trial, command=command)
        if self._rules:
            landlocks.put_on(self._rules["command" if command else "alone"])
        filters.put_on(self._command_filter if command else filters.for_process(self._alone_filter, os.getpid()))


def become_nobody(uid: int | None) -> None:
    """Give up root, capabilities and the way back to them; `uid` is None where the box has done the first already."""
    kernels.prctl(kernels.PR_SET_NO_NEW_PRIVS, 1)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    head = struct.pack("II", _CAPABILITIES_V3, 0)
    words = (ctypes.create_string_buffer(head, len(head)), ctypes.create_string_buffer(24))
    number = syscalls.numbers(os.uname().machine, syscalls.SETUP)["capset"]
    kernels.syscall(number, ctypes.cast(words[0], ctypes.c_void_p), ctypes.cast(words[1], ctypes.c_void_p))
    kernels.prctl(kernels.PR_SET_DUMPABLE, 0)
    end_with_parent()  # again: the kernel forgets it when the user changes


def end_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it ends."""
    kernels.prctl(kernels.PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(trial: Mapping[str, Any], *, command: bool) -> None:
    limits = trial["limits"]
    seconds = int(limits["seconds"]) + 2  # the wall clock ends a test; this ends what outlives the clock's keeper
    memory = limits["memory_mib"] * _MIB
    fixed = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: _FILE,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_NPROC: _PROCESSES,
        resource.RLIMIT_SIGPENDING: _SIGNALS,
        resource.RLIMIT_STACK: _THREAD_STACK if command else _STACK,
    }
    if command and not is_python(trial["argv"]):
        fixed[resource.RLIMIT_DATA] = memory + _RUNTIME_MIB * _MIB
    else:
        fixed[resource.RLIMIT_AS] = memory + _OURS_MIB * _MIB
    for what, wanted in fixed.items():
        most = resource.getrlimit(what)[1]
        number = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(what, (number, number))


def is_python(argv: list[str]) -> bool:
    """Tell whether a command asks for the box's own interpreter."""
    return argv[0] in {"python", "python3"}
