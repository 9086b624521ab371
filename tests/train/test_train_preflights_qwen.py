"""The EOS and pad traps of the Qwen family, looked at by the real job in the train environment.

The special tokens, their numbers and the three files' fields are those of the published models, as their public issue
threads quote them (QwenLM/Qwen3 issues 927 and 1422, QwenLM/Qwen3-Coder issues 152 and 182, hiyouga/LlamaFactory issue
8260, unslothai/unsloth issue 2945) and as they are commonly known; everything else of the folders is made up here: a
vocabulary of single bytes, and a chat template of our own in the ChatML form.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.tiny import run, train_python

from flywheel.core.training import TrainSpec
from flywheel.train.preflight_facts import PreflightFacts, Question, Surroundings
from flywheel.train.preflights import decide

pytestmark = pytest.mark.train

END_OF_TEXT, IM_START, IM_END = 151643, 151644, 151645
SPECIAL = {"<|endoftext|>": END_OF_TEXT, "<|im_start|>": IM_START, "<|im_end|>": IM_END, "<|vision_pad|>": 151654,
           "<|fim_pad|>": 151662}  # fmt: skip
CHATML = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
ROOMY = Surroundings(free_memory=1 << 50, free_disk=1 << 50)
INSTRUCT = {"eos_token_id": [IM_END, END_OF_TEXT], "pad_token_id": END_OF_TEXT, "bos_token_id": END_OF_TEXT}
PLAIN = {"eos_token_id": END_OF_TEXT, "bos_token_id": END_OF_TEXT}


def model(
    folder: Path, kind: str, eos: str, config: int, generation: dict[str, Any] | None, pad: str | None = "<|endoftext|>"
) -> Path:
    """Write a base's configuration files with these fields; it has no weights, and nobody looks at any."""
    folder.mkdir()
    tokens = [{"id": number, "content": name, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
               "normalized": False} for name, number in SPECIAL.items()]  # fmt: skip
    alphabet = {chr(code): number for number, code in enumerate([*range(33, 127), 0x120, 0x10A])}
    tokenizer = {
        "version": "1.0", "added_tokens": tokens,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": alphabet | SPECIAL, "merges": []},
    }  # fmt: skip
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768}  # fmt: skip
    written = {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "eos_token": eos,
                                  "pad_token": pad, "model_max_length": 32768, "chat_template": CHATML},
        "config.json": {"model_type": kind, "eos_token_id": config, "bos_token_id": END_OF_TEXT, **shape},
        "generation_config.json": generation,
    }  # fmt: skip
    for name, held in written.items():
        if held is not None:
            (folder / name).write_text(json.dumps(held))
    return folder


def look(base: Path, folder: Path) -> PreflightFacts:
    """Return what the job sees of a base and one short row."""
    folder.mkdir()
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    (folder / "train.jsonl").write_text(json.dumps(row) + "\n")
    orders = {"base": str(base), "files": [str(folder / "train.jsonl")], "max_length": 64, "out": str(folder / "out")}
    (folder / "orders.json").write_text(json.dumps(orders))
    done = run("preflight.py", folder / "orders.json", python=train_python())
    assert done.returncode == 0, done.stdout + done.stderr
    return PreflightFacts.model_validate_json((folder / "out" / "facts.json").read_bytes())


def judged(facts: PreflightFacts) -> list[str]:
    """Return the names of what stops a run on this base."""
    spec = TrainSpec(line="l", dataset="d", base_name="b", base_fingerprint="f")
    return [one.name for one in decide(facts, Question(spec=spec), ROOMY).errors]


