"""The marked sections of an answer: where each begins and ends, and whether an answer shows its reasoning at all."""

import importlib.util
import itertools
import sys
from types import ModuleType

import pytest
from fixtures.tiny import JOBS


@pytest.fixture(scope="module")
def answer_sections() -> ModuleType:
    """Return the job's module, which needs nothing of the train environment."""
    spec = importlib.util.spec_from_file_location("answer_sections", JOBS / "answer_sections.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its own module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("[REASONING]\nwhy\n[PLAN]\n1. do\n<edit file='a'>x</edit>", {"REASONING": "why", "PLAN": "1. do"}),
        ("[PLAN] a [/PLAN] b", {"PLAN": "a"}),
        ("[PLAN]\na\n[CODE]\nx = 1", {"PLAN": "a"}),
        ("[PLAN]\nlist[INT] is kept\n```python\nx\n```", {"PLAN": "list[INT] is kept"}),
        (
            "<think>\nfirst [PLAN] not this\n</think>\n\n[PLAN]\nthis",
            {"THINK": "first [PLAN] not this", "PLAN": "this"},
        ),
        ("it was opened by the template\n</think>\n\nx", {"THINK": "it was opened by the template"}),
        ("[REASONING]\nr\n[PLAN]\n<tool_call>{}</tool_call>", {"REASONING": "r", "PLAN": ""}),
        ("nothing marked, <think> never closed", {}),
    ],
)
def test_a_section_ends_where_another_or_the_code_begins(
    answer_sections: ModuleType, answer: str, found: dict[str, str]
) -> None:
    """What is done is never part of the plan for it, and no section reaches into another."""
    sections = answer_sections.sections(answer)
    assert {one.name: one.body for one in sections} == found
    assert all(first.end <= second.start for first, second in itertools.pairwise(sections))
    assert answer_sections.reasons(answer) is any(found.values())


def test_what_a_template_dropped_is_seen(answer_sections: ModuleType) -> None:
    """White space may differ; a section that is gone or cut is not kept."""
    said = "<think>one two</think>\n[PLAN]\na\nb\n<tool_call>"
    assert answer_sections.keeps("<think>\none two\n</think>\n\n[PLAN]\na\nb\n<tool_call>", said)
    assert not answer_sections.keeps("[PLAN]\na\nb\n<tool_call>", said)
    assert not answer_sections.keeps("<think>one two</think>\n[PLAN]\na\n<tool_call>", said)
