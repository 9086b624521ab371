"""Makes the pictures of the dashboard: `python tests/web/screenshots.py [NAME…] [--into FOLDER] [--png]`.

What they show is made up (`big_store.py`), the same each time. Not a test: look at what it makes.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from big_store import END, World, build
from browsers import DESKTOP, PHONE, Browser, browser, keep
from visits import pages

from flywheel.core.clocks import ManualClock
from flywheel.daemon.locks import only_daemon
from flywheel.daemon.settings import load_settings
from flywheel.web.apps import build_app

INTO = Path(__file__).parents[2] / "docs" / "images"
LARGEST = 150_000
LEFT_OUT = {"sign-out"}


async def take(world: World, names: set[str], into: Path, *, png: bool = False) -> None:
    """Take a picture of every page, at the width of a desk and of a phone."""
    settings = load_settings(world.config)
    app = build_app(settings, clock=ManualClock(END))
    with only_daemon(settings.home, settings.store_url):  # as if it ran
        await _take(app, world, names, into, png=png)


async def _take(app: web.Application, world: World, names: set[str], into: Path, *, png: bool) -> None:
    async with TestServer(app) as server, browser() as page:
        token = (world.home / "web.token").read_text().strip()
        await sign_in(page, str(server.make_url("/sign-in")), token)
        for name, address in pages(world).items():
            if name in LEFT_OUT or (names and name not in names):
                continue
            for size, suffix in ((DESKTOP, ""), (PHONE, "-phone")):
                await page.size(*size)
                await page.open(str(server.make_url(address)))
                await asyncio.sleep(0.5)
                if "being counted" in await page.run("document.body.innerText"):
                    await asyncio.sleep(5)  # what is counted comes by itself, a little later
                    await page.open(str(server.make_url(address)))
                form = "png" if png or name == "overview" else "webp"
                picture = await page.picture(form)
                keep(into / f"{name}{suffix}.{form}", picture)
                large = " TOO LARGE" if len(picture) > LARGEST else ""
                print(f"{name}{suffix}: {len(picture) // 1000} kB{large}")
        print(*page.complaints, sep="\n")


async def sign_in(page: Browser, address: str, token: str) -> None:
    """Show the token."""
    await page.open(address)
    await page.run("document.getElementById('token').focus()")
    await page.write(token)
    await page.go("Enter")


def main() -> None:
    """Make the world, take the pictures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("names", nargs="*")
    asked.add_argument("--into", type=Path, default=INTO)
    asked.add_argument("--png", action="store_true", help="all as PNG, to look at")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(take(build(Path(folder)), set(given.names), given.into, png=given.png))


if __name__ == "__main__":
    main()
