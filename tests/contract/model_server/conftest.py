"""Puts the shared fixtures within reach."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the shared fixtures lie beside the rooms of the tests

import itertools
import json
import shutil
from collections.abc import Callable, Iterator

import pytest
from fixtures.model_servers import ANSWERS, ModelServer, serving
from fixtures.tiny import conversation, tasks, tiny_base, train_adapter

__all__ = ["tiny_base"]

KINDS = [
    pytest.param("double", marks=pytest.mark.train),
    pytest.param("vllm", marks=[pytest.mark.vllm, pytest.mark.slow]),
]


@pytest.fixture(scope="session")
def adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two adapters that each know one answer to everything, so that a mix-up shows."""
    prompts = [task["messages"] for task in tasks(128, seed=11)]
    made = {}
    for name, reply in ANSWERS.items():
        folder = tmp_path_factory.mktemp(name)
        rows = [conversation(messages, reply) for messages in prompts]
        made[name] = train_adapter(tiny_base, folder, rows, learning_rate=1e-2, dropout=0.0, epochs=3)
    return made


@pytest.fixture(scope="session", params=KINDS)
def server(
    request: pytest.FixtureRequest, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelServer]:
    """Each kind of server, started once, locked down as `flywheel emit vllm` says it."""
    with serving(request.param, tiny_base, tmp_path_factory.mktemp("server") / "log", locked=True) as started:
        yield started


_numbers = itertools.count(1)


@pytest.fixture
def loaded(server: ModelServer, adapters: dict[str, Path]) -> Iterator[Callable[[str], str]]:
    """Load one of the adapters under a name never used before; it is unloaded when the test is over."""
    names: list[str] = []

    def load(which: str) -> str:
        name = f"{which}@{next(_numbers)}"
        reply = server.load(name, adapters[which])
        assert reply.status == 200, reply.text
        names.append(name)
        return name

    yield load
    for name in names:
        server.unload(name)


@pytest.fixture
def spoilt(adapters: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """Return a copy of a good adapter with some settings changed or its weights overwritten."""

    def make(weights: bytes | None = None, **settings: object) -> Path:
        folder = tmp_path / "spoilt"
        shutil.copytree(adapters["reader"], folder)
        config = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**config, **settings}))
        if weights is not None:
            (folder / "adapter_model.safetensors").write_bytes(weights)
        return folder

    return make
