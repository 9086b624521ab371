"""A base is pinned whole and by its parts: whatever changes is refused, and named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from train_house import BASE, House, write_tensors

from flywheel.core.bases import LINEAGE, PARTS, Layer, Lineage, what_changed
from flywheel.core.errors import CorruptError
from flywheel.core.lines import Line
from flywheel.core.training import Base
from flywheel.policy.judging import judge
from flywheel.policy.loading import load_policies
from flywheel.store import runs as run_rows
from flywheel.train.fingerprints import lineage_of, part_of, prints

POLICIES = load_policies(Path(__file__).parents[2] / "policies")
QUANTISED: dict[str, Any] = {"model_type": "tiny", "quantization_config": {"quant_method": "bitsandbytes", "bits": 4}}


def write_base(folder: Path) -> Path:
    """A base with every part."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "tiny"}))
    write_tensors(folder / "model.safetensors", BASE)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "generation_config.json").write_text("{}")
    return folder


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "one byte of the weights": ("weights", lambda base: (base / "model.safetensors").write_bytes(b"weightz")),
    "a second file of weights": ("weights", lambda base: (base / "more.safetensors").write_bytes(b"")),
    "the tokenizer": ("tokenizer", lambda base: (base / "tokenizer.json").write_text("[]")),
    "the template": ("tokenizer", lambda base: (base / "chat_template.jinja").write_text("{{ x }}")),
    "how it is quantised": ("quantisation", lambda base: (base / "config.json").write_text(json.dumps(QUANTISED))),
    "its shape": ("configuration", lambda base: (base / "config.json").write_text('{"model_type": "other"}')),
    "its defaults": ("configuration", lambda base: (base / "generation_config.json").unlink()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_of_one_part(tmp_path: Path, change: str) -> None:
    """Each part has its own fingerprint: the whole changes with any, the others stay."""
    base = write_base(tmp_path / "base")
    before = prints(base)
    part, do = CHANGES[change]
    do(base)
    now = prints(base)
    assert now.whole != before.whole
    assert [name for name in PARTS if now.parts[name] != before.parts[name]] == [part]
    assert what_changed("main", before.parts, now.parts) == f"the {part} of base 'main' changed"


def test_several_parts_are_all_named(tmp_path: Path) -> None:
    """And a pin from before parts were told apart says what it knows: that the bytes are others."""
    base = write_base(tmp_path / "base")
    before = prints(base).parts
    for name in ("one byte of the weights", "the tokenizer"):
        CHANGES[name][1](base)
    assert what_changed("main", before, prints(base).parts) == "the weights and the tokenizer of base 'main' changed"
    assert what_changed("main", {}, prints(base).parts) == "the bytes of base 'main' changed"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model-00001-of-00002.safetensors", "weights"), ("model.safetensors.index.json", "weights"),
        ("pytorch_model.bin", "weights"), ("model.gguf", "weights"), ("tokenizer_config.json", "tokenizer"),
        ("special_tokens_map.json", "tokenizer"), ("added_tokens.json", "tokenizer"), ("vocab.json", "tokenizer"),
        ("merges.txt", "tokenizer"), ("tokenizer.model", "tokenizer"), ("qwen.tiktoken", "tokenizer"),
        ("quantize_config.json", "quantisation"), ("hf_quant_config.json", "quantisation"),
        ("generation_config.json", "configuration"), ("preprocessor_config.json", "configuration"),
        ("lineage.json", "weights"),
    ],
)  # fmt: skip
def test_files_as_publishers_name_them_have_their_part(name: str, part: str) -> None:
    """The usual names of a Qwen-shaped model, whole or quantised."""
    assert part_of(name) == part


@pytest.mark.asyncio
@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_base_is_refused_and_what_changed_is_named(house: House, change: str) -> None:
    """The guardrail refuses the run, and the line waits with the part's name."""
    write_base(house.base)
    await house.trained()
    await house.do("train.publish_adapter")
    part, do = CHANGES[change]
    do(house.base)
    house.freeze()
    plan = await house.plan()
    (wish,) = plan.proposals
    decision = judge(wish.intent, wish.facts, POLICIES)
    assert decision.judgement.value == "refuse"
    assert "base.fingerprint_is_frozen is false" in decision.sentence
    assert plan.waits == {"l": f"the {part} of base 'tiny' changed"}
    assert wish.intent.why.endswith(f"waits to be learned; the {part} of base 'tiny' changed")


