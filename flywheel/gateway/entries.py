"""The first step of every request: through the door, counted for as long as it is on its way, and refused in shape.

All of it is one step, because every further one costs each request its time.
"""

import structlog
from aiohttp import web

from flywheel.gateway.doors import ANYBODY
from flywheel.gateway.ollama_doors import ollama_shaped
from flywheel.gateway.refusals import Handler, refusal, refused
from flywheel.gateway.stations import STATION

log = structlog.get_logger(__name__)

#: What watches the process has no key, and a busy gateway is not a sick one.
_OPEN = frozenset({"/health", "/healthz", "/readyz"})


@web.middleware
async def at_the_door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request in, or refuse it before its body is read; nothing that goes wrong behind stays unlogged."""
    station = request.app[STATION]
    in_flight, door = station.in_flight, station.door
    who = ANYBODY if request.path in _OPEN else door.admit(request, in_flight.total)
    if isinstance(who, web.Response):
        return ollama_shaped(request, who)
    in_flight.came()
    door.came_in(who)
    response: web.StreamResponse | None = None
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = refused(request, error)
    except Exception:  # the supervised edge: one request's surprise is not the next one's
        log.exception("gateway.request_failed", path=request.path)
        response = refusal(500, "gateway_error", "the gateway failed; its log says why")
    finally:
        in_flight.left()
        door.went_out(who)
        station.meter.request_ended(request.path, None if response is None else response.status)
    return ollama_shaped(request, response)
