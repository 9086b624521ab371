"""The orders of the default trainer: each technique is given the files it learns from, and no others."""

from pathlib import Path

import pytest

from flywheel.core.training import LEARNED_FROM, Hyperparameters, TrainSpec
from flywheel.train.backends.seams import Places
from flywheel.train.backends.trl import Trl

PARTS = ("train", "valid", "pairs", "pairs_valid", "judged", "judged_valid")


def orders(technique: str, *splits: str, **hyperparameters: object) -> dict[str, object]:
    values = Hyperparameters.model_validate({"eval_steps": 5, "patience": 2, "save_steps": 5, **hyperparameters})
    spec = TrainSpec.model_validate(
        {
            "line": "l",
            "dataset": "d",
            "base_name": "b",
            "base_fingerprint": "f",
            "technique": technique,
            "hyperparameters": values,
        }
    )
    places = Places(
        python=Path("/python"), base=Path("/base"), dataset=Path("/data"), folder=Path("/run"), splits=frozenset(splits)
    )
    return Trl().command(spec, places, 0).orders


@pytest.mark.parametrize(
    ("technique", "named"),
    [
        ("sft", {"train", "valid"}),
        ("cot-sft", {"train", "valid"}),
        ("dpo", {"pairs", "pairs_valid"}),
        ("sft-dpo", {"train", "valid", "pairs", "pairs_valid"}),
        ("cot-sft-dpo", {"train", "valid", "pairs", "pairs_valid"}),
        ("kto", {"judged", "judged_valid"}),
    ],
)
def test_a_technique_is_given_its_own_files(technique: str, named: set[str]) -> None:
    """By path; every other part is null, however much the dataset holds."""
    made = orders(technique, *PARTS)
    assert {part for part in PARTS if made[part] is not None} == named
    assert all(made[part] == f"/data/{part}.jsonl" for part in named)
    assert made["technique"] == technique


def test_every_technique_has_orders() -> None:
    """None was forgotten."""
    assert {orders(technique, *PARTS)["technique"] for technique in LEARNED_FROM} == set(LEARNED_FROM)


@pytest.mark.parametrize(("technique", "unseen"), [("sft", "valid"), ("dpo", "pairs_valid"), ("kto", "judged_valid")])
def test_what_has_no_unseen_rows_is_not_evaluated(technique: str, unseen: str) -> None:
    """Held-out rows of another technique do not count; with its own, evaluations and patience stand as asked."""
    blind = orders(technique, *(part for part in PARTS if part != unseen))["hyperparameters"]
    seeing = orders(technique, *PARTS)["hyperparameters"]
    assert isinstance(blind, dict)
    assert isinstance(seeing, dict)
    assert (blind["eval_steps"], blind["patience"]) == (0, 0)
    assert (seeing["eval_steps"], seeing["patience"]) == (5, 2)


def test_one_of_two_stages_may_be_evaluated() -> None:
    """A run of two stages is evaluated where it can be."""
    made = orders("sft-dpo", "train", "pairs", "pairs_valid")
    assert made["valid"] is None
    assert made["hyperparameters"]["eval_steps"] == 5  # type: ignore[index]
