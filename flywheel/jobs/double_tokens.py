"""The door of the double that tells tokens: vLLM's `/tokenize`, for messages and for plain text."""

from __future__ import annotations

from typing import Any

import double_requests as requests
import sft_rows
from double_errors import RefusalError


def tokenized(tokenizer: Any, body: requests.Body, limit: int) -> dict[str, Any]:
    """Return the tokens of a conversation as a request for an answer would have them, or those of a text."""
    if "messages" in body:
        text, special = _rendered(tokenizer, body), requests.flag_field(body, "add_special_tokens")
    else:
        text, special = requests.text_field(body, "prompt"), body.get("add_special_tokens", True) is not False
    tokens = tokenizer.encode(text, add_special_tokens=special)
    strings = tokenizer.convert_ids_to_tokens(tokens) if requests.flag_field(body, "return_token_strs") else None
    return {"count": len(tokens), "max_model_len": limit, "tokens": tokens, "token_strs": strings}


def _rendered(tokenizer: Any, body: requests.Body) -> str:
    asks = body.get("add_generation_prompt", True) is not False
    if asks and requests.flag_field(body, "continue_final_message"):
        message = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
        raise RefusalError(message)
    messages = requests.chat_messages({**body, "tool_choice": "none"})
    served = sft_rows._served(body.get("tools"))  # noqa: SLF001 - there stands how vLLM hands schemas to a template
    options = body.get("chat_template_kwargs") or {}
    rendered = tokenizer.apply_chat_template(
        messages, tools=served, tokenize=False, add_generation_prompt=asks, **options
    )
    return str(rendered)
