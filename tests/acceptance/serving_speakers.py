"""Adapters written by hand for the tiny base: each says one word of its own to everything, so that a mix-up shows.

The last layer's MLP is bent so that whatever comes in goes out as one token's direction. With z a few random views of
what comes in, `gate` and `up` both become +-20 z, their product is 400 z * z whatever the sign, and `down` adds the sum
along the direction: far more than all the layers before it have to say.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flywheel.proc.loras import CONFIG, WEIGHTS
from flywheel.proc.tensors import read_header

RANK = 8
_STEEP = 20.0
_SHORTEST = 4  # letters of a word: nobody takes it for a part of another answer
_TYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}


class Word(NamedTuple):
    """A token of the base that is a word, and the direction that makes it the likeliest by far."""

    text: str
    direction: np.ndarray


class Speakers:
    """The words that adapters on a base can say, the surest first."""

    def __init__(self, base: Path) -> None:
        self._config = json.loads((base / "config.json").read_bytes())
        vocabulary = json.loads((base / "tokenizer.json").read_bytes())["model"]["vocab"]
        embeddings = _tensor(base, "model.embed_tokens.weight") * _tensor(base, "model.norm.weight")
        known = [(text, number) for text, number in vocabulary.items() if text.isalpha() and len(text) >= _SHORTEST]
        self.words = _surest(known, embeddings)

    def write(self, folder: Path, word: Word) -> None:
        """Write an adapter's two files."""
        folder.mkdir(parents=True)
        targets = ["down_proj", "gate_proj", "up_proj"]
        told = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK, "bias": "none",
                "lora_dropout": 0.0, "target_modules": targets, "base_model_name_or_path": "tiny"}  # fmt: skip
        (folder / CONFIG).write_text(json.dumps(told))
        write_tensors(folder / WEIGHTS, self._weights(word))

    def _weights(self, word: Word) -> dict[str, np.ndarray]:
        hidden, inner = self._config["hidden_size"], self._config["intermediate_size"]
        views = np.random.default_rng(7).normal(size=(RANK, hidden)) / np.sqrt(hidden)
        spread = np.zeros((inner, RANK))
        for view in range(RANK):
            spread[2 * view, view], spread[2 * view + 1, view] = _STEEP, -_STEEP
        gathered = np.zeros((RANK, inner))
        gathered[0, : 2 * RANK] = 1.0
        spoken = np.zeros((hidden, RANK))
        spoken[:, 0] = word.direction
        halves = {"gate_proj": (views, spread), "up_proj": (views, spread), "down_proj": (gathered, spoken)}
        prefix = f"base_model.model.model.layers.{self._config['num_hidden_layers'] - 1}.mlp"
        return {f"{prefix}.{module}.lora_{half}.weight": array for module, pair in halves.items()
                for half, array in zip("AB", pair, strict=True)}  # fmt: skip


def _surest(known: list[tuple[str, int]], embeddings: np.ndarray) -> list[Word]:
    """Return the words whose own direction says them, the clearest first."""
    found = []
    for text, number in known:
        direction = embeddings[number] / np.linalg.norm(embeddings[number])
        likely = embeddings @ direction
        margin = likely[number] - np.delete(likely, number).max()
        found.append((margin, Word(text, direction)))
    return [word for margin, word in sorted(found, key=lambda one: -one[0]) if margin > 0]


def write_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write a safetensors file of plain floats."""
    header: dict[str, Any] = {}
    at, blobs = 0, []
    for name, array in tensors.items():
        blobs.append(np.ascontiguousarray(array, dtype="<f4").tobytes())
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + len(blobs[-1])]}
        at += len(blobs[-1])
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"".join(blobs))


def _tensor(base: Path, name: str) -> np.ndarray:
    for path in sorted(base.glob("*.safetensors")):
        tensor = read_header(path).get(name)
        if tensor is not None:
            data = path.read_bytes()[tensor.begin : tensor.end]
            return np.frombuffer(data, dtype=_TYPES[tensor.dtype]).reshape(tensor.shape)
    raise AssertionError(f"{name} is not in {base}")
