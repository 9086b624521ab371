"""The doctor asks a model server whether adapters can be loaded while it runs, and changes nothing by it."""

import asyncio
from collections.abc import Callable

from fixtures.model_servers import BASE, TOKEN, ModelServer

from flywheel.cli.doctor_servers import probe


def test_the_doctors_question_changes_nothing(server: ModelServer, loaded: Callable[[str], str]) -> None:
    """A server with runtime LoRA is known by its answer, and holds afterwards what it held before."""
    name = loaded("reader")
    before = server.cards()
    found = asyncio.run(probe(f"http://127.0.0.1:{server.port}", TOKEN))
    assert {BASE, name} <= {model.name for model in found}
    assert server.cards().keys() == before.keys()
