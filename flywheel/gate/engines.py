"""Which engine answers at a server: answers of one version are not those of the next."""

import asyncio

import aiohttp

from flywheel.core.clocks import Clock
from flywheel.core.errors import UnavailableError
from flywheel.gate.specs import MeasureSpec

_OK = 200
_LONGEST_SECONDS = 10


async def engines(spec: MeasureSpec, clock: Clock) -> tuple[str, ...]:
    """Return the version that each server of a measurement tells; empty where one tells none.

    A server that is away is waited for, as long as a question would wait.
    """
    urls = dict.fromkeys(spec.url(role) for role in sorted(spec.models))
    timeout = aiohttp.ClientTimeout(total=_LONGEST_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return tuple([await _version(session, url, spec, clock) for url in urls])


async def _version(session: aiohttp.ClientSession, url: str, spec: MeasureSpec, clock: Clock) -> str:
    begun, pause = clock.monotonic(), spec.patience.first_pause
    while True:
        try:
            async with session.get(f"{url}/version") as response:
                return _told(await response.json(content_type=None)) if response.status == _OK else ""
        except ValueError:
            return ""
        except (aiohttp.ClientError, OSError) as error:
            silent = clock.monotonic() - begun
            if silent > spec.patience.silence:
                mend = "see whether the model server runs; the adapter is measured again"
                raise UnavailableError(f"the model server gave no answer for {silent:.0f} s: {error}", mend) from error
        await asyncio.sleep(pause)
        pause = min(pause * 2, spec.patience.longest_pause)


def _told(body: object) -> str:
    return str(body.get("version") or "")[:100] if isinstance(body, dict) else ""
