"""The presets of the five documents: their numbers are the documents' own, and no two of one document quarrel."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flywheel.core.domains import PRECEDENCE
from flywheel.core.lines import Line
from flywheel.core.outcomes import Label, Labelled, Outcome
from flywheel.daemon.settings import Settings
from flywheel.policy.loading import check_policies, load_policies
from flywheel.sources.assignments import AMBIGUOUS, NOBODY, assign
from flywheel.sources.languages import LANGUAGES

ROOT = Path(__file__).parents[2]
POLICIES = load_policies(ROOT / "policies")
SECTION = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8").split("\n## The lines and their numbers\n")[1]
DASH = "\N{EN DASH}"

CLEAN_ROOM = ("task-analysis", "scope", "precision", "plan", "code")
FLEET = ("python-lora", "math-lora")
OPENCODE = ("build-rust", "build-ts", "build-python", "build-ruby", "build-swift")
TOOL_CALLING = ("tool-calling", "tool-calling-targeted")
DOCUMENTS = {"clean-room": CLEAN_ROOM, "fleet": FLEET, "opencode": OPENCODE}

COLUMNS = {
    "base": "base",
    "technique": "train.technique",
    "rank": "train.hyperparameters.rank",
    "alpha": "train.hyperparameters.alpha",
    "learning rate": "train.hyperparameters.learning_rate",
    "epochs": "train.hyperparameters.epochs",
    "steps": "train.hyperparameters.max_steps",
    "tokens": "train.hyperparameters.max_length",
    "examples": "dataset.minimum_examples",
}

#: Every kind of call a clean-room agent writes, with the lines that learn it.
STAGES = {
    "task_analysis": "task-analysis", "scope": "scope", "precision": "precision", "execute_plan": "plan",
    "execute_adjust": "plan", "execute_implement": "code", "execute_function_implement": "code",
    "execute_test_implement": "code", "execute_scaffold": "code", "refinement_merge": None, "stage_routing": None,
    "similarity": None, "assembly_refilter": None, "select_kb_patterns": None, "classify_compiler_error": None,
    "documentation": None, "enrichment": None,
}  # fmt: skip


class Cell(NamedTuple):
    """One number that a document asks for, and where the preset has it."""

    file: str
    key: str
    value: Any
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.key}"


def tables() -> list[list[dict[str, str]]]:
    """Every table of the section as rows of named cells."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", SECTION, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.strip().split("\n"))
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def read(text: str) -> Any:
    try:
        return json.loads(text.strip("`"))
    except ValueError:
        return text


def wide(row: dict[str, str]) -> list[Cell]:
    """The cells of a row of the first table: `16 (16-32)` is a value with the document's range."""
    cells = []
    for column, key in COLUMNS.items():
        match = re.fullmatch(rf"(\S+)(?: \((\d+){DASH}(\d+)\))?", row[column])
        assert match, row[column]
        if match[1] != DASH:
            ends = (float(match[2]), float(match[3])) if match[2] else (None, None)
            cells.append(Cell(f"lines/{row['line']}", key, read(match[1]), *ends))
    if row["batch"] != DASH:
        once, passes = (int(part) for part in row["batch"].split("\N{MULTIPLICATION SIGN}"))
        cells.append(Cell(f"lines/{row['line']}", "train.hyperparameters.batch_size", once))
        cells.append(Cell(f"lines/{row['line']}", "train.hyperparameters.accumulation", passes))
    return cells


def cells() -> list[Cell]:
    lines, keys, others = tables()
    found = [cell for row in lines for cell in wide(row)]
    for row in keys:
        found += [Cell(f"lines/{line}", row["key"].strip("`"), read(row["value"])) for line in row["lines"].split(", ")]
    for row in others:
        found += [Cell(file, row["key"].strip("`"), read(row["value"])) for file in row["file"].split(", ")]
    return found


def preset(cell: Cell) -> Any:
    folder, _, name = cell.file.partition("/")
    value = getattr(POLICIES, folder)[name]
    for part in cell.key.split("."):
        value = getattr(value, part)
    return list(value) if isinstance(value, tuple) else value


def outcome(source: str, call_type: str, *tags: str) -> Outcome:
    unknown, at = Labelled(label=Label.UNKNOWN, confidence=0), datetime(2026, 1, 1, tzinfo=UTC)
    return Outcome(
        key="k", source=source, task="t", session="s", group="g", call_type=call_type, model="m", at=at,
        messages=(), response="r", labelled=unknown, tags=tags,
    )  # fmt: skip


def lines_of(document: str) -> dict[str, Line]:
    return {name: POLICIES.lines[name] for name in DOCUMENTS[document]}


