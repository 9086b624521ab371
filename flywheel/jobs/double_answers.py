"""The shapes of vLLM's answers: what a client parses, field by field. Pure."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

FINGERPRINT = "flywheel-double"

Json = dict[str, Any]


@dataclass(slots=True)
class Piece:
    """Some more of one answer; `finish` says why it is the last."""

    choice: int
    text: str
    tokens: int  # drawn so far
    finish: str | None = None
    stop: str | None = None
    error: str | None = None  # the engine gave up on this answer


@dataclass(slots=True)
class Usage:
    """How many tokens a request has cost so far."""

    prompt: int
    drawn: dict[int, int] = field(default_factory=dict)

    def count(self, piece: Piece) -> None:
        """Remember how far a choice is."""
        self.drawn[piece.choice] = piece.tokens

    def plain(self) -> Json:
        """Return the three counts."""
        drawn = sum(self.drawn.values())
        return {"prompt_tokens": self.prompt, "total_tokens": self.prompt + drawn, "completion_tokens": drawn}

    def whole(self) -> Json:
        """Return the counts as an answer that is not streamed carries them."""
        return {**self.plain(), "prompt_tokens_details": None, "completion_tokens_details": None}

    def running(self) -> Json:
        """Return the counts as every chunk carries them when the client asked for that."""
        return {**self.plain(), "completion_tokens_details": None}


def _card(name: str, created: int, root: str, parent: str | None, limit: int | None) -> Json:
    permission = {
        "id": f"modelperm-{secrets.token_hex(8)}",
        "object": "model_permission",
        "created": created,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "vllm",
        "root": root,
        "parent": parent,
        "max_model_len": limit,
        "permission": [permission],
    }


def models(base: str, root: str, limit: int, adapters: dict[str, str]) -> Json:
    """Return the list of what is served: the base, then each adapter with its path as root and the base as parent."""
    now = int(time.time())
    cards = [_card(base, now, root, None, limit)]
    cards += [_card(name, now, path, base, None) for name, path in adapters.items()]
    return {"object": "list", "data": cards}


class Chat:
    """The shapes of /v1/chat/completions."""

    last_word: ClassVar[Json] = {
        "system_fingerprint": FINGERPRINT
    }  # what the last chunk with text carries when no counts follow

    def __init__(self, model: str) -> None:
        """Give the answer its id."""
        self.head = {"id": f"chatcmpl-{secrets.token_hex(8)}"}
        self.created = {"created": int(time.time()), "model": model}

    def whole(self, pieces: list[Piece], usage: Usage) -> Json:
        """Return an answer in one body."""
        nothing = (
            "prompt_logprobs",
            "prompt_token_ids",
            "prompt_text",
            "kv_transfer_params",
            "ec_transfer_params",
            "metrics",
        )
        return {
            **self.head,
            "object": "chat.completion",
            **self.created,
            "choices": [self._choice(piece) for piece in pieces],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": usage.whole(),
            **dict.fromkeys(nothing),
        }

    def _choice(self, piece: Piece) -> Json:
        empty = dict.fromkeys(("refusal", "annotations", "audio", "function_call", "reasoning"))
        return {
            "index": piece.choice,
            "message": {"role": "assistant", "content": piece.text, **empty},
            "logprobs": None,
            "finish_reason": piece.finish,
            "stop_reason": piece.stop,
            "token_ids": None,
            "routed_experts": None,
        }

    def _chunk(self, choices: list[Json], **more: Any) -> Json:
        return {**self.head, "object": "chat.completion.chunk", **self.created, "choices": choices, **more}

    def opening(self, choice: int, usage: Json | None) -> list[Json]:
        """Return the chunk that says who speaks."""
        delta = {"role": "assistant", "content": ""}
        said = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": None}
        counts = {"usage": usage} if usage else {}
        return [self._chunk([said], **counts, prompt_token_ids=None, prompt_text=None)]

    def more(self, piece: Piece, usage: Json | None) -> Json:
        """Return a chunk with some text."""
        delta = {"content": piece.text}
        said: Json = {"index": piece.choice, "delta": delta, "logprobs": None, "finish_reason": piece.finish}
        if piece.finish:
            said["stop_reason"] = piece.stop
        said["token_ids"] = None
        return self._chunk([said], **({"usage": usage} if usage else {}))

    def closing(self, usage: Usage) -> Json:
        """Return the chunk with the counts."""
        return self._chunk([], usage=usage.plain(), system_fingerprint=FINGERPRINT)


class Legacy:
    """The shapes of /v1/completions."""

    last_word: ClassVar[Json] = {"system_fingerprint": FINGERPRINT}

    def __init__(self, model: str) -> None:
        """Give the answer its id."""
        self.head = {
            "id": f"cmpl-{secrets.token_hex(8)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }

    def _said(self, piece: Piece) -> Json:
        return {
            "index": piece.choice,
            "text": piece.text,
            "logprobs": None,
            "finish_reason": piece.finish,
            "stop_reason": piece.stop,
        }

    def whole(self, pieces: list[Piece], usage: Usage) -> Json:
        """Return an answer in one body."""
        nothing = dict.fromkeys(("token_ids", "prompt_logprobs", "prompt_token_ids", "routed_experts"))
        return {
            **self.head,
            "choices": [{**self._said(piece), **nothing} for piece in pieces],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": usage.whole(),
            **dict.fromkeys(("kv_transfer_params", "ec_transfer_params", "metrics")),
        }

    def opening(self, _choice: int, _usage: Json | None) -> list[Json]:
        """Return nothing: the old door starts with text at once."""
        return []

    def more(self, piece: Piece, usage: Json | None) -> Json:
        """Return a chunk with some text."""
        said = {**self._said(piece), "prompt_token_ids": None, "token_ids": None}
        return {**self.head, "choices": [said], **({"usage": usage} if usage else {})}

    def closing(self, usage: Usage) -> Json:
        """Return the chunk with the counts."""
        return {**self.head, "choices": [], "usage": usage.plain(), "system_fingerprint": FINGERPRINT}


def sse(body: Json | str) -> bytes:
    """One server-sent event."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()
