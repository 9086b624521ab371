"""Rows of pairs, judgements and reasoning as tokens: each answer as a server's template would have it, none cut."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fixtures.nurslings import completed, environment
from fixtures.tiny import JOBS, Json, events, train_python, write_rows

pytestmark = pytest.mark.train

TURNS = """{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}{%- set said = message.content %}
{%- if message.role == 'assistant' %}ASSISTANT{%- endif %}{{- said + '<|im_end|>\\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\nOPENED' }}{%- endif %}"""
#: What families of templates do to an answer's thought: write it anew, drop it, or open it in the prompt.
ANEW = """{%- if '</think>' in said %}{%- set thought = said.split('</think>')[0].split('<think>')[-1] | trim %}
{{- '<think>\\n' + thought + '\\n</think>\\n\\n' }}
{%- set said = said.split('</think>')[-1].lstrip() %}{%- else %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"""
DROPPED = "{%- if '</think>' in said %}{%- set said = said.split('</think>')[-1].lstrip() %}{%- endif %}"
TEMPLATES = {
    "anew": TURNS.replace("ASSISTANT", ANEW).replace("OPENED", ""),
    "dropped": TURNS.replace("ASSISTANT", DROPPED).replace("OPENED", ""),
    "opened": TURNS.replace("ASSISTANT", DROPPED).replace("OPENED", "<think>\\n"),
}
TOKENIZE = """
import json, sys; sys.path.insert(0, sys.argv[1])
import preference_rows, sft_rows, train_specs
from pathlib import Path
from transformers import AutoTokenizer
def lopsided(path, rows):
    preference_rows.refuse_lopsided(path, rows)
    return rows
READ = {
    "pairs": preference_rows.read_pairs,
    "judged": lambda path, *given: lopsided(path, preference_rows.read_judged(path, *given)),
    "reasoned": lambda *given: sft_rows.read(*given, sft_rows.Lesson(True, {"THINK": 0.5, "PLAN": 3.0})),
}
for kind, base, path in json.loads(sys.argv[2]):
    tokenizer = AutoTokenizer.from_pretrained(base)
    def text(ids):
        return tokenizer.decode([one for one in ids if one != sft_rows.IGNORED])
    try:
        rows = READ[kind](Path(path), tokenizer, 128)
    except train_specs.MisuseError as error:
        print(json.dumps(str(error)))
        continue
    if kind == "judged":
        rows = preference_rows.with_strangers(rows, 2)
    weighed = [
        "".join(tokenizer.decode([one]) for one, weight in zip(row["input_ids"], row["loss_weights"]) if weight == 3.0)
        for row in rows if "loss_weights" in row
    ]
    print(json.dumps([[{key: text(ids) if isinstance(ids, list) and key != "loss_weights" else ids
        for key, ids in row.items() if key != "loss_weights"} for row in rows], weighed]))
"""


@pytest.fixture(scope="module")
def bases(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the tiny tokenizer under each family's template, and as it is."""
    made = {"plain": tiny_base}
    for name, template in TEMPLATES.items():
        folder = made[name] = tmp_path_factory.mktemp(name)
        for path in tiny_base.iterdir():
            if path.suffix == ".json":
                shutil.copy(path, folder)
        (folder / "chat_template.jinja").write_text(template)
        config = json.loads((folder / "tokenizer_config.json").read_text())
        config.pop("chat_template", None)
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return made


def read(folder: Path, *asked: tuple[str, Path, list[Json]]) -> list[Any]:
    """Return what the rows of each file became, or why it was refused."""
    files = [
        (kind, str(base), str(write_rows(folder / f"{place}.jsonl", rows)))
        for place, (kind, base, rows) in enumerate(asked)
    ]
    line = [train_python(), "-c", TOKENIZE, str(JOBS), json.dumps(files)]
    done = completed(line, environment(), 120)
    assert done.returncode == 0, done.stderr
    return events(done.stdout)


def asked(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


def pair(chosen: str, rejected: str) -> Json:
    return {"id": "p", "prompt": asked("Which?"), "chosen": chosen, "rejected": rejected}


def judged(said: str, *, label: Any) -> Json:
    return {"id": "j", "prompt": asked(f"To {said}?"), "completion": said, "label": label}


def reasoned(answer: str) -> Json:
    return {"messages": [*asked("Why?"), {"role": "assistant", "content": answer}]}


def test_both_answers_of_a_pair_follow_one_prompt_and_end_their_turn(bases: dict[str, Path], tmp_path: Path) -> None:
    """The prompt as a server renders it; each answer closed by the end of turn."""
    ((row,), _), ((same,), _) = read(
        tmp_path, ("pairs", bases["plain"], [pair("this", "that")]), ("pairs", bases["anew"], [pair("this", "that")])
    )
    prompt = "<|im_start|>user\nWhich?<|im_end|>\n<|im_start|>assistant\n"
    assert row == {"prompt_ids": prompt, "chosen_ids": "this<|im_end|>", "rejected_ids": "that<|im_end|>"}
    assert same == row  # no empty thought is learned


def test_a_judged_answer_has_a_stranger_of_its_batch_beside_it(bases: dict[str, Path], tmp_path: Path) -> None:
    """Never its own, not even in a last batch of one."""
    rows = [judged("one", label=True), judged("two", label=False), judged("three", label=True)]
    ((first, second, third), _), *_ = read(tmp_path, ("judged", bases["plain"], rows))
    strangers = [row["KL_completion_ids"] for row in (first, second, third)]
    assert strangers == ["two<|im_end|>", "one<|im_end|>", "two<|im_end|>"]
    assert [row["label"] for row in (first, second, third)] == [True, False, True]


def test_reasoning_is_kept_whatever_the_template_does(bases: dict[str, Path], tmp_path: Path) -> None:
    """Written anew it is learned as it is written; dropped, as it was recorded; opened, without its opening."""
    row = reasoned("<think>\nIt is late.\n</think>\n\n[PLAN]\nSleep.\n<tool_call>{}</tool_call>")
    names = ("plain", "anew", "dropped", "opened")
    found = read(tmp_path, *(("reasoned", bases[name], [row]) for name in names))
    rest = "It is late.\n</think>\n\n[PLAN]\nSleep.\n<tool_call>{}</tool_call><|im_end|>"
    learned = {name: rows[0]["labels"] for name, (rows, _) in zip(names, found, strict=True)}
    assert learned == {name: rest if name == "opened" else f"<think>\n{rest}" for name in names}
    assert {weighed[0] for _, weighed in found} == {"[PLAN]\nSleep.\n"}


@pytest.mark.parametrize(
    ("kind", "rows", "reason"),
    [
        ("pairs", [pair("a", "b"), pair("a", "a")], "row 2: its chosen answer is its rejected one"),
        ("pairs", [{"prompt": [], "chosen": "a", "rejected": "b"}], "row 1: has no list of messages as its prompt"),
        ("pairs", [pair("a", " ")], "row 1: has no text as its rejected answer"),
        ("pairs", [pair("a", "b " * 200)], "1 of 1 rows are longer than max_length 128; the first is row 1"),
        ("judged", [judged("a", label=1)], "row 1: its label is neither true nor false"),
        ("judged", [judged("a", label=True)], "holds good answers alone"),
        ("judged", [], "has no rows"),
        ("reasoned", [reasoned("a")], "row 1: its answer shows no reasoning"),
        ("reasoned", [reasoned("<think>a</think>b")], "span_weights weigh [PLAN], and no answer in"),
    ],
)
def test_a_row_that_cannot_be_learned_from_is_refused_by_name(
    bases: dict[str, Path], tmp_path: Path, refusals: dict[str, str], kind: str, rows: list[Json], reason: str
) -> None:
    """The file, the row and the reason."""
    assert reason in refusals[json.dumps([kind, rows])]


@pytest.fixture(scope="module")
def refusals(
    request: pytest.FixtureRequest, bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return why each of the rows above was refused: one process for all."""
    (mark,) = test_a_row_that_cannot_be_learned_from_is_refused_by_name.pytestmark
    cases = [(kind, rows) for kind, rows, _ in mark.args[1]]
    said = read(tmp_path_factory.mktemp("refused"), *((kind, bases["plain"], rows) for kind, rows in cases))
    return {json.dumps(case): str(one) for case, one in zip(map(list, cases), said, strict=True)}
