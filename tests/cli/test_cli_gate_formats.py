"""What `flywheel gate --format-only` counts, and which starter is asked where nobody names a suite."""

from collections import Counter
from pathlib import Path

import pytest

from flywheel.cli.gate_exams import find_exam
from flywheel.cli.gate_formats import PROMPTS, format_of, pick, rows
from flywheel.core.verdicts import Problem
from flywheel.daemon.settings import load_settings
from flywheel.gate.evidence import Answer


def problem(number: int, category: str, kind: str = "tool_call") -> Problem:
    return Problem(id=f"p{number}", kind=kind, category=category, group="g", expected=[], prompt_key=f"k{number:03d}",
                   messages=({"role": "user", "content": "?"},))  # fmt: skip


def test_prompts_come_from_every_category_in_turn() -> None:
    """A rare category is asked as well, and the same suite always asks the same."""
    problems = [problem(n, "rare" if n == 250 else f"c{n % 3}") for n in range(300)]
    picked = pick(problems)
    assert len(picked) == PROMPTS
    counts = Counter(one.category for one in picked)
    assert counts["rare"] == 1
    assert max(counts.values()) - min(counts[f"c{n}"] for n in range(3)) <= 1
    assert pick(list(reversed(problems))) == picked
    assert len(pick(problems[:5])) == 5


@pytest.mark.parametrize(
    ("text", "error", "kind", "seen"),
    [
        ('<tool_call>{"name": "a", "arguments": {}}</tool_call>', "", "tool_call", "json"),
        ("<tool_call><function=a><parameter=b>c</parameter></function></tool_call>", "", "tool_call", "function"),
        ("a(b=1)", "", "tool_call", "none"),
        ("", "status 500", "tool_call", "no answer"),
        ("yes", "", "exact", "text"),
    ],
)
def test_each_answer_has_one_format(text: str, error: str, kind: str, seen: str) -> None:
    """Of tool calls the one a parser reads, of other kinds what their metric sees, and none where nothing came."""
    assert format_of(problem(1, "c", kind), Answer(problem="p1", role="base", sample=0, text=text, error=error)) == seen


def test_the_counts_stand_side_by_side_with_their_parsers() -> None:
    """A row for each format that anybody used, and for the trained one even when nobody did."""
    found = {"trained_format": "json", "formats": {"base": {"none": 3, "function": 1}, "candidate": {"none": 2}}}
    told = {row["format"]: row for row in rows(found)}
    assert list(told) == ["function", "json (trained)", "none"]
    assert told["function"] == {
        "format": "function",
        "parser": "qwen3_coder",
        "base": "1 (25 %)",
        "candidate": "0 (0 %)",
    }
    assert told["json (trained)"]["candidate"] == "0 (0 %)"


@pytest.mark.parametrize(("wanted", "gate"), [("", "tool-calling"), ("python-functions", "math-lora")])
def test_without_a_suite_the_starter_is_asked(tmp_path: Path, wanted: str, gate: str) -> None:
    """Apart from the suites of lines, whole, and judged by the first gate for what it asks."""
    config = tmp_path / "flywheel.toml"
    config.write_text(f'home = "{tmp_path}"\n')
    exam = find_exam(load_settings(config), None, wanted, "", "")
    assert exam.called == (wanted or "tool-calling")
    assert exam.gate.name == gate
    assert exam.manifest.problems > 100
    assert exam.folder.parent == tmp_path / "trials" / "suites"
    assert not (tmp_path / "suites").exists()
