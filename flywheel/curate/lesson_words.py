"""The words of pairs and judgements: outcomes in, rows in the form that their line learns out. Pure.

What cannot be a lesson is a reason instead: its outcomes say something else by now, its form cannot be made, its words
hold a secret.
"""

from typing import Any, NamedTuple

from flywheel.core.examples import Form
from flywheel.core.outcomes import Label, Message, Outcome
from flywheel.core.secrets import find_secret_in
from flywheel.curate.forms import shape

CHANGED = "its evidence changed"
MISFIT = "cannot be put into the form the line learns"
SAME = "both answers are the same"
SECRET = "it holds a secret"  # noqa: S105 - a reason

Row = dict[str, Any]


class Words(NamedTuple):
    """A question and its answers, the best first; `tools` were offered with it."""

    prompt: tuple[Message, ...]
    answers: tuple[str, ...]
    tools: tuple[dict[str, Any], ...]


def pair_words(line: str, form: Form, chosen: Outcome, rejected: Outcome) -> Words | str:
    """Return the words of a pair, asked as the worse answer was asked, or why there are none."""
    if not (_says(chosen, line, Label.POSITIVE) and _says(rejected, line, Label.NEGATIVE)):
        return CHANGED
    better, worse = shape(chosen, form), shape(rejected, form)
    if better is None or worse is None:
        return MISFIT
    if _fold(better.answer) == _fold(worse.answer):
        return SAME
    return _clean(Words(worse.prompt, (better.answer, worse.answer), _tools(rejected, form)))


def judged_words(line: str, form: Form, outcome: Outcome) -> Words | str:
    """Return the words of a bad answer, or why there are none."""
    if not _says(outcome, line, Label.NEGATIVE):
        return CHANGED
    shaped = shape(outcome, form)
    if shaped is None:
        return MISFIT
    return _clean(Words(shaped.prompt, (shaped.answer,), _tools(outcome, form)))


def pair_row(words: Words) -> Row:
    """Return a pair's row without its name."""
    chosen, rejected = words.answers
    return {"prompt": _messages(words.prompt), "chosen": chosen, "rejected": rejected, **_offered(words)}


def judged_row(words: Words, *, label: bool) -> Row:
    """Return a judgement's row without its name."""
    return {"prompt": _messages(words.prompt), "completion": words.answers[0], "label": label, **_offered(words)}


def _says(outcome: Outcome, line: str, label: Label) -> bool:
    return outcome.line == line and outcome.labelled.label is label


def _clean(words: Words) -> Words | str:
    texts = [*words.answers, *(message.content for message in words.prompt)]
    if not all(answer.strip() for answer in words.answers):
        return MISFIT
    return words if find_secret_in(texts) is None else SECRET


def _tools(outcome: Outcome, form: Form) -> tuple[dict[str, Any], ...]:
    return outcome.tools if form == "as_logged" else ()


def _messages(prompt: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt]


def _offered(words: Words) -> Row:
    return {"tools": list(words.tools)} if words.tools else {}


def _fold(text: str) -> str:
    return " ".join(text.split())
