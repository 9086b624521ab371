"""Changes everything in its own process that the next test would meet, if it were the same process."""

import builtins
import collections
import functools
import random

json.dumps = json.loads = lambda *args, **kwargs: '"POISON"'
json.JSONEncoder.encode = json.JSONEncoder.default = lambda *args: '"POISON"'
builtins.len = lambda _: 42
builtins.print = lambda *_, **__: os.write(1, b"POISON")
builtins.open = lambda *_, **__: None
builtins.poison = sys.modules["poison"] = "POISON"
for module in (collections, functools, random):
    for name in dir(module):
        quietly(setattr, module, name, None)
sys.stdout = sys.stderr = sys.stdin = None
sys.setswitchinterval(1000)
sys.path[:] = []
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
sys.addaudithook(lambda *_: None)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.settrace(lambda *_: os._exit(3))
