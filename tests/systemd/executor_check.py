"""Runs inside the container, as the daemon's user: asks the executor's unit what the test wants to know."""

import asyncio
import json
import sys
import time

sys.path[:0] = ["/opt/flywheel/src", "/opt/flywheel/site"]

from flywheel.core.errors import FlywheelError  # noqa: E402
from flywheel.sandbox.clients import Executor  # noqa: E402
from flywheel.sandbox.programs import Call, Limits, Program  # noqa: E402

_BOMB = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
_SHORT = Limits(seconds=1, memory_mib=64)
PROGRAMS = {
    "call": Program(code="def add(a, b):\n    return a + b\n", entry="add", calls=(Call(args=(40, 2)),)),
    "script": Program(code="print(input()[::-1])", inputs=("abc",)),
    "command": Program(code="", files={"a.py": "print(6 * 7)"}, command=("python3", "a.py")),
    "fork bomb": Program(code="", files={"a.py": _BOMB}, command=("python3", "a.py"), limits=_SHORT),
    "loop": Program(code="while True: pass", limits=_SHORT),
    "secret": Program(code="print(open('/etc/shadow').read())"),
    "call after": Program(code="def add(a, b):\n    return a + b\n", entry="add", calls=(Call(args=(40, 2)),)),
}


async def main() -> None:
    """Ask everything and print it as one JSON object."""
    executor = Executor("/run/flywheel-executor/executor.sock")
    found: dict[str, object] = {}
    until = time.monotonic() + 20
    while "check" not in found or (found["check"] and time.monotonic() < until):
        try:
            found["check"] = await executor.check()
        except FlywheelError as error:
            found["check"] = str(error)
    for name, program in PROGRAMS.items() if not found["check"] else ():
        (run,) = await executor.run(program)
        found[name] = [run.ending, run.value or run.output or run.detail]
    print(json.dumps(found))


asyncio.run(main())
