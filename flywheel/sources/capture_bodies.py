"""The bytes of a captured call: what was asked, which tools were offered, what was answered. Pure.

The shapes of the agents' dialects: chat and text completions and responses of OpenAI, chat and generate of Ollama;
each answered whole or as a stream of events. What cannot be read is no answer or no question, never an error.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message
from flywheel.sources.capture_responses import is_responses_request, messages_asked, messages_said, tools_offered
from flywheel.sources.conversations import LONGEST_TEXT, UnreadableError, messages_of, text_of

_MOST_CALLS = 1000


class Asked(Frozen):
    """A request as the model saw it: every message, and the schemas of the tools it could call."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()


class Said(Frozen):
    """An answer as text, its native tool calls written the way they stand in every outcome."""

    text: str
    calls: int = 0


def asked_of(request: bytes) -> Asked | None:
    """Return what a request asks, or None for what cannot be read as text."""
    fields = _json(request)
    if not isinstance(fields, dict):
        return None
    try:
        messages = _messages(fields)
    except UnreadableError:
        return None
    tools = fields.get("tools")
    held = tuple(tools_offered(tools)) if isinstance(tools, list) else ()
    return Asked(messages=messages, tools=held) if messages else None


def said_of(response: bytes) -> Said | None:
    """Return what a response says, whole or streamed; None when it says nothing that can be read."""
    builder = _Builder()
    for event in _events(response):
        builder.take(event)
    return builder.said()


def _messages(fields: Mapping[str, Any]) -> tuple[Message, ...]:
    if isinstance(fields.get("messages"), list):
        return messages_of(fields["messages"])
    if is_responses_request(fields):
        return messages_of(messages_asked(fields))
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str) or not prompt.strip():
        return ()
    system = text_of(fields["system"], "system") if isinstance(fields.get("system"), str) else ""
    opening = (Message(role="system", content=system),) if system else ()
    return (*opening, Message(role="user", content=text_of(prompt, "prompt")))


def _events(response: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a response: one, or one for each event or line of a stream."""
    whole = _json(response)
    if isinstance(whole, dict):
        yield whole
        return
    for line in response.splitlines():
        data = line.removeprefix(b"data:").strip()
        event = _json(data) if data.startswith(b"{") else None
        if isinstance(event, dict):
            yield event


class _Builder:
    """Puts an answer together from its events; of several choices it takes the first."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._names: dict[int, str] = defaultdict(str)
        self._arguments: dict[int, list[str]] = defaultdict(list)
        self._length = 0

    def take(self, event: Mapping[str, Any]) -> None:
        choices = event.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict) and choice.get("index", 0) == 0:
                    self._write(choice.get("text"))
                    self._message(choice.get("delta") or choice.get("message"))
            return
        self._write(event.get("response"))
        self._message(event.get("message"))
        for message in messages_said(event):
            self._said_in_parts(message)

    def said(self) -> Said | None:
        text = "".join(self._text)
        written = [self._written(index) for index in sorted(self._names) if self._names[index]]
        if self._length > LONGEST_TEXT or not (text.strip() or written):
            return None
        return Said(text="\n".join(part for part in (text, *written) if part), calls=len(written))

    def _message(self, message: Any) -> None:
        if not isinstance(message, dict):
            return
        self._write(message.get("content"))
        calls = message.get("tool_calls")
        for call in calls[:_MOST_CALLS] if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("function"), dict):
                self._call(call.get("index"), call["function"])

    def _said_in_parts(self, message: Mapping[str, Any]) -> None:
        content = message.get("content")
        parts = content if isinstance(content, list) else ()
        self._message({**message, "content": content if isinstance(content, str) else None})
        for part in parts:
            if isinstance(part, dict) and part.get("type") == "output_text":
                self._write(part.get("text"))

    def _call(self, held: Any, function: Mapping[str, Any]) -> None:
        index = held if isinstance(held, int) else len(self._names)  # a call without a number comes in one piece
        name, arguments = function.get("name"), function.get("arguments")
        self._names[index] += name if isinstance(name, str) else ""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments is not None else ""
        self._arguments[index].append(text)
        self._length += len(text)

    def _write(self, text: Any) -> None:
        if isinstance(text, str):
            self._text.append(text)
            self._length += len(text)

    def _written(self, index: int) -> str:
        text = "".join(self._arguments[index]).strip() or "{}"
        arguments = _json(text.encode("utf-8", "replace"))
        call = {"name": self._names[index], "arguments": text if arguments is None else arguments}
        return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


def _json(data: bytes) -> Any:
    """Return the JSON value, or None for what is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
