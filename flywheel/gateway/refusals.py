"""What the gateway itself answers when it cannot pass a request on: errors in the shape that agents know."""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal(status: int, kind: str, message: str) -> web.Response:
    """Return an OpenAI-shaped error."""
    error = {"message": message, "type": kind, "param": None, "code": status}
    return web.Response(
        status=status, body=json.dumps({"error": error}).encode(), headers={"content-type": "application/json"}
    )


def refused(request: web.Request, error: web.HTTPException) -> web.Response:
    """Return an error of the gateway's own in the shape that all of them have."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return refusal(413, "request_too_large", str(error.text))
    if isinstance(error, web.HTTPNotFound):
        return refusal(404, "not_found_error", f"the gateway has no {request.method} {request.path}")
    return refusal(error.status, "invalid_request_error", str(error.reason))
