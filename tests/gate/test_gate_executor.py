"""Measuring against the real executor, as a process in its own home."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gate_house import IMPATIENT, make_gate, make_spec
from measuring_house import StreamingServer, code_problem, publish_problems

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import UnavailableError
from flywheel.gate.measuring import measure
from flywheel.gate.results import read_result
from flywheel.gate.runs import Executions, RunLog, program_key
from flywheel.sandbox.clients import Executor
from flywheel.sandbox.doubles import PlainExecutor
from flywheel.sandbox.programs import Call, Ending, Program

PATIENT = IMPATIENT.model_copy(update={"first_pause": 0.1, "longest_pause": 0.5, "silence": 60})


class Service:
    """`flywheel executor` in a home of its own."""

    def __init__(self, home):
        self.home, self.socket, self.process = home, home / "executor.sock", None

    def start(self):
        """Start it; it may take a moment before it listens."""
        settings = {**os.environ, "FLYWHEEL_HOME": str(self.home)}
        argv = [sys.executable, "-m", "flywheel", "executor"]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=settings, stdout=log, stderr=log, start_new_session=True)

    def stop(self, number=signal.SIGTERM):
        """End it."""
        self.process.send_signal(number)
        self.process.wait(20)


@pytest.fixture
def service():
    with tempfile.TemporaryDirectory(prefix="fw-") as home:  # a socket's path is short
        made = Service(Path(home))
        made.start()
        try:
            asyncio.run(_fit(made))
            yield made
        finally:
            made.stop()


async def _fit(service):
    """Return when it evaluates; skip where this machine's kernel gives no box."""
    runner, why = Executor(service.socket), "it does not listen"
    for _ in range(300):
        assert service.process.poll() is None, (service.home / "log").read_text()
        try:
            why = await runner.check()
        except UnavailableError as error:
            why = str(error)
        if not why:
            return
        await asyncio.sleep(0.1)
    pytest.skip(f"no box on this machine: {why}")


def program(number):
    code = f"import time\n\ndef f(n):\n    time.sleep(0.05)\n    return n * {number}\n"
    return Program(code=code, entry="f", calls=(Call(args=(2,)), Call(args=(3,))))


def test_code_is_judged_in_the_box_as_outside_of_it(service, tmp_path):
    """The real executor and the double of it give the same numbers for the same answers."""
    problems = [code_problem(n) for n in range(4)]
    found = []
    for name, runner in (("box", Executor), ("plain", lambda _: PlainExecutor())):
        manifest = publish_problems(tmp_path / "suites", problems)
        suite = str(tmp_path / "suites" / manifest.hash)
        (tmp_path / name).mkdir()
        found.append(asyncio.run(_measured(tmp_path / name, manifest, suite, service.socket, runner)))
    assert found[0] == found[1]
    assert found[0]["candidate.score"] > found[0]["base.score"]
    assert 0 < found[0]["base.tests"] < 1


async def _measured(folder, manifest, suite, socket, runner):
    chances = {"base": 0.2, "scope@1": 0.9}
    async with StreamingServer(chances=chances) as server:
        spec = make_spec(folder, server.url, manifest, suite_path=suite, executor=str(socket), patience=PATIENT,
                         gate=make_gate(minimum_problems=2))  # fmt: skip
        await asyncio.to_thread(measure, spec, SystemClock(), runner)
    timed = ("latency", "second", "first_token")
    return {name: value for name, value in read_result(Path(spec.out))[0].numbers.items()
            if not any(word in name for word in timed)}  # fmt: skip


def test_an_executor_killed_in_the_middle_costs_no_program(service, tmp_path):
    """Killed with SIGKILL while programs run and started again, every program has its own right result."""
    wanted = {program_key(one): one for one in map(program, range(24))}
    with RunLog(tmp_path / "runs.jsonl") as log:
        asyncio.run(_killed_at(service, log, wanted, 7))
        kept = [log.get(one) for one in wanted.values()]
    assert [[run.ending for run in runs] for runs in kept] == [[Ending.FINISHED] * 2] * 24
    assert [[run.value for run in runs] for runs in kept] == [[str(2 * n), str(3 * n)] for n in range(24)]


async def _killed_at(service, log, wanted, enough):
    async def kill():
        while len(log) < enough:  # noqa: ASYNC110 - the runs are another task's
            await asyncio.sleep(0.005)
        service.stop(signal.SIGKILL)
        service.start()

    executions = Executions(Executor(service.socket), log, SystemClock(), PATIENT, 2)
    await asyncio.gather(executions.run_all(wanted, lambda: None), kill())
