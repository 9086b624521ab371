"""How a notice leaves: by a webhook or a command, within a limit of time; what goes wrong is one error."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO
from urllib.parse import urlsplit

from flywheel.core.clocks import Clock
from flywheel.core.errors import SettingsError, UnavailableError
from flywheel.daemon.notification_bodies import body_of, headers_of, variables_of
from flywheel.daemon.notification_kinds import Notice
from flywheel.daemon.notification_settings import NotifySettings

_SHOWN = 200
_LONGEST_ASKED = 3600.0
_END_SECONDS = 2.0


class UndeliveredError(UnavailableError):
    """Nobody took the notice; `delay` is how long the address itself asks to be left alone."""


async def deliver(target: NotifySettings, notice: Notice, clock: Clock) -> None:
    """Take one notice to one address; raises UndeliveredError when it was not taken."""
    body = body_of(notice, target.name)
    try:
        async with asyncio.timeout(target.timeout_seconds):
            if target.command:
                await _run(target.command, body, variables_of(notice, target.name))
            else:
                headers = headers_of(notice, target.name, body, target.secret(), clock.now())
                await _post(target, body, headers)
    except TimeoutError as error:
        raise _undelivered(f"it took longer than {target.timeout_seconds:g} s") from error
    except SettingsError as error:
        raise _undelivered(str(error)) from error


def where(target: NotifySettings) -> str:
    """Return where notices go, for people: of a URL the server alone, since its path is often the secret."""
    if target.command:
        return target.command[0]
    try:
        parts = urlsplit(target.address())
    except SettingsError:
        return f"the URL in {target.url_env or target.url_file}"
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


async def _post(target: NotifySettings, body: bytes, headers: dict[str, str]) -> None:
    import aiohttp

    if token := target.token():
        headers = {**headers, "authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(target.address(), data=body, headers=headers, allow_redirects=False) as response,
        ):
            said = (await response.content.read(4 * _SHOWN)).decode(errors="replace")
            status, asked = response.status, response.headers.get("retry-after", "")
    except TimeoutError:
        raise
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _undelivered(_without_url(str(error) or type(error).__name__, target)) from error
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise _undelivered(f"it answers {status}: {' '.join(said.split())[:_SHOWN]}".rstrip(": "), asked)


def _without_url(said: str, target: NotifySettings) -> str:
    return said.replace(target.address(), where(target))[:_SHOWN]


async def _run(argv: tuple[str, ...], body: bytes, variables: Mapping[str, str]) -> None:
    # Files, no pipes: what a command leaves behind may hold a pipe open, and one that does not read would break it.
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as errors:
        told.write(body)
        told.seek(0)
        child = await _started(argv, told, errors, variables)
        try:
            status = await child.wait()
        finally:
            await _end(child)
        if status:
            words = _last_words(errors)
            raise _undelivered(f"{argv[0]} ended with {status}" + (f": {words}" if words else ""))


async def _started(
    argv: tuple[str, ...], told: IO[bytes], errors: IO[bytes], variables: Mapping[str, str]
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=told,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _undelivered(f"{argv[0]} cannot be run: {getattr(error, 'strerror', None) or error}") from error


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4 * _SHOWN))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:_SHOWN] if lines else ""


async def _end(child: asyncio.subprocess.Process) -> None:
    """End what is left of a command, with all it started: nothing of it outlives its limit."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # one that hangs in the kernel ends when that lets it go
        async with asyncio.timeout(_END_SECONDS):
            await child.wait()


def _undelivered(reason: str, asked: str = "") -> UndeliveredError:
    delay = min(float(asked), _LONGEST_ASKED) if asked.isdecimal() else 0.0
    return UndeliveredError(reason, delay=delay)
