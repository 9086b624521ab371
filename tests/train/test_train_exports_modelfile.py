"""The Modelfile: parsed as Ollama parses it, its template run as Go runs it, held against the base's own template."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fixtures.nurslings import completed, environment
from fixtures.tiny import JOBS, train_python

pytestmark = pytest.mark.train

PLAIN = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
#: As instruct models write it: a system message of their own, tools behind it, results as a user's turn.
HELPFUL = (
    "{%- if messages[0].role == 'system' %}{%- set system = messages[0].content %}{%- set rest = messages[1:] %}"
    "{%- else %}{%- set system = 'You are helpful.' %}{%- set rest = messages %}{%- endif %}"
    "{{- '<|im_start|>system\n' + system }}"
    "{%- if tools %}{{- '\n\n# Tools\n\nYou may call these:\n<tools>' }}"
    "{%- for tool in tools %}{{- '\n' }}{{- tool | tojson }}{%- endfor %}{{- '\n</tools>\n\nCall them.' }}{%- endif %}"
    "{{- '<|im_end|>\n' }}"
    "{%- for message in rest %}{%- if message.role == 'tool' %}"
    "{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
#: As others do: no system message unless one is given, and tools then stand alone.
SILENT = HELPFUL.replace("{%- set system = 'You are helpful.' %}", "{%- set system = '' %}").replace(
    "{{- '<|im_start|>system\n' + system }}",
    "{%- if system or tools %}{{- '<|im_start|>system\n' + system }}{%- endif %}",
).replace("'\n\n# Tools", "('\n\n' if system else '') + '# Tools").replace(
    "{{- '<|im_end|>\n' }}{%- for message in rest %}",
    "{%- if system or tools %}{{- '<|im_end|>\n' }}{%- endif %}{%- for message in rest %}",
)  # fmt: skip
OTHER = "{%- for message in messages %}{{- '[' + message.role + '] ' + message.content + '\n' }}{%- endfor %}"
TEMPLATES = {"plain": PLAIN, "helpful": HELPFUL, "silent": SILENT, "other": OTHER}

TOOL = {"type": "function", "function": {"name": "read", "description": "Read.", "parameters": {"type": "object"}}}
ASK, SAY = {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There.\nAnd here."}
SYSTEM, RESULT = {"role": "system", "content": "Be brief."}, {"role": "tool", "content": "42"}
TALKS: dict[str, tuple[list[dict[str, str]], list[Any]]] = {
    "a question": ([ASK], []),
    "a system message": ([SYSTEM, ASK], []),
    "a second turn": ([SYSTEM, ASK, SAY, ASK], []),
    "a tool": ([ASK], [TOOL]),
    "a tool behind a system message": ([SYSTEM, ASK], [TOOL, TOOL]),
    "a tool's result": ([ASK, SAY, RESULT, ASK], []),
}
SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import export_modelfiles
from transformers import AutoTokenizer
given = json.load(sys.stdin)
told = {}
for name, template in given["templates"].items():
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
    tokenizer.chat_template = template
    try:
        written = export_modelfiles.written(export_modelfiles.style(tokenizer), "model.gguf", "l@1")
    except export_modelfiles.MisuseError as error:
        told[name] = {"error": str(error)}
        continue
    render = lambda messages, tools: tokenizer.apply_chat_template(
        messages, tools=tools or None, tokenize=False, add_generation_prompt=True)
    told[name] = {"file": written, "talks": {key: render(*talk) for key, talk in given["talks"].items()}}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tiny_base: Path) -> dict[str, Any]:
    """Return what is written for each template, and how the template itself renders each conversation."""
    line = [train_python(), "-c", SCRIPT, str(JOBS), str(tiny_base)]
    given = json.dumps({"templates": TEMPLATES, "talks": TALKS})
    done = completed(line, environment(), 120, given=given)
    assert done.returncode == 0, done.stderr
    held: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return held


class Modelfile(NamedTuple):
    """What Ollama's parser makes of a file."""

    weights: str
    template: str
    system: str
    stops: tuple[str, ...]


