"""Fixtures of the serve room's tests."""

from contextlib import asynccontextmanager

import pytest
from serve_house import House

from flywheel.store.stores import open_store, sqlite_url


@pytest.fixture
def house(tmp_path):
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        house = House(store, tmp_path)
        yield house


@pytest.fixture
def stage(house):
    """Give a context that runs the house with so many servers and ends them."""

    @asynccontextmanager
    async def running(servers=1):
        for _ in range(servers):
            await house.server()
        try:
            yield house
        finally:
            for server in house.servers:
                await server.stop()

    return running
