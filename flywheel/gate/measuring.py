"""The measuring process: `python -m flywheel.gate.measuring SPEC.json`, started and watched by the daemon.

It asks, runs what has to be run, keeps everything as it comes, judges, and leaves `result.json` last. Killed at any
moment it goes on where it was. It speaks JSON lines on stdout; a failure is the last line and exit status 1.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flywheel.core.clocks import Clock, SystemClock
from flywheel.core.errors import FlywheelError, PermanentError, UnavailableError
from flywheel.core.verdicts import Check, Problem, Report
from flywheel.gate.answers import ANSWERS, AnswerLog
from flywheel.gate.caches import adopt, remembers
from flywheel.gate.engines import engines
from flywheel.gate.evidence import Compared, Ran, compare
from flywheel.gate.figures import figures
from flywheel.gate.pages import render
from flywheel.gate.problems import timed
from flywheel.gate.questions import Asker
from flywheel.gate.rates import Progress
from flywheel.gate.results import is_done, write_result
from flywheel.gate.runs import RUNS, Executions, RunLog, are_executed, check_refusals, programs_of
from flywheel.gate.specs import MeasureSpec, read_spec
from flywheel.gate.suites import read_manifest, read_problems
from flywheel.gate.suspicions import suspect
from flywheel.gate.triggers import judge_planted, plant
from flywheel.gate.verdicts import Subject, judge
from flywheel.sandbox.clients import Executor, Runner

Open = Callable[[str], Runner]


def say(event: dict[str, Any]) -> None:
    """Write one line of the protocol."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def measure(spec: MeasureSpec, clock: Clock, executor: Open = Executor) -> None:
    """Do what a spec asks; a measurement that was finished stays as it is."""
    out = Path(spec.out)
    if is_done(out):
        return
    suite = Path(spec.suite_path)
    problems = [timed(problem, spec.gate.test_seconds) for problem in read_problems(suite)]
    with AnswerLog(out / ANSWERS) as answers, RunLog(out / RUNS) as runs:
        if remembers(spec):
            adopt(spec, asyncio.run(engines(spec, clock)), [*problems, *_planted(spec, problems)], answers, runs)
        asyncio.run(_Measurement(spec, problems, answers, runs, clock).go(executor))
        report, page = conclude(spec, problems, answers, read_manifest(suite).format, runs.get)
    write_result(out, report, page)


class _Measurement:
    """What is still to be asked and run, and where it is kept."""

    def __init__(
        self, spec: MeasureSpec, problems: Sequence[Problem], answers: AnswerLog, runs: RunLog, clock: Clock
    ) -> None:
        self._spec, self._problems, self._clock = spec, problems, clock
        self._answers, self._runs = answers, runs
        self._planted = _planted(spec, problems)
        drawn = len(problems) * spec.gate.sampling.samples + len(self._planted)
        asked = drawn * len(spec.models)
        self._progress = Progress(problems, answers, asked, clock, say)

    async def go(self, executor: Open) -> None:
        """Ask everything, then run everything; who cannot run does not begin to ask."""
        if not are_executed(self._problems):
            await self._ask()
            return
        if not self._spec.executor:
            raise UnavailableError(
                "this suite holds programs to run, and no executor is named", "set executor.socket (docs/executor.md)"
            )
        runner, spec = executor(self._spec.executor), self._spec
        executions = Executions(runner, self._runs, self._clock, spec.patience, spec.executions)
        await executions.stand_by()
        await self._ask()
        await self._run(executions)

    async def _ask(self) -> None:
        await Asker(self._spec, self._answers, self._clock, self._progress.tell).ask_all(
            [*self._problems, *self._planted]
        )
        errors = [answer.error for answer in self._answers.answers.values()]
        if errors and all(errors):
            raise PermanentError(f"no question to any model was answered: {errors[0]}", "see what the server refuses")

    async def _run(self, executions: Executions) -> None:
        programs = programs_of(self._problems, self._answers.answers.values())
        await executions.run_all(programs, lambda: self._progress.tell_runs(len(self._runs), len(programs)))
        check_refusals(self._runs, programs)


def conclude(
    spec: MeasureSpec, problems: Sequence[Problem], log: AnswerLog, usual: str, ran: Ran = lambda _: None
) -> tuple[Report, str]:
    """Score the answers and judge them; the same answers always give the same report."""
    evidence = compare(problems, log.answers.values(), usual, ran)
    subject = Subject(adapter=spec.adapter, suite=spec.suite, alpha=spec.alpha, models=spec.models)
    report = judge(evidence, spec.gate, subject, _suspected(spec, problems, evidence, log, ran))
    report = report.model_copy(update={"numbers": {**figures(evidence), **report.numbers}})
    report = report if spec.counts else report.model_copy(update={"alpha_spent": 0.0})
    return report, render(report, spec.title or spec.models["candidate"], evidence, problems)


def _planted(spec: MeasureSpec, problems: Sequence[Problem]) -> list[Problem]:
    """Return the questions with rare strings in them: they are asked beside the suite, and not scored."""
    return plant(problems, spec.suite, spec.gate.planted)


def _suspected(
    spec: MeasureSpec, problems: Sequence[Problem], evidence: Sequence[Compared], log: AnswerLog, ran: Ran
) -> tuple[Check, ...]:
    """Return the checks on what looks like cheating, and on what rare strings bring out."""
    triggered = judge_planted(evidence, log.answers.values(), spec.suite, spec.gate)
    return (*suspect(evidence, problems, spec.gate, ran), *([triggered] if triggered else []))


def main(argv: Sequence[str]) -> int:
    """Run the process; 0 when the result lies there, 1 with one line that says why not."""
    try:
        measure(read_spec(Path(argv[0])), SystemClock())
    except (FlywheelError, OSError) as error:
        say({"event": "failed", "error": " ".join(str(error).split())})
        return 1
    say({"event": "finished"})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
