"""What every model server promises about adapters; the double and vLLM answer the same questions."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.model_servers import BASE, ModelServer, Reply

Load = Callable[[str], str]
Spoil = Callable[..., Path]

PROMPT = "Show src/cache.py"


def refused(reply: Reply, status: int, kind: str) -> bool:
    """Check the status and the shape of an error, the same in both servers."""
    error = reply.json["error"]
    return (reply.status, error["code"], error["type"], set(error)) == (
        status,
        status,
        kind,
        {"message", "type", "param", "code"},
    )


def test_the_base_is_listed_with_its_path_as_root(server: ModelServer, tiny_base: Path) -> None:
    """A reconciler can read which base a server stands on."""
    card = server.cards()[BASE]
    assert (card["root"], card["parent"], card["max_model_len"]) == (str(tiny_base), None, 1024)


def test_a_loaded_adapter_is_listed_with_root_and_parent(
    server: ModelServer, adapters: dict[str, Path], loaded: Load
) -> None:
    """The list says where an adapter came from and which base it stands on."""
    name = loaded("reader")
    card = server.cards()[name]
    assert (card["root"], card["parent"]) == (str(adapters["reader"]), BASE)


def test_loading_says_so_in_one_sentence(server: ModelServer, adapters: dict[str, Path]) -> None:
    """Success is plain text, not JSON, for loading and for unloading."""
    done = server.load("sentence@1", adapters["reader"])
    assert (done.status, done.text) == (200, "Success: LoRA adapter 'sentence@1' added successfully.")
    done = server.unload("sentence@1")
    assert (done.status, done.text) == (200, "Success: LoRA adapter 'sentence@1' removed successfully.")


def test_loading_a_name_twice_is_refused(server: ModelServer, adapters: dict[str, Path], loaded: Load) -> None:
    """A name means one version for good."""
    name = loaded("reader")
    assert refused(server.load(name, adapters["lister"]), 400, "InvalidUserInput")
    assert server.cards()[name]["root"] == str(adapters["reader"])


def test_the_name_of_the_base_is_taken(server: ModelServer, adapters: dict[str, Path]) -> None:
    """An adapter cannot hide the base."""
    assert refused(server.load(BASE, adapters["reader"]), 400, "InvalidUserInput")


def test_a_missing_field_is_refused(server: ModelServer) -> None:
    """A half request changes nothing and says which field is missing."""
    reply = server.post("/v1/load_lora_adapter", {"lora_name": "half@1"})
    assert refused(reply, 400, "Bad Request")
    assert reply.json["error"]["param"] == "body.lora_path"


def test_a_missing_path_is_not_found(server: ModelServer, tmp_path: Path) -> None:
    """Nothing at the path, or a folder without an adapter: 404."""
    assert refused(server.load("missing@1", tmp_path / "nothing"), 404, "NotFoundError")
    assert refused(server.load("missing@1", tmp_path), 404, "NotFoundError")


def test_a_corrupt_file_is_refused_and_the_server_stays_up(server: ModelServer, spoilt: Spoil, loaded: Load) -> None:
    """Bytes that are no tensors cost one 500; the next adapter loads and answers."""
    assert refused(server.load("corrupt@1", spoilt(weights=b"no tensors" * 50)), 500, "InternalServerError")
    assert server.get("/health").status == 200
    assert "corrupt@1" not in server.cards()
    assert "queue" in server.chat(PROMPT, loaded("reader")).content


def test_weights_that_are_cut_short_are_refused(server: ModelServer, spoilt: Spoil, adapters: dict[str, Path]) -> None:
    """A file that was half copied does not load."""
    whole = (adapters["reader"] / "adapter_model.safetensors").read_bytes()
    assert refused(server.load("short@1", spoilt(weights=whole[: len(whole) // 2])), 500, "InternalServerError")


def test_a_rank_above_the_limit_is_refused(server: ModelServer, spoilt: Spoil) -> None:
    """The reason names the rank and the limit."""
    reply = server.load("wide@1", spoilt(r=64))
    assert refused(reply, 500, "InternalServerError")
    assert "LoRA rank 64 is greater than max_lora_rank 16" in reply.json["error"]["message"]


def test_dora_is_refused(server: ModelServer, spoilt: Spoil) -> None:
    """A technique that cannot be served fails at loading, not at the first request."""
    reply = server.load("dora@1", spoilt(use_dora=True))
    assert refused(reply, 500, "InternalServerError")
    assert "DoRA" in reply.json["error"]["message"]


def test_saved_modules_are_refused(server: ModelServer, spoilt: Spoil) -> None:
    """An adapter that carries whole layers of the base does not load."""
    assert refused(server.load("saved@1", spoilt(modules_to_save=["lm_head"])), 500, "InternalServerError")


def test_an_unloaded_adapter_is_gone(server: ModelServer, loaded: Load) -> None:
    """After unloading, the list and the chat door agree that there is no such model."""
    name = loaded("reader")
    assert server.chat(PROMPT, name).status == 200
    assert server.unload(name).status == 200
    assert name not in server.cards()
    assert refused(server.chat(PROMPT, name), 404, "NotFoundError")


def test_the_base_answers_as_before_after_all_adapters_are_unloaded(server: ModelServer, loaded: Load) -> None:
    """An adapter leaves nothing behind in the base."""
    before = server.chat(PROMPT).content
    for name in (loaded("reader"), loaded("lister")):
        assert server.chat(PROMPT, name).content != before
        server.unload(name)
    assert server.chat(PROMPT).content == before


def test_unloading_an_unknown_name_is_not_found(server: ModelServer) -> None:
    """Unloading twice is told, not hidden."""
    assert refused(server.unload("never@1"), 404, "NotFoundError")


def test_a_restarted_server_has_forgotten_its_adapters(server: ModelServer, loaded: Load) -> None:
    """The list lives in memory: whoever needs an adapter registers it again."""
    if server.kind == "vllm" and not os.environ.get("FLYWHEEL_SOAK"):
        pytest.skip("the real one is killed and forgets in tests/acceptance/test_serving_vllm.py; here in make soak")
    name = loaded("reader")
    assert name in server.cards()
    server.stop()
    server.start()
    assert set(server.cards()) == {BASE}
