"""What a technique learns from is frozen with its dataset: pairs, single judgements, answers with their reasoning."""

import json
import random

import pytest

from flywheel.core.attempts import Retry
from flywheel.core.examples import prompt_key
from flywheel.core.lines import LabelWeights, TrainPlan, Trigger
from flywheel.core.outcomes import Label, Message
from flywheel.core.requests import Request
from flywheel.core.suites import Suite
from flywheel.core.training import LEARNED_FROM
from flywheel.curate.run import CurateRoom
from flywheel.store.datasets import members
from flywheel.store.examples import examples_by_id
from flywheel.store.requests import make_request, request_by_id
from flywheel.store.suites import record_suite

pytestmark = pytest.mark.asyncio

BAD, GOOD = Label.NEGATIVE, Label.POSITIVE
WORDS = ["".join(random.Random(n).choices("abcdefghijklmnop", k=3 + n % 7)) for n in range(400)]


def asked(*words):
    roles = ("user", "assistant", "user")
    return tuple(Message(role=role, content=one) for role, one in zip(roles, words, strict=False))


def question(number):
    return " ".join(random.Random(f"q{number}").choices(WORDS, k=30))


def technique(desk, name, **plan):
    desk.line = desk.line.model_copy(update={"train": TrainPlan(technique=name)})
    desk.plan(**{"minimum_pairs": 5, "minimum_judgements": 10, **plan})


def pair(desk, number, **values):
    """Bring a question that was answered badly and then well, in one task."""
    same = {"messages": asked(question(number)), "task": f"t{number}", "session": f"s{number}", **values}
    desk.bring(
        desk.outcome(2 * number, BAD, response=f"bad {number}", **same),
        desk.outcome(2 * number + 1, GOOD, response=f"good {number}", **same),
    )


async def freeze(desk, first, last, **values):
    for number in range(first, last):
        pair(desk, number, **values)
    await desk.settle()
    return desk.last()


def rows(desk, part, digest=None):
    path = desk.folder / (digest or desk.last().hash) / f"{part}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def questions(desk, *parts, digest=None):
    found = [row for part in parts for row in rows(desk, part, digest)]
    return {(row.get("prompt") or row["messages"])[0]["content"] for row in found}


def suite_of(desk, digest):
    """Let the gate have frozen its suite from what a dataset held out."""
    with desk.store.write() as session:
        held = examples_by_id(session, members(session, digest, "test"))
        made = Suite(hash=f"suite-{digest[:8]}", line=desk.line.name, dataset=digest, problems=1, groups=1, seq=1)
        record_suite(session, made, [one.prompt_key for one in held.values()])
    return {one.prompt[0].content for one in held.values()}


async def test_pairs_are_frozen_beside_the_answers(desk):
    """A line that learns answers and then pairs has both in its dataset, cut the same way: no question straddles."""
    technique(desk, "sft-dpo")
    manifest = await freeze(desk, 0, 40)
    assert set(manifest.splits) == {"train", "valid", "test", "pairs", "pairs_valid"}
    taught, checked = rows(desk, "pairs"), rows(desk, "pairs_valid")
    assert all(set(row) == {"id", "prompt", "chosen", "rejected", "replay"} for row in taught + checked)
    assert all(row["chosen"].startswith("good") and row["rejected"].startswith("bad") for row in taught + checked)
    assert (len(taught), len(checked)) == (29, 3)
    assert manifest.pairs == 32
    held = questions(desk, "test")
    assert not held & questions(desk, "train", "valid", "pairs", "pairs_valid")
    assert questions(desk, "pairs") == questions(desk, "train")
    assert questions(desk, "pairs_valid") == questions(desk, "valid")
    assert manifest.left_out["pair: its group examines"] == 8
    (event,) = desk.events("curate.dataset_frozen")
    assert (event.body["pairs"], event.body["judgements"], event.body["rows"]["pairs"]) == (32, 0, 29)
    assert event.body["lost_examples"] == event.body["shares_with_suites"] == 0


async def test_pairs_alone_need_no_minimum_of_answers(desk):
    """DPO waits for its pairs and says for how many; what it holds of answers is frozen for the suite's sake."""
    technique(desk, "dpo", minimum_examples=1000, minimum_pairs=30, holdout=0.1)
    assert await freeze(desk, 0, 7) is None
    assert (await desk.room.propose()).waits == {"tool-calling": "needs 23 more pairs"}
    manifest = await freeze(desk, 7, 40)
    assert manifest.technique == "dpo"
    assert manifest.pairs >= 30
    assert manifest.splits["test"].rows == 4
    assert {row["replay"] for row in rows(desk, "train")} == {False}


