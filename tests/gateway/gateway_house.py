"""A gateway in this process between a real client and a real (if thoughtless) upstream, all on the loopback."""

import asyncio
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from flywheel.core.routing import Alias, Arm, Routing
from flywheel.gateway.apps import build_app
from flywheel.gateway.doubles import UpstreamDouble
from flywheel.gateway.settings import GatewaySettings
from flywheel.gateway.stations import STATION, Station

BASE = "tiny-base"
OLD = "tool-calling@1"
NEW = "tool-calling@2"


@dataclass
class House:
    """Everything a test of the gateway needs, and the few things it does with it."""

    home: Path
    stack: AsyncExitStack
    upstreams: list[UpstreamDouble] = field(default_factory=list)
    version: int = 0
    origin: str = ""
    app: web.Application = field(default_factory=web.Application)
    client: aiohttp.ClientSession = None  # type: ignore[assignment]

    @property
    def upstream(self) -> UpstreamDouble:
        """Return the first upstream."""
        return self.upstreams[0]

    @property
    def station(self) -> Station:
        """Return the gateway's inside."""
        return self.app[STATION]

    async def start(self, *, upstreams: int = 1, models: tuple[str, ...] = (BASE, OLD, NEW), **settings: Any) -> None:
        """Start upstreams and gateway; the settings are the gateway's."""
        for _ in range(upstreams):
            self.upstreams.append(await self.stack.enter_async_context(UpstreamDouble(set(models)).running()))
        origins = settings.pop("upstreams_at", tuple(upstream.origin for upstream in self.upstreams))
        chosen = GatewaySettings(home=self.home, upstreams=origins, base_model=BASE, **settings)
        self.app = build_app(chosen)
        runner = web.AppRunner(self.app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        self.stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        connector = aiohttp.TCPConnector(limit=0)
        self.client = await self.stack.enter_async_context(
            aiohttp.ClientSession(self.origin, connector=connector, timeout=aiohttp.ClientTimeout(total=10))
        )

    def routing(self, share: float = 0.0, origins: tuple[str, ...] | None = None) -> Routing:
        """Return the next routing: the alias on its old release, and on the new at a share."""
        self.version += 1
        arms = [Arm(model=OLD, share=1.0 - share, role="active")]
        if share:
            arms.append(Arm(model=NEW, share=share, role="canary"))
        return Routing(
            version=self.version,
            upstreams=origins or tuple(upstream.origin for upstream in self.upstreams),
            base_model=BASE,
            aliases={"tool-calling": Alias(arms=tuple(arms))},
        )

    def write(self, data: bytes) -> None:
        """Replace the routing file as the daemon does."""
        temporary = self.home / "routing.json.new"
        temporary.write_bytes(data)
        temporary.rename(self.home / "routing.json")

    async def apply(self, routing: Routing) -> None:
        """Write a routing and wait until it is in force."""
        self.write(routing.dump())
        await self.until(lambda: self.station.routes.current.version == routing.version)

    async def until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait until the condition holds."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)

    async def chat(
        self, model: str = "tool-calling", *, headers: dict[str, str] | None = None, **fields: Any
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """Ask once and return the answer with its body."""
        messages = fields.pop("messages", [{"role": "user", "content": "hello"}])
        body = json.dumps({"messages": messages, "model": model, **fields}).encode()
        json_headers = {"content-type": "application/json", **(headers or {})}
        async with self.client.post("/v1/chat/completions", data=io.BytesIO(body), headers=json_headers) as response:
            return response, await response.read()

    async def rows(self, count: int) -> list[dict[str, Any]]:
        """Return the captured calls once there are `count`."""
        await self.until(lambda: len(self._rows()) >= count)
        return self._rows()

    def _rows(self) -> list[dict[str, Any]]:
        try:
            connection = sqlite3.connect(f"file:{self.home / 'capture.db'}?mode=ro", uri=True)
        except sqlite3.OperationalError:
            return []
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute("SELECT rowid, * FROM calls ORDER BY rowid")]
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()
