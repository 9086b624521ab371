"""One contract, over the executor in its box and over the double without one: what a run says is the same.

Which of them can be had depends on the machine; the double always can.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the shared fixtures lie beside the rooms of the tests

import asyncio
import json
import shutil

import pytest
from fixtures.executors import need_bubblewrap, running_executor

from flywheel.core.errors import MisuseError
from flywheel.sandbox.clients import Executor, Runner
from flywheel.sandbox.doubles import PlainExecutor
from flywheel.sandbox.languages import find_runtimes
from flywheel.sandbox.programs import Call, Ending, Limits, Program, Run

pytestmark = pytest.mark.asyncio

SHORT = Limits(seconds=0.7, memory_mib=256, output_bytes=10_000)
LONG = Limits(seconds=30, memory_mib=256, output_bytes=10_000)
with_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: apt-get install nodejs")


@pytest.fixture(scope="module", params=["double", "bubblewrap"])
def runner(request, tmp_path_factory):
    """The double, and the real executor."""
    if request.param == "double":
        yield PlainExecutor()
        return
    need_bubblewrap()
    with running_executor(tmp_path_factory.mktemp("executor"), request.param) as running:
        assert running.status == "answering"
        yield Executor(running.socket)


async def only(runner: Runner, code: str, *, limits: Limits = LONG, stdin: str = "", **fields: object) -> Run:
    """The single run of a script."""
    program = Program.model_validate({"code": code, "inputs": (stdin,), "limits": limits, **fields})
    runs = await runner.run(program)
    assert len(runs) == 1
    return runs[0]


async def called(runner: Runner, code: str, entry: str, *args: object, **kwargs: object) -> Run:
    """The single run of a call."""
    (run,) = await runner.run(Program(code=code, entry=entry, calls=(Call(args=args, kwargs=kwargs),), limits=LONG))
    return run


async def test_it_says_that_it_holds(runner):
    """Where programs may be run, check says nothing."""
    async with runner as same:
        assert await same.check() == ""


async def test_inputs_are_answered_in_order(runner):
    """There is one run for each input, in order, each in a process of its own."""
    code = "import os\nx = int(input())\nos.environ['SEEN'] = os.environ.get('SEEN', '') + 'x'\n"
    code += "import builtins\nprint(x * 2, os.environ['SEEN'], getattr(builtins, 'left', 0))\nbuiltins.left = 1"
    runs = await runner.run(Program(code=code, inputs=tuple(map(str, range(7))), limits=LONG))
    assert [run.output for run in runs] == [f"{number * 2} x 0\n" for number in range(7)]
    assert {run.ending for run in runs} == {Ending.FINISHED}
    assert all(run.value is None and run.detail == "" and run.seconds > 0 for run in runs)


async def test_a_program_without_inputs_runs_once(runner):
    """A program with neither inputs nor calls has one run."""
    (run,) = await runner.run(Program(code="print(__name__)"))
    assert run.output == "__main__\n"


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nfor line in sys.stdin: print(line.strip()[::-1])",
        "print(open(0).read()[::-1].strip())",
        "print(input()[::-1])",
        "import os\nprint(os.read(0, 100).decode().strip()[::-1])",
        "print(open('/dev/stdin').read().strip()[::-1])",
        "import sys\nprint(sys.stdin.buffer.read().decode().strip()[::-1])",
    ],
)
async def test_standard_input_is_read_in_every_usual_way(runner, code):
    """A program reads its input as it likes."""
    assert (await only(runner, code, stdin="größer\n")).output == "reßörg\n"


async def test_what_is_left_for_the_end_is_done(runner):
    """Threads are waited for, and what atexit holds is called, as in an interpreter of its own."""
    code = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'end')\n"
        "threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()\n"
        "print('main', end=' ')"
    )
    assert (await only(runner, code)).output == "main thread\nend\n"


@pytest.mark.parametrize(
    ("code", "ending", "detail"),
    [
        ("1 / 0", Ending.RAISED, "ZeroDivisionError: division by zero (line 1)"),
        ("x = (", Ending.RAISED, "SyntaxError: '(' was never closed (solution.py, line 1) (line 1)"),
        ("import sys\nsys.exit(3)", Ending.RAISED, "SystemExit: 3"),
        ("import sys\nsys.exit('sorry')", Ending.RAISED, "SystemExit: sorry"),
        ("import os\nos._exit(3)", Ending.RAISED, "it ended with status 3"),
        ("import os\nos.kill(os.getpid(), 9)", Ending.DIED, "it was ended by signal 9"),
        ("import sys\nsys.exit()", Ending.FINISHED, ""),
        ("import os\nos._exit(0)", Ending.FINISHED, ""),
    ],
)
async def test_how_it_ended_is_told(runner, code, ending, detail):
    """An ending is a word and one line."""
    run = await only(runner, code)
    assert (run.ending, run.detail) == (ending, detail)


async def test_output_before_an_error_is_kept(runner):
    """What was printed before an error is there."""
    run = await only(runner, "print('before')\nraise KeyError('k')")
    assert (run.output, run.detail) == ("before\n", "KeyError: 'k' (line 2)")


async def test_time_is_over_when_it_is_over(runner):
    """A test that does not end is ended, whatever it does about signals."""
    code = (
        "import signal\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nprint('in', flush=True)\nwhile 1: pass"
    )
    run = await only(runner, code, limits=SHORT)
    assert run.ending is Ending.TIMED_OUT
    assert "0.7 s" in run.detail
    assert SHORT.seconds <= run.seconds < SHORT.seconds + 5


async def test_too_much_is_too_much(runner):
    """Who prints more than allowed is ended, and what is kept is no more than that."""
    run = await only(runner, "print('x' * 20_000)")
    assert (run.ending, len(run.output)) == (Ending.TOO_MUCH, 10_000)


async def test_bytes_that_are_no_text_come_as_text(runner):
    """Output is text, whatever bytes it was."""
    run = await only(runner, "import os\nos.write(1, b'a\\xffb')")
    assert run.output == "a\N{REPLACEMENT CHARACTER}b"


async def test_calls_return_json_text(runner):
    """A call's value is JSON text: tuples are lists, sets sorted lists, iterators run out."""
    code = "def f(x, *, y=None):\n    print('said')\n    return (x, y, {3, 1, 2}, iter('ab'), {1: None})"
    run = await called(runner, code, "f", [1.5, "ü"], y={"k": True})
    assert run.ending is Ending.FINISHED
    assert isinstance(run.value, str)
    assert json.loads(run.value) == [[1.5, "ü"], {"k": True}, [1, 2, 3], ["a", "b"], {"1": None}]
    assert run.output == "said\n"


