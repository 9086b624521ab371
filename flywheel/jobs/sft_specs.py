"""What a training job is asked to do: read from SPEC.json and checked key by key before anything heavy is imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


class MisuseError(Exception):
    """The job cannot do what it is asked; trying again will not help. The message is one line."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """How to train."""

    rank: int
    alpha: float
    dropout: float
    target_modules: list[str] | str
    learning_rate: float
    scheduler: str
    epochs: float
    max_steps: int
    batch_size: int
    accumulation: int
    warmup: float
    weight_decay: float
    max_length: int
    optimizer: str
    precision: str
    gradient_checkpointing: bool
    eval_steps: int
    save_steps: int
    patience: int


@dataclass(frozen=True, slots=True)
class Spec:
    """What to train, on what, and where the result goes."""

    base: Path
    train: Path
    valid: Path | None
    out: Path
    seed: int
    hyperparameters: Hyperparameters
    ordered: bool = False

    def text(self) -> str:
        """Return the spec in one canonical form; what a run from before `ordered` existed wrote is the same."""
        body = asdict(self)
        if not self.ordered:
            del body["ordered"]
        return json.dumps(body, indent=1, sort_keys=True, default=str) + "\n"


Check = tuple[Callable[[Any], bool], str]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, float)


def _is_modules(value: Any) -> bool:
    named = isinstance(value, list) and len(value) > 0 and all(isinstance(name, str) and name for name in value)
    return named or value == "all-linear"


COUNT: Check = (lambda value: _is_int(value) and value >= 1, "a whole number from 1")
COUNT_OR_NONE: Check = (lambda value: _is_int(value) and value >= 0, "a whole number from 0")
POSITIVE: Check = (lambda value: _is_number(value) and value > 0, "a number above 0")
FROM_ZERO: Check = (lambda value: _is_number(value) and value >= 0, "a number from 0")
WORD: Check = (lambda value: isinstance(value, str) and value != "", "a name")
PATH: Check = (lambda value: isinstance(value, str) and Path(value).is_absolute(), "an absolute path")
PATH_OR_NULL: Check = (lambda value: value is None or PATH[0](value), "an absolute path or null")
FLAG: Check = (lambda value: isinstance(value, bool), "true or false")
LIMIT: Check = (lambda value: _is_int(value) and (value == -1 or value >= 1), "-1 (no limit) or a whole number from 1")

SPEC_KEYS: dict[str, Check] = {
    "base": PATH,
    "train": PATH,
    "valid": PATH_OR_NULL,
    "out": PATH,
    "seed": COUNT_OR_NONE,
    "ordered": FLAG,
    "hyperparameters": (lambda value: isinstance(value, dict), "an object"),
}
HYPERPARAMETER_KEYS: dict[str, Check] = {
    "rank": COUNT,
    "alpha": POSITIVE,
    "dropout": (lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to below 1"),
    "target_modules": (_is_modules, 'a list of module names or "all-linear"'),
    "learning_rate": POSITIVE,
    "scheduler": WORD,
    "epochs": POSITIVE,
    "max_steps": LIMIT,
    "batch_size": COUNT,
    "accumulation": COUNT,
    "warmup": FROM_ZERO,
    "weight_decay": FROM_ZERO,
    "max_length": COUNT,
    "optimizer": WORD,
    "precision": (lambda value: value in {"bf16", "fp32"}, '"bf16" or "fp32"'),
    "gradient_checkpointing": FLAG,
    "eval_steps": COUNT_OR_NONE,
    "save_steps": COUNT_OR_NONE,
    "patience": COUNT_OR_NONE,
}


def _checked(given: dict[str, Any], keys: dict[str, Check], where: str) -> dict[str, Any]:
    problems = []
    if unknown := sorted(set(given) - set(keys)):
        problems.append(f"unknown {where}: {', '.join(unknown)}")
    if missing := sorted(set(keys) - set(given)):
        problems.append(f"missing {where}: {', '.join(missing)}")
    for key in sorted(set(keys) & set(given)):
        fits, wanted = keys[key]
        if not fits(given[key]):
            problems.append(f"{key} must be {wanted}, not {json.dumps(given[key])}")
    if problems:
        raise MisuseError("; ".join(problems))
    return given


def _check_together(spec: Spec) -> None:
    values = spec.hyperparameters
    if values.eval_steps and spec.valid is None:
        raise MisuseError("eval_steps needs a valid file; name one or set eval_steps to 0")
    if values.patience and not values.eval_steps:
        raise MisuseError("patience counts evaluations; set eval_steps above 0 or patience to 0")
    if values.patience and (not values.save_steps or values.save_steps % values.eval_steps):
        # The best step can only be returned to if it was saved.
        raise MisuseError("patience needs save_steps to be a multiple of eval_steps")
    if not (spec.base / "config.json").is_file():
        raise MisuseError(f"base {spec.base} is not a model folder: it has no config.json")
    for path in (spec.train, spec.valid):
        if path is not None and not path.is_file():
            raise MisuseError(f"{path} is not a file")


def read(path: Path) -> Spec:
    """Return the spec that `path` holds, with every key known, present and sensible."""
    try:
        given = json.loads(path.read_text())
    except OSError as error:
        raise MisuseError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise MisuseError(f"{path} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise MisuseError(f"{path} must hold one JSON object")
    body = _checked({"ordered": False, **given}, SPEC_KEYS, "keys")
    values = Hyperparameters(**_checked(body["hyperparameters"], HYPERPARAMETER_KEYS, "hyperparameters"))
    valid = Path(body["valid"]) if body["valid"] is not None else None
    paths = (Path(body["base"]), Path(body["train"]), valid, Path(body["out"]))
    spec = Spec(*paths, seed=body["seed"], hyperparameters=values, ordered=body["ordered"])
    _check_together(spec)
    return spec
