"""The kernel's doors that Python has no function for."""

import ctypes
import os
from typing import Any, TypeAlias

Argument: TypeAlias = "int | ctypes.c_void_p | ctypes._Pointer[Any] | None"  # noqa: SLF001 - the name of its type

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


def syscall(number: int, *arguments: Argument) -> int:
    """Make a system call; raises OSError with the kernel's reason."""
    words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, argument: int) -> None:
    """Set one thing about this process; raises OSError with the kernel's reason."""
    if _LIBC.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
