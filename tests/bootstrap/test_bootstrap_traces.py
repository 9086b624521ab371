"""Reasoning and plans that teachers write: what is believed of them, and how strictly they are read."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_house import AT, GOOD, drive, line, making, material, scripted, subjects

from flywheel.bootstrap.agreements import agree, final_of, object_in, yes_or_no
from flywheel.bootstrap.derivations import derive
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.plan_answers import (
    BACKWARDS,
    BEYOND,
    CIRCLE,
    INVENTS,
    MISSES,
    NO_PLAN,
    Plan,
    invents_files,
    order_of,
    plan_fault,
    read_planned,
)
from flywheel.bootstrap.plan_tasks import PLANS
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.reasoning_tasks import ELSEWHERE, REASONING
from flywheel.bootstrap.teacher_tasks import Ask, End, Step
from flywheel.bootstrap.traces import MARKED, REPEATS, TOLD, TOO_SHORT, trace_fault, with_trace
from flywheel.core.labels import judge
from flywheel.core.lines import Line, TrainPlan
from flywheel.core.outcomes import Label, Message, Signal
from flywheel.core.reasonings import shows_reasoning
from flywheel.core.training import Hyperparameters
from flywheel.policy.loading import load_policies

POLICIES = Path(__file__).parents[2] / "policies"
TRACE = (
    "The order speaks of prices, and prices are counted in the cart alone. The shelf reads them and changes none, "
    "so what has to change is the cart, and whoever calls it stays as it is."
)
WEIGHED = line(train=TrainPlan(hyperparameters=Hyperparameters(span_weights={"REASONING": 1.5, "PLAN": 2.0})))
ASKED = Prompt(messages=(Message(role="user", content="?"),), call_type="scope", group="g")


@pytest.mark.parametrize(
    ("trace", "fault"),
    [
        (TRACE, ""),
        ("The cart.", TOO_SHORT),
        ("", TOO_SHORT),
        (f"<think>{TRACE}</think>", MARKED),
        (f"[PLAN]\n{TRACE}", MARKED),
        (f"{TRACE}\n```python\nx = 1\n```", MARKED),
        (f"{TRACE} This matches the given answer.", TOLD),
        (f"{TRACE} As I was given the answer, it is yes.", TOLD),
        (f"{TRACE} The solution that was provided changes it.", TOLD),
        (f"{TRACE} So: change the cart's total so that it counts every price once.", REPEATS),
    ],
)
def test_a_trace_that_teaches_nothing_is_told(trace: str, fault: str) -> None:
    """Too short, marks that end the section, words that give away that the answer was known, the answer itself."""
    assert trace_fault(trace, "change the cart's total so that it counts every price once.") == fault


@pytest.mark.parametrize("call_type", ["scope", "execute_plan"])
@pytest.mark.parametrize("of", [line(), WEIGHED])
def test_a_trace_stands_where_the_line_weighs_it(of: Line, call_type: str) -> None:
    """As a thought, or in the sections of the line's span weights; the trainer finds it there."""
    told = with_trace(of, call_type, TRACE, '{"a": 1}')
    assert shows_reasoning(told)
    assert told.endswith('{"a": 1}')
    assert told.startswith("[REASONING]" if of is WEIGHED else "<think>")
    assert ("[PLAN]" in told) == (of is WEIGHED and call_type == "execute_plan")


def reasoned(home: Path, held: dict[str, Any], roles: tuple[Any, ...], *said: Any) -> tuple[End, list[Step]]:
    """How the reasoning of one making ends, by a script."""
    found = material(home, roles)
    with closing(found.shelf):
        found.shelf.put({"mine/acme/shop/1": [making(**held)]})
        (subject,) = subjects(REASONING, found).values()
        assert subject.key == "mine/acme/shop/1/one"
        steps, tell = scripted(*said)
        return drive(subject.work(), tell), steps


def test_a_missing_trace_is_written(home: Path) -> None:
    """The answer stays, and its evidence; the reasoning stands before it; asked as SF3 says."""
    end, steps = reasoned(home, {"weight": 2.0}, ("primary", "thinking"), TRACE)
    (made,) = end.makings
    assert made.response == f"<think>\n{TRACE}\n</think>\n\nA thing."
    assert judge(made.signals).confidence == GOOD.strength
    assert (made.weight, made.about["of"], made.about["repo"]) == (2.0, "mine/acme/shop/1", "acme/shop")
    assert isinstance(steps[0], Ask)
    (question,) = steps[0].questions
    assert (question.role, question.temperature, question.max_tokens) == ("thinking", 0.3, 1024)
    assert question.subject == "acme/shop"


