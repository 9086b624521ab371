"""The fixtures of the gateway's tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest_asyncio
import uvloop
from gateway_house import House


def pytest_asyncio_loop_factories() -> dict[str, Any]:
    """Run in the kind of loop that the gateway's process runs in."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give an empty house; what a test starts in it ends with the test."""
    home = tmp_path / "home"
    home.mkdir()
    async with AsyncExitStack() as stack:
        yield House(home, stack)
