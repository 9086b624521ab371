"""What the gateway itself answers when it cannot pass a request on: errors in the shape that agents know."""

import json
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal(status: int, kind: str, message: str) -> web.Response:
    """Return an OpenAI-shaped error."""
    error = {"message": message, "type": kind, "param": None, "code": status}
    return web.Response(
        status=status, body=json.dumps({"error": error}).encode(), headers={"content-type": "application/json"}
    )


@web.middleware
async def shaped_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every error of the gateway's own the same shape; nothing that goes wrong here stays unlogged."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge as error:
        return refusal(413, "request_too_large", str(error.text))
    except web.HTTPNotFound:
        return refusal(404, "not_found_error", f"the gateway has no {request.method} {request.path}")
    except web.HTTPException as error:
        return refusal(error.status, "invalid_request_error", str(error.reason))
    except Exception:  # the supervised edge: one request's surprise is not the next one's
        log.exception("gateway.request_failed", path=request.path)
        return refusal(500, "gateway_error", "the gateway failed; its log says why")