def test_answers_of_teachers_are_reasoned_too(home: Path) -> None:
    """Who answered stays on the record beside who wrote the reasoning."""
    held = {"recipe": "teach", "origin": "teacher", "about": {"task": "answers", "teacher": "t", "model": "n"}}
    (made,) = reasoned(home, held, ("primary",), TRACE)[0].makings
    told = {"teacher": "thinking", "model": "m", "task": "reasoning", "of": "mine/acme/shop/1"}
    assert made.about == {**told, "answered_by": {"teacher": "t", "model": "n"}}


def test_a_trace_that_gives_the_answer_away_is_asked_for_once_more(home: Path) -> None:
    """And left alone when the second one does, too."""
    bad = f"{TRACE} This is the given answer."
    assert reasoned(home, {}, ("primary",), bad, TRACE)[0].kind == "believed"
    assert reasoned(home, {}, ("primary",), bad, bad)[0] == End("refused", TOLD)


def test_a_short_answer_must_follow_from_its_trace(home: Path) -> None:
    """A second teacher reads the trace without the answer: who comes to another one refutes it."""
    held = {"response": "yes", "call_type": "scope"}
    roles = ("primary", "cross")
    assert reasoned(home, held, roles, TRACE, ["Yes."])[0].kind == "believed"
    assert reasoned(home, held, roles, TRACE, ["No."], TRACE, ["No."])[0] == End("refused", ELSEWHERE)
    assert reasoned(home, held, roles, TRACE, [None])[0].kind == "believed"
    _, steps = reasoned(home, held, roles, TRACE, ["Yes."])
    assert isinstance(steps[1], Ask)
    assert "yes" not in steps[1].questions[0].messages[1].content


@pytest.mark.parametrize(
    "held",
    [
        {"response": "<think>because</think>\nyes"},
        {"signals": (Signal(name="guess", points=1, strength=0.6),)},
        {"signals": (Signal(name="bad", points=-1, strength=0.9),)},
        {"recipe": "teach", "about": {"task": "plans"}},
        {"line": "another"},
        {"tools": ({"name": "look"},)},
    ],
)
def test_what_has_a_trace_or_is_not_good_gets_none(home: Path, held: dict[str, Any]) -> None:
    """Only good answers of the line without reasoning are told."""
    found = material(home)
    with closing(found.shelf):
        found.shelf.put({"mine/acme/shop/1": [making(**held)]})
        assert not subjects(REASONING, found)


FILES = ("shop/cart.py", "shop/prices.py", "shop/shelf.py", "tests/test_cart.py")


def part(name: str, files: list[str], *after: str) -> dict[str, Any]:
    """A part of a plan."""
    return {"id": name, "description": f"Change {name}", "affected_files": files, "depends_on": list(after)}


def plan(*parts: dict[str, Any]) -> dict[str, Any]:
    """A plan."""
    return {"task_summary": "Count prices once.", "parts": list(parts), "rationale": "Prices come first."}


TRUTH = plan(part("p1", ["shop/prices.py"]), part("p2", ["shop/cart.py"], "p1"))
RIGHT = plan(part("a", ["shop/prices.py", "shop/cart.py"]))


def said(told: dict[str, Any], reasoning: str = TRACE) -> str:
    """An answer with a plan."""
    return f"{reasoning}\n\n```json\n{json.dumps(told, indent=1)}\n```"


def planned(home: Path, *texts: Any) -> tuple[End, list[Step]]:
    """How a mined plan ends, by a script."""
    found = material(home, of=WEIGHED)
    with closing(found.shelf):
        found.shelf.put({"mine/acme/shop/1": mined()})
        (subject,) = subjects(PLANS, found).values()
        steps, tell = scripted(*texts)
        return drive(subject.work(), tell), steps


def mined() -> list[Any]:
    """What mining makes of a commit: its analysis, which shows more files, and its plan."""
    wide = "\n".join(FILES)
    asked = "Task: count prices once\n\nFiles:\nshop/cart.py\nshop/prices.py\n\nAnswer with a plan as JSON."
    return [
        making("task_analysis", f"Task: count prices once\n\nFiles:\n{wide}\n\nSay what changes."),
        making("execute_plan", asked, json.dumps(TRUTH, indent=1), call_type="execute_plan"),
    ]


def test_a_plan_that_fits_the_change_is_believed_with_its_reasoning(home: Path) -> None:
    """The teacher sees all files and not the change; what it plans is what was done."""
    end, steps = planned(home, said(TRUTH))
    (made,) = end.makings
    assert judge(made.signals).confidence == 0.85
    assert made.response == f"[REASONING]\n{TRACE}\n[PLAN]\n{json.dumps(TRUTH, indent=1)}"
    asked = made.messages[-1].content
    assert asked == "Task: count prices once\n\nFiles:\n" + "\n".join(FILES) + "\n\nAnswer with a plan as JSON."
    assert isinstance(steps[0], Ask)
    assert steps[0].questions[0].messages[-1].content == asked
    assert json.dumps(TRUTH) not in steps[0].questions[0].model_dump_json()