def parse(text: str) -> Modelfile:
    """Parse a Modelfile: instructions at the beginning of lines, comments, values bare, quoted, or in three quotes."""
    commands: dict[str, list[str]] = {}
    value = r'"""(.*?)"""|"([^"\n]*)"|([^\n]+)'
    line = rf"^(?:#[^\n]*|(FROM|TEMPLATE|SYSTEM|PARAMETER) +(?:(\w+) +)?(?:{value}))$"
    pattern = re.compile(line, re.MULTILINE | re.DOTALL)
    for found in pattern.finditer(text):
        if found[1]:
            held = next(group for group in found.groups()[2:] if group is not None)
            commands.setdefault(f"{found[1]} {found[2] or ''}".strip(), []).append(held)
    assert not pattern.sub("", text).strip(), "every line is an instruction that is known"
    (weights,), (template,) = commands["FROM"], commands["TEMPLATE"]
    return Modelfile(weights, template, commands.get("SYSTEM", [""])[0], tuple(commands["PARAMETER stop"]))


def run_template(template: str, messages: list[dict[str, str]], tools: list[Any], system: str) -> str:
    """Run a Go template as Ollama does: the system message apart, the file's own where none is given."""
    given = "\n\n".join(one["content"] for one in messages if one["role"] == "system")
    data = {"System": given or system, "Messages": messages, "Tools": [one["function"] for one in tools]}
    tokens = re.split(r"\{\{ (.*?) \}\}", template)
    text, rest = _run(tokens, 0, data, data)
    assert rest == len(tokens), "every block is closed"
    return text


def _run(tokens: list[str], at: int, data: Any, whole: Any, *, live: bool = True) -> tuple[str, int]:
    """Run up to the end of the block; return its text and where its `end` or `else` stands."""
    text = tokens[at] if live else ""
    at += 1
    while at < len(tokens):
        word = tokens[at]
        if word == "end" or word.startswith("else"):
            return text, at
        if word.startswith("range "):
            items = whole[word.removeprefix("range .")] if live else []
            parts = [_run(tokens, at + 1, item, whole)[0] for item in items]
            _, at = _run(tokens, at + 1, {}, whole, live=False)
            text += "".join(parts)
        elif word.startswith("if "):
            inner, at = _choose(tokens, at, data, whole, live=live)
            text += inner
        elif live:
            text += _value(word, data)
        text += tokens[at + 1] if live else ""
        at += 2
    return text, at


def _choose(tokens: list[str], at: int, data: Any, whole: Any, *, live: bool) -> tuple[str, int]:
    text, taken, word = "", False, tokens[at]
    while word != "end":
        holds = live and not taken and (word == "else" or _holds(word.removeprefix("else ").removeprefix("if "), data))
        part, at = _run(tokens, at + 1, data, whole, live=holds)
        text, taken, word = text + part, taken or holds, tokens[at]
    return text, at


def _holds(condition: str, data: Any) -> bool:
    if found := re.fullmatch(r'eq \.Role "(\w+)"', condition):
        return bool(data["role"] == found[1])
    names = re.findall(r"\.(\w+)", condition)
    assert re.fullmatch(r"(or )?(\.\w+ ?)+", condition), condition
    return any(data[name] for name in names)


def _value(word: str, data: Any) -> str:
    if word == ".Function":
        return json.dumps(data)
    return str(data[word.removeprefix(".")] if word == ".System" else data[word.removeprefix(".").lower()])


@pytest.mark.parametrize("name", ["plain", "helpful", "silent"])
def test_ollama_is_told_to_write_what_the_base_writes(told: dict[str, Any], name: str) -> None:
    """Every conversation comes out as the base's own template writes it, letter by letter."""
    parsed = parse(told[name]["file"])
    assert (parsed.weights, parsed.stops) == ("./model.gguf", ("<|im_end|>", "<|im_start|>"))
    assert parsed.system == ("You are helpful." if name == "helpful" else "")
    for key, (messages, tools) in TALKS.items():
        assert run_template(parsed.template, messages, tools, parsed.system) == told[name]["talks"][key], key


def test_what_is_no_chatml_is_refused_by_name(told: dict[str, Any]) -> None:
    """A template of another family is not guessed at."""
    assert "is no ChatML that Ollama could be told" in told["other"]["error"]
    assert "export to gguf and write TEMPLATE by hand" in told["other"]["error"]
