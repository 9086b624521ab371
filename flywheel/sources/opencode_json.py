"""Reading the JSON that opencode stores, strictly. Pure."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from flywheel.sources.conversations import UnreadableError


def loaded(value: object, what: str) -> Mapping[str, Any]:
    """Return the JSON object in a column or file; raises UnreadableError."""
    if isinstance(value, bytes):
        raise UnreadableError("wrong-type", f"{what} holds bytes, not text")
    if not isinstance(value, str):
        raise UnreadableError("not-utf8" if value is not None else "wrong-type", f"{what} is not valid text")
    try:
        held = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UnreadableError("not-json", f"{what} is not JSON") from None
    if not isinstance(held, Mapping):
        raise UnreadableError("wrong-type", f"{what} is not an object")
    return held


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
