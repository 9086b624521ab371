"""Reading what a teacher's server sent: an answer, or the reason why it is none. Pure.

Servers differ in where thoughts stand, and some say 200 to what is an error; none of that leaves this module.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

from flywheel.bootstrap.questions import Ended

_CLIENT_ERRORS = range(400, 500)
_PASSING = frozenset({408, 409, 425, 429})  # of the client's errors those that pass by themselves
_SHUT = frozenset({401, 402, 404, 405})  # and those that every other question would meet, too
_BEHIND = frozenset({408, 502, 504})  # said in another's place: the model may have been at work already
_BEHIND_FROM = 520
_NOTE = 200
_MOST_TOKENS = 10**9
_THOUGHT, _END_OF_THOUGHT = "<think>", "</think>"

Trouble = Literal["passing", "silent", "malformed", "refused", "shut"]


class Said(NamedTuple):
    """An answer; without usage the server did not tell how many tokens there were."""

    text: str
    reasoning: str
    ended: Ended
    usage: tuple[int, int] | None


class Unsaid(NamedTuple):
    """Why there is none; `may_cost` when the model may have been at work all the same."""

    trouble: Trouble
    note: str
    retry_after: float | None = None
    may_cost: bool = False


def read_answer(content: bytes, kind: str) -> Said | Unsaid:
    """Return what the body of a 200 says; `kind` is its content type."""
    if "html" in kind:
        return Unsaid("shut", "a web page answers there: see whether base_url is right")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and isinstance(error := body.get("error"), dict) and not body.get("choices"):
        code = error.get("code")
        return refusal(code if isinstance(code, int) else 500, str(error.get("message")), None)
    return _said(body) or Unsaid("malformed", "the answer is not a chat completion", may_cost=True)


def read_models(content: bytes) -> set[str] | None:
    """Return the models that a server lists; None where that is no list."""
    try:
        return {str(one["id"]) for one in json.loads(content)["data"]}
    except (ValueError, RecursionError, LookupError, TypeError):
        return None


def refusal(status: int, words: str, after: float | None) -> Unsaid:
    """Return what an error's status means: for this question, for all of them, or for now."""
    note = f"{status}: {short(words)}"
    if status in _SHUT:
        return Unsaid("shut", note)
    if status in _CLIENT_ERRORS and status not in _PASSING:
        return Unsaid("refused", note)
    return Unsaid("passing", note, after, may_cost=status in _BEHIND or status >= _BEHIND_FROM)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how many seconds a server wants to be left alone; None where it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        at = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def short(what: object) -> str:
    """Return the beginning of what somebody else said, on one line."""
    return " ".join(str(what).split())[:_NOTE]


def _said(body: Any) -> Said | Unsaid | None:
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return None
    reason, text = choice.get("finish_reason"), _text(message.get("content"))
    if reason == "error":
        return Unsaid("passing", "the server broke off", may_cost=True)
    if text is None:
        return None
    thought = _text(message.get("reasoning_content") or message.get("reasoning")) or ""
    thought, text = (thought, text) if thought else _parted(text)
    ended: Ended = "stop" if reason == "stop" else "length" if reason == "length" else "other"
    return Said(_sound(text), _sound(thought), ended, _usage(body))


def _text(content: Any) -> str | None:
    """Return the words of a message: one text, none, or a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else "" if content is None else None


def _parted(text: str) -> tuple[str, str]:
    """Return the thought and the rest, where a server leaves a thought before the words; its template may open it."""
    if _END_OF_THOUGHT in text:
        thought, _, rest = text.partition(_END_OF_THOUGHT)
        return (thought.strip().removeprefix(_THOUGHT).strip(), rest.strip()) if _opens(thought) else ("", text)
    cut = text.lstrip().startswith(_THOUGHT)
    return (text.lstrip().removeprefix(_THOUGHT).strip(), "") if cut else ("", text)


def _opens(thought: str) -> bool:
    return thought.lstrip().startswith(_THOUGHT) or _THOUGHT not in thought


def _usage(body: Mapping[str, Any]) -> tuple[int, int] | None:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not all(isinstance(one, int) and 0 <= one < _MOST_TOKENS for one in (prompt, completion)):
        return None
    return int(prompt or 0), int(completion or 0)


def _sound(text: str) -> str:
    """Return what can be written down: half a surrogate pair, as JSON may hold, cannot."""
    return text.encode("utf-8", "replace").decode()