@pytest.mark.parametrize(
    ("code", "entry", "value"),
    [
        ("class Solution:\n    def f(self, xs: List[int]) -> int:\n        return sum(xs)", "Solution.f", "6"),
        ("class Solution:\n    def f(self, xs):\n        return sum(xs)", "f", "6"),
        ("class Solution:\n    def f(self, xs):\n        return pow(2, len(xs), 5) + gcd(6, 9)", "Solution.f", "6"),
        ("async def f(xs):\n    return sum(xs)", "f", "6"),
        ("f = lambda xs: sum(xs)", "f", "6"),
        ("from functools import reduce as f0\nclass f:\n    def __new__(cls, xs):\n        return sum(xs)", "f", "6"),
        ("def f(xs):\n    return 10 ** 5000 > sum(xs)", "f", "true"),
        ("def f(xs):\n    return None", "f", "null"),
        ("def f(xs):\n    return float('nan')", "f", "NaN"),
    ],
)
async def test_an_entry_is_found_as_problems_name_it(runner, code, entry, value):
    """An entry is a function, a method of class Solution named with or without its class, or a coroutine."""
    assert (await called(runner, code, entry, [1, 2, 3])).value == value


async def test_a_whole_number_has_any_length(runner):
    """A value is not cut where Python's own reading of numbers would stop."""
    run = await called(runner, "def f():\n    return 10 ** 5000", "f")
    assert run.value == "1" + "0" * 5000


@pytest.mark.parametrize(
    ("code", "ending", "detail"),
    [
        ("def g(): pass", Ending.RAISED, "NameError: the code defines no f"),
        ("f = 3", Ending.RAISED, "TypeError: f is not a function"),
        ("def f(): return object()", Ending.RAISED, "TypeError: a value of type object cannot be said as JSON"),
        ("def f(): return {(1, 2): 3}", Ending.RAISED, "TypeError: keys must be str, int, float, bool or None"),
        ("import sys\ndef f(): sys.exit(0)", Ending.RAISED, "SystemExit: 0"),
        ("import os\ndef f(): os._exit(0)", Ending.DIED, "it ended without returning"),
        ("def f(a): pass", Ending.RAISED, "TypeError: f() missing 1 required positional argument: 'a'"),
    ],
)
async def test_a_call_without_a_value_says_why(runner, code, ending, detail):
    """No value is ever made up: leaving early, returning what cannot be said, having no such function."""
    run = await called(runner, code, "f")
    assert (run.ending, run.value) == (ending, None)
    assert run.detail.startswith(detail)


