import asyncio
import os
import random
import signal
from pathlib import Path

import pytest
from gate_house import IMPATIENT, make_gate, make_spec, write_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring_house import STILL, StreamingServer, code_problem, publish_problems, tool_problem

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import CorruptError, MisuseError, PermanentError, UnavailableError
from flywheel.gate import runs
from flywheel.gate.evidence import Answer, compare, score_answer
from flywheel.gate.measuring import main, measure
from flywheel.gate.results import is_done, read_result
from flywheel.gate.runs import Executions, Ran, RunLog, check_refusals, program_key, programs_of
from flywheel.sandbox.doubles import PlainExecutor
from flywheel.sandbox.programs import Call, Ending, Limits, Program, Run

SEEDS = range(25) if os.environ.get("FLYWHEEL_SOAK") else [7]
CODE = "```python\ndef double(n):\n    return n * 2\n```"


def program(number, tests=2):
    return Program(code=f"n = {number}", entry="f", calls=tuple(Call(args=(n,)) for n in range(tests)))


def keyed(*programs):
    return {program_key(one): one for one in programs}


class ShakyExecutor:
    """Runs nothing and says so as told: lost with some programs, unfit for a while, refusing, or answering short."""

    def __init__(self, **settings):
        self.poison = settings.get("poison", ())
        self.outages = settings.get("outages", 0)
        self.unfit = settings.get("unfit", 0)
        self.refuses = settings.get("refuses", False)
        self.short = settings.get("short", 0)
        self.hangs = settings.get("hangs", 0)
        self.asked, self.under_way, self.most = [], set(), 0

    async def check(self):
        """Be unfit as often as told."""
        if self.unfit > 0:
            self.unfit -= 1
            return "user namespaces are blocked; install the profile"
        return ""

    async def run(self, asked):
        """Run nothing."""
        self.asked.append(asked)
        if self.refuses:
            raise MisuseError("no node here")
        if self.hangs > 0:
            self.hangs -= 1
            await asyncio.sleep(600)
        self.under_way.add(asked.code)
        self.most = max(self.most, len(self.under_way))
        try:
            for _ in range(5):
                await asyncio.sleep(0)
                if self.under_way & set(self.poison) or self.outages:
                    self.outages -= bool(self.outages)
                    raise UnavailableError("the connection broke")
        finally:
            self.under_way.discard(asked.code)
        self.short -= bool(self.short)
        return (Run(ending=Ending.FINISHED, value="1"),) * (len(asked.calls) - bool(self.short))


async def execute(folder, runner, programs, **patience):
    """Run programs; return what is kept of them."""
    borne = IMPATIENT.model_copy(update={"first_pause": 0.001, **patience})
    with RunLog(folder / "runs.jsonl") as log:
        await Executions(runner, log, SystemClock(), borne, 3).run_all(keyed(*programs), lambda: None)
        return [log.get(one) for one in programs]


@pytest.mark.asyncio
async def test_each_program_is_run_once_and_kept(tmp_path):
    """Equal programs are one; what was run before is not run again; several run at once, not more than allowed."""
    runner, wanted = ShakyExecutor(), [program(n % 8) for n in range(20)]
    first = await execute(tmp_path, runner, wanted)
    assert (len(runner.asked), runner.most) == (8, 3)
    assert await execute(tmp_path, runner, [*wanted, program(99)]) == [*first, first[0]]
    assert len(runner.asked) == 9


@pytest.mark.asyncio
async def test_a_lost_executor_costs_time_and_no_run(tmp_path):
    """Programs that were under way when the executor was lost are run again when it is back."""
    runner = ShakyExecutor(outages=4)
    kept = await execute(tmp_path, runner, [program(n) for n in range(9)])
    assert {run.ending for runs in kept for run in runs} == {Ending.FINISHED}
    assert len(runner.asked) == 9 + 4


@pytest.mark.asyncio
async def test_only_the_program_that_takes_the_executor_down_dies(tmp_path):
    """Those that ran beside it get their own result; it gets its end after as many tries as allowed, alone."""
    runner, wanted = ShakyExecutor(poison=("n = 4",)), [program(n) for n in range(9)]
    kept = await execute(tmp_path, runner, wanted)
    endings = [{run.ending for run in runs} for runs in kept]
    assert endings == [{Ending.DIED} if n == 4 else {Ending.FINISHED} for n in range(9)]
    assert sum(one.code == "n = 4" for one in runner.asked) == 1 + IMPATIENT.tries


@pytest.mark.asyncio
async def test_an_executor_that_answers_short_is_not_believed(tmp_path):
    """Fewer runs than tests are no result."""
    kept = await execute(tmp_path, ShakyExecutor(short=1), [program(n) for n in range(3)])
    assert [len(runs) for runs in kept] == [2, 2, 2]


