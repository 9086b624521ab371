"""One double of vLLM for the whole session, and worlds to run the real daemon in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance_house import Model, World, train_python
from fixtures.tiny import tiny_base
from proofs_house import train

from flywheel.cli.demos import worlds
from flywheel.cli.demos.processes import Processes, double_command, free_port, wait_until
from flywheel.cli.demos.scenes import answers
from flywheel.train.backends.trl import ENV, KEEP_BUFFERS

__all__ = ["tiny_base"]


@pytest.fixture(scope="session")
def model(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A running double of vLLM."""
    port = free_port()
    with Processes(tmp_path_factory.mktemp("double")) as processes:
        argv = double_command(train_python(), tiny_base, worlds.BASE, port)
        doors = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_SERVER_DEV_MODE": "True"}
        processes.start("double", argv, {**ENV, **KEEP_BUFFERS, **doors})
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/health"), 120, "the double", lambda: processes.check("double"))
        yield Model(url=url, base=tiny_base)


@pytest.fixture(scope="session")
def known_adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Adapters of known worth, trained once for all tests."""
    return train(tiny_base, tmp_path_factory.mktemp("known"))


@pytest.fixture
def world(model: Model, tmp_path: Path) -> Iterator[World]:
    """A home with settings, policies and an agent; nothing runs in it yet."""
    made = World(tmp_path / "home", model)
    try:
        yield made
    finally:
        made.close()
