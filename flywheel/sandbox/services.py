"""What the executor answers its clients: runs what it is sent in its boxes, and says what came of it.

The words of the socket stand in docs/executor.md. Whoever sends what cannot be read is told so and let go; nobody's
mistake costs another client anything.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import structlog
from pydantic import ValidationError

from flywheel.core.errors import CorruptError, MisuseError, UnavailableError
from flywheel.sandbox.frames import encode, read_frame
from flywheel.sandbox.languages import Trial, UnsupportedError, count_runs, trials_of
from flywheel.sandbox.plans import Plan, Site, find_site
from flywheel.sandbox.pools import Pool
from flywheel.sandbox.programs import Ending, Program, Run
from flywheel.sandbox.self_tests import why_not_held

log = structlog.get_logger(__name__)

_CLIENTS = 128
_NO_COMMANDS = 'a command needs bubblewrap: containment = "landlock" runs Python alone'


class Service:
    """Boxes behind a door: answers clients, several at once."""

    def __init__(self, plan: Plan) -> None:
        """Serve by this plan."""
        self._plan = plan
        self._site: Site | None = None
        self._pool: Pool | None = None
        self._clients: set[asyncio.Task[Any]] = set()
        self._begun = asyncio.Event()
        self.why_not = "the executor has not begun"

    async def begin(self) -> None:
        """Make the boxes and prove that they hold; `why_not` says what stands in the way."""
        await self.close()
        self.why_not = await self._why_not()
        self._begun.set()

    async def leave(self) -> None:
        """Let every client go, and end every box."""
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await self.close()

    async def close(self) -> None:
        """End every box."""
        if self._pool is not None:
            await self._pool.close()
        self._pool = None

    async def _why_not(self) -> str:
        try:
            self._site = await asyncio.to_thread(find_site, self._plan)
            self._pool = Pool(self._site.make, self._plan.workers)
            await self._pool.start()
            commands = self._plan.containment == "bubblewrap"
            why = await why_not_held(self._pool, commands=commands, python=self._site.ground.interpreter)
        except UnavailableError as error:
            why = str(error)
        except OSError as error:
            why = f"the self-test cannot be done here: {error} — see docs/executor.md"
        if why:
            await self.close()
        return why

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it leaves, or we do."""
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > _CLIENTS:
                writer.write(encode({"unavailable": f"{_CLIENTS} clients are here already"}))
                return
            await self._conversation(reader, writer)
        except (OSError, CorruptError) as error:
            log.debug("executor.client_lost", reason=str(error))
        except asyncio.CancelledError:
            log.debug("executor.client_left", reason="the executor is leaving")
        finally:
            self._clients.discard(task)
            writer.close()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer question after question; a client that leaves while its program runs ends the program."""
        coming = asyncio.create_task(self._question(reader, writer))
        try:
            while (question := await coming) is not None:
                coming = asyncio.create_task(self._question(reader, writer))
                answering = asyncio.create_task(self._say(question, writer))
                try:
                    await asyncio.wait({coming, answering}, return_when=asyncio.FIRST_COMPLETED)
                    if not answering.done() and coming.result() is not None:
                        await answering
                finally:
                    await _ended(answering)
        finally:
            await _ended(coming)

    async def _question(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any] | None:
        try:
            return await read_frame(reader)
        except CorruptError as error:
            writer.write(encode({"refused": str(error)}))
            return None

    async def _say(self, question: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        try:
            async with contextlib.aclosing(self._words(question)) as words:
                async for word in words:
                    writer.write(encode(word))
                    await writer.drain()
        except MisuseError as error:
            writer.write(encode({"refused": str(error)}))
        except UnavailableError as error:
            writer.write(encode({"unavailable": str(error)}))

    async def _words(self, question: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        await self._begun.wait()
        if question == {"ask": "check"}:
            yield {"why_not": self.why_not}
            return
        program = _program(question)
        if self.why_not or self._pool is None:
            raise UnavailableError(self.why_not or "the executor is leaving")
        count = 0
        async with contextlib.aclosing(self._runs(program, self._pool)) as runs:
            async for run in runs:
                count += 1
                yield {"run": run.model_dump()}
        yield {"done": count}

    async def _runs(self, program: Program, pool: Pool) -> AsyncGenerator[Run, None]:
        try:
            trials = self._trials(program)
        except UnsupportedError as error:
            for _ in range(count_runs(program)):
                yield Run(ending=Ending.REFUSED, detail=str(error))
            return
        ahead: list[asyncio.Task[Run]] = []
        coming = iter(trials)
        try:
            ahead += _tasks(pool, coming, pool.workers)
            while ahead:
                run = await ahead[0]
                ahead.pop(0)
                ahead += _tasks(pool, coming, 1)
                yield run
        finally:
            for task in ahead:
                await _ended(task)

    def _trials(self, program: Program) -> tuple[Trial, ...]:
        assert self._site is not None
        program = program.model_copy(update={"limits": self._plan.within(program.limits)})
        if self._plan.containment == "landlock" and (program.command or program.language != "python"):
            raise UnsupportedError(_NO_COMMANDS)
        return trials_of(program, self._site.runtimes)


def _tasks(pool: Pool, trials: Iterable[Trial], most: int) -> list[asyncio.Task[Run]]:
    """Start the next trials: so many of a program at once as there are boxes, so that others have their turn."""
    return [asyncio.create_task(pool.run(trial)) for _, trial in zip(range(most), trials, strict=False)]


async def _ended(task: "asyncio.Task[Any]") -> None:
    """End a task that is not wanted any more, and wait until it has put its box back."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, UnavailableError, OSError):
        await task


def _program(question: dict[str, Any]) -> Program:
    if question.get("ask") != "run" or question.keys() != {"ask", "program"}:
        raise MisuseError("a question is a check or a run with its program", "see docs/executor.md")
    try:
        return Program.model_validate(question["program"])
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"])
        raise MisuseError(f"{where}: {found['msg']}", "see docs/executor.md") from error
