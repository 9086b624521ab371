"""Reading what an agent wrote down of a conversation as messages and an answer. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from flywheel.core.outcomes import Message, Role

_LARGEST_NUMBER = 1e15  # what is counted or measured stays below
LONGEST_TEXT = 2_000_000  # no context window holds more; such a row is a mistake and would fill our memory

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}

_PLAIN = TypeAdapter(list[Message])


class UnreadableError(ValueError):
    """A value is not what its column promises; says the rule and the reason, never the value."""

    def __init__(self, rule: str, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


def text_of(value: object, what: str) -> str:
    """Return a value as text, empty for NULL; raises UnreadableError for what cannot be stored or learned from."""
    if isinstance(value, str) and value.isascii() and len(value) <= LONGEST_TEXT:
        return value  # almost all there is
    if value is None:
        return ""
    if isinstance(value, bytes):
        raise UnreadableError("wrong-type", f"{what} holds bytes, not text")
    if not isinstance(value, str | int | float):
        raise UnreadableError("not-utf8", f"{what} is not valid UTF-8")
    text = str(value)
    if len(text) > LONGEST_TEXT:
        raise UnreadableError("too-large", f"{what} is longer than {LONGEST_TEXT} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnreadableError("not-utf8", f"{what} holds half a character") from None
    return text


def name_of(value: object, what: str) -> str:
    """Return a short text that names something; it holds no zero byte, which databases do not take."""
    text = text_of(value, what).strip()
    if "\x00" in text:
        raise UnreadableError("wrong-type", f"{what} holds a zero byte")
    return text


def is_number(value: object) -> bool:
    """Tell whether a value is a number every database takes: finite, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER


def question_of(system: str, prompt: object, messages: object) -> tuple[Message, ...]:
    """Return the messages before the answer, from either way of writing them down."""
    told = messages is not None and messages != ""
    found = _messages(messages) if told else _from_prompt(text_of(prompt, "prompt"))
    if system and (not found or found[0].role != "system"):
        found = [Message(role="system", content=system), *found]
    if not any(message.role in {"user", "tool"} for message in found):
        raise UnreadableError("no-question", "nothing was asked")
    return tuple(found)


def question_from(prompt: object, messages: object) -> tuple[Message, ...]:
    """Return the messages before the answer where a record holds them as they are: a list of messages, or a text."""
    if isinstance(messages, list):
        found = [_message(item) for item in messages]
    else:
        found = _from_prompt(text_of(prompt if messages is None else messages, "prompt"))
    if not any(message.role in {"user", "tool"} for message in found):
        raise UnreadableError("no-question", "nothing was asked")
    return tuple(found)


def answer_of(value: object) -> str:
    """Return the answer as the model would write it: a stored message object becomes its text with its tool calls."""
    text = text_of(value, "response")
    if not text.startswith("{"):
        return text
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(held, dict) and isinstance(held.get("tool_calls"), list):
        return text_of(_content(held), "response")
    return text


def without_answer(question: tuple[Message, ...], answer: str) -> tuple[Message, ...]:
    """Drop the last message when an agent stored the answer itself with the question."""
    last = question[-1]
    if len(question) > 1 and last.role == "assistant" and last.content.strip() == answer.strip():
        return question[:-1]
    return question


def messages_of(held: Sequence[Any]) -> tuple[Message, ...]:
    """Return a list of message objects as messages; raises UnreadableError for what is not text."""
    return tuple(_message(item) for item in held)


def _from_prompt(prompt: str) -> list[Message]:
    return [Message(role="user", content=prompt)] if prompt.strip() else []


def _messages(value: object) -> list[Message]:
    text = text_of(value, "messages")
    try:
        return _PLAIN.validate_json(text)  # at once, as almost all are written; the rest one by one
    except ValueError:
        held = _loads(text)
    if isinstance(held, Mapping) and "messages" in held:
        held = held["messages"]
    if not isinstance(held, list):
        raise UnreadableError("not-messages", "messages is not a list")
    return [_message(item) for item in held]


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError("not-json", "messages is not JSON") from None


def _message(item: object) -> Message:
    if not isinstance(item, Mapping):
        raise UnreadableError("not-messages", "a message is not an object")
    role = _ROLES.get(str(item.get("role")))
    if role is None:
        raise UnreadableError("unknown-role", "a message has a role nobody knows")
    return Message(role=role, content=text_of(_content(item), "a message"))


def _content(item: Mapping[str, Any]) -> str:
    """Return a message's text; parts are joined, native tool calls written the way chat templates write them."""
    content, calls = item.get("content"), item.get("tool_calls")
    if calls is None and isinstance(content, str):
        return content
    parts = [_part(content)]
    if isinstance(calls, list):
        parts += [f"<tool_call>\n{json.dumps(_call(call), ensure_ascii=False)}\n</tool_call>" for call in calls]
    return "\n".join(part for part in parts if part)


def _part(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(_part_text(part) for part in content)
    raise UnreadableError("not-messages", "a message's content is neither text nor parts")


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise UnreadableError("not-text", "a message holds something that is not text")


def _call(call: object) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise UnreadableError("not-messages", "a tool call has no name")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            raise UnreadableError("not-json", "a tool call's arguments are not JSON") from None
    return {"name": function["name"], "arguments": arguments}
