"""From the lines of a fleet's run file to runs: its calls, what each program met, and how the run ended. Pure.

A run's lines come in no strict order: a plan and a routing are logged when they ended, with the time at which they
began. So the kind of a call is told by what the log says next in time, and the program that was run by the line that
follows it in the file and repeats its instructions and its text.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from flywheel.core.clocks import parse_time
from flywheel.core.outcomes import Message
from flywheel.sources.conversations import UnreadableError, is_number, name_of, question_from, text_of
from flywheel.sources.fleet_labels import Verdict, verdict_of
from flywheel.sources.fleet_tests import tests_of
from flywheel.sources.json_lines import Line

CODE, PLAN, DISPATCH = "code", "plan", "dispatch"

_CALLS = frozenset({"vllm_call", "llm_call", "model_call"})
_EXECUTION = "fleet_execution"
_DECISIONS: Mapping[str, str] = {"architect_decision": PLAN, "dispatcher_routing": DISPATCH}
_ENDED_WELL = frozenset({"completed", "complete", "success", "succeeded"})
_NUMBERS: Mapping[str, str] = {
    "latency_ms": "latency_ms", "tokens_in": "prompt_tokens", "tokens_out": "completion_tokens",
}  # fmt: skip


class Execution(NamedTuple):
    """A program of the fleet that was run: what it was asked with, its text, and what its tests said."""

    at: datetime | None
    succeeded: bool
    instructions: str
    program: str
    verdict: Verdict | None
    step: str
    model: str
    tests: dict[str, Any] | None = None


class FleetCall(NamedTuple):
    """One answer of a model, with the execution that took it, if any did."""

    line: int
    identity: str
    at: datetime
    messages: tuple[Message, ...]
    response: str
    failed: bool
    kind: str
    tier: str
    model: str
    numbers: dict[str, Any]
    step: str = ""
    execution: Execution | None = None
    passed_over: bool = False
    last: bool = False


class FleetRun(NamedTuple):
    """A run as far as it was written down. `whole`: it is there from its beginning on."""

    file: str
    id: str
    problem: str
    title: str
    tags: tuple[str, ...]
    calls: tuple[FleetCall, ...]
    unreadable: tuple[tuple[Line, UnreadableError], ...]
    whole: bool
    ended: bool
    ended_well: bool
    verdict: Verdict | None


def read_runs(lines: Sequence[Line], file: str) -> list[FleetRun]:
    """Return the runs of a file; each begins with the line that says so, and is else named as the file is."""
    starts = [index for index, line in enumerate(lines) if line.kind == "run_start"]
    cuts = sorted({0, *starts})
    pieces = [lines[begin:end] for begin, end in zip(cuts, [*cuts[1:], len(lines)], strict=True)]
    return [_run(piece, file) for piece in pieces if piece]


def _run(lines: Sequence[Line], file: str) -> FleetRun:
    start = lines[0].value if lines[0].kind == "run_start" else {}
    end = next((line.value for line in reversed(lines) if line.kind == "run_end"), None)
    calls, unreadable = _calls(lines)
    linked, needed, asks_function = _linked(lines, calls)
    return FleetRun(
        file=file,
        id=_plain(start.get("run_id")) or _id_of(lines) or PurePosixPath(file).stem,
        problem=_plain(start.get("problem_id")),
        title=" ".join([_text(start.get("problem_title")), *_objectives(lines)]).strip(),
        tags=tuple(_text(tag) for name in ("tags", "problem_tags") for tag in _list(start.get(name)) if _text(tag)),
        calls=tuple(_kinds(lines, linked)),
        unreadable=tuple(unreadable),
        whole=bool(start),
        ended=end is not None,
        ended_well=end is not None and _text(end.get("status")).lower() in _ENDED_WELL and not end.get("error"),
        verdict=verdict_of(end.get("validation"), needed, asks_function=asks_function) if end else None,
    )


def _calls(lines: Sequence[Line]) -> tuple[list[FleetCall], list[tuple[Line, UnreadableError]]]:
    calls: list[FleetCall] = []
    unreadable: list[tuple[Line, UnreadableError]] = []
    for line in lines:
        if line.kind not in _CALLS:
            continue
        try:
            calls.append(_call(line))
        except UnreadableError as error:
            unreadable.append((line, error))
    return calls, unreadable


def _call(line: Line) -> FleetCall:
    value = line.value
    at = parse_time(value.get("ts"))
    if at is None:
        raise UnreadableError("no-time", "it does not say when (ts)")
    if "input" not in value:
        raise UnreadableError("no-question", "it has no input")
    metadata = _mapping(value.get("metadata"))
    tier = name_of(_text(value.get("tier")), "tier")
    return FleetCall(
        line=line.number,
        identity=name_of(_text(value.get("call_id")), "call id"),
        at=at,
        messages=question_from(None, value["input"]),
        response=text_of(value.get("output"), "output"),
        failed=_text(value.get("status")).lower() in {"error", "failed"} or bool(value.get("error")),
        kind="",
        tier="" if tier.lower() == "unknown" else tier,
        model=name_of(_text(metadata.get("model")) or _text(value.get("model")), "model"),
        numbers={to: value[name] for name, to in _NUMBERS.items() if is_number(value.get(name))},
    )


def _linked(lines: Sequence[Line], calls: Sequence[FleetCall]) -> tuple[list[FleetCall], int, bool]:
    """Give each call the execution that took its answer; also say how many tests there are and what they call."""
    made = {call.line: index for index, call in enumerate(calls)}
    linked = list(calls)
    waiting: list[int] = []
    last: int | None = None
    needed, asks_function = 0, False
    for line in lines:
        if line.number in made:
            waiting.append(made[line.number])
        elif line.kind == _EXECUTION:
            tests, function = _tests(line.value)
            needed, asks_function = max(needed, tests), asks_function or function
            execution = _execution(line.value)
            asked = [index for index in waiting if _asks(linked[index], execution)]
            waiting = []
            for index in asked[:-1]:
                linked[index] = linked[index]._replace(kind=CODE, passed_over=True, step=execution.step)
            if asked:
                last = asked[-1]
                linked[last] = _taken(linked[last], execution)
            else:
                last = None
    if last is not None:
        linked[last] = linked[last]._replace(last=True)
    return linked, needed, asks_function


def _taken(call: FleetCall, execution: Execution) -> FleetCall:
    """Join an execution to the call before it; a program that is not in the answer came from somewhere else."""
    call = call._replace(kind=CODE, model=execution.model or call.model, step=execution.step)
    if not execution.program:
        return call._replace(passed_over=not call.failed and not execution.succeeded)
    return call._replace(execution=execution) if execution.program.strip() in call.response else call


def _asks(call: FleetCall, execution: Execution) -> bool:
    if not execution.instructions:
        return True
    return any(execution.instructions.strip() == message.content.strip() for message in call.messages)


def _execution(value: Mapping[str, Any]) -> Execution:
    needed, asks_function = _tests(value)
    metadata = _mapping(value.get("metadata"))
    context = _mapping(metadata.get("context"))
    return Execution(
        at=parse_time(value.get("ts")),
        succeeded=_text(value.get("status")).lower() in {"success", *_ENDED_WELL} and not value.get("error"),
        instructions=_text(value.get("prompt_used")),
        program=_text(value.get("output_code")),
        verdict=verdict_of(value.get("validation_result"), needed, asks_function=asks_function),
        step=_step(context),
        model=_plain(metadata.get("adapter")),
        tests=tests_of(context),
    )


def _step(context: Mapping[str, Any]) -> str:
    """Return which step of which plan it was, where a plan has several: then each is a thing of its own."""
    if _text(context.get("total_steps")) in {"", "0", "1"}:
        return ""
    return _plain(f"{_text(context.get('attempt'))}.{_text(context.get('step_number'))}")


def _tests(value: Mapping[str, Any]) -> tuple[int, bool]:
    context = _mapping(_mapping(value.get("metadata")).get("context"))
    return len(_list(context.get("test_cases"))), bool(context.get("function_name"))


def _kinds(lines: Sequence[Line], calls: Sequence[FleetCall]) -> list[FleetCall]:
    """Tell what the other calls were for: the next thing in time that was decided says it."""
    decided = sorted(
        (at, kind) for line in lines if (kind := _DECISIONS.get(line.kind)) and (at := parse_time(line.value.get("ts")))
    )
    coded = {
        message.content
        for call in calls
        if call.kind == CODE
        for message in call.messages[:1]
        if message.role == "system"
    }
    runs = sorted(call.execution.at for call in calls if call.execution and call.execution.at)
    found = []
    for call in calls:
        kind = call.kind
        if not kind and call.messages[0].role == "system" and call.messages[0].content in coded:
            kind = CODE
        elif not kind:
            following = next(((at, what) for at, what in decided if at >= call.at), None)
            run = next((at for at in runs if at >= call.at), None)
            kind = following[1] if following and (run is None or following[0] <= run) else call.tier
        found.append(call._replace(kind=kind))
    return found


def _objectives(lines: Sequence[Line]) -> list[str]:
    """Return what the run was to achieve, as its plans tell it; without a plan as its programs' orders do."""
    for kind, field in (("architect_decision", "goal"), (_EXECUTION, "task_objective")):
        for line in lines:
            if line.kind == kind and _text(line.value.get(field)):
                return [_text(line.value.get(field))]
    return []


def _id_of(lines: Sequence[Line]) -> str:
    named = (
        _plain(line.value.get("run_id")) or (_plain(line.value.get("task_id")) if line.kind in _CALLS else "")
        for line in lines
    )
    return next((name for name in named if name), "")


def _plain(value: object) -> str:
    """Return a text that may name something, or nothing."""
    try:
        return name_of(value if isinstance(value, str) else None, "name")
    except UnreadableError:
        return ""


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
