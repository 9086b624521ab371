"""What the answers' programs did: run in the executor, kept as they come, each program once.

The programs run after the last question was answered: beside a model server that works they would be slower than
they are, and so would it. A program is known by everything that is run, so answers with the same code share its runs.
An executor that is lost is waited for, and the program that it was lost with is run again; nothing is ever run, or
scored, without it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from flywheel.core.clocks import Clock
from flywheel.core.errors import MisuseError, PermanentError, UnavailableError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.verdicts import Problem
from flywheel.gate.evidence import Answer, weigh
from flywheel.gate.line_logs import LineLog, Place, whole_lines
from flywheel.gate.metrics.registry import METRICS
from flywheel.gate.metrics.scores import ExecutedMetric
from flywheel.gate.specs import Patience
from flywheel.sandbox.clients import Runner
from flywheel.sandbox.languages import count_runs
from flywheel.sandbox.programs import Ending, Program, Run

RUNS = "runs.jsonl"
_GRACE_SECONDS = 120.0  # beside twice the time of the tests: programs of others may be waiting, too


class Ran(Frozen):
    """A program, by its hash, and what each of its tests did."""

    program: str
    runs: tuple[Run, ...]


class RunLog(LineLog):
    """One file of runs, each program's kept once. They stay on disk: what a program printed may be long."""

    def __init__(self, path: Path) -> None:
        """Open the file and know which programs were run before."""
        super().__init__(path)
        self._places: dict[str, Place] = {}
        for place, line in self.lines():
            if (ran := _ran(line)) is not None:
                self._places.setdefault(ran.program, place)

    def __len__(self) -> int:
        """Count the programs."""
        return len(self._places)

    def __contains__(self, program: str) -> bool:
        """Tell whether a program was run, by its key."""
        return program in self._places

    def get(self, program: Program) -> tuple[Run, ...] | None:
        """Return what a program did; None when it was not run."""
        place = self._places.get(program_key(program))
        ran = _ran(self.read(place)) if place else None
        return ran.runs if ran else None

    def append(self, ran: Ran) -> None:
        """Keep what a program did; what it did a second time is not kept."""
        if ran.program not in self._places:
            self._places[ran.program] = self.write(ran.model_dump_json(exclude_defaults=True).encode())
            self.settle()


class Executions:
    """Runs programs with bounded concurrency and keeps what they did."""

    def __init__(self, runner: Runner, log: RunLog, clock: Clock, patience: Patience, width: int) -> None:
        """Run in a runner, `width` programs at once, keep in a log, and bear with a runner that is lost for a while."""
        self._runner = runner
        self._log = log
        self._clock = clock
        self._patience = patience
        self._width = width

    async def stand_by(self) -> None:
        """Return when the runner contains what it runs; raises UnavailableError when it did not in good time."""
        begun, pause = self._clock.monotonic(), self._patience.first_pause
        while why := await self._why_not():
            if self._clock.monotonic() - begun > self._patience.silence:
                raise UnavailableError(f"model-written code cannot be run here: {why}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.longest_pause)

    async def run_all(self, programs: Mapping[str, Program], tell: Callable[[], None]) -> None:
        """Run every program that was not run yet; tell after each.

        Those that the executor was lost with run again one by one: whose fault it was shows only then.
        """
        waiting = iter([(key, program) for key, program in programs.items() if key not in self._log])
        lost: list[tuple[str, Program]] = []
        workers = [asyncio.ensure_future(self._work(waiting, lost, tell)) for _ in range(self._width)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        for key, program in lost:
            self._log.append(Ran(program=key, runs=await self._run_alone(program)))
            tell()

    async def _work(
        self, waiting: Iterator[tuple[str, Program]], lost: list[tuple[str, Program]], tell: Callable[[], None]
    ) -> None:
        for key, program in waiting:
            try:
                self._log.append(Ran(program=key, runs=await self._run(program)))
            except UnavailableError:
                lost.append((key, program))
                await self.stand_by()
            else:
                tell()

    async def _run_alone(self, program: Program) -> tuple[Run, ...]:
        reason = ""
        for _ in range(self._patience.tries):
            await self.stand_by()
            try:
                return await self._run(program)
            except UnavailableError as error:
                reason = error.message
                await asyncio.sleep(self._patience.first_pause)
        await self.stand_by()
        # The executor stands, and falls whenever it runs this program and nothing else.
        return (Run(ending=Ending.DIED, detail=f"the executor was lost with it: {reason}"),) * count_runs(program)

    async def _run(self, program: Program) -> tuple[Run, ...]:
        longest = _GRACE_SECONDS + 2 * count_runs(program) * (program.limits.seconds + 1)
        try:
            async with asyncio.timeout(longest):
                runs = await self._runner.run(program)
        except TimeoutError as error:
            raise UnavailableError(f"the executor gave no answer for {longest:.0f} s") from error
        except MisuseError as error:
            return (Run(ending=Ending.REFUSED, detail=error.message),) * count_runs(program)
        if len(runs) != count_runs(program):
            raise UnavailableError(f"the executor told {len(runs)} of {count_runs(program)} tests")
        return tuple(runs)

    async def _why_not(self) -> str:
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                return await self._runner.check()
        except TimeoutError:
            return f"the executor gave no answer for {_GRACE_SECONDS:.0f} s — start it again (docs/executor.md)"
        except UnavailableError as error:
            return str(error)


def programs_of(problems: Iterable[Problem], answers: Iterable[Answer]) -> dict[str, Program]:
    """Return every program that must run before these answers have scores, by its key; equal ones once."""
    executed = {one.id: one for one in problems if isinstance(METRICS[one.kind], ExecutedMetric)}
    found = (weigh(executed[answer.problem], answer) for answer in answers if answer.problem in executed)
    return {program_key(one): one for one in found if isinstance(one, Program)}


def are_executed(problems: Iterable[Problem]) -> bool:
    """Tell whether any of these problems can be judged only by running what is answered."""
    return any(isinstance(METRICS[kind], ExecutedMetric) for kind in {problem.kind for problem in problems})


def program_key(program: Program) -> str:
    """Return what a program is known by: everything that is run, and how."""
    return content_hash(program.model_dump(mode="json"))


def read_runs(path: Path) -> Iterator[Ran]:
    """Yield the runs of another measurement, whose file is left as it is."""
    return (ran for line in whole_lines(path) if (ran := _ran(line)) is not None)


def check_refusals(log: RunLog, programs: Mapping[str, Program]) -> None:
    """Raise when every program was refused: that says something about the executor and nothing about an answer."""
    refusal = ""
    for program in programs.values():
        for run in log.get(program) or ():
            if run.ending is not Ending.REFUSED:
                return
            refusal = refusal or run.detail
    if refusal:
        raise PermanentError(f"the executor refuses every program: {refusal}", "see docs/executor.md")


def _ran(line: bytes) -> Ran | None:
    try:
        return Ran.model_validate_json(line)
    except ValidationError:
        return None
