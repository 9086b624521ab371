"""How much of what a line's technique learns from there is, and what it waits for, in words. Pure."""

from typing import NamedTuple

from flywheel.core.examples import DatasetManifest
from flywheel.core.lines import Line
from flywheel.core.training import LEARNED_FROM
from flywheel.curate.lessons import kind_of
from flywheel.curate.selections import Draft
from flywheel.curate.situations import LineSituation


class Stock(NamedTuple):
    """Something that is learned from: how much there is, how much of it is new, how much is asked for."""

    noun: str
    held: int
    fresh: int
    least: int


def stocks_of(here: LineSituation) -> list[Stock]:
    """Return what the line's technique learns from."""
    plan, technique = here.line.dataset, here.line.train.technique
    kind = kind_of(technique)
    if kind == "judgement":
        return [Stock(kind, here.examples + here.bad, here.fresh + here.fresh_bad, plan.minimum_judgements)]
    answers = Stock("example", here.examples, here.fresh, plan.minimum_examples)
    pairs = Stock("pair", here.pairs, here.fresh_pairs, plan.minimum_pairs)
    return [answers] * ("train" in LEARNED_FROM[technique]) + [pairs] * (kind == "pair")


def fresh_of(here: LineSituation) -> int:
    """Return how much is new of what there is most that is new of."""
    return max(stock.fresh for stock in stocks_of(here))


def noun_of(here: LineSituation) -> str:
    """Return the name of what there is most that is new of."""
    return max(stocks_of(here), key=lambda stock: stock.fresh).noun


def lacks(here: LineSituation) -> list[str]:
    """Return what there is too little of, in words."""
    short = [_more(stock.least - stock.held, stock.noun) for stock in stocks_of(here) if stock.held < stock.least]
    one_sided = kind_of(here.line.train.technique) == "judgement" and not (here.examples and here.bad)
    if one_sided and not short:
        short.append(f"judgements of {'good' if here.bad else 'bad'} answers")
    return short


def waits_for(here: LineSituation) -> str:
    """Return in one sentence what the line waits for."""
    first, *others = stocks_of(here)
    trigger = here.line.trigger.fresh_examples
    if not others:
        missing = max(first.least - first.held, trigger - first.fresh, 1)
        return "needs " + (_more(missing, first.noun) if missing > 1 or not lacks(here) else lacks(here)[0])
    short = lacks(here)
    if short:
        return f"needs {' and '.join(short)}"
    missing = max(trigger - fresh_of(here), 1)
    return f"needs {missing} more {' or '.join(stock.noun + 's' * (missing != 1) for stock in (first, *others))}"


def outgrown(line: Line, last: DatasetManifest | None) -> str:
    """Return why a dataset is not what the line learns from now; nothing when it is."""
    if last is not None and not last.suits(line.train.technique):
        return f"the line learns by {line.train.technique} now"
    return f"the line learns on base {line.base} now" if last is not None and last.base not in {"", line.base} else ""


def shortage(line: Line, chosen: Draft, *, asked: bool) -> str | None:
    """Return why a dataset is not frozen as it came out; a person who asked for it is told so by the guardrails."""
    plan, technique, lessons = line.dataset, line.train.technique, chosen.lessons
    wanted = [Stock("example", chosen.examples, 0, plan.minimum_examples)] * ("train" in LEARNED_FROM[technique])
    if lessons.kind:
        least = plan.minimum_pairs if lessons.kind == "pair" else plan.minimum_judgements
        wanted.append(Stock(lessons.kind, lessons.count, 0, least))
    short = [stock for stock in wanted if stock.held < (1 if asked else stock.least)]
    if short:
        told = " and ".join(f"{stock.held} of {1 if asked else stock.least} {stock.noun}s" for stock in short)
        return f"only {told} are left to teach {line.name}: {chosen.left_out}"
    if "train" in LEARNED_FROM[technique] and not chosen.train:
        return f"no example is left to teach {line.name}: {chosen.left_out}"
    if lessons.kind and not lessons.rows:
        return f"no {lessons.kind} is left to teach {line.name}: {chosen.left_out}"
    if lessons.kind == "judgement" and not lessons.has_both:
        return f"judgements of one kind alone are left to teach {line.name}: {chosen.left_out}"
    return None


def _more(number: int, noun: str) -> str:
    return f"{number} more {noun}{'s' * (number != 1)}"
