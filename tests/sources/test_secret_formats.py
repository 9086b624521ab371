# ruff: noqa: D102 - the planter's methods say what they do by name
"""Secrets planted wherever an agent may write one: found, kept out whole, and in nothing that is made of the rest."""

import json
import random
import re
import sysconfig
from functools import partial
from pathlib import Path

import pytest
from planted_secrets import FORMATS, planted

from flywheel.core.lines import DatasetPlan, Line, Trigger
from flywheel.core.secrets import find_secret
from flywheel.curate.exports import Order, export_rows
from flywheel.curate.run import CurateRoom
from flywheel.sources.settings import GenericSource
from flywheel.store.datasets import last_dataset
from flywheel.store.lineages import lineages

SEEDS = range(12)
WAYS = {
    "as it is": str,
    "in code": lambda text: f"value = '{text}'\nprint(value)\n",
    "in prose": lambda text: f"Use this: {text}, then go on.",
    "in markdown": lambda text: f"- `{text}`\n",
    "in colours": lambda text: f"\x1b[32m{text}\x1b[0m",
    "in JSON": lambda text: json.dumps({"content": f"first line\n{text}\nlast line"}),
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"output": f"first line\n{text}\n"})),
    "in a tool call": lambda text: (
        f"<tool_call>\n{json.dumps({'name': 'write', 'arguments': {'text': text}})}\n</tool_call>"
    ),
}


def test_there_are_formats_enough():
    """The fixture set is wider than the least that is asked for."""
    assert len(FORMATS) >= 60


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_found_however_it_is_written(name):
    """Twelve secrets of each format, each written in eight ways: none is missed."""
    missed = [(seed, way) for seed in SEEDS for way, write in WAYS.items()
              if find_secret(write(planted(random.Random(seed))[name])) is None]  # fmt: skip
    assert not missed


