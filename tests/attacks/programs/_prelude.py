"""Stands before every attack: what attacks share. `TARGET` is set one line above; see worlds.py for what it holds."""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import socket
import struct
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
#: System calls that Python has no name for: their numbers on x86_64 and on the machines that share one table.
NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171), "bpf": (321, 280), "capget": (125, 90),
    "capset": (126, 91), "chroot": (161, 51), "clock_settime": (227, 112), "delete_module": (176, 106),
    "finit_module": (313, 273), "fsopen": (430, 430), "init_module": (175, 105), "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30), "kexec_load": (246, 104), "keyctl": (250, 219), "mount": (165, 40),
    "move_mount": (429, 429), "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "perf_event_open": (298, 241), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "prlimit64": (302, 261),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "reboot": (169, 142),
    "request_key": (249, 218), "semget": (64, 190), "sethostname": (170, 161), "setns": (308, 268),
    "settimeofday": (164, 170), "shmget": (29, 194), "swapon": (167, 224), "syslog": (103, 116), "tgkill": (234, 131),
    "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip


def syscall(name, *args):
    """Return what a system call returned, and the number of its error."""
    number = name if isinstance(name, int) else NUMBERS[name][platform.machine() != "x86_64"]
    ctypes.set_errno(0)
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in args]
    found = LIBC.syscall(ctypes.c_long(number), *words)
    return found, ctypes.get_errno()


def breach(what):
    """Boast: what the attack has got that it must not have."""
    os.write(1, f"\nBREACH {what}\n".encode())


def quietly(work, *args, **kwargs):
    """Return what something returned, or None where it was not allowed."""
    try:
        return work(*args, **kwargs)
    except (OSError, ValueError, AttributeError, MemoryError, OverflowError, RuntimeError, TypeError):
        return None


def read(path):
    """Return what a file says, or nothing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(fd, 100_000)
        finally:
            os.close(fd)
    except OSError:
        return b""


def write(path, text="attacked"):
    """Write a file, or nothing."""
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError:
        return False
    return True


def everywhere():
    """Every folder that a program may hope to write to."""
    hopes = [
        ".",
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/run",
        "/dev",
        "/",
        "/home",
        "/root",
        "/usr",
        os.path.expanduser("~"),
    ]
    hopes += [os.environ.get("TMPDIR", "/tmp"), f"/run/user/{os.getuid()}", "/var/lib", "/etc", "/mnt", "/opt", "/work"]
    return [folder for folder in dict.fromkeys(hopes) if os.path.isdir(folder)]


def elders():
    """Every process that a program may hope to be descended from."""
    return list(dict.fromkeys([os.getppid(), 1, *range(2, 12)]))


def outside():
    """Whether the host's processes are in reach: then nothing is done that would reach them all. Found out once."""
    if "outside" not in FOUND:
        FOUND["outside"] = reaches(TARGET["victim"])
        if FOUND["outside"]:
            breach("the host's processes are in reach")
    return FOUND["outside"]


def reaches(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


FOUND = {}