@pytest.mark.asyncio
async def test_an_executor_that_hangs_is_lost(tmp_path, monkeypatch):
    """Who gives no answer in more than twice the time of the tests is asked again."""
    monkeypatch.setattr(runs, "_GRACE_SECONDS", -40.0)
    wanted = [program(n).model_copy(update={"limits": Limits(seconds=9.05)}) for n in range(2)]
    runner = ShakyExecutor(hangs=1)
    monkeypatch.setattr(runner, "check", _holds)
    kept = await execute(tmp_path, runner, wanted)
    assert {run.ending for each in kept for run in each} == {Ending.FINISHED}
    assert len(runner.asked) == 3


async def _holds():
    return ""


@pytest.mark.asyncio
async def test_without_containment_nothing_is_run(tmp_path):
    """A self-test that fails is waited for; when it keeps failing the sentence and the mend are told."""
    runner = ShakyExecutor(unfit=3)
    with RunLog(tmp_path / "runs.jsonl") as log:
        await Executions(runner, log, SystemClock(), IMPATIENT, 1).stand_by()
        runner.unfit = 10_000
        with pytest.raises(UnavailableError, match="user namespaces are blocked; install the profile"):
            await Executions(runner, log, SystemClock(), IMPATIENT, 1).stand_by()
    assert runner.asked == []


@pytest.mark.asyncio
async def test_an_executor_lost_for_good_ends_without_numbers(tmp_path):
    """When it does not come back the measurement ends, and what ran before is kept."""
    runner = ShakyExecutor()
    await execute(tmp_path, runner, [program(1)])
    runner.outages, runner.unfit = 1, 10_000
    with pytest.raises(UnavailableError):
        await execute(tmp_path, runner, [program(n) for n in range(4)])
    with RunLog(tmp_path / "runs.jsonl") as log:
        assert log.get(program(1)) is not None


@pytest.mark.asyncio
async def test_a_program_that_is_turned_down_is_refused_and_all_of_them_say_nothing(tmp_path):
    """One refusal is that answer's; when every program is refused the executor is at fault and no score is made."""
    kept = await execute(tmp_path, ShakyExecutor(refuses=True), [program(1)])
    assert [run.ending for run in kept[0]] == [Ending.REFUSED] * 2
    with RunLog(tmp_path / "runs.jsonl") as log:
        with pytest.raises(PermanentError, match="refuses every program: no node here"):
            check_refusals(log, keyed(program(1)))
        log.append(Ran(program=program_key(program(2)), runs=(Run(ending=Ending.RAISED),)))
        check_refusals(log, keyed(program(1), program(2)))


def test_what_was_not_run_has_no_score():
    """An answer whose program has no runs is an error, never a score; one without code is scored without running."""
    problem, answer = code_problem(1), Answer(problem="code-1", role="base", sample=0, text=CODE)
    with pytest.raises(CorruptError, match="was not run"):
        score_answer(problem, answer)
    right = (Run(ending=Ending.FINISHED, value="2"), Run(ending=Ending.FINISHED, value="-2"))
    assert score_answer(problem, answer, lambda _: right).value == 1
    assert score_answer(problem, answer, lambda _: right[::-1]).value == 0
    assert score_answer(problem, answer.model_copy(update={"text": "no code here"})).unusable


def test_answers_with_the_same_code_share_their_runs():
    """What is run is known by its content: whoever wrote it, and however often."""
    answers = [
        Answer(problem="code-1", role=role, sample=n, text=CODE) for role in ("base", "candidate") for n in (0, 1)
    ]
    problems = [code_problem(1), tool_problem(2)]
    assert len(programs_of(problems, [*answers, Answer(problem="tool-2", role="base", sample=0, text="x")])) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 900), st.binary(max_size=9))
def test_a_torn_file_of_runs_loses_its_torn_line_only(tmp_path_factory, cut, rubbish):
    """Whole lines before the tear are kept, and what is missing can be kept again."""
    path, wanted = tmp_path_factory.mktemp("torn") / "runs.jsonl", [program(n) for n in range(6)]
    made = [Ran(program=program_key(one), runs=(Run(ending=Ending.FINISHED, output="é" * n),) * 2)
            for n, one in enumerate(wanted)]  # fmt: skip
    with RunLog(path) as log:
        for ran in made:
            log.append(ran)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + rubbish.replace(b"\n", b""))
    with RunLog(path) as log:
        assert [log.get(one) is not None for one in wanted] == [n < whole[:cut].count(b"\n") for n in range(6)]
        for ran in random.Random(cut).sample(made, 6):
            log.append(ran)
        assert [log.get(one) for one in wanted] == [ran.runs for ran in made]
    with RunLog(path) as log:
        assert [log.get(one) for one in wanted] == [ran.runs for ran in made]


