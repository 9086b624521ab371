"""Reasoning that leads to a known answer: whether it can be believed, and how it stands before the answer. Pure."""

import re

from flywheel.core.lines import Line

TOO_SHORT = "the trace is too short"
MARKED = "the trace holds marks or code"
TOLD = "the trace tells that the answer was given"
REPEATS = "the trace repeats the answer"
_LEAST_WORDS = 12
_REPEATED = 48  # characters of an answer that nobody writes twice by chance
_MARKS = re.compile(
    r"</?(?:think|edit|search|replacement|tool_call|answer|question)\b|\[/?[A-Z]{4,}\]|```|<function=", re.IGNORECASE
)
_GIVEN = re.compile(
    r"\b(?:the|this|that|your) (?:given|provided|expected|reference|target|supplied|stated|known) "
    r"(?:answer|solution|response|output|plan|code|result)\b"
    r"|\b(?:answer|solution|response) (?:(?:that|which) )?(?:is|was|has been|i was|we were|i am|we are) "
    r"(?:already )?(?:given|provided|told|supplied)\b"
    r"|\b(?:was|were|am|been|being) (?:given|told|shown|provided with) (?:the|an|this) (?:answer|solution|response)\b",
    re.IGNORECASE,
)


def trace_fault(trace: str, answer: str) -> str:
    """Return why a trace teaches nothing; nothing where it can be learned from."""
    if _MARKS.search(trace):
        return MARKED
    if len(trace.split()) < _LEAST_WORDS:
        return TOO_SHORT
    if _GIVEN.search(trace):
        return TOLD
    said = " ".join(answer.split())
    return REPEATS if len(said) >= _REPEATED and said in " ".join(trace.split()) else ""


def with_trace(line: Line, call_type: str, trace: str, answer: str) -> str:
    """Return an answer behind its reasoning: in the sections that the line weighs, else as a thought."""
    weighed = line.train.hyperparameters.span_weights
    if "REASONING" not in weighed:
        return f"<think>\n{trace.strip()}\n</think>\n\n{answer}"
    mark = "[PLAN]" if "PLAN" in weighed and "plan" in call_type else "[/REASONING]"
    return f"[REASONING]\n{trace.strip()}\n{mark}\n{answer}"