@pytest.mark.asyncio
async def test_a_base_that_changed_during_a_run_fails_it_by_the_part(house: House) -> None:
    """The bytes are compared before and after: what was trained on something else is not published."""
    write_base(house.base)
    run = await house.trained()
    (house.base / "tokenizer.json").write_text("[]")
    await house.do("train.publish_adapter")
    assert house.run(run).error.startswith(f"the tokenizer of base 'tiny' changed while {run} trained on it")
    assert house.adapters() == []


@pytest.mark.asyncio
async def test_a_pin_says_its_parts_and_its_revision(house: House) -> None:
    """What a base is made of and where it is from stands in the ledger, in the store, and in each adapter's folder."""
    house.bases["tiny"] = house.bases["tiny"].model_copy(update={"revision": "v1.0"})
    await house.trained()
    await house.do("train.publish_adapter")
    (pinned,) = house.events("train.base_pinned")
    found = prints(house.base)
    assert pinned.body == {"fingerprint": found.whole, "parts": found.parts, "revision": "v1.0"}
    with house.store.read() as session:
        assert run_rows.pinned_parts(session, "tiny") == found.parts
    assert house.adapters()[0].manifest.base_parts == found.parts


@pytest.mark.asyncio
async def test_a_pin_from_before_gets_its_parts(house: House) -> None:
    """Bases pinned by one fingerprint stay pinned by it; their parts are added as soon as the same bytes are used."""
    with house.store.write() as session:
        run_rows.pin_base(session, "tiny", str(house.base), prints(house.base).whole, 1)
    await house.started()
    with house.store.read() as session:
        assert run_rows.pinned_parts(session, "tiny") == prints(house.base).parts
    assert house.events("train.base_pinned") == []


@pytest.mark.asyncio
async def test_a_base_that_is_not_the_settings_own_is_named(house: House) -> None:
    """An operator may say which bytes it must be; then nothing else is trained on, pinned or not."""
    house.bases["tiny"] = house.bases["tiny"].model_copy(update={"fingerprint": "sha256:0"})
    house.freeze()
    waits = (await house.plan()).waits
    assert waits == {"l": "base 'tiny' is not the one that bases.tiny.fingerprint names"}


@pytest.mark.asyncio
async def test_data_of_another_base_is_not_carried_over(house: House) -> None:
    """A line that is given another base does not learn the dataset of the one before on it."""
    house.freeze(base="tiny")
    other = write_base(house.folder / "other")
    house.bases["other"] = Base(name="other", path=str(other), served_as="other")
    wish = await house.proposal("train.start_run")
    assert wish.facts["dataset.is_of_base"] is True
    house.lines["l"] = Line(name="l", why="w", base="other")
    wish = await house.proposal("train.start_run")
    decision = judge(wish.intent, wish.facts, POLICIES)
    assert wish.facts["dataset.is_of_base"] is False
    assert "dataset.is_of_base is false, needs true" in decision.sentence
    house.freeze(base="other")
    assert (await house.proposal("train.start_run")).facts["dataset.is_of_base"] is True


@pytest.mark.asyncio
async def test_a_line_about_domains_is_not_stopped_for_being_about_them(house: House) -> None:
    """The cap on one domain is for lines that are about no domain: a specialist's dataset is all of its own."""
    house.freeze(largest_domain_share=1.0)
    assert (await house.proposal("train.start_run")).facts["dataset.largest_domain_share"] == 1.0
    house.lines["l"] = POLICIES.lines["math-lora"].model_copy(update={"name": "l", "base": "tiny"})
    assert (await house.proposal("train.start_run")).facts["dataset.largest_domain_share"] is None


def test_a_lineage_is_read_or_refused(tmp_path: Path) -> None:
    """A plain base has none; a torn one is an error with its mend, never a plain base."""
    base = write_base(tmp_path / "base")
    assert lineage_of(base) is None
    lineage = Lineage(original="main", original_fingerprint="f", layers=(Layer(adapter="l@1", hash="h", onto="main"),))
    (base / LINEAGE).write_text(lineage.model_dump_json())
    assert lineage_of(base) == lineage
    assert lineage.words == "main + l@1"
    (base / LINEAGE).write_text("{")
    with pytest.raises(CorruptError, match=r"lineage.json .* cannot be read"):
        lineage_of(base)
