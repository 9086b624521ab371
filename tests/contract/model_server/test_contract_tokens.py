"""Tokens as the server tells them: what the check before a run holds against what the trainer sees."""

from fixtures.model_servers import BASE, ModelServer
from fixtures.tiny import tiny_base

TOOL = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}}}
MESSAGES = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "  Read app.py\n"},
    {"role": "assistant", "content": "It is empty."},
    {"role": "user", "content": "Again."},
]

__all__ = ["tiny_base"]


def test_a_conversation_is_told_in_tokens(server: ModelServer) -> None:
    """Count and tokens are those of the prompt that an answer would be asked with."""
    told = server.post("/tokenize", {"model": BASE, "messages": MESSAGES})
    asked = server.post(
        "/v1/chat/completions", {"model": BASE, "messages": MESSAGES, "max_tokens": 1, "temperature": 0}
    )
    assert told.status == 200, told.text
    assert told.json["count"] == len(told.json["tokens"]) == asked.json["usage"]["prompt_tokens"]
    assert told.json.keys() == {"count", "max_model_len", "tokens", "token_strs"}


def test_tools_are_taken_along(server: ModelServer) -> None:
    """Schemas are no reason to refuse; the tiny base's template does not write them."""
    plain = server.post("/tokenize", {"model": BASE, "messages": MESSAGES})
    tools = server.post("/tokenize", {"model": BASE, "messages": MESSAGES, "tools": [TOOL]})
    assert tools.status == 200, tools.text
    assert tools.json["tokens"] == plain.json["tokens"]


def test_plain_text_is_told_in_tokens(server: ModelServer) -> None:
    """A prompt that is text is only cut into tokens; the strings come where they are asked for."""
    told = server.post("/tokenize", {"model": BASE, "prompt": "Read app.py", "return_token_strs": True}).json
    assert told["count"] == len(told["token_strs"]) > 0


def test_a_model_nobody_knows_is_refused(server: ModelServer) -> None:
    """An unknown model is not found, as at every other door."""
    assert server.post("/tokenize", {"model": "nobody", "messages": MESSAGES}).status == 404
