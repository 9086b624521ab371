"""Decides which suite a line is measured on: the first one, one that a person asks for, and the next one in time. Pure.

A suite is due when it cannot serve any longer: its budget for luck is spent, it is too small to decide anything, it was
only lent by a starter, or a person said so. It goes on examining until its successor is there, and from then on its
line's datasets hold rows out for that one. The questions of a retired suite stay forbidden to datasets.
"""

from flywheel.core.facts import Value
from flywheel.core.intents import Intent
from flywheel.core.lines import Gate
from flywheel.core.requests import Request
from flywheel.core.rooms import Plan, Proposal
from flywheel.core.suites import HeldOut, Suite
from flywheel.gate.situations import LineSituation, Situation


def imports(here: Situation) -> Plan:
    """Propose to take in what people brought, and to turn down what is asked about lines that are not there."""
    known = {line.line.name for line in here.lines}
    asked = [request for request in here.requests if request.line not in known]
    proposals = [_refuse(request, f"{request.line!r} is no line of the settings") for request in asked]
    proposals += [_import(request) for request in here.requests if request.line in known and request.kind == "import"]
    return Plan(proposals=tuple(proposals))


def succeed(here: LineSituation, gate: Gate) -> Plan | None:
    """Propose the next step of a line's suites; None when the one there is serves."""
    request = next((one for one in here.requests if one.kind in {"adopt", "rotate"}), None)
    if request is not None and (request.kind == "adopt" or here.suite is None):
        return _answer(here, request)
    if here.suite is None:
        return _first(here, gate)
    if request is not None:
        return _rotate(here, here.suite, gate, request) or _call(here, here.suite, "a person asked for it", request)
    if here.suite.due:
        return _rotate(here, here.suite, gate, None)
    why = why_due(here, here.suite, gate)
    return _call(here, here.suite, why, None) if why else None


def why_due(here: LineSituation, suite: Suite, gate: Gate) -> str:
    """Return why a suite should be replaced; empty when it should not."""
    if here.alpha_left < gate.rotate_below:
        return f"{here.judged} adapters were judged on it and {100 * here.alpha_left:.1f} % of its budget is left"
    if suite.problems < gate.minimum_problems:
        return f"it has {suite.problems} problems, and {gate.minimum_problems} are needed to decide anything"
    if suite.groups < gate.minimum_groups:
        return f"its problems are of {suite.groups} groups, and {gate.minimum_groups} are needed to decide anything"
    return ""


def facts_of(here: LineSituation) -> dict[str, Value]:
    """Return the readings that guardrails judge the gate's intents by."""
    suite = here.suite
    return {
        "suite.exists": suite is not None,
        "suite.problems": suite.problems if suite else 0,
        "suite.alpha_left": here.alpha_left if suite and here.gate else None,
    }


def _first(here: LineSituation, gate: Gate) -> Plan | None:
    """Prefer rows held out when they are enough, then a suite that was brought, then a starter, then any rows."""
    held_out = here.held_out
    enough = held_out is not None and _rows(held_out) >= gate.minimum_problems
    if held_out is not None and (enough or not (here.waiting or gate.starter)):
        return _freeze(here, held_out)
    if here.waiting is not None:
        return _adopt(here, here.waiting.name or here.waiting.hash, "it was imported and the line has no suite", None)
    if gate.starter:
        return _adopt(here, gate.starter, f"gate {gate.name} names this starter and the line has no suite", None)
    return None


def _freeze(here: LineSituation, held_out: HeldOut) -> Plan:
    dataset = held_out.manifest
    why = f"dataset {dataset.number} holds {_rows(held_out)} rows out and the line has no suite"
    intent = Intent(
        kind="gate.freeze_suite", line=here.line.name, subject=dataset.hash, why=why, params={"dataset": dataset.hash}
    )
    return _plan(intent, facts_of(here), held_out.seq)


def _answer(here: LineSituation, request: Request) -> Plan:
    if request.kind == "adopt":
        return _adopt(here, request.subject, request.reason or "a person asked for it", request)
    return Plan(proposals=(_refuse(request, f"{here.line.name} has no suite that could be replaced"),))


def _adopt(here: LineSituation, name: str, why: str, request: Request | None) -> Plan:
    params = {"name": name, **({"request": request.id} if request else {})}
    intent = Intent(kind="gate.adopt_suite", line=here.line.name, subject=name, why=why, params=params)
    return _plan(intent, facts_of(here), request.cause if request else None)


def _rotate(here: LineSituation, suite: Suite, gate: Gate, request: Request | None) -> Plan | None:
    """Propose the successor that is there: rows held out since, if enough, else what was imported; None without one."""
    enough = 1 if request else min(gate.minimum_problems, suite.problems + 1)
    held_out = here.held_out if here.held_out is not None and _rows(here.held_out) >= enough else None
    if held_out is None and here.waiting is None:
        return None
    source = {"dataset": held_out.manifest.hash} if held_out else {"next": here.waiting.hash if here.waiting else ""}
    problems = _rows(held_out) if held_out else here.waiting.problems if here.waiting else 0
    why = "a person asked for it" if request else why_due(here, suite, gate) or "it was to serve only until now"
    intent = Intent(
        kind="gate.rotate_suite", line=here.line.name, subject=suite.hash, why=why,
        params={"suite": suite.hash, **source, **({"request": request.id} if request else {})},
    )  # fmt: skip
    facts = {**facts_of(here), "suite.due": suite.due or request is not None, "suite.next_problems": problems}
    cause = request.cause if request else held_out.seq if held_out else here.waiting.seq if here.waiting else None
    return _plan(intent, facts, cause)


def _call(here: LineSituation, suite: Suite, why: str, request: Request | None) -> Plan | None:
    if suite.due and request is None:
        return None
    intent = Intent(
        kind="gate.call_successor", line=here.line.name, subject=suite.hash, why=why,
        params={"suite": suite.hash, **({"request": request.id} if request else {})},
    )  # fmt: skip
    return _plan(intent, facts_of(here), request.cause if request else suite.seq)


def _import(request: Request) -> Proposal:
    intent = Intent(
        kind="gate.import_suite", line=request.line, subject=request.subject, why="a person brought it",
        params={"request": request.id},
    )  # fmt: skip
    return Proposal(intent=intent, cause=request.cause)


def _refuse(request: Request, answer: str) -> Proposal:
    intent = Intent(
        kind="operator.refuse_request", line=request.line, subject=request.id, why=answer, params={"answer": answer}
    )
    return Proposal(intent=intent, cause=request.cause)


def _plan(intent: Intent, facts: dict[str, Value], cause: int | None) -> Plan:
    return Plan(proposals=(Proposal(intent=intent, facts=facts, cause=cause),))


def _rows(held_out: HeldOut) -> int:
    return held_out.manifest.splits["test"].rows
