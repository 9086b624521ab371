"""What the gateway's process runs in: a loop and a collector of garbage that suit many short requests."""

import asyncio
import gc

import uvloop

from flywheel.gateway.run import Words, serve_gateway
from flywheel.gateway.settings import GatewaySettings

# A request leaves no cycles behind: looking for some every 700 objects, as Python does, took a tenth of its time.
_COLLECT_AFTER = (10_000, 20, 50)


def run_gateway(settings: GatewaySettings, *, words: Words | None = None, beat: float | None = None) -> None:
    """Serve until told to stop, as `serve_gateway` does, in a process of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_gateway(settings, on_ready=_settle, words=words, beat=beat))


def _settle() -> None:
    """Leave what the start has made out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
