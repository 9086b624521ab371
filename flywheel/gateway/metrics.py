"""`/metrics` and `/readyz`: what the gateway counted, and how its parts are, as Prometheus reads it."""

from http import HTTPStatus

from aiohttp import web

from flywheel import __version__
from flywheel.core.metrics import CONTENT_TYPE, MetricPage
from flywheel.gateway.captures import CaptureCounts
from flywheel.gateway.stations import STATION, Station
from flywheel.proc.own_measures import own_measures

_HOLDS = {
    "held": "flywheel_gateway_calls_held",
    "overdue": "flywheel_gateway_calls_overdue",
    "at_servers": "flywheel_gateway_calls_at_servers",
    "fallbacks": "flywheel_gateway_hold_fallbacks_total",
}


def add_metrics(router: web.UrlDispatcher) -> None:
    """Open the paths."""
    router.add_get("/metrics", show_metrics)
    router.add_get("/readyz", show_readiness)


def page_of(station: Station) -> str:
    """Return the whole page."""
    page = MetricPage("gateway")
    page.add("flywheel_build_info", 1, version=__version__)
    for name, value in own_measures():
        page.add(name, value)
    station.meter.know(station.routes.current.aliases)
    station.meter.tell(page)
    _of_door(page, station)
    _of_holds(page, station)
    _of_capture(page, station)
    return page.text()


def _of_door(page: MetricPage, station: Station) -> None:
    for status, count in station.door.refused.items():
        page.add("flywheel_gateway_requests_refused_total", count, status=status)
    page.add("flywheel_gateway_requests_in_flight", station.in_flight.total)
    page.add("flywheel_gateway_draining", station.draining)
    routing = station.routes.current
    page.add("flywheel_gateway_routing_version", routing.version)
    for server in station.upstreams.healths.tell(routing.upstreams):
        page.add("flywheel_gateway_server_answers", bool(server["answers"]), server=str(server["url"]))


def _of_holds(page: MetricPage, station: Station) -> None:
    told = station.holds.tell()
    for name, metric in _HOLDS.items():
        page.add(metric, int(str(told[name])))
    for fate, count in (("asked", station.mirrors.asked), ("dropped", station.mirrors.dropped)):
        page.add("flywheel_gateway_mirrors_total", count, fate=fate)


def _of_capture(page: MetricPage, station: Station) -> None:
    counts = station.capture.counts() if station.capture else CaptureCounts()
    fates = {
        "written": counts.written,
        "dropped": counts.dropped,
        "quarantined": counts.quarantined,
        "forgotten": counts.forgotten,
    }
    for fate, count in fates.items():
        page.add("flywheel_gateway_capture_calls_total", count, fate=fate)
    page.add("flywheel_gateway_capture_waiting", counts.waiting)
    page.add("flywheel_gateway_capture_trouble", counts.trouble is not None)


async def show_metrics(request: web.Request) -> web.Response:
    """Show the numbers."""
    return web.Response(body=page_of(request.app[STATION]).encode(), headers={"Content-Type": CONTENT_TYPE})


async def show_readiness(request: web.Request) -> web.Response:
    """Say whether requests should come here: 503 while it drains, and while no model server answers."""
    word = readiness(request.app[STATION])
    status = HTTPStatus.OK if word == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
    return web.json_response({"status": word}, status=status)


def readiness(station: Station) -> str:
    """Return `ready`, or why it is not."""
    if station.draining:
        return "draining"
    servers = station.upstreams.healths.tell(station.routes.current.upstreams)
    return "ready" if any(server["answers"] for server in servers) else "no model server answers"