async def test_the_main_part_of_a_module_is_not_run_by_a_call(runner):
    """A call reads the code as a module."""
    run = await called(
        runner, "def f():\n    return __name__\nif __name__ == '__main__':\n    raise SystemExit(9)", "f"
    )
    assert run.value == '"solution"'


async def test_files_lie_beside_the_code(runner):
    """A call's code imports from the files of its program."""
    files = {"pack/__init__.py": "", "pack/mod.py": "def f(x):\n    return x + 1\n", "data.txt": "7"}
    program = Program(code="from pack.mod import f", entry="f", calls=(Call(args=(1,)),) * 3, files=files, limits=LONG)
    assert [run.value for run in await runner.run(program)] == ["2", "2", "2"]
    run = await only(runner, "print(open('data.txt').read())", files=files, entry="of no meaning to a script")
    assert run.output == "7\n"


async def test_a_command_runs_in_a_folder_with_the_files(runner):
    """A command runs where the files lie, may write there, and its errors come with its output."""
    test = (
        "import unittest, mod\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(mod.f(), 3)"
    )
    files = {"mod.py": "def f(): return 3", "test_mod.py": test}
    program = Program(code="", files=files, command=("python", "-m", "unittest", "-v"), limits=LONG)
    (run,) = await runner.run(program)
    assert run.ending is Ending.FINISHED
    assert "OK" in run.output
    wrong = program.model_copy(update={"files": {**files, "mod.py": "def f(): return 4"}})
    (run,) = await runner.run(wrong)
    assert run.ending is Ending.RAISED
    assert "AssertionError: 4 != 3" in run.output
    write = ("python3", "-c", "print(open('out', 'w').write('abc'), input())")
    (run,) = await runner.run(Program(code="", command=write, inputs=("in",), limits=LONG))
    assert (run.ending, run.output) == (Ending.FINISHED, "3 in\n")


async def test_a_command_that_is_not_there_is_no_success(runner):
    """A program that cannot be started is an error with its name."""
    (run,) = await runner.run(Program(code="", command=("no-such-program",)))
    assert run.ending is Ending.RAISED
    assert "no-such-program" in run.detail


@with_node
async def test_javascript_runs_in_node(runner):
    """Inputs and calls of JavaScript run in node."""
    code = "const lines = require('fs').readFileSync(0, 'utf8').split('\\n');\nconsole.log(Number(lines[0]) * 2)"
    run = await only(runner, code, stdin="21\n", language="javascript")
    assert (run.ending, run.output) == (Ending.FINISHED, "42\n")
    calls = (Call(args=([1, 2],)), Call(args=([],)))
    add = "function add(xs) { if (!xs.length) throw new Error('empty'); return {sum: xs.reduce((a, b) => a + b)} }"
    good, bad = await runner.run(Program(code=add, language="javascript", entry="add", calls=calls, limits=LONG))
    assert (good.ending, good.value) == (Ending.FINISHED, '{"sum":3}')
    assert (bad.ending, bad.value, bad.detail) == (Ending.RAISED, None, "Error: empty")


@with_node
async def test_typescript_runs_or_says_what_is_missing(runner):
    """TypeScript runs where node strips types, and is refused with that reason elsewhere."""
    code = "export function twice(x: number): number { return x * 2 }"
    calls = (Call(args=(4,)), Call(args=(5,)))
    runs = await runner.run(Program(code=code, language="typescript", entry="twice", calls=calls, limits=LONG))
    if find_runtimes().strips_types:
        assert [run.value for run in runs] == ["8", "10"]
    else:
        assert {(run.ending, "22.6" in run.detail) for run in runs} == {(Ending.REFUSED, True)}
        assert len(runs) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": ("a",), "calls": (Call(),), "entry": "f"},
        {"calls": (Call(),)},
        {"files": {"../out.py": ""}},
        {"files": {"/out.py": ""}},
        {"command": ("true",), "calls": (Call(),), "entry": "f"},
        {"language": "javascript", "entry": "f(); evil", "calls": (Call(),)},
    ],
)
async def test_a_program_that_contradicts_itself_is_turned_down(runner, fields):
    """What cannot be meant is said at once, and not run."""
    if fields.get("language") == "javascript" and shutil.which("node") is None:
        pytest.skip("node is not installed")
    with pytest.raises(MisuseError):
        await runner.run(Program.model_validate({"code": "", **fields}))


async def test_many_programs_at_once_keep_their_answers_apart(runner):
    """Programs of several tasks run at once, and each gets its own runs."""
    programs = [Program(code=f"print(input() + '{n}')", inputs=("a", "b"), limits=LONG) for n in range(8)]
    found = await asyncio.gather(*map(runner.run, programs))
    assert [[run.output for run in runs] for runs in found] == [[f"a{n}\n", f"b{n}\n"] for n in range(8)]
