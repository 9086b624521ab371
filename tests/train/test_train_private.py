"""What learned from what stands under no known licence is marked, and so is whatever begins there."""

import pytest
from train_house import House

from flywheel.core.bases import Layer, Lineage

pytestmark = pytest.mark.asyncio


async def made(house: House, **dataset: int) -> bool:
    """Freeze, train and publish; return whether the newest adapter is private."""
    house.freeze(**dataset)
    run = (await house.proposal("train.start_run")).intent.subject
    await house.do("train.start_run")
    house.train(run)
    await house.do("train.publish_adapter")
    return house.adapters()[-1].manifest.private


async def test_one_private_example_makes_a_private_adapter(house: House) -> None:
    """It says so in its manifest; the next one, of a dataset without any, is free again."""
    assert [await made(house), await made(house, private=1), await made(house)] == [False, True, False]


async def test_what_begins_at_a_private_base_is_private(house: House) -> None:
    """An adapter that was fused into the base is in what is trained on it."""
    assert await made(house, private=2)
    adapter = house.adapters()[-1]
    layer = Layer(adapter=adapter.name, hash=adapter.hash, onto="tiny")
    lineage = Lineage(original="tiny", original_fingerprint="f", layers=(layer,))
    house.bases["tiny"] = house.bases["tiny"].model_copy(update={"lineage": lineage})
    assert await made(house)
