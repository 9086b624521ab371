"""The dashboard's own style, script and icon: everything a page loads, from this package and nowhere else."""

from functools import cache
from pathlib import Path

from aiohttp import web

from flywheel.core.ids import content_hash, short

_TYPES = {"styles.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
_FOLDER = Path(__file__).parent / "static"


def add_to(router: web.UrlDispatcher) -> None:
    """Answer for the static files."""
    router.add_get("/static/{name}", show_asset)


async def show_asset(request: web.Request) -> web.Response:
    """Send a file, or nothing when the browser has it as it is."""
    name = request.match_info["name"]
    if name not in _TYPES:
        raise web.HTTPNotFound
    text, tag = _asset(name)
    headers = {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(text=text, content_type=_TYPES[name], headers=headers)


@cache
def _asset(name: str) -> tuple[str, str]:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return text, short(content_hash(text))
