"""Frees what vLLM keeps: `--middleware flywheel_slots.FreeSlots`, with this file's folder on PYTHONPATH.

vLLM (0.32) unloads an adapter by forgetting its name; the weights stay in their slot until another adapter needs it.
On a CPU that is worse than waste: its kernels read "no adapter" as the last slot, so that the base speaks with the
weights of whoever fills it. This takes the weights out with the name; the lowest slot that is free is filled first, and
with one slot more than there are adapters the last one stays empty.

It runs in the server's own environment, so it leans on nothing but the standard library. Where the server is built in
another way than it knows, it does nothing.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

UNLOAD = "/v1/unload_lora_adapter"
_OK = 200

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class FreeSlots:
    """An ASGI middleware: an adapter that was unloaded leaves its slot before the answer goes out.

    An answer that is still streamed at that moment brings its adapter back, without a name, until the next unloading;
    the daemon unloads what was drained. One that is being loaded then is put back by its own next request.
    """

    def __init__(self, app: App) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; when an unloading succeeded, let the engine forget what has no name any more."""
        if scope["type"] != "http" or not str(scope["path"]).endswith(UNLOAD):
            await self._app(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == _OK:
                await free(getattr(scope.get("app"), "state", None))
            await send(message)

        await self._app(scope, receive, tell)


async def free(state: Any) -> None:
    """Take out of the engine every adapter that no name stands for."""
    engine = getattr(state, "engine_client", None)
    names = getattr(getattr(state, "openai_serving_models", None), "lora_requests", None)
    if engine is None or names is None:
        return
    known = {request.lora_int_id for request in names.values()}
    for number in sorted(set(await engine.list_loras()) - known):
        await engine.remove_lora(number)
        log.info("the slot of adapter %d is free", number)