def test_a_plan_that_misses_the_change_is_a_bad_example(home: Path) -> None:
    """A second one may fit: both answer the same question, and become a pair."""
    wrong = plan(part("a", ["shop/shelf.py"]))
    end, _ = planned(home, said(wrong), said(RIGHT))
    assert [judge(one.signals).label for one in end.makings] == [Label.POSITIVE, Label.NEGATIVE]
    assert end.makings[0].messages == end.makings[1].messages
    end, _ = planned(home, said(wrong), "no plan at all")
    assert (end.kind, end.reason, len(end.makings)) == ("refused", MISSES, 1)
    assert planned(home, "no plan", "nor here")[0] == End("refused", NO_PLAN)


TREE = {
    "shop/prices.py": "def price(x):\n    return x\n",
    "shop/cart.py": "from .prices import price\n\n\ndef total(xs):\n    return sum(price(x) for x in xs)\n",
    "shop/shelf.py": "def shelf():\n    return 0\n",
}


def test_a_mined_commit_is_planned_and_checked(home: Path) -> None:
    """What mining really makes of a commit: the question is widened, and what is imported has to come first."""
    after = {
        "shop/prices.py": "def price(x):\n    return 2 * x\n",
        "shop/cart.py": TREE["shop/cart.py"] + "\n\nX = 1\n",
    }
    changes = tuple(FileChange(name, name, TREE[name], text) for name, text in after.items())
    lesson = MinedCommit("acme/shop", "c" * 40, AT, "Return twice the price", changes, tuple(TREE), TREE.get)
    found = material(home, of=line("plan", select={"call_types": ["execute_plan"]}))
    with closing(found.shelf):
        found.shelf.put({"mine/acme/shop/c": derive(lesson)})
        (subject,) = subjects(PLANS, found).values()
        right = plan(part("a", ["shop/prices.py"]), part("b", ["shop/cart.py"], "a"))
        wrong = plan(part("a", ["shop/cart.py"]), part("b", ["shop/prices.py"], "a"))
        steps, tell = scripted(said(wrong), said(right))
        end = drive(subject.work(), tell)
    assert isinstance(steps[0], Ask)
    assert "shop/shelf.py" in steps[0].questions[0].messages[-1].content
    assert [judge(one.signals).label for one in end.makings] == [Label.POSITIVE, Label.NEGATIVE]
    assert end.makings[0].about["commit"] == "c" * 40


@pytest.mark.parametrize(
    ("reasoning", "fault"),
    [
        (f"{TRACE} It is in shop/till.py.", INVENTS),
        ("The cart.", TOO_SHORT),
        (f"{TRACE} It is in prices.py and shop/shelf.py.", ""),
    ],
)
def test_reasoning_must_hold_as_well(home: Path, reasoning: str, fault: str) -> None:
    """A right plan for reasons that cannot be is not believed, nor is it a bad plan."""
    end, _ = planned(home, said(RIGHT, reasoning), said(RIGHT, reasoning))
    assert end.reason == fault
    assert len(end.makings) == (not fault)


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (TRUTH, ""),
        (RIGHT, ""),
        (plan(part("a", ["shop/cart.py"], "b"), part("b", ["shop/prices.py"])), ""),
        (plan(part("a", ["shop/cart.py"]), part("b", ["shop/prices.py"])), BACKWARDS),
        (plan(part("a", ["shop/prices.py"])), MISSES),
        (plan(part("a", ["shop/prices.py", "shop/cart.py", "shop/shelf.py"])), BEYOND),
        (plan(part("a", ["shop/cart.py"], "b"), part("b", ["shop/prices.py"], "a")), CIRCLE),
        (plan(part("a", ["shop/cart.py"], "z"), part("b", ["shop/prices.py"])), CIRCLE),
        (plan(part("a", ["shop/cart.py"]), part("a", ["shop/prices.py"])), CIRCLE),
    ],
)
def test_a_plan_is_compared_with_what_was_done(told: dict[str, Any], fault: str) -> None:
    """The same files, none in front of what it leans on, and no part that waits for ever."""
    assert plan_fault(Plan.model_validate(told), Plan.model_validate(TRUTH)) == fault


@given(st.text() | st.builds(lambda a, b: f"{a}{{{b}", st.text(), st.text()))
def test_odd_answers_hold_no_plan(text: str) -> None:
    """Whatever is said, reading it raises nothing."""
    assert read_planned(text) is None or read_planned(text)


