"""llama-server behind its door: started by a command of the operator's, with adapters that it cannot change later.

Other adapters mean another start. The script is written first, whole, then the operator's command restarts the server,
and what it then lists must be what was written. When it does not come up, the script of before is put back: an adapter
never costs the agent its server.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from flywheel.core.clocks import Clock
from flywheel.core.errors import PermanentError, UnavailableError
from flywheel.proc.commands import run_command
from flywheel.proc.files import write_file
from flywheel.serve.llama_commands import Held, Shelf, filled, numbers, script

SCRIPT = "start.sh"
_STATE = "shelf.json"
_MAGIC = b"GGUF"
_LOOK_SECONDS = 0.2
_ANSWER_SECONDS = 5.0
_COMMAND_SECONDS = 120.0
_CONVERT_SECONDS = 1800.0
_READABLE = 0o755


@dataclass(frozen=True)
class LlamaSite:
    """Where llama-server is, how it is started anew, and how an adapter becomes a GGUF."""

    folder: Path
    url: str
    served_as: str
    base: Path
    command: tuple[str, ...]
    restart: tuple[str, ...]
    convert: tuple[str, ...]
    start_seconds: float = 120.0
    drain_seconds: float = 60.0

    @property
    def script(self) -> Path:
        """Return the script that the operator's unit starts."""
        return self.folder / SCRIPT


class LlamaServer:
    """Knows what llama-server holds and under which number; changes it by starting the server anew."""

    def __init__(self, site: LlamaSite, clock: Clock, session: aiohttp.ClientSession) -> None:
        """Begin with what was written down; nothing is started."""
        self.site = site
        self.shelf = _read(site.folder / _STATE)
        self._clock = clock
        self._session = session
        self._numbers: dict[str, int] | None = None

    def prepare(self) -> None:
        """Write the script that the unit starts, so that it is there and says what is meant."""
        if not self.site.script.is_file() or self.site.script.read_bytes() != script(self.site.command, self.shelf):
            self._write(self.shelf)

    async def numbers(self) -> dict[str, int]:
        """Return each adapter's number; raises UnavailableError when the server is away or holds something else."""
        if self._numbers is None:
            self._numbers = numbers(await self._listed(), self.shelf)
        if self._numbers is None:
            raise UnavailableError(f"{self.site.url} holds other adapters than {self.site.script} names", "restart it")
        return self._numbers

    def forget(self) -> None:
        """Ask the server again before the next request: it went away, and may come back as another."""
        self._numbers = None

    async def healthy(self) -> bool:
        """Tell whether the server answers and has read its model."""
        try:
            async with self._session.get(f"{self.site.url}/health", timeout=_short()) as response:
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError):
            return False

    async def convert(self, name: str, path: Path) -> Held:
        """Return an adapter as a GGUF of its own; raises PermanentError when it cannot be one."""
        target = self.site.folder / f"{name}.gguf"
        if not target.is_file():
            temporary = target.with_name(f".{name}.gguf.new")
            argv = filled(self.site.convert, path, self.site.base, temporary)
            try:
                await asyncio.to_thread(run_command, argv, _CONVERT_SECONDS)
                await asyncio.to_thread(_check_gguf, temporary)
            except UnavailableError as error:
                raise PermanentError(f"{name} cannot be made a GGUF: {error.message}", error.mend) from error
            temporary.rename(target)
        return Held(name=name, path=str(path), gguf=str(target))

    async def start_with(self, shelf: Shelf) -> None:
        """Start the server with other adapters; raises PermanentError, those of before put back, when it fails."""
        before = self.shelf
        try:
            await self._start(shelf)
        except UnavailableError as error:
            await self._start(before)
            await asyncio.to_thread(_remove, set(shelf.ggufs) - set(before.ggufs))
            raise PermanentError(f"llama-server does not start with it: {error.message}", error.mend) from error
        await asyncio.to_thread(_remove, set(before.ggufs) - set(shelf.ggufs))

    async def mend(self) -> None:
        """Start the server anew where it holds something else than was written; what is away is left to its unit."""
        if await self.healthy() and numbers(await self._listed(), self.shelf) is None:
            await self._start(self.shelf)

    async def _start(self, shelf: Shelf) -> None:
        self._numbers = None
        await asyncio.to_thread(self._write, shelf)
        await asyncio.to_thread(run_command, self.site.restart, _COMMAND_SECONDS)
        end = self._clock.monotonic() + self.site.start_seconds
        while True:
            with suppress(UnavailableError):  # it is on its way
                if await self.healthy() and (found := numbers(await self._listed(), shelf)) is not None:
                    self.shelf, self._numbers = shelf, found
                    return
            if self._clock.monotonic() > end:
                raise UnavailableError(
                    f"after {self.site.start_seconds:g} s it does not answer with what was written", "see its log"
                )
            await asyncio.sleep(_LOOK_SECONDS)

    def _write(self, shelf: Shelf) -> None:
        """Write down what is meant, then the script: a crash in between is mended by `prepare`."""
        write_file(self.site.folder / _STATE, shelf.model_dump_json(indent=1).encode() + b"\n")
        write_file(self.site.script, script(self.site.command, shelf), mode=_READABLE)

    async def _listed(self) -> Sequence[dict[str, Any]]:
        try:
            async with self._session.get(f"{self.site.url}/lora-adapters", timeout=_short()) as response:
                listed = await response.json(content_type=None) if response.status == HTTPStatus.OK else None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnavailableError(f"{self.site.url} cannot be reached: {error or type(error).__name__}") from error
        if not isinstance(listed, list):
            raise UnavailableError(f"{self.site.url} does not say which adapters it holds", "is it a llama-server?")
        return [entry for entry in listed if isinstance(entry, dict)]


def _read(path: Path) -> Shelf:
    try:
        return Shelf.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return Shelf()


def _remove(ggufs: Iterable[str]) -> None:
    """Delete files that no process reads any more."""
    for gguf in ggufs:
        Path(gguf).unlink(missing_ok=True)


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise UnavailableError(f"the converter wrote nothing: {error.strerror}") from error
    if magic != _MAGIC:
        raise UnavailableError("what the converter wrote is no GGUF")


def _short() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
