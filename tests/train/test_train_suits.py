"""A dataset is trained by the technique it was frozen for; what one learns from is a fact that guardrails judge."""

import pytest

from flywheel.core.lines import TrainPlan
from flywheel.core.training import LEARNED_FROM

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("technique", LEARNED_FROM)
async def test_a_dataset_of_another_technique_is_not_trained(house, technique):
    """Answers alone train answers alone: every other technique waits for a dataset of its own."""
    house.lines["l"] = house.lines["l"].model_copy(update={"train": TrainPlan(technique=technique)})
    house.freeze()
    wanted = [one.intent.kind for one in (await house.plan()).proposals]
    assert wanted == (["train.start_run"] if technique == "sft" else [])


async def test_what_a_line_needs_is_told_to_guardrails(house):
    """Its technique, the least of what that learns from, and what the dataset holds of it."""
    house.freeze(pairs=12, judgements=0)
    facts = (await house.proposal("train.start_run")).facts
    assert (facts["line.technique"], facts["line.minimum_pairs"], facts["line.minimum_judgements"]) == ("sft", 100, 200)
    assert (facts["dataset.pairs"], facts["dataset.judgements"], facts["line.minimum_examples"]) == (12, 0, 100)
    alone = house.lines["l"].model_copy(update={"train": TrainPlan(technique="dpo")})
    assert alone.least_examples == 0