async def test_what_both_are_missing_is_said_in_one_sentence(desk):
    """A line that needs answers and pairs says what is missing of each, and then what it is triggered by."""
    technique(desk, "sft-dpo", minimum_examples=12, minimum_pairs=11)
    await freeze(desk, 0, 4)
    assert (await desk.room.propose()).waits == {"tool-calling": "needs 8 more examples and 7 more pairs"}
    desk.line = desk.line.model_copy(update={"trigger": Trigger(fresh_examples=50)})
    await freeze(desk, 4, 20)
    assert (await desk.room.propose()).waits == {"tool-calling": "needs 30 more examples or pairs"}


async def test_too_few_left_is_told_with_the_reason(desk):
    """When suites leave too few pairs nothing is frozen."""
    technique(desk, "dpo", minimum_pairs=10)
    for number in range(10):
        pair(desk, number)
    await desk.cycle()
    desk.suite(*_keys(0, 4), line="other")
    (proposal,) = (await desk.room.propose()).proposals
    attempt = await desk.room.perform(proposal.intent, None)
    assert isinstance(attempt, Retry)
    assert "only 5 of 10 pairs" in attempt.reason
    assert "'pair: question stands in a suite': 4" in attempt.reason


def _keys(first, last):
    return [prompt_key(asked(question(number))) for number in range(first, last)]


async def test_single_judgements_hold_good_and_bad_answers(desk):
    """KTO gets every surely good and every surely bad answer, once, and the balance of labels is reported."""
    technique(desk, "kto")
    for number in range(30):
        desk.bring(desk.outcome(number, GOOD if number % 3 else BAD, messages=asked(question(number))))
    desk.bring(desk.outcome(99, BAD, messages=asked(question(0))))
    desk.bring(desk.outcome(98, BAD, messages=asked(question(1))))  # the very words that were good before
    await desk.settle()
    manifest = desk.last()
    taught = rows(desk, "judged")
    assert all(set(row) == {"id", "prompt", "completion", "label", "replay"} for row in taught)
    labels = [row["label"] for row in taught]
    assert {True, False} == set(labels)
    assert manifest.shares["judged_good_share"] == round(sum(labels) / len(labels), 4)
    assert manifest.judgements == len({row["id"] for row in taught + rows(desk, "judged_valid")})
    assert manifest.left_out["judgement: says the same as another"] == 1
    assert manifest.left_out["judgement: says the opposite of another"] == 1
    assert question(1) not in questions(desk, "judged", "judged_valid")
    assert not questions(desk, "test") & questions(desk, "judged", "judged_valid", "train", "valid")


async def test_declared_weights_balance_the_labels(desk):
    """A label's weight is how many rows its judgements bring."""
    technique(desk, "kto", label_weights=LabelWeights(negative=3), valid=0.0)
    for number in range(40):
        desk.bring(desk.outcome(number, GOOD if number % 4 else BAD, messages=asked(question(number))))
    await desk.settle()
    labels = [row["label"] for row in rows(desk, "judged")]
    bad = {row["id"] for row in rows(desk, "judged") if not row["label"]}
    assert labels.count(False) == 3 * len(bad)
    assert desk.last().judgements == len({row["id"] for row in rows(desk, "judged")})


async def test_judgements_of_one_kind_wait_for_the_other(desk):
    """Good answers alone teach no difference: the line says what it waits for."""
    technique(desk, "kto")
    desk.bring_many(0, 20)
    await desk.settle()
    assert desk.last() is None
    assert (await desk.room.propose()).waits == {"tool-calling": "needs judgements of bad answers"}
    desk.bring(desk.outcome(50, BAD))
    await desk.settle()
    assert desk.last() is not None


async def test_only_reasoned_answers_teach_reasoning(desk):
    """A line that learns reasoning leaves out answers that show none, by that name."""
    technique(desk, "cot-sft")
    thought = {True: "<think>why</think>so", False: "<think> </think>so"}
    for number in range(24):
        desk.bring(desk.outcome(number, response=f"{thought[number % 2 == 0]} {number}"))
    await desk.settle()
    assert desk.last().examples == 12
    assert desk.counters()["left_out/no_reasoning"] == 12
    assert {row["messages"][-1]["content"].startswith("<think>why") for row in rows(desk, "train")} == {True}


