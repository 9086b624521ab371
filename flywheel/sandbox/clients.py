"""The gate's side of the executor's socket: programs go out, what they did comes back, nothing else."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import ValidationError

from flywheel.core.errors import CorruptError, MisuseError, UnavailableError
from flywheel.sandbox.frames import encode, read_frame
from flywheel.sandbox.languages import count_runs, said
from flywheel.sandbox.programs import Program, Run

_START = "start it: `flywheel executor` (docs/executor.md)"


class Runner(Protocol):
    """Whoever runs programs: the executor's client, or a double."""

    async def run(self, program: Program) -> tuple[Run, ...]:
        """Return one Run for each input or call, in order; one Run where a program has neither."""
        ...

    async def check(self) -> str:
        """Return nothing when programs are contained, else the sentence why not, with the mend."""
        ...


class Executor:
    """Asks the executor behind a socket. Every call opens a connection of its own: use it from as many tasks as like.

    Raises UnavailableError when nobody listens, the connection breaks or the executor may not evaluate, MisuseError
    when the executor turns the program down as malformed.
    """

    def __init__(self, path: Path | str) -> None:
        """Talk to the socket at `path`."""
        self._path = str(path)

    async def __aenter__(self) -> Self:
        """Give itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing open: every call has closed its own connection."""

    async def run(self, program: Program) -> tuple[Run, ...]:
        """Return one Run for each input or call of the program, in order."""
        runs: list[Run] = []
        async with aclosing(self._answers({"ask": "run", "program": said(program)})) as answers:
            async for answer in answers:
                if answer.get("done") == len(runs) == count_runs(program):
                    return tuple(runs)
                runs.append(_run(answer.get("run")))
        raise UnavailableError("the executor closed the connection in the middle", _START, delay=2)

    async def check(self) -> str:
        """Return nothing when the executor contains what it runs, else why not and how to mend it."""
        async with aclosing(self._answers({"ask": "check"})) as answers:
            async for answer in answers:
                return str(answer.get("why_not", ""))
        raise UnavailableError("the executor closed the connection in the middle", _START, delay=2)

    async def _answers(self, question: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        frame = encode(question)
        async with self._connected() as (reader, writer):
            try:
                writer.write(frame)
                await writer.drain()
                while (answer := await read_frame(reader)) is not None:
                    yield _accepted(answer)
            except (OSError, CorruptError) as error:
                raise UnavailableError(f"the executor at {self._path} broke off: {error}", _START, delay=2) from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UnavailableError(f"no executor listens at {self._path}: {reason}", _START, delay=5) from error
        try:
            yield reader, writer
        finally:
            writer.close()


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that is none of the refusals."""
    if "refused" in answer:
        raise MisuseError(f"the executor refuses the program: {answer['refused']}", "see docs/executor.md")
    if "unavailable" in answer:
        raise UnavailableError(f"the executor does not evaluate: {answer['unavailable']}", delay=30)
    return answer


def _run(found: Any) -> Run:
    try:
        return Run.model_validate(found)
    except ValidationError as error:
        raise UnavailableError(f"the executor answers what no run can be: {error.errors()[0]['msg']}") from error
