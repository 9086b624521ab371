"""The measuring process: `python -m flywheel.gate.measuring SPEC.json`, started and watched by the daemon.

It asks, keeps every answer, judges, and leaves `result.json` last. Killed at any moment it goes on where
it was. It speaks JSON lines on stdout; a failure is the last line and exit status 1.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flywheel.core.clocks import Clock, SystemClock
from flywheel.core.errors import FlywheelError
from flywheel.core.verdicts import Problem, Report
from flywheel.gate.answers import AnswerLog
from flywheel.gate.evidence import compare
from flywheel.gate.pages import render
from flywheel.gate.questions import Asker
from flywheel.gate.results import is_done, write_result
from flywheel.gate.specs import MeasureSpec, read_spec
from flywheel.gate.suites import read_manifest, read_problems
from flywheel.gate.verdicts import Subject, judge


class Progress:
    """Says how far it is, at most once a second and at the end."""

    def __init__(self, log: AnswerLog, of: int, clock: Clock) -> None:
        """Count from what was answered before."""
        self._log = log
        self._of = of
        self._clock = clock
        self._before = len(log.answers)
        self._begun = clock.monotonic()
        self._said = float("-inf")

    def tell(self) -> None:
        """Say it, unless it was said just now."""
        now, done = self._clock.monotonic(), len(self._log.answers)
        if now - self._said < 1 and done < self._of:
            return
        self._said = now
        fresh = done - self._before
        eta = (now - self._begun) / fresh * (self._of - done) if fresh else None
        say({"event": "progress", "done": done, "of": self._of, "eta_seconds": None if eta is None else round(eta, 1)})


def say(event: dict[str, Any]) -> None:
    """Write one line of the protocol."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def measure(spec: MeasureSpec, clock: Clock) -> None:
    """Do what a spec asks; a measurement that was finished stays as it is."""
    out = Path(spec.out)
    if is_done(out):
        return
    suite = Path(spec.suite_path)
    problems = read_problems(suite)
    with AnswerLog(out / "answers.jsonl") as log:
        progress = Progress(log, len(problems) * spec.gate.sampling.samples * len(spec.models), clock)
        asyncio.run(Asker(spec, log, clock, progress.tell).ask_all(problems))
    report, page = conclude(spec, problems, log, read_manifest(suite).format)
    write_result(out, report, page)


def conclude(spec: MeasureSpec, problems: Sequence[Problem], log: AnswerLog, usual: str) -> tuple[Report, str]:
    """Score the answers and judge them; the same answers always give the same report."""
    evidence = compare(problems, log.answers.values(), usual)
    subject = Subject(adapter=spec.adapter, suite=spec.suite, alpha=spec.alpha, models=spec.models)
    report = judge(evidence, spec.gate, subject)
    return report, render(report, spec.models["candidate"], evidence)


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
