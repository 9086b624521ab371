"""Asks a model server how it renders prompts, to be held against what the trainer sees.

vLLM's `/tokenize` takes messages and tools and answers with the very tokens a request would have.
"""

import hashlib
import http.client
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flywheel.core.errors import UnavailableError
from flywheel.core.frozen import Frozen
from flywheel.proc.tokens import TOKEN_HEADER
from flywheel.train.preflight_facts import Sample, TokenizerFacts

_SECONDS = 3.0
_OK = 200


class Compared(Frozen):
    """How a server's template compares: the first difference, or why nothing could be compared."""

    differs: str | None = None
    unchecked: str = ""


def compare(
    urls: Sequence[str], model: str, samples: Sequence[Sample], told: TokenizerFacts, token: str = ""
) -> Compared:
    """Return how the first server that has this model renders what the trainer saw."""
    unchecked = "no model server is set"
    for url in urls:
        try:
            listed = _listed(url)
            if model not in listed:
                unchecked = f"{url} does not serve {model}"
                continue
            return _rendered(url, model, samples, token) or _by_hash(listed[model], told)
        except UnavailableError as error:
            unchecked = error.message
    return Compared(unchecked=unchecked)


def _listed(url: str) -> dict[str, str]:
    _, held = _ask(url, "GET", "/v1/models", None)
    rows = held.get("data")
    entries = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row.get("id")): str(row.get("root") or "") for row in entries}


def _rendered(url: str, model: str, samples: Sequence[Sample], token: str) -> Compared | None:
    """Return how the server's tokens compare; None where it has no such door or does not take what it is sent."""
    seen = 0
    for sample in samples:
        body = {"model": model, "messages": list(sample.messages), "add_generation_prompt": True}
        body = {**body, **({"tools": sample.tools} if sample.tools else {})}
        status, held = _ask(url, "POST", "/tokenize", body, token)
        tokens = held.get("tokens")
        if status != _OK or not isinstance(tokens, list):
            continue
        seen += 1
        if tuple(tokens) != sample.tokens:
            return Compared(differs=_difference(sample, tokens))
    return Compared() if seen else None


def _difference(sample: Sample, tokens: list[Any]) -> str:
    ours = sample.tokens
    at = next((i for i, (a, b) in enumerate(zip(ours, tokens, strict=False)) if a != b), min(len(ours), len(tokens)))
    word = f"the prompt of {sample.name!r} is {len(tokens)} tokens there and {len(ours)} here"
    return f"{word}, unlike from token {at + 1} on"


def _by_hash(root: str, told: TokenizerFacts) -> Compared:
    """Compare by the template's bytes, where the server tells a folder of this machine as the model's root."""
    template = _template(Path(root)) if root else None
    if template is None or not told.template:
        return Compared(
            unchecked="the server has no /tokenize for messages, and its model's folder is not on this machine"
        )
    if hashlib.sha256(template.encode()).hexdigest() != told.template:
        return Compared(differs=f"the chat template in {root} is not the base's")
    return Compared()


def _template(folder: Path) -> str | None:
    try:
        if (folder / "chat_template.jinja").is_file():
            return (folder / "chat_template.jinja").read_text(encoding="utf-8")
        held = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        return None
    found = held.get("chat_template") if isinstance(held, dict) else None
    return found if isinstance(found, str) else None


def _ask(
    url: str, method: str, path: str, body: Mapping[str, Any] | None, token: str = ""
) -> tuple[int, dict[str, Any]]:
    where = urlsplit(url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname or "", where.port, timeout=_SECONDS)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers[TOKEN_HEADER] = token
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        held = json.loads(answer.read() or b"{}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError(f"{url} does not answer ({error or type(error).__name__})") from error
    finally:
        connection.close()
    return answer.status, held if isinstance(held, dict) else {}
