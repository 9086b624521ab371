"""What the check before a run makes of what was seen: pure, fact by fact."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.train.preflight_facts import (
    BaseFacts,
    FileFacts,
    Lengths,
    PreflightFacts,
    Question,
    Surroundings,
    TokenizerFacts,
    Trouble,
)
from flywheel.train.preflights import FINDINGS, WARNINGS, Preflight, decide, failed

GIB = 1 << 30
CONFIG = {
    "model_type": "qwen3", "vocab_size": 151936, "hidden_size": 1024, "intermediate_size": 3072,
    "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
    "tie_word_embeddings": True, "max_position_embeddings": 40960, "eos_token_id": 151645,
}  # fmt: skip
SOUND = TokenizerFacts(
    eos="<|im_end|>", eos_id=151645, pad="<|endoftext|>", pad_id=151643, ending="<|im_end|>", ending_id=151645
)
GENERATION = {"eos_token_id": [151645, 151643], "pad_token_id": 151643}
ROOMY = Surroundings(memory="gpu", free_memory=80 * GIB, free_disk=100 * GIB, max_lora_rank=64)
LENGTHS = Lengths(p50=300, p95=900, max=1500)


def facts(**changed: Any) -> PreflightFacts:
    """Return facts with nothing wrong in them, but for what is changed."""
    held = {
        "base": BaseFacts(config=CONFIG, generation=GENERATION),
        "tokenizer": SOUND,
        "files": (FileFacts(name="train", rows=100, tokens=30_000, lengths=LENGTHS),),
    }
    return PreflightFacts(**{**held, **changed})


def asked(examples: int = 100, **values: Any) -> Question:
    """Return a run of a line that asks for a hundred examples."""
    spec = TrainSpec(
        line="l", dataset="d", base_name="b", base_fingerprint="f", hyperparameters=Hyperparameters(**values)
    )
    return Question(spec=spec, examples=examples, minimum_examples=100)


def names(found: Preflight) -> list[str]:
    """Return what the findings are called."""
    return [one.name for one in found.findings]


def test_nothing_wrong_is_nothing_found() -> None:
    """A sound instruct base, rows that fit and room enough: the run may start, and the numbers are told."""
    found = decide(facts(), asked(), ROOMY)
    assert found.findings == ()
    assert found.sentence == ""
    assert found.numbers["rows"]["train"] == {"rows": 100, "tokens": 30_000, "p50": 300, "p95": 900, "max": 1500}


def test_rows_that_are_too_long_are_named_with_their_lengths() -> None:
    """Nothing is cut silently: count, rows, lengths, the spread of all, and the value that would do."""
    long = Trouble(count=7, rows=tuple((number, 2100 + number) for number in range(1, 8)))
    file = FileFacts(name="train", rows=100, lengths=Lengths(p50=300, p95=2049, max=2107), long=long)
    (one,) = decide(facts(files=(file,)), asked(), ROOMY).errors
    assert one.name == "rows.too-long"
    assert "7 of 100 rows of train.jsonl are longer than max_length 2048" in one.sentence
    assert "row 1 (2101), row 2 (2102), row 3 (2103), row 4 (2104), row 5 (2105) and 2 more" in one.sentence
    assert "half are within 300 tokens, 95 % within 2049, the longest has 2107" in one.sentence
    assert one.mend.startswith("raise max_length to 2107")


def test_rows_beyond_what_the_base_was_built_for_are_found() -> None:
    """A max_length above the base's context does not make the base longer."""
    file = FileFacts(name="train", rows=1, lengths=Lengths(p50=50_000, p95=50_000, max=50_000))
    found = decide(facts(files=(file,)), asked(max_length=65_536), ROOMY.model_copy(update={"free_memory": None}))
    assert names(found) == ["rows.beyond-base", "memory.unknown"]


@pytest.mark.parametrize("kind", ["unwritable", "unended", "unlearned", "silent"])
def test_rows_that_cannot_be_learned_from_are_named(kind: str) -> None:
    """Each kind of trouble is a finding of its own, with rows; teaching silence alone is only a warning."""
    file = FileFacts(name="pairs", rows=9, **{kind: Trouble(count=1, rows=((4, "it ends oddly"),))})
    (one,) = decide(facts(files=(file,)), asked(), ROOMY).findings
    assert one.name == f"rows.{kind}"
    assert "1 of 9 rows of pairs.jsonl" in one.sentence
    assert "row 4 (it ends oddly)" in one.sentence
    assert one.level == ("warning" if kind == "silent" else "error")


