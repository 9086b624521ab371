"""A frozen dataset's rows: the line's form, the tools that were offered, and masks where the line asks for them."""

import json

import pytest

from flywheel.core.edits import parse_edits
from flywheel.core.outcomes import Message
from flywheel.curate.quotes import SHORTEST

pytestmark = pytest.mark.asyncio

SOURCE = (
    "def total(values):\n    result = 0\n    for value in values:\n        result = result - value\n    return result"
)
EDIT = f'<edit file="t.py">\n<search>\n{SOURCE}\n</search>\n<replacement>\nreturn sum(values)\n</replacement>\n</edit>'


def write(number: int) -> str:
    """An answer that writes a file."""
    call = {"name": "write", "arguments": {"filePath": f"f{number}.py", "content": f"x = {number}\n"}}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


def rows(desk):
    folder = desk.folder / desk.last().hash
    return [
        json.loads(line) for part in desk.last().splits for line in (folder / f"{part}.jsonl").read_text().splitlines()
    ]


async def test_a_line_of_edits_learns_edits(desk):
    """Every row is in the form; what has none is counted as left out, and so it never enters the pool."""
    desk.plan(form="edits")
    tools = ({"type": "function", "function": {"name": "write"}},)
    asked = [(Message(role="user", content=f"Make file number {n * 7919}."),) for n in range(20)]
    desk.bring(*(desk.outcome(n, messages=asked[n], response=write(n), tools=tools) for n in range(20)))
    desk.bring(*(desk.outcome(n, response=f"I made it {n}.") for n in range(20, 23)))
    await desk.settle()
    assert desk.counters()["left_out/not_in_form"] == 3
    assert len(rows(desk)) == 20
    for row in rows(desk):
        (edit,) = parse_edits(row["messages"][-1]["content"])
        assert edit.replacement.startswith("x = ")
        assert set(row) == {"messages", "example", "replay"}, "an edit calls no tool, so that none is offered"


@pytest.mark.parametrize("mask", [False, True])
async def test_quotes_are_masked_where_the_line_asks_for_it(desk, mask):
    """The mask covers the text that the prompt shows and nothing else; without the setting there is none."""
    desk.plan(mask_quotes=mask)
    messages = [(Message(role="user", content=f"Mend number {n * 7919}:\n{SOURCE}"),) for n in range(20)]
    desk.bring(*(desk.outcome(n, messages=messages[n], response=f"{n}\n{EDIT}") for n in range(20)))
    await desk.settle()
    assert len(SOURCE) > SHORTEST
    for row in rows(desk):
        answer = row["messages"][-1]["content"]
        masked = [answer[start:end].strip("\n") for start, end in row.get("masks", [])]
        assert masked == ([SOURCE] if mask else [])
