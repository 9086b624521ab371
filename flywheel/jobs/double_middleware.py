"""ASGI middleware in front of the double's doors, named as for vLLM's `--middleware`: a class on PYTHONPATH."""

from __future__ import annotations

import importlib
from typing import Any

from aiohttp import web


def asgi_middleware(name: str) -> Any:
    """Return a middleware that asks the named one whether a request may pass, or answers in its words."""
    module, _, kind = name.rpartition(".")
    door = getattr(importlib.import_module(module), kind)

    @web.middleware
    async def ask(request: web.Request, handler: Any) -> web.StreamResponse:
        passed, told = [], []

        async def app(*_: Any) -> None:
            passed.append(True)

        async def send(message: dict[str, Any]) -> None:
            told.append(message)

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
        }
        await door(app)(scope, request.read, send)
        return await handler(request) if passed else _answer(told)

    return ask


def _answer(told: list[dict[str, Any]]) -> web.Response:
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"] if name != b"content-length"}
    return web.Response(status=told[0]["status"], headers=headers, body=b"".join(one["body"] for one in told[1:]))