async def test_a_changed_technique_has_its_splits_in_the_next_dataset(desk):
    """Whatever a line learned by before, its next dataset holds what it learns from now, though nothing is fresh."""
    await freeze(desk, 0, 40)
    assert set(desk.last().splits) == {"train", "valid", "test"}
    for number, name in enumerate(("dpo", "sft-dpo", "kto", "sft"), 2):
        technique(desk, name, minimum_examples=5)
        await desk.settle()
        assert (desk.last().number, desk.last().technique) == (number, name)
        assert set(LEARNED_FROM[name]) <= set(desk.last().splits)
        assert desk.events("curate.dataset_frozen")[-1].body["lost_examples"] == 0


async def test_a_changed_base_has_a_dataset_of_its_own(desk):
    """Data is kept apart by base: the next dataset is frozen for the new one, though nothing is fresh."""
    await freeze(desk, 0, 40)
    first = desk.last()
    desk.line = desk.line.model_copy(update={"base": "other"})
    await desk.settle()
    assert (first.base, desk.last().number, desk.last().base) == ("b", 2, "other")


async def test_a_line_that_asks_for_reasoning_later_leaves_out_what_came_before(desk):
    """Answers without reasoning that are in the pool already do not teach it, and are counted."""
    await freeze(desk, 0, 40)
    technique(desk, "cot-sft")
    for number in range(100, 130):
        desk.bring(desk.outcome(number, response=f"[PLAN] first this\n```\n{number}\n```"))
    await desk.settle()
    assert desk.last().technique == "cot-sft"
    assert desk.last().left_out["answer shows no reasoning"] == 40
    assert {row["messages"][-1]["content"][:6] for row in rows(desk, "train")} == {"[PLAN]"}
    assert desk.events("curate.dataset_frozen")[-1].body["lost_examples"] == 0


async def test_pairs_accumulate_and_are_rehearsed(desk):
    """The next dataset holds every pair of the one before, and 10 to 20 % of its rows rehearse them."""
    technique(desk, "dpo")
    first = await freeze(desk, 0, 40)
    before = {row["id"] for part in ("pairs", "pairs_valid") for row in rows(desk, part)}
    examined = suite_of(desk, first.hash)
    desk.trained()
    second = await freeze(desk, 40, 80)
    assert (second.number, second.parent) == (2, first.hash)
    taught = rows(desk, "pairs")
    assert before <= {row["id"] for row in [*taught, *rows(desk, "pairs_valid")]}
    assert 0.10 <= second.replay_share <= 0.20
    assert sum(row["replay"] for row in taught) == second.replayed
    assert {row["id"] for row in taught if row["replay"]} <= before
    assert not examined & questions(desk, "pairs", "pairs_valid", "train", "valid")
    assert desk.events("curate.dataset_frozen")[-1].body["lost_examples"] == 0


async def test_judgements_accumulate_and_are_rehearsed(desk):
    """The same for judgements, good and bad."""
    technique(desk, "kto")
    first = await freeze(desk, 0, 40)
    before = {row["id"] for part in ("judged", "judged_valid") for row in rows(desk, part)}
    suite_of(desk, first.hash)
    desk.trained()
    second = await freeze(desk, 40, 80)
    taught = rows(desk, "judged")
    assert before <= {row["id"] for row in [*taught, *rows(desk, "judged_valid")]}
    assert 0.10 <= second.replay_share <= 0.20
    assert {row["label"] for row in taught if row["replay"]} == {True, False}


async def test_a_session_has_its_share_of_pairs(desk):
    """No session brings more pairs than its share, or than eight; what goes beyond is counted."""
    technique(desk, "dpo", session_cap=0.05, valid=0.0)
    await freeze(desk, 0, 30, session="one")
    manifest = await freeze(desk, 30, 60)
    assert manifest.left_out["pair: session has its share"] == 22
    of_one = {f"good {number}" for number in range(30)}
    assert len({row["chosen"] for row in rows(desk, "pairs")} & of_one) == 8


async def test_a_question_nearly_of_a_suite_is_in_no_pair_and_no_judgement(desk):
    """A retry's own prompt may be no example's; it is compared with what suites ask all the same."""
    technique(desk, "kto")
    desk.bring(desk.outcome(1000, GOOD, messages=asked(question(500)), response="right"))
    desk.suite(*_keys(500, 501), line="other")
    near = asked(f"{question(500)} again")
    chain = {"task": "t-near", "session": "s-near", "chain": "agent/c"}
    desk.bring(
        desk.outcome(1001, BAD, messages=near, response="wrong", **chain),
        desk.outcome(1002, GOOD, messages=asked(near[0].content, "wrong", "that failed"), response="better", **chain),
    )  # fmt: skip
    manifest = await freeze(desk, 0, 30)
    assert manifest.left_out["judgement: question is nearly one of a suite"] == 1
    assert near[0].content not in questions(desk, "judged", "judged_valid")
    desk.trained()
    technique(desk, "dpo")
    await desk.settle()
    assert desk.last().left_out["pair: question is nearly one of a suite"] == 1
    assert near[0].content not in questions(desk, "pairs", "pairs_valid")


