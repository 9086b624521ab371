"""What an honest test finds in its box, as one text: run before and after every attack, and never another text."""

import gc
import hashlib
import json
import os
import random
import resource
import signal
import socket
import stat
import sys
import threading
import time


def listing(folder):
    try:
        return sorted(name for name in os.listdir(folder))
    except OSError as error:
        return error.errno


def descriptors():
    for number in range(1024):
        try:
            found = os.fstat(number)
        except OSError:
            continue
        yield [number, stat.S_IFMT(found.st_mode)]


folders = [
    ".",
    "..",
    "/",
    "/tmp",
    "/var",
    "/var/tmp",
    "/dev",
    "/dev/shm",
    "/dev/mqueue",
    "/run",
    "/home",
    "/etc",
    *sys.path,
]
room = [os.statvfs(folder) for folder in (".", "/tmp")]
pair = socket.socketpair()
pair[0].send(b"through")
numbers = [random.Random(7).random(), sum(i * i for i in range(20_000)), hashlib.sha256(b"x").hexdigest()]
try:
    os.kill(1, 0)
    reach = "pid 1"
except OSError as error:
    reach = error.errno
found = {
    "environment": dict(sorted(os.environ.items())),
    "folders": {folder: listing(folder) for folder in folders},
    "room": [
        [each.f_blocks, each.f_bfree, each.f_files, each.f_ffree, each.f_flag]
        for each in room
        if each.f_blocks < 1 << 22
    ],
    "path": [sys.path, sys.argv, sys.prefix, sys.executable, os.getcwd(), sorted(sys.flags)],
    "modules": hashlib.sha256(" ".join(sorted(sys.modules)).encode()).hexdigest(),
    "files": sorted({str(getattr(module, "__file__", "")) for module in list(sys.modules.values())}),
    "limits": [resource.getrlimit(kind) for kind in range(16)],
    "users": [os.getresuid(), os.getresgid(), os.getgroups()],
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "priority": [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))],
    "descriptors": list(descriptors()),
    "threads": [thread.name for thread in threading.enumerate()],
    "hooks": [
        str(sys.gettrace()),
        str(sys.getprofile()),
        sys.getrecursionlimit(),
        sys.getswitchinterval(),
        gc.isenabled(),
    ],
    "built-in": [len([1, 2]), str(abs(-3)), json.dumps({"a": [1, None]}), json.loads('{"b": 2}'), sorted("cab")],
    "standard input": sys.stdin.read(),
    "through a socket": pair[1].recv(20).decode(),
    "numbers": numbers,
    "mask": os.umask(0o022),
    "host": socket.gethostname(),
    "reach": reach,
    "years": 2024 < time.gmtime().tm_year < 2100,
}
print(json.dumps(found, sort_keys=True, default=str))
