"""Rows as tokens: tools rendered as a server would, only the last answer learned, and of it no masked span."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fixtures.nurslings import completed, environment
from fixtures.tiny import JOBS, Json, events, run, train_python, write_rows

from flywheel.core.edits import Edit
from flywheel.core.written_edits import render_edits
from flywheel.curate.quotes import quoted_spans

pytestmark = pytest.mark.train

#: As Qwen's templates do: the schemas stand in the system turn, one JSON object a line.
TEMPLATE = """{%- if tools %}{{- '<|im_start|>system\\n# Tools\\n' }}
{%- for tool in tools %}{{- tool | tojson }}{{- '\\n' }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}
{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + (message.content | trim) + '<|im_end|>\\n' }}
{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""
TOKENIZE = """
import json, sys; sys.path.insert(0, sys.argv[1])
import sft_rows, train_specs
from pathlib import Path
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
for path in sys.argv[3:]:
    try:
        rows = sft_rows.read(Path(path), tokenizer, 4096)
    except train_specs.MisuseError as error:
        print(json.dumps(str(error)))
        continue
    for row in rows:
        learned = [token for token in row["labels"] if token != sft_rows.IGNORED]
        print(json.dumps([tokenizer.decode(row["input_ids"]), tokenizer.decode(learned)]))
"""
TOOL = {
    "type": "function",
    "function": {"parameters": {"type": "object"}, "name": "read_file", "description": "Reads."},
}
CALL = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>'
SOURCE = (
    "def total(values):\n    result = 0\n    for value in values:\n        result = result - value\n    return result\n"
)


@pytest.fixture(scope="module")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny tokenizer with a template that knows tools."""
    folder = tmp_path_factory.mktemp("base")
    for path in tiny_base.iterdir():
        if path.suffix == ".json" or "token" in path.name:
            shutil.copy(path, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "chat_template"}))
    return folder


def read(base: Path, folder: Path, *files: list[Json]) -> list[Any]:
    """Return what each row of the files became, or why a file was refused."""
    paths = [write_rows(folder / f"{number}.jsonl", rows) for number, rows in enumerate(files)]
    line = [train_python(), "-c", TOKENIZE, str(JOBS), str(base), *map(str, paths)]
    done = completed(line, environment(), 120)
    assert done.returncode == 0, done.stderr
    return events(done.stdout)


def row(*messages: tuple[str, str], **more: object) -> Json:
    return {"messages": [{"role": role, "content": content} for role, content in messages], **more}


def masked(prompt: str, answer: str) -> Json:
    return row(("user", prompt), ("assistant", answer), masks=[list(span) for span in quoted_spans([prompt], answer)])


def test_tools_are_rendered_and_only_the_last_answer_is_learned(base: Path, tmp_path: Path) -> None:
    """Schemas stand in the prompt with a server's keys in its order; earlier answers and tool outputs teach nothing."""
    talk = (("user", "Read a.py."), ("assistant", CALL), ("tool", "x = 1"), ("assistant", "It sets x."))
    (whole, learned), (_, plain) = read(base, tmp_path, [row(*talk, tools=[TOOL]), row(*talk[:2])])
    function = '{"name": "read_file", "description": "Reads.", "parameters": {"type": "object"}}'
    system = f'<|im_start|>system\n# Tools\n{{"type": "function", "function": {function}}}\n<|im_end|>\n'
    assert whole.startswith(f"{system}<|im_start|>user\nRead a.py.<|im_end|>\n")
    assert "<|im_start|>tool\nx = 1<|im_end|>\n<|im_start|>assistant\nIt sets x.<|im_end|>" in whole
    assert learned == "It sets x.<|im_end|>"
    assert plain == f"{CALL}<|im_end|>"


def test_what_an_answer_quotes_is_context_and_not_a_label(base: Path, tmp_path: Path) -> None:
    """The search part of an edit and a copied function are not learned; all around them is, and the end of the turn."""
    change = render_edits([Edit("t.py", SOURCE[48:], "return sum(values)")])
    copied = f"\n Here:\n{SOURCE}Now é it is right."
    (_, of_edit), (_, of_copy) = read(base, tmp_path, [masked(SOURCE, change), masked(SOURCE, copied)])
    assert "result - value" not in of_edit
    assert of_edit.startswith('<edit file="t.py">\n<search>')
    assert of_edit.endswith("<replacement>\nreturn sum(values)\n</replacement>\n</edit><|im_end|>")
    assert "result" not in of_copy
    assert of_copy.startswith("Here:")
    assert of_copy.endswith("Now é it is right.<|im_end|>")


def test_masks_that_are_no_spans_are_refused_by_row(base: Path, tmp_path: Path) -> None:
    """A span that leaves its answer, or is none, is named with file and row."""
    good = row(("user", "q"), ("assistant", "a"))
    wrong: list[Any] = [[[0, 99]], [[3, 2]], [[-1, 2]], [["0", 1]], [[0]], {"0": 1}, 7]
    said = read(base, tmp_path, *([good, row(("user", "q"), ("assistant", "abc"), masks=masks)] for masks in wrong))
    assert [one.endswith("row 2: its masks are not spans of its answer") for one in said] == [True] * len(wrong)


def test_tokens_are_counted_as_the_trainer_sees_them(base: Path, tmp_path: Path) -> None:
    """Every row has its length; one that the template cannot write is null, and the first of those is named."""
    rows = [row(("user", "q"), ("assistant", "a")), row(("user", "q")), row(("user", "q"), ("assistant", "a b c d"))]
    path = write_rows(tmp_path / "train.jsonl", rows)
    done = run("count_tokens.py", base, path, python=train_python())
    (counted,) = events(done.stdout)
    first, none, longer = counted["lengths"]
    assert (counted["event"], counted["file"], none) == ("counted", "train", None)
    assert 0 < first < longer
    assert counted["problem"].startswith("row 2: ")
    assert run("count_tokens.py", base, tmp_path / "missing.jsonl", python=train_python()).returncode == 2
