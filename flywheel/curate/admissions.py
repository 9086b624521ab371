"""Which outcomes become examples, and why the others do not. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from flywheel.core.examples import Example, prompt_key
from flywheel.core.ids import content_hash
from flywheel.core.lines import Line
from flywheel.core.outcomes import Label, Message, Outcome
from flywheel.core.reasonings import shows_reasoning
from flywheel.core.secrets import find_secret_in
from flywheel.core.tool_calls import parse_tool_calls
from flywheel.core.training import REASONED
from flywheel.curate.forms import shape

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "negative": "the evidence speaks against it",
        "unknown": "nobody knows how it ended",
        "unsure": "the evidence is weaker than the line asks for",
        "no_tool_call": "the line learns tool calls and the answer holds none",
        "empty": "the answer is empty",
        "secret": "it holds a secret",
        "not_in_form": "it cannot be put into the form the line learns",
        "no_reasoning": "the line learns reasoning and the answer shows none",
    }
)


def consider(outcome: Outcome, question: str, line: Line) -> Example | str:
    """Return the example an outcome makes for its line, or the name of the reason why it makes none."""
    reason = _reason(outcome, line)
    if reason is not None:
        return reason
    form = line.dataset.form
    shaped = shape(outcome, form)
    if shaped is None:
        return "not_in_form"
    if line.train.technique in REASONED and not shows_reasoning(shaped.answer):
        return "no_reasoning"
    logged = shaped == (outcome.messages, outcome.response)
    return Example(
        id=example_id(line.name, question, outcome.response),
        line=line.name,
        outcome=outcome.key,
        task=outcome.task,
        session=outcome.session,
        group=outcome.group,
        category=category_of(outcome),
        at=outcome.at,
        origin=outcome.origin,
        messages=(*shaped.prompt, Message(role="assistant", content=shaped.answer)),
        prompt_key=question if logged else prompt_key(shaped.prompt),
        weight=outcome.weight,
        tags=outcome.tags,
        tools=outcome.tools if form == "as_logged" else (),
        form=form,
        logged=None if logged else (question, outcome.response),
    )


def example_id(line: str, question: str, answer: str) -> str:
    """Return an example's identity: the same answer to the same question is one example of a line."""
    return content_hash([line, question, answer])


def category_of(outcome: Outcome) -> str:
    """Return the name of the first tool that was called, or else the kind of call."""
    calls = parse_tool_calls(outcome.response).calls
    return calls[0].name if calls else outcome.call_type or "text"


def _reason(outcome: Outcome, line: Line) -> str | None:
    labelled = outcome.labelled
    if labelled.label is not Label.POSITIVE:
        return labelled.label.value
    if labelled.confidence < line.labels.minimum_confidence:
        return "unsure"
    if not outcome.response.strip():
        return "empty"
    if line.labels.require_tool_call and not parse_tool_calls(outcome.response).calls:
        return "no_tool_call"
    texts = [message.content for message in outcome.messages]
    return "secret" if find_secret_in([outcome.response, *texts]) is not None else None