TRAPS = {
    "qwen2.5-instruct": (("qwen2", "<|im_end|>", IM_END, INSTRUCT), []),
    "qwen2.5-coder-instruct": (("qwen2", "<|im_end|>", IM_END, INSTRUCT), []),
    "qwen3": (("qwen3", "<|im_end|>", IM_END, INSTRUCT), []),
    "qwen2.5": (("qwen2", "<|endoftext|>", END_OF_TEXT, PLAIN), ["eos.training", "eos.serving", "pad.is-eos"]),
    "qwen2.5-coder": (("qwen2", "<|endoftext|>", END_OF_TEXT, PLAIN), ["eos.training", "eos.serving", "pad.is-eos"]),
    "qwen2.5 as first published": (("qwen2", "<|im_end|>", END_OF_TEXT, PLAIN), ["eos.serving", "pad.is-base-eos"]),
    "qwen3-base": (("qwen3", "<|im_end|>", END_OF_TEXT, PLAIN), ["eos.serving", "pad.is-base-eos"]),
    "qwen3-base with another pad": (("qwen3", "<|im_end|>", END_OF_TEXT, PLAIN, "<|vision_pad|>"), ["eos.serving"]),
    "a base mended by hand": (("qwen3", "<|im_end|>", END_OF_TEXT, INSTRUCT, "<|fim_pad|>"), []),
    "no generation_config": (("qwen3", "<|im_end|>", END_OF_TEXT, None), ["eos.serving", "pad.is-base-eos"]),
    "padded with the EOS": (("qwen3", "<|im_end|>", IM_END, INSTRUCT, "<|im_end|>"), ["pad.is-eos"]),
    "no pad token": (("qwen3", "<|im_end|>", IM_END, INSTRUCT, None), ["pad.missing"]),
}


@pytest.fixture(scope="module")
def instruct(tmp_path_factory: pytest.TempPathFactory) -> PreflightFacts:
    """Return what the job sees of an instruct model."""
    folder = tmp_path_factory.mktemp("instruct")
    return look(model(folder / "base", *TRAPS["qwen3"][0]), folder / "work")


def of(trap: str, instruct: PreflightFacts) -> PreflightFacts:
    """Return the facts of a trap: the job's, with the fields of that model's three files instead."""
    kind, eos, config, generation, *pad = TRAPS[trap][0]
    padded = pad[0] if pad else "<|endoftext|>"
    told = instruct.tokenizer.model_copy(
        update={"eos": eos, "eos_id": SPECIAL[eos], "pad": padded, "pad_id": SPECIAL.get(padded or "")}
    )
    base = instruct.base.model_copy(
        update={
            "config": {**instruct.base.config, "model_type": kind, "eos_token_id": config},
            "generation": generation,
        }
    )
    return instruct.model_copy(update={"tokenizer": told, "base": base})


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_is_named_and_instruct_models_are_left_alone(trap: str, instruct: PreflightFacts) -> None:
    """The answer's end is the EOS in training and serving; the pad is never the EOS, nor what the base ends with."""
    assert judged(of(trap, instruct)) == TRAPS[trap][1]


@pytest.mark.parametrize("trap", ["qwen2.5", "no pad token"])
def test_the_job_sees_the_fields_as_they_stand_in_the_files(
    trap: str, instruct: PreflightFacts, tmp_path: Path
) -> None:
    """Looking at real folders with the real tokenizer library ends in the same judgement."""
    found = look(model(tmp_path / "base", *TRAPS[trap][0]), tmp_path / "work")
    wanted = of(trap, instruct)
    assert found.base.config.items() >= {"eos_token_id": wanted.base.config["eos_token_id"]}.items()
    assert (found.tokenizer.eos, found.tokenizer.pad) == (wanted.tokenizer.eos, wanted.tokenizer.pad)
    assert (found.tokenizer.ending, found.tokenizer.ending_id) == ("<|im_end|>", IM_END)
    assert judged(found) == TRAPS[trap][1]
    assert found.files[0].lengths.max > 0, "rows are measured under a wrong EOS, too"


def test_the_mend_says_what_to_write(instruct: PreflightFacts) -> None:
    """The token and its number stand in the mend, and that the base itself is not to be touched."""
    spec = TrainSpec(line="l", dataset="d", base_name="b", base_fingerprint="f")
    training, serving, pad = decide(of("qwen2.5", instruct), Question(spec=spec), ROOMY).errors
    assert '"eos_token": "<|im_end|>" into tokenizer_config.json in a copy of the base' in training.mend
    assert '"eos_token_id": [151645, 151643] into generation_config.json' in serving.mend
    assert "<|fim_pad|>" in pad.mend