async def test_what_another_line_learned_by_pairs_never_examines(desk):
    """A question that stands in another line's pairs is not held out for a suite, nor one that is nearly the same."""
    technique(desk, "dpo", holdout=0.3)
    first = desk.line.model_copy(update={"name": "one"})
    second = desk.line.model_copy(update={"name": "two"})
    desk.room = CurateRoom(desk.store, desk.clock, lambda: {"one": first, "two": second}, desk.folder)
    for number in range(20):
        pair(desk, number, line="one")
    await desk.settle()
    desk.line = first
    learned = questions(desk, "pairs", "pairs_valid")
    assert len(learned) > 5
    for number in range(100, 120):
        again = asked(f"{question(number - 100)} {WORDS[number]}")
        same = {"task": f"t{number}", "session": f"s{number}", "line": "two", "messages": again}
        desk.bring(desk.outcome(2 * number, BAD, response=f"bad {number}", **same),
                   desk.outcome(2 * number + 1, GOOD, response=f"good {number}", **same))  # fmt: skip
    await desk.settle()
    desk.line = second
    held = {one.rsplit(" ", 1)[0] for one in questions(desk, "test")}
    assert not held & learned


async def test_secrets_are_in_no_pair_and_no_judgement(desk):
    """Neither side of a pair, nor a judged answer, nor what was asked, may hold one."""
    secret = "gh" + "p_" + "aB3dE6gH9" * 4
    for name in ("dpo", "kto"):
        technique(desk, name)
        for number, values in enumerate(({"response": secret}, {"messages": asked(secret)})):
            same = {"messages": asked(question(900 + number)), "task": f"t-{name}", "session": f"s-{name}"}
            key = {"dpo": 5000, "kto": 6000}[name] + 2 * number
            desk.bring(desk.outcome(key, BAD, **{**same, **values}))
            desk.bring(desk.outcome(key + 1, GOOD, **{**same, "response": "fine", **values}))
        await freeze(desk, 0 if name == "dpo" else 100, 30 if name == "dpo" else 130)
        found = (desk.folder / desk.last().hash).glob("*")
        assert not any(secret in path.read_text() for path in found)
        desk.trained()


async def test_a_dataset_suits_what_it_was_frozen_for(desk):
    """What was drawn for answers and pairs may be learned from by either alone; reasoning is asked for by name."""
    technique(desk, "sft-dpo")
    manifest = await freeze(desk, 0, 20)
    assert [name for name in LEARNED_FROM if manifest.suits(name)] == ["sft", "dpo", "sft-dpo"]
    assert manifest.model_copy(update={"settings": {}}).technique == "sft"


async def test_a_wish_without_pairs_is_turned_down(desk):
    """A person who asks for a run of a line that has nothing new to prefer is told so."""
    technique(desk, "dpo")
    desk.bring_many(0, 20)
    await desk.settle()
    with desk.store.write() as session:
        wish = Request(id="r1", kind="train", line=desk.line.name, subject="", at=desk.clock.now())
        make_request(session, wish)
    await desk.settle()
    with desk.store.read() as session:
        found = request_by_id(session, "r1")
    assert (found.state, found.answer) == ("refused", "tool-calling has no new pairs yet")


@pytest.mark.parametrize("form", ["edits", "instruction_to_code"])
async def test_pairs_are_in_the_form_of_the_line(desk, form):
    """Both answers become what the line learns, asked as the worse one was; what cannot is left out by that name."""
    technique(desk, "sft-dpo", form=form, valid=0.0)
    edit = '<edit file="a.py">\n<search>\n</search>\n<replacement>\n{}\n</replacement>\n</edit>'
    for number in range(30):
        same = {"messages": asked(question(number)), "task": f"t{number}", "session": f"s{number}"}
        bad = "no code at all" if number == 3 else f"Let me try.\n{edit.format(f'bad = {number}')}"
        desk.bring(
            desk.outcome(2 * number, BAD, response=bad, **same),
            desk.outcome(2 * number + 1, GOOD, response=f"Sure!\n{edit.format(f'good = {number}')}", **same),
        )
    await desk.settle()
    taught = rows(desk, "pairs")
    assert len(taught) == 23
    assert all(row[side].startswith("<edit") for row in taught for side in ("chosen", "rejected"))
    assert desk.last().left_out["pair: cannot be put into the form the line learns"] == 1
