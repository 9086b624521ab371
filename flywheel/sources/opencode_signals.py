"""The evidence for and against one answer of an opencode session, the most trustworthy first. Pure.

1 exit statuses of commands, 2 reverts, 3 errors of the answer, 4 refused tool calls, 5 how the answer finished,
6 what the person said next, 7 files changed, 8 to-do lists. Only the first five can decide a label. Where a turn is
still open, or was cut off, nothing speaks in favour of its answers.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePosixPath
from typing import NamedTuple

from flywheel.core.outcomes import Signal
from flywheel.sources.opencode_evidence import Record, Verdict, check_in
from flywheel.sources.opencode_records import INVALID, READERS, SHELLS, Entry, ToolUse
from flywheel.sources.opencode_turns import ABORTS, Turn
from flywheel.sources.shell_checks import NOT_FOUND, STOPPED
from flywheel.sources.shell_words import words_of


class State(StrEnum):
    """How far a turn is: it may go on, it has ended, or its client went away in the middle."""

    OPEN = "open"
    ENDED = "ended"
    CUT_OFF = "cut off"


class Call(NamedTuple):
    """Where a sub-agent was called: the caller's verdict there, and whether that was taken back."""

    verdict: Verdict | None
    reverted: bool


_OTHERS_FAULT = frozenset({"APIError", "ProviderAuthError", "ContextOverflowError", "UnknownError"})
_OWN_ERRORS = {"MessageOutputLengthError": 0.8, "StructuredOutputError": 0.9, "ContentFilterError": 0.8}
_FINISHES = {"length": 0.8, "content-filter": 0.8, "error": 0.6}
_LOOKING = frozenset({"grep", "egrep", "rg", "ag", "diff", "cmp", "test", "[", "which", "pgrep", "type", "git", "find"})
_NO_ANSWER = NOT_FOUND | STOPPED | {None}  # with these a check found nothing out
_TODO_TOOLS = frozenset({"todowrite"})

_CORRECTION = re.compile(
    r"(?i)\W*(?:no\b(?! (?:problem|worries))|nope\b|wrong\b|incorrect\b|undo\b|revert\b|stop\b"
    r"|that(?:'s| is|s)? (?:not|wrong|incorrect)\b"
    r"|(?:it|this|that) (?:still )?(?:does ?n[o']?t|is ?n[o']?t|fails|broke)"
    r"|still (?:fails|failing|broken|not|does ?n[o']?t)\b"
    r"|you (?:broke|forgot|missed|did ?n[o']?t)\b|not what i\b)"
)
_THANKS = re.compile(
    r"(?i)\W*(?:thanks|thank you|thx|great|perfect|excellent|awesome|lgtm|well done|works(?: now| great)?)\b"
)

_TOOK_PART = 0.6  # in a turn that was verified, for answers whose own share nobody can tell: too weak to teach
_FINAL = 0.8


def signals_of(record: Record, place: int, state: State, call: Call | None = None) -> tuple[Signal, ...]:
    """Return the evidence for the answer at a place; the caller's fate is a sub-agent's too."""
    entry = record.session.entries[place]
    if state is State.OPEN:
        return (_signal("turn_open", 0, 0.0, "the turn may still go on"),)
    if not entry.done:
        return (_signal("unfinished", 0, 0.0, "the client went away before it ended"),)
    against = [*_taken_back(record, place, call), *_errors(entry), *_calls(entry), *_finish(entry)]
    turn = record.turns[record.turn_of[place]]
    fate = _fate(record, place, turn, call) if entry.kind == "answer" else []  # nobody can tell a good summary
    if state is State.CUT_OFF or entry.error:
        against = [signal for signal in (*against, *fate) if signal.points < 0]
        fate = [_signal("cut_off", 0, 0.0, "nothing speaks in favour of what did not end")]
    found = sorted((*against, *fate), key=lambda signal: -signal.strength)
    return tuple(found) or (_signal("no_evidence", 0, 0.0, "that a model stopped says nothing"),)


def _signal(name: str, points: int, strength: float, note: str = "") -> Signal:
    return Signal.model_validate({"name": name, "points": points, "strength": round(strength, 3), "note": note})


def _taken_back(record: Record, place: int, call: Call | None) -> list[Signal]:
    if record.reverted(place):
        return [_signal("reverted", -1, 0.95, "the person took it back")]
    if call is not None and call.reverted:
        return [_signal("caller_reverted", -1, 0.95, "the person took the caller's turn back")]
    return []


def _errors(entry: Entry) -> list[Signal]:
    if not entry.error:
        return []
    if entry.error in ABORTS:
        return [_signal("aborted", -1, 0.3, "the person stopped it")]
    if entry.error in _OWN_ERRORS:
        return [_signal("answer_failed", -1, _OWN_ERRORS[entry.error], entry.error)]
    note = entry.error if entry.error in _OTHERS_FAULT else ""
    return [_signal("provider_failed", 0, 0.0, note)]


def _finish(entry: Entry) -> list[Signal]:
    if entry.finish in _FINISHES:
        return [_signal("finish", -1, _FINISHES[entry.finish], entry.finish)]
    if not entry.text and not entry.tools:
        return [_signal("empty_response", -1, 1.0)]
    return []


def _calls(entry: Entry) -> list[Signal]:
    """Return what became of the answer's own tool calls; what a person stopped is not held against them."""
    aborted = entry.error in ABORTS
    return [signal for tool in entry.tools if not aborted for signal in (_refusal(tool) or _status(tool))]


