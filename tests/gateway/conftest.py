"""The fixtures of the gateway's tests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from gateway_house import House


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give an empty house; what a test starts in it ends with the test."""
    home = tmp_path / "home"
    home.mkdir()
    async with AsyncExitStack() as stack:
        yield House(home, stack)
