"""The same data with one number changed: every run that is asked for, once, one after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_house import House

from flywheel.core.ablations import NUMBERS, Ablation
from flywheel.core.errors import MisuseError
from flywheel.core.lines import Line, TrainPlan
from flywheel.core.requests import Request
from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.store.requests import make_request, request_by_id

SPEC = TrainSpec(line="l", dataset="d", base_name="b", base_fingerprint="f")


def ask(house: House, text: str) -> None:
    """Write down what `flywheel train l --ablate` writes down."""
    body = Ablation.parse(text).model_dump(mode="json")
    with house.store.write() as session:
        make_request(
            session, Request(id="req-1", kind="ablate", line="l", subject="l", at=house.clock.now(), body=body)
        )


def answer(house: House) -> tuple[str, str]:
    """Return what became of the request."""
    with house.store.read() as session:
        found = request_by_id(session, "req-1")
    assert found is not None
    return found.state, found.answer


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rnak=1,2", "no number of a run"), ("rank=32", "names 1 values"), ("rank=32,32", "names 1 values"),
        ("rank=", "names 0 values"), ("rank=a,b", "'a' is no value for rank"), ("rank=0,8", "greater than 0"),
        ("rank=1.5,8", "'1.5' is no value for rank"), ("rank=1,2,3,4,5,6,7,8,9", "names 9 values"),
    ],
)  # fmt: skip
def test_what_no_run_can_have_is_refused(text: str, told: str) -> None:
    """A misspelt number, a single value, and a value out of range are misuse, said in one line."""
    with pytest.raises(MisuseError, match=told):
        Ablation.parse(text)


@given(st.sampled_from(NUMBERS), st.lists(st.integers(1, 64), min_size=2, max_size=8, unique=True))
def test_variants_differ_in_the_one_number_alone(key: str, values: list[int]) -> None:
    """Each value is one run; everything else is the line's, but alpha keeps its proportion to the rank."""
    if key in {"dropout", "layers"}:
        values = list(range(len(values)))
    if key == "dropout":
        values = [value / 10 for value in values]  # type: ignore[misc]
    variants = Ablation.parse(f"{key}={','.join(map(str, values))}").variants(SPEC)
    assert [getattr(one.hyperparameters, key) for one in variants] == values
    assert len({one.run_id for one in variants}) == len(values)
    for one in variants:
        numbers = one.hyperparameters.model_dump() | {key: None}
        assert numbers.pop("alpha") == (2 * getattr(one.hyperparameters, key) if key == "rank" else 32)
        assert numbers == {k: v for k, v in (Hyperparameters().model_dump() | {key: None}).items() if k != "alpha"}


async def trained(house: House) -> str:
    """Bring the one run that is wanted to its published adapter; return its name."""
    run = (await house.proposal("train.start_run")).intent.subject
    await house.do("train.start_run")
    house.train(run)
    await house.do("train.publish_adapter")
    return run


@pytest.mark.asyncio
async def test_both_values_are_trained_on_the_same_data(house: House) -> None:
    """After the line's own run the two are started in turn, answered when the last one starts, and never again."""
    house.freeze()
    own = await trained(house)
    ask(house, "rank=32,64")
    first = await trained(house)
    assert answer(house) == ("open", "")
    second = await trained(house)
    assert answer(house) == ("satisfied", f"started {second}, attempt 1")
    specs = [TrainSpec.model_validate(house.run(run).spec) for run in (own, first, second)]
    assert [spec.hyperparameters.rank for spec in specs] == [16, 32, 64]
    assert [spec.hyperparameters.alpha for spec in specs] == [32, 64, 128]
    assert len({spec.dataset for spec in specs}) == 1
    assert [adapter.name for adapter in house.adapters()] == ["l@1", "l@2", "l@3"]
    assert (await house.plan()).proposals == ()


@pytest.mark.asyncio
async def test_what_is_compared_is_settled_with_the_first_run(house: House) -> None:
    """A line that is changed in between, or has newer data, changes nothing about the second run."""
    house.freeze()
    await trained(house)
    ask(house, "learning_rate=1e-5,2e-5")
    first = await trained(house)
    house.lines = {"l": Line(name="l", why="w", base="tiny", train=TrainPlan(seed=7))}
    second = await trained(house)
    one, other = (TrainSpec.model_validate(house.run(run).spec) for run in (first, second))
    assert other.seed == one.seed == 0
    assert one.hyperparameters.learning_rate != other.hyperparameters.learning_rate


@pytest.mark.asyncio
async def test_without_a_dataset_the_wish_is_refused(house: House) -> None:
    """There is nothing to compare runs on, and the person is told."""
    ask(house, "rank=32,64")
    (refusal,) = (await house.plan()).proposals
    assert (refusal.intent.kind, refusal.intent.subject) == ("operator.refuse_request", "req-1")
    assert refusal.intent.params["answer"] == "there is no dataset to learn"
