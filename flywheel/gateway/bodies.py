"""A request's JSON: read once, and its model's name replaced without touching another byte. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Any

# A string, with the colon that makes it a key; or a bracket. Possessive, so that no input makes it slow.
_TOKEN = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")([ \t\r\n]*+:[ \t\r\n]*+)?|[{}\[\]]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_KEY = b'"model"'
_KEY_AND_NAME = re.compile(rb'"model"[ \t\r\n]*+:[ \t\r\n]*+("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_OPENING = (0x7B, 0x5B)  # { and [
_UTF8 = frozenset({"utf-8", "utf-8-sig"})


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes as they came, and their fields when they are a JSON object."""

    raw: bytes
    fields: dict[str, Any] | None

    @property
    def model(self) -> str | None:
        """Return the model asked for, when it is a name."""
        model = self.fields.get("model") if self.fields else None
        return model if isinstance(model, str) else None

    @property
    def streamed(self) -> bool:
        """Return whether a stream was asked for."""
        return bool(self.fields and self.fields.get("stream") is True)

    def asking(self, model: str) -> bytes:
        """Return the bytes that ask for `model` and are otherwise the same."""
        if self.model in {None, model}:
            return self.raw
        span = _only_span(self.raw)
        return with_model(self.raw, model) if span is None else _replaced(self.raw, span, model)


def read_body(raw: bytes) -> Body:
    """Read a body; what is not a JSON object in UTF-8 is kept as bytes for the upstream to judge."""
    try:
        fields = json.loads(raw) if json.detect_encoding(raw) in _UTF8 else None
    except (ValueError, RecursionError):
        fields = None
    return Body(raw, fields if isinstance(fields, dict) else None)


def with_model(raw: bytes, model: str) -> bytes:
    """Return a valid JSON object's bytes with the name of its top-level model replaced.

    Of repeated keys the last is replaced, because that is the one that parsers keep.
    """
    return _replaced(raw, _model_span(raw), model)


def _replaced(raw: bytes, span: tuple[int, int], model: str) -> bytes:
    return raw[: span[0]] + json.dumps(model).encode() + raw[span[1] :]


def _only_span(raw: bytes) -> tuple[int, int] | None:
    """Return where the name stands in an object that has one and says `"model"` only there: found without reading all.

    Written plainly the key is among those places, so that it is the only one. An escape could hide it.
    """
    if raw.count(_KEY) != 1 or b"\\u" in raw:
        return None
    found = _KEY_AND_NAME.match(raw, raw.index(_KEY))
    return found.span(1) if found else None


def _model_span(raw: bytes) -> tuple[int, int]:
    depth, start = 0, -1
    for token in _TOKEN.finditer(raw):
        if token[2] is not None:
            if depth == 1 and _is_model(token[1]):
                start = token.end()
        elif token[1] is None:
            depth += 1 if raw[token.start()] in _OPENING else -1
    value = _STRING.match(raw, start) if start >= 0 else None
    if value is None:
        msg = "the object has no top-level model that is a string"
        raise ValueError(msg)
    return value.span()


def _is_model(key: bytes) -> bool:
    return key == b'"model"' or (b"\\" in key and json.loads(key) == "model")
