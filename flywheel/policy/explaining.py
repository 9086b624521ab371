"""Policies in plain words: what stands between a line and each thing that may be done for it. Pure."""

from flywheel.core.errors import MisuseError
from flywheel.core.facts import Facts
from flywheel.core.intents import INTENTS
from flywheel.core.lines import Line
from flywheel.policy.guardrails import Guardrail, PolicySet
from flywheel.policy.words import counted, hint, quoted


def explain_line(name: str, policies: PolicySet) -> str:
    """Return lines of text: what the line is, what it waits for, and which guardrails stand before which intents."""
    line = policies.lines.get(name)
    if line is None:
        raise MisuseError(f"no line is called '{name}'{hint(name, policies.lines)}")
    return "\n".join((*_about(line), *(text for kind in INTENTS for text in _about_intent(kind, line, policies))))


def _about(line: Line) -> tuple[str, ...]:
    trigger, data, train = line.trigger, line.dataset, line.train
    sooner = f", or anything new after {quoted(trigger.after_days)} days" if trigger.after_days else ""
    return (
        f"{line.name}: {line.why}",
        f"base {line.base}, rung {line.rung}, gate {line.gate}, rollout {line.rollout}",
        f"wants an adapter after {counted(trigger.fresh_examples, 'fresh example')}{sooner}",
        f"needs {counted(data.minimum_examples, 'example')}; starts {counted(train.runs_per_day, 'run')} a day at most",
    )


def _about_intent(kind: str, line: Line, policies: PolicySet) -> tuple[str, ...]:
    fixed = _fixed_facts(line)
    guarding = [each for each in policies.guardrails if kind in each.guards and _may_apply(each, fixed)]
    if not guarding:
        return ()
    return (f"{kind} ({INTENTS[kind]}):", *(f"  {_rule(each, fixed)}" for each in guarding))


def _fixed_facts(line: Line) -> Facts:
    return {
        "line.is_planning": line.planning,
        "line.minimum_examples": line.dataset.minimum_examples,
        "line.rung": line.rung,
        "line.runs_per_day": line.train.runs_per_day,
    }


def _may_apply(guardrail: Guardrail, fixed: Facts) -> bool:
    decided = [each for each in guardrail.when if set(each.reads) <= fixed.keys()]
    return all(each.holds(fixed) for each in decided)


def _rule(guardrail: Guardrail, fixed: Facts) -> str:
    stop = {"refuse": "refused", "hold": "held"}[guardrail.verdict]
    verb = f"{stop} unless" if guardrail.enforced else f"noted (not {stop}) unless"
    wanted = " and ".join(f"{each.fact} is {each.needs(fixed)}" for each in guardrail.require)
    cases = " and ".join(f"{each.fact} is {each.needs(fixed)}" for each in guardrail.when)
    return f"{verb} {wanted}{f', when {cases}' if cases else ''} ({guardrail.name}): {guardrail.why}"