def _refusal(tool: ToolUse) -> list[Signal]:
    if tool.name == INVALID:
        return [_signal("invalid_call", -1, 0.9, "no such tool, or arguments it cannot take")]
    return [_signal("tool_error", -1, 0.7)] if tool.status == "error" else []


def _status(tool: ToolUse) -> list[Signal]:
    if tool.name not in SHELLS or tool.status != "completed" or not tool.ended:
        return []
    check = check_in(tool)
    if check is not None and tool.status_code not in _NO_ANSWER:
        # A check that fails is a right call: it speaks about the work before it.
        passed = tool.status_code == 0 and check.passed and check.kind == "test"
        return [_signal("check_ran", 1, 0.7)] if passed else []
    return [_exit(tool)]


def _exit(tool: ToolUse) -> Signal:
    code = tool.status_code
    if code is None:
        return _signal("command_aborted", 0, 0.0)
    if code == 0:
        return _signal("command_succeeded", 1, 0.4, "it ran; whether it was the right one is not said")
    if code in STOPPED:
        return _signal("command_stopped", -1, 0.3, f"exit {code}")
    if code == 1 and _looks(tool.command):
        return _signal("found_nothing", 0, 0.0)
    name = "command_not_found" if code in NOT_FOUND else "command_failed"
    return _signal(name, -1, 0.8 if code in NOT_FOUND else 0.7, f"exit {code}")


def _looks(command: str) -> bool:
    """Tell whether a line ends with a program that says `no` by its exit status."""
    words = words_of(command)
    return bool(words) and PurePosixPath(words[-1][0]).name in _LOOKING


def _fate(record: Record, place: int, turn: Turn, call: Call | None) -> list[Signal]:
    """Return what the turn's end says about the answer."""
    verdict = record.verdicts[record.turn_of[place]]
    inherited = verdict is None and call is not None
    if inherited and call is not None:
        verdict = call.verdict._replace(place=-1) if call.verdict else None
    final = place in record.finals
    found: list[Signal] = []
    if verdict is not None and verdict.passed:
        found += _verified(record, place, verdict, final=final)
    elif verdict is not None:
        spoke = final and not record.session.entries[place].tools
        found += _unverified(record, place, final=spoke and (not inherited or record.works))
    return found + (_aftermath(record, turn) if final else [])


def _verified(record: Record, place: int, verdict: Verdict, *, final: bool) -> list[Signal]:
    strength = verdict.strength
    if record.has(place, "work"):
        failing = record.checked_next(place)
        found = [_signal("work_verified", 1, strength, "what it changed passed the check that followed")]
        if failing is not None and failing.passed is False:
            # Enough to leave it open: whether this change or a later one mended the work, nobody can tell.
            found.append(_signal("check_failed_first", -1, 0.45, "the first check after it failed"))
        return found
    if place == verdict.place:
        return [_signal("check_passed", 1, strength)]
    if final and not record.session.entries[place].tools:
        return [_signal("turn_verified", 1, min(strength, _FINAL))]
    if _reads_what_is_changed(record, place):
        return [_signal("read_what_was_changed", 1, max(strength - 0.1, 0.0))]
    return [_signal("took_part", 1, min(_TOOK_PART, strength))]


def _unverified(record: Record, place: int, *, final: bool) -> list[Signal]:
    if record.has(place, "work", "tried"):
        return [_signal("check_failed", -1, 0.7, "what it changed did not pass the check that followed")]
    return [_signal("turn_failed", -1, 0.6, "the turn ended with a check that fails")] if final else []


def _reads_what_is_changed(record: Record, place: int) -> bool:
    tools = record.session.entries[place].tools
    read = {tool.path for tool in tools if tool.name in READERS and not tool.failed} - {""}
    return any(record.changed_later(place, path) for path in read)


def _aftermath(record: Record, turn: Turn) -> list[Signal]:
    """Return the weak evidence around a turn's end: what the person said next, what changed, what was left to do."""
    entries = record.session.entries
    found = [*_idle([entries[place] for place in turn.entries])]
    following = entries[turn.end + 1].text if turn.end + 1 < len(entries) else ""
    if _CORRECTION.match(following):
        found.append(_signal("corrected", -1, 0.4, "the next message reads like a correction"))
    elif _THANKS.match(following):
        found.append(_signal("thanked", 1, 0.4, "the next message reads like thanks"))
    if turn.ask >= 0 and entries[turn.ask].diffs:
        found.append(_signal("files_changed", 1, 0.2))
    return found + _todos([entries[place] for place in turn.entries])


def _idle(entries: Sequence[Entry]) -> list[Signal]:
    last = next((entry.finish for entry in reversed(entries) if entry.kind == "idle"), "")
    if last == "interrupted":
        return [_signal("interrupted", -1, 0.3)]
    return [_signal("run_failed", -1, 0.4)] if last == "failed" else []


def _todos(entries: Sequence[Entry]) -> list[Signal]:
    lists = [tool.arguments.get("todos") for entry in entries for tool in entry.tools if tool.name in _TODO_TOOLS]
    held = lists[-1] if lists else None
    if not isinstance(held, list) or not held:
        return []
    states = {str(todo.get("status")) for todo in held if isinstance(todo, dict)}
    if states <= {"completed", "cancelled"}:
        return [_signal("todos_done", 1, 0.2)]
    return [_signal("todos_left", -1, 0.2)]
