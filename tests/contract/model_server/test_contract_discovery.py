"""What `flywheel init` makes of a model server that runs; the double and vLLM are found alike."""

from collections.abc import Callable
from pathlib import Path

from fixtures.model_servers import BASE, ModelServer

from flywheel.cli.init_servers import look_for_servers


def test_a_server_is_found_with_its_base_and_without_its_adapters(
    server: ModelServer, tiny_base: Path, loaded: Callable[[str], str], tmp_path: Path
) -> None:
    """Locked down as it is: its kind, its one base by name, folder and size; what is loaded is no base."""
    loaded("reader")
    (found,) = look_for_servers([f"http://127.0.0.1:{server.port}"], tmp_path, seconds=60)
    assert (found.kind, found.loads in {True, None}) == ("vllm", True)
    assert found.version
    (model,) = found.models
    assert (model.served_as, model.path) == (BASE, tiny_base)
    assert model.parameters_billion is not None
