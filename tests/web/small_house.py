"""A home that is like the big one and small, a copy for every test, and a client that may be signed in."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from big_store import END, Size, World, build, write_settings

from flywheel.core.clocks import ManualClock
from flywheel.daemon.settings import load_settings
from flywheel.store.stores import Store, make_engine
from flywheel.web.apps import build_app

SMALL = Size(outcomes=900, examples=240, decisions=300)


def copied(made: World, home: Path) -> World:
    """A copy of a home elsewhere."""
    shutil.copytree(made.home, home)
    return made._replace(home=home, config=write_settings(home))


def make(home: Path) -> World:
    """The small home."""
    return build(home, SMALL)


def store_of(world: World) -> Store:
    """The store, as another process has it."""
    return Store(make_engine(load_settings(world.config).store_url))


class Visitor:
    """Somebody at a browser that follows nothing by itself."""

    def __init__(self, client: TestClient[Any, Any], home: Path) -> None:
        self.client, self.home = client, home
        self.proof = ""

    async def sign_in(self) -> None:
        """Show the token; keep the proof that forms carry."""
        token = (self.home / "web.token").read_text().strip()
        answer = await self.client.post("/sign-in", data={"token": token, "next": "/"}, allow_redirects=False)
        assert answer.status == 303
        _, text = await self.see("/sign-out")
        self.proof = re.findall(r'name="form" value="([^"]+)"', text)[0]

    async def see(self, address: str) -> tuple[int, str]:
        """Look at a page."""
        answer = await self.client.get(address, allow_redirects=False)
        return answer.status, await answer.text()

    async def send(self, address: str, **fields: str) -> ClientResponse:
        """Send a form of ours."""
        return await self.client.post(address, data={"form": self.proof, **fields}, allow_redirects=False)


@asynccontextmanager
async def visiting(config: Path) -> AsyncIterator[Visitor]:
    """Give a visitor of the dashboard that these settings make."""
    settings = load_settings(config)
    app = build_app(settings, clock=ManualClock(END))
    async with TestClient(TestServer(app)) as client:
        yield Visitor(client, settings.home)