def test_what_a_technique_asks_of_a_file_is_found() -> None:
    """KTO needs good and bad answers; a weight needs a section that some answer has."""
    spec = asked().spec.model_copy(update={"technique": "kto"})
    judged = FileFacts(name="judged", rows=9, lengths=LENGTHS, judged=(True,))
    found = decide(facts(files=(judged,)), asked().model_copy(update={"spec": spec}), ROOMY)
    assert names(found) == ["rows.lopsided"]
    both = judged.model_copy(update={"judged": (False, True)})
    assert not decide(facts(files=(both,)), asked().model_copy(update={"spec": spec}), ROOMY).findings
    assert names(decide(facts(), asked(span_weights={"PLAN": 2.0}), ROOMY)) == ["rows.unmarked"]
    marked = FileFacts(name="train", rows=9, lengths=LENGTHS, sections=("PLAN",))
    assert not decide(facts(files=(marked,)), asked(span_weights={"PLAN": 2.0}), ROOMY).findings


def test_a_dataset_below_the_floor_is_told_and_an_empty_file_stops() -> None:
    """The floor is a guardrail's to enforce; a file without rows cannot be trained on at all."""
    found = decide(facts(files=(FileFacts(name="train", rows=0),)), asked(examples=40), ROOMY)
    assert [(one.name, one.level) for one in found.findings] == [
        ("dataset.below-floor", "warning"), ("dataset.empty", "error"),
    ]  # fmt: skip
    assert "holds 40 examples, the line asks for 100" in found.findings[0].sentence


def test_memory_that_does_not_do_is_told_in_its_parts() -> None:
    """What is needed, by what needs it, stands beside what is free."""
    tight = ROOMY.model_copy(update={"free_memory": 2 * GIB})
    (one,) = decide(facts(), asked(batch_size=16, gradient_checkpointing=False), tight).errors
    assert one.name == "memory.short"
    for part in ("weights", "adapter and optimiser", "activations", "logits", "the process itself", "2.0 GiB are free"):
        assert part in one.sentence
    assert "batch_size" in one.mend


def test_what_cannot_be_estimated_is_said_and_stops_nothing() -> None:
    """A base of another family, or a machine that does not tell, is a warning."""
    other = BaseFacts(config={"model_type": "mamba", "eos_token_id": 151645}, generation=GENERATION)
    assert names(decide(facts(base=other), asked(), ROOMY)) == ["memory.unknown"]
    dumb = ROOMY.model_copy(update={"free_memory": None})
    assert names(decide(facts(), asked(), dumb)) == ["memory.unknown"]


def test_a_disk_that_is_too_full_stops_the_run() -> None:
    """Kept checkpoints, one being written, and the adapter twice have to fit."""
    full = ROOMY.model_copy(update={"free_disk": 50 << 20})
    (one,) = decide(facts(), asked(), full).errors
    assert one.name == "disk.short"
    assert "50 MiB are free" in one.sentence
    assert not decide(facts(), asked(save_steps=1, rank=1), full).errors


def test_a_rank_the_server_refuses_is_refused_here() -> None:
    """An adapter nobody could load is not trained."""
    (one,) = decide(facts(), asked(rank=128), ROOMY).errors
    assert one.name == "rank.refused"
    assert "trains rank 128, the model server takes at most 64" in one.sentence
    assert not decide(facts(), asked(rank=64), ROOMY).errors


def test_a_server_with_another_template_stops_the_run() -> None:
    """Training on one text and serving another is refused; where no server was there it is said."""
    other = ROOMY.model_copy(update={"server_differs": "the prompt of 'row 1' is 9 tokens there and 8 here"})
    assert names(decide(facts(), asked(), other)) == ["template.differs"]
    away = ROOMY.model_copy(update={"template_unchecked": "it does not answer"})
    found = decide(facts(), asked(), away)
    assert (names(found), found.errors) == (["template.unchecked"], ())


def test_an_operator_may_only_be_told() -> None:
    """A finding that is observed is a warning: everything of it is said and nothing is stopped."""
    found = decide(facts(), asked(rank=128), ROOMY).with_warnings(["rank.refused"])
    assert (names(found), found.errors) == (["rank.refused"], ())


def test_a_check_that_failed_is_an_error_of_its_own() -> None:
    """No facts are no permission."""
    (one,) = failed("killed").errors
    assert one.name == "check.failed"
    assert "killed" in one.sentence


def test_every_finding_stands_in_the_documents() -> None:
    """docs/training.md lists exactly the findings there are, with what the registry says of each."""
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    section = page.partition("## Preflight\n")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `([\w.-]+)` \| (.+?) \|$", section, re.MULTILINE)) == dict(FINDINGS)


def test_every_finding_is_registered_and_survives_the_ledger() -> None:
    """Names come from one registry; what is recorded is plain JSON."""
    assert FINDINGS.keys() >= WARNINGS
    found = decide(facts(), asked(rank=128), ROOMY)
    assert {one.name for one in found.findings} <= FINDINGS.keys()
    assert json.loads(found.model_dump_json())["findings"][0]["name"] == "rank.refused"
