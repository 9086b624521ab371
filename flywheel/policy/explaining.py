"""Policies in plain words: what stands between a line and each thing that may be done for it. Pure."""

from flywheel.core.errors import MisuseError
from flywheel.core.facts import Facts
from flywheel.core.intents import INTENTS
from flywheel.core.lines import Line
from flywheel.core.training import LEARNED_FROM
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.policy.line_facts import facts_of_line
from flywheel.policy.remedies import Remedy
from flywheel.policy.words import counted, hint, quoted


def explain_line(name: str, policies: PolicySet) -> str:
    """Return lines of text: what the line is, what it waits for, and which guardrails stand before which intents."""
    line = policies.lines.get(name)
    if line is None:
        raise MisuseError(f"no line is called '{name}'{hint(name, policies.lines)}")
    treated = (text for remedy in policies.remedies.values() for text in _about_remedy(remedy, line))
    return "\n".join(
        (*_about(line), *treated, *(text for kind in INTENTS for text in _about_intent(kind, line, policies)))
    )


def _about(line: Line) -> tuple[str, ...]:
    trigger, train = line.trigger, line.train
    sooner = f", or anything new after {quoted(trigger.after_days)} days" if trigger.after_days else ""
    return (
        f"{line.name}: {line.why}",
        f"base {line.base}, rung {line.rung}{_climbs(line)}, gate {line.gate}, rollout {line.rollout}",
        f"wants an adapter after {counted(trigger.fresh_examples, 'fresh example')}{sooner}",
        f"needs {_needs(line)}; starts {counted(train.runs_per_day, 'run')} a day at most",
    )


def _climbs(line: Line) -> str:
    return f" (climbs to {line.highest_rung})" if line.highest_rung > line.rung else ""


def _needs(line: Line) -> str:
    """Return how much there must be of what the line's technique learns from."""
    least = {
        "train": counted(line.dataset.minimum_examples, "example"),
        "pairs": counted(line.dataset.minimum_pairs, "pair"),
        "judged": counted(line.dataset.minimum_judgements, "judgement"),
    }
    return " and ".join(least[part] for part in LEARNED_FROM[line.train.technique])


def _about_remedy(remedy: Remedy, line: Line) -> tuple[str, ...]:
    if remedy.lines and line.name not in remedy.lines:
        return ()
    cases = " and ".join(f"{each.fact} is {each.needs({})}" for each in remedy.when)
    changes = [f"{key} becomes {quoted(value)}" for key, value in remedy.change.given.items()]
    often = f" as often as {remedy.repeat} says" if remedy.repeat else ""
    changes += [f"{key} is multiplied by {quoted(value)}{often}" for key, value in remedy.times.given.items()]
    return (f"when {cases}: {', '.join(changes)} ({remedy.name}): {remedy.why}",)


def _about_intent(kind: str, line: Line, policies: PolicySet) -> tuple[str, ...]:
    if kind == "curate.climb_rung" and line.highest_rung == line.rung:
        return ()
    fixed = facts_of_line(line)
    guarding = [each for each in policies.guardrails if kind in each.guards and _may_apply(each, fixed)]
    if not guarding:
        return ()
    return (f"{kind} ({INTENTS[kind]}):", *(f"  {_rule(each, fixed)}" for each in guarding))


def _may_apply(guardrail: Guardrail, fixed: Facts) -> bool:
    decided = [each for each in guardrail.when if set(each.reads) <= fixed.keys()]
    return all(each.holds(fixed) for each in decided)


def _rule(guardrail: Guardrail, fixed: Facts) -> str:
    stop = {"refuse": "refused", "hold": "held"}[guardrail.verdict]
    verb = f"{stop} unless" if guardrail.enforced else f"noted (not {stop}) unless"
    wanted = " and ".join(f"{each.fact} is {each.needs(fixed)}" for each in guardrail.require)
    cases = " and ".join(f"{each.fact} is {each.needs(fixed)}" for each in guardrail.when)
    return f"{verb} {wanted}{f', when {cases}' if cases else ''} ({guardrail.name}): {guardrail.why}"