def test_ordinary_files_are_let_through():
    """Of the standard library's files at most one in a hundred is flagged; the benchmark looks at ten thousand more."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    flagged = [file.name for file in files if find_secret(file.read_text(encoding="utf-8", errors="replace"))]
    assert len(files) > 100
    assert len(flagged) <= len(files) * 0.01, flagged


# ── from the agent's database to what is handed out ─────────────────────────


def core_of(secret: str) -> str:
    """The part of a planted text that must be nowhere: its longest run of letters that no other text has."""
    return max(re.findall(r"[A-Za-z0-9]{6,}", secret), key=len)


def native_call(text):
    return {"function": {"name": "write", "arguments": json.dumps({"text": text})}}


class Planter:
    """Writes one record for each secret and place, and ordinary ones between them."""

    def __init__(self, agent, chat):
        self.agent = agent
        self.chat = chat
        self.chance = random.Random(5)
        self.planted: list[str] = []
        self.count = 0

    def places(self):
        return [
            lambda text: {"prompt": f"do it with {text}"},
            lambda text: {"system_prompt": f"You may use\n{text}\n"},
            lambda text: self.said(("user", "do it"), ("assistant", "yes"), ("user", text)),
            lambda text: self.said(("user", "do it"), ("tool", json.dumps({"out": text}))),
            lambda text: {"response": f"I wrote {text}"},
            lambda text: {"response": WAYS["in a tool call"](text)},
            lambda text: {"response": json.dumps({"role": "assistant", "tool_calls": [native_call(text)]})},
        ]

    def said(self, *turns):
        return {"messages": self.chat(*turns), "prompt": None}

    def plant(self, text, **call):
        self.count += 1
        self.planted.append(text)
        self.agent.task(f"s{self.count}", 1)
        self.agent.call(f"s{self.count}", **({"prompt": f"task {self.count}"} | call))

    def everything(self):
        """One record for every format in every place, and its name in each place of names where it is one line."""
        self.agent.run("BEGIN")
        for name in FORMATS:
            for place in self.places():
                text = planted(self.chance)[name]
                self.plant(text, **place(text))
            self.as_names(planted(self.chance)[name])
        for number in range(60):
            self.agent.task(f"clean{number}", 1, session=f"session {number}")
            self.agent.call(f"clean{number}", prompt=f"question {number}", response=f"answer {number}")
        self.agent.run("COMMIT")

    def as_names(self, text):
        if "\n" in text:
            return
        self.planted += [text] * 5
        self.agent.task(f"{text} open")  # a task that has not ended is remembered by its name
        self.agent.call(f"{text} open")
        self.agent.task(f"{text} ended", 1)
        self.agent.call(f"{text} ended")
        for column in ("session", "repo"):
            self.count += 1
            self.agent.task(f"s{self.count}", 1, **{column: text})
            self.agent.call(f"s{self.count}")
        self.count += 1
        self.agent.task(f"s{self.count}", 1)
        self.agent.call(f"s{self.count}", model=text)


def bytes_below(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.asyncio
async def test_no_planted_secret_is_in_anything_that_is_kept_or_handed_out(house, agent, chat, tmp_path):
    """Each record with a secret is quarantined by rule; store, datasets and exports hold the other records alone."""
    planter = Planter(agent, chat)
    planter.everything()
    plan = DatasetPlan(minimum_examples=10, session_cap=0.5)
    line = Line(name="tool-calling", why="w", base="b", dataset=plan, trigger=Trigger(fresh_examples=10))
    house.lines = {line.name: line}
    while await house.cycle():
        pass
    refused = house.events("sources.row_quarantined")
    assert house.counters("source:agent") == {"outcomes": 60, "quarantined": len(planter.planted)}
    assert all(event.body["rule"] for event in refused)
    assert {event.body["reason"].partition(": ")[2] for event in refused} == {"the record holds a secret"}
    await curate_and_export(house, tmp_path / "kept")
    kept = bytes_below(tmp_path / "kept") | {file: file.read_bytes() for file in tmp_path.glob("flywheel.db*")}
    assert len(kept) > 5
    together = b"\n".join(kept.values())
    assert b"answer 7" in together
    leaked = [text for text in planter.planted if core_of(text).encode() in together]
    assert not leaked


async def curate_and_export(house, folder):
    """Freeze a dataset of what is stored, and write it in the shapes of others."""
    room = CurateRoom(house.store, house.clock, lambda: house.lines, folder / "datasets")
    for _ in range(20):
        for proposal in (plan := await room.propose()).proposals:
            await room.perform(proposal.intent, None)
        if not plan.proposals:
            break
    with house.store.read() as session:
        manifest = last_dataset(session, "tool-calling")
    assert manifest is not None
    frozen = folder / "datasets" / manifest.hash
    with house.store.read() as session:
        export_rows(manifest, frozen, Order("messages", folder / "messages"), partial(lineages, session))


# ── what belongs to a person, where a source asks for it ────────────────────


@pytest.mark.asyncio
@pytest.mark.parametrize("asked", [True, False])
async def test_personal_data_is_named_where_a_source_asks_for_it(house, agent, chat, asked):
    """Off by default; switched on, prompts, tool output and answers are redacted, and the outcome says what was."""
    source = GenericSource(name="agent", path=agent.path, scan_personal=asked)
    house = type(house)(house.store, source)
    agent.task("t1", 1)
    said = chat(("user", "mail jane@acme-corp.com"), ("tool", "called +49 170 1234567"))
    agent.call("t1", messages=said, prompt=None, response="wrote to jane@acme-corp.com")
    await house.cycle()
    (outcome,) = [stored.outcome for stored in house.outcomes()]
    texts = [message.content for message in outcome.messages] + [outcome.response]
    if asked:
        assert texts == ["mail [email]", "called [phone]", "wrote to [email]"]
        assert outcome.extra["redacted"] == {"email": 2, "phone": 1}
    else:
        assert "jane@acme-corp.com" in texts[2]
        assert "redacted" not in outcome.extra
    house.room.ask_full_look()
    (again,) = await house.cycle()
    assert not again.changed
    house.room.close()
