"""The first step of every request: through the door, and counted for as long as it is on its way."""

from aiohttp import web

from flywheel.gateway.doors import ANYBODY
from flywheel.gateway.refusals import Handler
from flywheel.gateway.stations import STATION

_OPEN = "/health"  # what watches the process has no key, and a busy gateway is not a sick one


@web.middleware
async def at_the_door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the request in, or refuse it before its body is read."""
    station = request.app[STATION]
    who: str | web.Response = ANYBODY
    if request.path != _OPEN:
        who = station.door.admit(request, station.in_flight.total)
    if isinstance(who, web.Response):
        return who
    with station.in_flight.present(), station.door.inside(who):
        return await handler(request)
