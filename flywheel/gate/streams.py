"""What a model server sends, read as it comes: the text, the calls, the counts, and when the first token was there.

Pure: bytes and the time of their arrival in, an answer's parts out. A body that is not streamed is read whole. What
is no chat completion is told as such and never raises.
"""

import json
from typing import Any

_SAYS = ("content", "reasoning_content", "reasoning", "tool_calls")
_FAULTS = 500
_LARGEST = 2**53


class Reply:
    """One answer in the making, from a stream or from a whole body.

    `begun` tells whether the server said anything, `ended` whether it said that this is all, `first_token` when the
    first piece came, or 0. `odd` says what was no chat completion, `fault` what the server's engine gave up with,
    `refusal` what it turned down.
    """

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.text, self.finish = "", ""
        self.native: list[dict[str, Any]] = []
        self.tokens, self.first_token = 0, 0.0
        self.begun = self.ended = False
        self.odd, self.fault, self.refusal = "", "", ""
        self._pieces: list[str] = []
        self._rest = b""

    def feed(self, data: bytes, seconds: float) -> None:
        """Take what came of a stream, `seconds` after the question."""
        *lines, self._rest = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[5:].strip(), seconds)

    def close(self) -> None:
        """Put the pieces together; a stream may end without a last newline."""
        self.feed(b"\n", 0.0)
        self.text = clean("".join(self._pieces))
        self.native = [clean(call) for call in self.native]

    def take_whole(self, body: bytes) -> None:
        """Take an answer that came in one body."""
        try:
            whole = json.loads(body)
            choice = whole["choices"][0]
            message = choice["message"]
            self.text = clean(str(message.get("content") or ""))
            self.native = [clean(one) for one in message.get("tool_calls") or [] if isinstance(one, dict)]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            self.odd = f"the body is no chat completion ({type(error).__name__})"
            return
        self.finish, self.tokens, self.ended = str(choice.get("finish_reason") or ""), _tokens(whole), True

    def _event(self, data: bytes, seconds: float) -> None:
        if data == b"[DONE]":
            self.ended = True
            return
        try:
            self._chunk(json.loads(data), seconds)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            self.odd = self.odd or f"the stream is no chat completion ({type(error).__name__})"

    def _chunk(self, chunk: dict[str, Any], seconds: float) -> None:
        if chunk.get("error"):
            self._failed(chunk["error"])
            return
        self.begun, self.tokens = True, _tokens(chunk) or self.tokens
        for choice in (chunk.get("choices") or [])[:1]:
            delta = choice.get("delta") or {}
            if not self.first_token and any(delta.get(key) for key in _SAYS):
                self.first_token = seconds
            self._pieces.append(str(delta.get("content") or ""))
            for call in delta.get("tool_calls") or []:
                self._call(call)
            if choice.get("finish_reason"):
                self.finish, self.ended = str(choice["finish_reason"]), True

    def _call(self, piece: dict[str, Any]) -> None:
        """Put a piece of a native call to the call it belongs to."""
        number = piece.get("index")
        number = number if isinstance(number, int) and 0 <= number <= len(self.native) else len(self.native)
        if number == len(self.native):
            self.native.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        call, function = self.native[number], piece.get("function") or {}
        call["id"] = call["id"] or str(piece.get("id") or "")
        for key in ("name", "arguments"):
            call["function"][key] += str(function.get(key) or "")

    def _failed(self, error: Any) -> None:
        code = error.get("code") if isinstance(error, dict) else None
        told = clean(str(error.get("message") if isinstance(error, dict) else error))[:150]
        if isinstance(code, int) and code < _FAULTS:
            self.refusal = f"refused in the stream, status {code}: {told}"
        else:
            self.fault = f"failed in the stream: {told}"


def clean(value: Any) -> Any:
    """Replace half characters, which JSON lets through and UTF-8 files do not."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    return [clean(one) for one in value] if isinstance(value, list) else value


def _tokens(whole: dict[str, Any]) -> int:
    """Return how many tokens were written, or 0 where nobody counted."""
    usage = whole.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < _LARGEST else 0