def given(document: str, *outcomes: Outcome) -> list[tuple[str | None, str | None]]:
    """Return the line each outcome teaches, and why it teaches none."""
    return [(one.line, one.extra.get("unassigned")) for one in assign(outcomes, lines_of(document))]


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_a_preset_has_the_number_its_document_asks_for(cell: Cell) -> None:
    """Every cell of docs/requirements.md is the value in the file, and lies in the document's range."""
    assert preset(cell) == cell.value
    if cell.low is not None and cell.high is not None:
        assert cell.low <= cell.value <= cell.high


def test_every_preset_is_in_the_table_and_every_line_of_the_table_ships() -> None:
    """No line of the documents is missing, and none ships whose numbers nobody compares."""
    listed = [row["line"] for row in tables()[0]]
    assert listed == [*CLEAN_ROOM, *FLEET, *OPENCODE, *TOOL_CALLING]
    assert set(listed) == set(POLICIES.lines)


def test_all_presets_are_sound() -> None:
    """`flywheel policy check` has nothing to say; each gate and rollout that ships is there to be named."""
    assert check_policies(ROOT / "policies") == []


@pytest.mark.parametrize("name", sorted(POLICIES.lines))
def test_early_stopping_is_wired_wherever_a_line_asks_for_it(name: str) -> None:
    """Patience without looks, or looks without a checkpoint to go back to, would be refused by the trainer."""
    numbers = POLICIES.lines[name].train.hyperparameters
    if numbers.patience:
        assert numbers.eval_steps > 0
        assert numbers.save_steps % numbers.eval_steps == 0
        assert POLICIES.lines[name].dataset.valid > 0


def test_a_fresh_install_trains_nothing_unasked() -> None:
    """Which lines are active is the settings' word alone: none by default, and the page's example has one."""
    assert Settings().lines == ()
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert re.findall(r"^lines = (.*)$", page, re.MULTILINE) == ['["tool-calling"]']


@pytest.mark.parametrize(("call_type", "line"), STAGES.items())
def test_each_stage_of_the_clean_room_agent_teaches_one_line(call_type: str, line: str | None) -> None:
    """Whatever the agent logs is of one line or of none; never of two."""
    tags = (f"stage:{call_type}", f"stage:{call_type}/part")
    assert given("clean-room", outcome("room", call_type, *tags)) == [(line, None if line else NOBODY)]


@pytest.mark.parametrize("domain", PRECEDENCE)
def test_each_domain_of_the_fleet_teaches_one_line(domain: str) -> None:
    """Mathematics is one line's, everything else the other's, and nothing is lost between them."""
    wanted = "math-lora" if domain == "math" else "python-lora"
    assert given("fleet", outcome("fleet", "code", f"domain:{domain}")) == [(wanted, None)]


def test_each_language_of_opencode_teaches_one_line() -> None:
    """Five languages have a specialist, the others none, and a turn of no language teaches nobody."""
    specialists = {"rust": "build-rust", "typescript": "build-ts", "python": "build-python", "ruby": "build-ruby",
                   "swift": "build-swift"}  # fmt: skip
    assert set(specialists) <= set(LANGUAGES)
    found = given("opencode", *(outcome("opencode", "build", f"language:{name}") for name in LANGUAGES))
    assert [line for line, _ in found] == [specialists.get(name) for name in LANGUAGES]
    assert all(why != AMBIGUOUS for _, why in found)
    assert given("opencode", outcome("opencode", "build")) == [(None, NOBODY)]


def test_the_two_tool_calling_lines_exclude_each_other() -> None:
    """They select the same: switched on together neither learns, which is told and not guessed."""
    both = {name: POLICIES.lines[name] for name in TOOL_CALLING}
    (one,) = assign([outcome("agent", "tool_call")], both)
    assert (one.line, one.extra["unassigned"]) == (None, AMBIGUOUS)


@pytest.mark.parametrize("name", CLEAN_ROOM)
def test_the_bases_of_the_clean_room_lines_are_apart(name: str) -> None:
    """Code has a base of its own, the four reasoning stages share the other; alpha is twice the rank."""
    line = POLICIES.lines[name]
    assert (line.base == "qwen25-coder-3b") is (name == "code")
    numbers = line.train.hyperparameters
    assert numbers.alpha == 2 * numbers.rank
    assert (line.planning, numbers.span_weights != {}) == (name == "plan", name == "plan")


@pytest.mark.parametrize("name", sorted(POLICIES.lines))
def test_no_preset_asks_for_what_a_shipped_guardrail_refuses(name: str) -> None:
    """Replay, and the shares of a session and of a foreign repo, are drawn within the caps that judge them."""
    plan = POLICIES.lines[name].dataset
    assert 0.10 <= plan.replay <= 0.20
    assert plan.session_cap <= 0.01
    assert plan.foreign_repo_cap <= 0.10
