"""Ollama's Modelfile: where the weights are, the chat template in Ollama's language, and where to stop.

Ollama reads Go templates, a base has a Jinja one. It is not translated but looked through: conversations are rendered,
and when all of them are ChatML the template that writes the same is known. What is no ChatML is refused by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from sft_rows import MisuseError

START, END = "<|im_start|>", "<|im_end|>"
_SYSTEM, _USER, _ANSWER, _AGAIN, _RESULT = "Xsystem", "Xuser", "Xanswer", "Xagain", "Xresult"
_TOOL = {"type": "function", "function": {"name": "Xtool", "description": "d", "parameters": {"type": "object"}}}
_ASKS = f"{START}assistant\n"


class Style(NamedTuple):
    """How a base's ChatML looks: its own system message, what surrounds tools, how a tool's result is written."""

    system: str = ""
    tools_behind: tuple[str, str] | None = None
    tools_alone: tuple[str, str] | None = None
    result: tuple[str, str] | None = None


def modelfile(model: Path, gguf: str, name: str, adapter: str = "") -> str:
    """Return the Modelfile of a model that lies in a folder, for its GGUF, and an adapter's where that is apart."""
    from transformers import AutoTokenizer

    return written(style(AutoTokenizer.from_pretrained(model)), gguf, name, adapter)


def written(how: Style, gguf: str, name: str, adapter: str = "") -> str:
    """Return the Modelfile for a style."""
    beside = f"ADAPTER ./{adapter}\n" if adapter else ""
    system = f'SYSTEM """{how.system}"""\n' if how.system else ""
    return (
        f"# {name}, exported by flywheel. `ollama create NAME -f Modelfile` takes it in.\n"
        f'FROM ./{gguf}\n{beside}TEMPLATE """{template(how)}"""\n{system}'
        f'PARAMETER stop "{END}"\nPARAMETER stop "{START}"\n'
    )


def template(how: Style) -> str:
    """Return the Go template that writes what the base's own template writes."""
    tools = _tools(how) if how.tools_behind and how.tools_alone else ""
    when = "or .System .Tools" if tools else ".System"
    result = '{{ else if eq .Role "tool" }}' + f"{how.result[0]}{{{{ .Content }}}}{how.result[1]}" if how.result else ""
    turn = "{{ .Content }}" + f"{END}\n"
    return (
        f"{{{{ if {when} }}}}{START}system\n{{{{ .System }}}}{tools}{END}\n{{{{ end }}}}"
        '{{ range .Messages }}{{ if eq .Role "user" }}' + f"{START}user\n{turn}"
        '{{ else if eq .Role "assistant" }}' + f"{START}assistant\n{turn}{result}" + "{{ end }}{{ end }}" + _ASKS
    )


def _tools(how: Style) -> str:
    assert how.tools_behind is not None
    assert how.tools_alone is not None
    (behind, after), (alone, _) = how.tools_behind, how.tools_alone
    before = behind if behind == alone else f"{{{{ if .System }}}}{behind}{{{{ else }}}}{alone}{{{{ end }}}}"
    each = '{{ range .Tools }}\n{"type": "function", "function": {{ .Function }}}{{ end }}'
    return f"{{{{ if .Tools }}}}{before}{each}{after}{{{{ end }}}}"


def style(tokenizer: Any) -> Style:
    """Return how a tokenizer's template writes ChatML; raises MisuseError when it writes anything else."""
    user, answer = {"role": "user", "content": _USER}, {"role": "assistant", "content": _ANSWER}
    again, given = {"role": "user", "content": _AGAIN}, {"role": "system", "content": _SYSTEM}
    system = _own_system(_render(tokenizer, [user]))
    head = f"{START}system\n{system}{END}\n" if system else ""
    _must_be(_render(tokenizer, [user]), f"{head}{_turn(user)}{_ASKS}")
    _must_be(_render(tokenizer, [given, user]), f"{_turn(given)}{_turn(user)}{_ASKS}")
    _must_be(_render(tokenizer, [user, answer, again]), f"{head}{_turn(user)}{_turn(answer)}{_turn(again)}{_ASKS}")
    behind = _around_tools(_render(tokenizer, [given, user], [_TOOL]), _SYSTEM)
    alone = _around_tools(_render(tokenizer, [user], [_TOOL]), system)
    talk = [user, answer, {"role": "tool", "content": _RESULT}, again]
    result = _result(_render(tokenizer, talk), f"{head}{_turn(user)}{_turn(answer)}", f"{_turn(again)}{_ASKS}")
    return Style(system, behind, alone, result)


def _turn(message: dict[str, str]) -> str:
    return f"{START}{message['role']}\n{message['content']}{END}\n"


def _render(tokenizer: Any, messages: list[dict[str, str]], tools: Any = None) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=True))
    except (TemplateError, ValueError, TypeError):
        return ""


def _must_be(rendered: str, wanted: str) -> None:
    if rendered != wanted:
        raise MisuseError(
            f"the base's chat template is no ChatML that Ollama could be told: it writes {rendered!r} where ChatML "
            f"has {wanted!r}; export to gguf and write TEMPLATE by hand"
        )
    if "{{" in wanted or '"""' in wanted:
        raise MisuseError(
            "the base's own system message cannot stand in a Modelfile; export to gguf and write it by hand"
        )


def _own_system(rendered: str) -> str:
    begin, end = f"{START}system\n", f"{END}\n{START}user\n{_USER}"
    return rendered[len(begin) : rendered.index(end)] if rendered.startswith(begin) and end in rendered else ""


def _around_tools(rendered: str, system: str) -> tuple[str, str] | None:
    """Return what stands before and behind the tools in the system message, or None where tools are not written."""
    begin, end = f"{START}system\n{system}", f"{END}\n{START}user\n{_USER}"
    if not rendered.startswith(begin) or end not in rendered:
        return None
    lines = rendered[len(begin) : rendered.index(end)].split("\n")
    at = next((number for number, line in enumerate(lines) if _is_tool(line)), None)
    if at is None:
        return None
    before, behind = "\n".join(lines[:at]), "\n" + "\n".join(lines[at + 1 :])
    return None if "{{" in before + behind or '"""' in before + behind else (before, behind)


def _is_tool(line: str) -> bool:
    try:
        return bool(json.loads(line) == _TOOL)
    except ValueError:
        return False


def _result(rendered: str, before: str, behind: str) -> tuple[str, str] | None:
    """Return what stands around a tool's result, or None where the template has no place for one."""
    if not (rendered.startswith(before) and rendered.endswith(behind)):
        return None
    first, found, last = rendered[len(before) : len(rendered) - len(behind)].partition(_RESULT)
    return (first, last) if found else None
