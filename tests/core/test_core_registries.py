"""The closed registries: every name is well formed, stands once, and says what it means."""

import ast
import inspect
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from flywheel.core import events, facts, intents
from flywheel.core.decisions import Decision, Judgement, Reason
from flywheel.core.events import EVENTS, Event
from flywheel.core.facts import FACTS, check_facts
from flywheel.core.intents import INTENTS, Intent

ROOMS = {"sources", "curate", "policy", "train", "gate", "rollout", "serve", "keep", "daemon", "operator"}
NAME = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def written_names(module: ModuleType) -> list[str]:
    """Return every `noun.name` text in a module's source, as often as it is written."""
    texts = [n.value for n in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(n, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and NAME.fullmatch(text)]


@pytest.mark.parametrize(("module", "registry"), [(events, EVENTS), (intents, INTENTS), (facts, FACTS)])
def test_every_name_is_well_formed_and_written_once(module: ModuleType, registry: Mapping[str, Any]) -> None:
    """A name is `noun.words_with_underscores`; writing one twice would lose the first."""
    assert [name for name in registry if not NAME.fullmatch(name)] == []
    names = written_names(module)
    assert sorted(names) == sorted(set(names)) == sorted(registry)


def test_events_and_intents_begin_with_a_room() -> None:
    """The first word says whose it is."""
    assert {name.partition(".")[0] for name in [*EVENTS, *INTENTS]} <= ROOMS


def test_events_are_past_and_intents_imperative() -> None:
    """An event ends with a past participle or tells a state; an intent begins with what to do."""
    irregular = {"frozen", "held", "forgotten", "woken"}
    ends = {name.rpartition("_")[2].rpartition(".")[2] for name in EVENTS}
    assert {end for end in ends if not end.endswith(("ed", "made", "back"))} <= irregular
    begins = {name.partition(".")[2].partition("_")[0] for name in INTENTS}
    assert {begin for begin in begins if begin.endswith(("ed", "ing", "s"))} == set()


@pytest.mark.parametrize("registry", [EVENTS, INTENTS, {spec.name: spec.meaning for spec in FACTS.values()}])
def test_every_meaning_is_a_sentence_of_its_own(registry: Mapping[str, str]) -> None:
    """Each name has a meaning, and no two have the same."""
    assert all(meaning and not meaning.endswith(".") for meaning in registry.values())
    assert len(set(registry.values())) == len(registry)


@pytest.mark.parametrize("registry", [EVENTS, INTENTS, FACTS])
def test_the_registries_are_closed(registry: Any) -> None:
    """Nobody adds to a registry at run time."""
    with pytest.raises(TypeError):
        registry["new.name"] = "x"


def test_unknown_names_are_refused() -> None:
    """An event or intent that nobody declared cannot be made."""
    with pytest.raises(ValidationError, match=r"unknown event 'train.run_strated'"):
        Event(kind="train.run_strated", at=NOW)
    with pytest.raises(ValidationError, match=r"unknown intent 'train.start'"):
        Intent(kind="train.start", subject="x", why="y")


def test_an_intents_key_names_the_wish_and_not_the_reason() -> None:
    """The same wish has the same key in every cycle, whatever is said about it."""
    one = Intent(kind="train.start_run", line="l", subject="run-1", why="20 fresh examples")
    assert one.key == one.model_copy(update={"why": "21 fresh examples"}).key
    others: list[dict[str, Any]] = [
        {"line": "m"},
        {"subject": "run-2"},
        {"kind": "train.close_run"},
        {"params": {"dataset": "d"}},
    ]
    assert len({one.key, *(one.model_copy(update=other).key for other in others)}) == 5


TAKES: dict[type, list[Any]] = {bool: [True], int: [1], float: [1, 0.5], str: ["pass"]}


@pytest.mark.parametrize("spec", FACTS.values(), ids=list(FACTS))
def test_every_fact_takes_its_own_type_and_unknown(spec: facts.FactSpec) -> None:
    """A fact is of its declared type or unknown; a truth value is never a number."""
    takes = [None, *TAKES[spec.type]]
    for value in takes:
        check_facts({spec.name: value})
    for value in (True, 1, 0.5, "pass"):
        if not any(value is taken or repr(value) == repr(taken) for taken in takes):
            with pytest.raises(TypeError, match=spec.name):
                check_facts({spec.name: value})


def test_a_fact_nobody_declared_is_refused() -> None:
    """A reading without a meaning cannot reach a guardrail."""
    with pytest.raises(KeyError, match=r"base.colour"):
        check_facts({"base.colour": "red"})


def test_a_decision_says_why_in_words() -> None:
    """The sentence names what stopped the intent, and only what is enforced stops."""
    against = Reason(guardrail="a", judgement=Judgement.HOLD, enforced=True, sentence="needs 3 more (a)")
    observed = Reason(guardrail="b", judgement=Judgement.HOLD, enforced=False, sentence="would hold (b)")
    held = Decision(judgement=Judgement.HOLD, reasons=(against, observed), policy_hash="p")
    assert held.sentence == "hold: needs 3 more (a)"
    agreed = observed.model_copy(update={"judgement": Judgement.ALLOW})
    assert Decision(judgement=Judgement.ALLOW, reasons=(agreed,), policy_hash="p").sentence == (
        "allowed: 1 guardrail agreed"
    )