@given(st.text(alphabet="abc \n."), st.booleans())
def test_a_plan_is_found_behind_any_reasoning(words: str, fenced: bool) -> None:  # noqa: FBT001
    """Bare or in a fence, with other words before it and none behind it."""
    body = json.dumps(TRUTH)
    told = read_planned(f"{words}\n```json\n{body}\n```\n" if fenced else f"{words}\n{body}")
    assert told is not None
    assert told.plan == Plan.model_validate(TRUTH)
    assert told.reasoning == words.strip()
    assert read_planned(f"{words}\n```json\n{body}\n```\nThat is it.") is None


@given(st.permutations(list("abcde")), st.data())
def test_parts_stand_behind_what_they_wait_for(names: list[str], data: st.DataObject) -> None:
    """Every order without a circle can be worked off; each part once."""
    parts = [part(name, ["x.py"], *data.draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else [])
             for number, name in enumerate(names)]  # fmt: skip
    order = order_of(Plan.model_validate(plan(*data.draw(st.permutations(parts)))))
    assert order is not None
    assert sorted(one.id for one in order) == sorted(names)
    done: set[str] = set()
    for one in order:
        assert done.issuperset(one.depends_on)
        done.add(one.id)


@given(st.text())
def test_no_reasoning_is_too_odd(text: str) -> None:
    """Looking for invented files and for faults raises nothing."""
    assert invents_files(text, FILES) in {True, False}
    assert isinstance(trace_fault(text, text), str)


def test_plans_and_traces_suit_the_lines_that_learn_them() -> None:
    """Of the lines that ship: who learns reasoning gets traces, who plans gets plans."""
    lines = load_policies(POLICIES).lines
    assert {name for name, one in lines.items() if PLANS.suits(one)} == {"plan"}
    assert {name for name, one in lines.items() if REASONING.suits(one)} >= {"plan"}
    assert not REASONING.suits(lines["python-lora"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Yes.", "yes, because it is", True),
        ("Yes.", "No.", False),
        ("Yes, but not there.", "Yes.", None),
        ('{"relevant": true, "why": "a"}', '```json\n{"why": "b", "relevant": true}\n```', None),
        ('{"relevant": true, "why": "a"}', '{"relevant": false, "why": "a"}', False),
        ('{"a": 1.0}', '{"a": 1}', True),
        ('{"a": 1}', "one", False),
        ("It is so.\nThe sum is 1,024", "I added them up: **1024**", True),
        ("so \\boxed{ \\frac{1}{2} }", "thus \\boxed{\\frac{1}{2}}", True),
        ("so \\boxed{3}", "The result = 4.", False),
        ('<tool_call>{"name": "a"}</tool_call>', '<tool_call>{"name": "b"}</tool_call>', False),
        ('<tool_call>{"name": "a"}</tool_call>', "I cannot.", False),
        ("A thing.", "Something else.", None),
        ("A  thing.\n", "A thing.", True),
        (json.dumps(TRUTH), json.dumps(RIGHT), True),
        (json.dumps(TRUTH), json.dumps(plan(part("a", ["b.py"]))), False),
        ("<think>yes</think>\nno", "No.", True),
    ],
)
def test_answers_are_compared_as_far_as_they_can_be(one: str, other: str, same: bool | None) -> None:  # noqa: FBT001
    """Short answers, objects, plans, results and calls of tools; what takes understanding is left to a judge."""
    assert agree(ASKED, one, other) is same
    assert agree(ASKED, other, one) is same


EDIT = '<edit file="a.py">\n<search>\n{0}\n</search>\n<replacement>\n{1}\n</replacement>\n</edit>'


def test_edits_agree_when_they_make_the_same_files() -> None:
    """However much of the file each of them searches for; other results may both be right."""
    shown = ASKED.model_copy(
        update={"messages": (Message(role="user", content='<file path="a.py">\nx = 1\ny = 2\n</file>'),)}
    )
    small, large = EDIT.format("x = 1", "x = 3"), EDIT.format("x = 1\ny = 2", "x = 3\ny = 2")
    assert agree(shown, small, large) is True
    assert agree(shown, small, EDIT.format("x = 1", "x = 4")) is None
    assert agree(shown, small, EDIT.format("z = 1", "x = 3")) is None


TEXTS = st.text() | st.sampled_from(
    ["yes", "No.", '{"a": true}', "\\boxed{1}", "= 4", "<tool_call>{}</tool_call>", EDIT]
)


@given(TEXTS, TEXTS)
def test_comparing_never_raises_and_has_no_sides(one: str, other: str) -> None:
    """Whatever two teachers say; and each agrees with itself."""
    assert agree(ASKED, one, other) is agree(ASKED, other, one)
    assert agree(ASKED, one, one) is True
    assert yes_or_no(one) in {True, False, None}
    assert isinstance(final_of(one), str | None)
    assert isinstance(object_in(one), dict | None)