@pytest.mark.asyncio
async def test_code_is_judged_by_what_it_did(tmp_path):
    """Real programs, run by the double of the executor: scores, pass@k and tests passed stand in the report."""
    problems = [*(code_problem(n) for n in range(3)), *(tool_problem(n) for n in range(3))]
    manifest = publish_problems(tmp_path / "suites", problems)
    async with StreamingServer(chances={"base": 0.0, "scope@1": 1.0}) as server:
        spec = make_spec(tmp_path, server.url, manifest, executor="here", gate=make_gate(minimum_problems=2))
        await asyncio.to_thread(measure, spec, SystemClock(), lambda _: PlainExecutor())
    report, page = read_result(Path(spec.out))
    assert (report.numbers["candidate.score"], report.numbers["base.score"]) == (1.0, 0.0)
    assert (report.numbers["candidate.pass@2"], report.numbers["candidate.tests"]) == (1.0, 1.0)
    assert report.numbers["base.tests"] < 1
    assert b"code-1" in page


@pytest.mark.asyncio
@pytest.mark.parametrize(("socket", "told"), [("", "no executor is named"), ("/nowhere/socket", "no executor listens")])
async def test_a_suite_with_code_is_not_begun_without_an_executor(tmp_path, capsys, socket, told):
    """Nothing is asked, no number is made, and the line says what is missing and what to do."""
    manifest = publish_problems(tmp_path / "suites", [code_problem(1)])
    async with StreamingServer() as server:
        spec = make_spec(tmp_path, server.url, manifest, executor=socket)
        status = await asyncio.to_thread(main, [str(write_spec(spec))])
    said = capsys.readouterr().out.splitlines()
    assert (status, server.bodies, is_done(Path(spec.out))) == (1, [], False)
    assert told in said[-1]
    assert "executor.md" in said[-1]


async def start(spec):
    return await asyncio.create_subprocess_exec(*STILL, str(write_spec(spec)), stdout=asyncio.subprocess.DEVNULL)


async def unbroken(folder, server, problems, name, note=""):
    """Return the spec of a measurement in a folder of its own."""
    manifest = publish_problems(folder / "suites", problems)
    (folder / name).mkdir(exist_ok=True)
    return make_spec(
        folder / name, server.url, manifest, suite_path=str(folder / "suites" / manifest.hash),
        executor=str(folder / (note or name + ".ran")),
    )  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", SEEDS)
async def test_kills_at_any_moment_leave_the_report_of_an_unbroken_run(tmp_path, seed):
    """Asking or running, no question and no program twice beyond those under way, and the same bytes in the end."""
    problems = [*(tool_problem(n) for n in range(12)), *(code_problem(n) for n in range(12))]
    chance = random.Random(seed)
    async with StreamingServer(pause=0.004) as server:
        spec = await unbroken(tmp_path, server, problems, "broken")
        kills = await kill_until_done(spec, chance)
        asked = dict(server.asked)
        server.asked.clear()
        whole = await unbroken(tmp_path, server, problems, "whole")
        assert await (await start(whole)).wait() == 0
    assert kills >= 3
    assert set(asked) == set(server.asked)
    assert sum(asked.values()) - len(asked) <= kills * spec.gate.sampling.concurrency
    ran, once = (Path(one.executor).read_text().split() for one in (spec, whole))
    assert set(ran) == set(once)
    assert len(once) == len(set(once))
    assert len(ran) - len(set(ran)) <= kills * spec.executions
    for name in ("report.json", "report.html"):
        assert (Path(spec.out) / name).read_bytes() == (Path(whole.out) / name).read_bytes()


async def kill_until_done(spec, chance):
    """Start it again and again, end it by a signal when some more lines are kept; return how often it was ended."""
    kills = 0
    while not is_done(Path(spec.out)):
        process, had = await start(spec), lines_kept(spec)
        enough, looks = had + chance.randint(5, 60), chance.choice([10_000, 10_000, 300])
        while process.returncode is None and lines_kept(spec) < enough and looks:
            looks -= 1
            await asyncio.sleep(0.003)
        if process.returncode is None:
            process.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            kills += 1
        status = await process.wait()
        assert status in {0, -signal.SIGKILL, -signal.SIGTERM}
    return kills


def lines_kept(spec):
    kept = [Path(spec.out) / name for name in ("answers.jsonl", "runs.jsonl")]
    return sum(path.read_bytes().count(b"\n") for path in kept if path.exists())


def test_equal_evidence_gives_equal_reports_in_any_order():
    """The order in which answers came does not matter to what is concluded."""
    problems = [tool_problem(n) for n in range(4)]
    answers = [Answer(problem=one.id, role=role, sample=n, text=str(n), seconds=n + 1.0)
               for one in problems for role in ("base", "candidate") for n in range(3)]  # fmt: skip
    mixed = random.Random(1).sample(answers, len(answers))
    assert compare(problems, answers) == compare(problems, mixed)
