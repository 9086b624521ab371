"""What opencode's configuration says of us: a provider with a model for each line, an agent for each language. Pure."""

from collections.abc import Mapping
from typing import Any

from flywheel.core.lines import Line

PROVIDER = "flywheel"
SCHEMA = "https://opencode.ai/config.json"
_PACKAGE = "@ai-sdk/openai-compatible"
_LONGEST_ANSWER = 8192
_LANGUAGE = "language:"
Block = dict[str, Any]
Path = tuple[str, ...]


def opencode_block(gateway: str, lines: Mapping[str, Line], contexts: Mapping[str, int], key: str = "") -> Block:
    """Return the block for these lines; `contexts` are the tokens of their bases, `key` says where a key is."""
    models = {name: _model(name, contexts.get(name)) for name in lines}
    options = {"baseURL": f"{gateway}/v1", **({"apiKey": key} if key else {})}
    provider = {"npm": _PACKAGE, "name": PROVIDER, "options": options, "models": models}
    agents = {name: _agent(line) for name, line in lines.items() if is_language(line)}
    return {"$schema": SCHEMA, "provider": {PROVIDER: provider}, **({"agent": agents} if agents else {})}


def is_language(line: Line) -> bool:
    """Tell whether a line is a specialist of languages, which opencode asks as an agent of its own."""
    return any(tag.startswith(_LANGUAGE) for tag in line.select.tags)


def is_ours(path: Path) -> bool:
    """Tell whether a value of a person's file is set to ours: our provider's but for a key, and the model they name."""
    return path == ("model",) or (path[:2] == ("provider", PROVIDER) and path[-1] != "apiKey")


def leaves(block: Block, path: Path = ()) -> list[tuple[Path, Any]]:
    """Return every value of a block that is not a table, with the way to it."""
    found: list[tuple[Path, Any]] = []
    for name, value in block.items():
        here = (*path, name)
        found += leaves(value, here) if isinstance(value, dict) and value else [(here, value)]
    return found


def to_set(before: Block, block: Block) -> list[tuple[Path, Any]]:
    """Return what a file lacks of the block, and what of ours it says otherwise."""
    return [(path, value) for path, value in leaves(block)
            if (found := value_at(before, path)) is None or (is_ours(path) and found != value)]  # fmt: skip


def kept(before: Block, block: Block) -> list[str]:
    """Return where a file says otherwise than the block and goes on doing so."""
    return [".".join(path) for path, value in leaves(block)
            if not is_ours(path) and value_at(before, path) not in (None, value)]  # fmt: skip


def value_at(block: Any, path: Path) -> Any:
    """Return the value at the end of a way, None where there is none."""
    for name in path:
        if not isinstance(block, dict) or name not in block:
            return None
        block = block[name]
    return block


def _model(name: str, context: int | None) -> Block:
    limit = {"limit": {"context": context, "output": min(_LONGEST_ANSWER, context // 4)}} if context else {}
    return {"name": name, "tool_call": True, **limit}


def _agent(line: Line) -> Block:
    return {"description": line.why, "mode": "all", "model": f"{PROVIDER}/{line.name}"}
