"""What a training job is asked to do: read from SPEC.json and checked key by key before anything heavy is imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

#: The files a technique learns from, and those it is evaluated on.
FILES = {
    "sft": (("train",), ("valid",)),
    "cot-sft": (("train",), ("valid",)),
    "dpo": (("pairs",), ("pairs_valid",)),
    "sft-dpo": (("train", "pairs"), ("valid", "pairs_valid")),
    "cot-sft-dpo": (("train", "pairs"), ("valid", "pairs_valid")),
    "kto": (("judged",), ("judged_valid",)),
}
#: Techniques whose answers must show their reasoning.
REASONED = frozenset({"cot-sft", "cot-sft-dpo"})
#: Why a variant of LoRA is not trained here.
REFUSED = {
    "pissa": "PiSSA takes its start out of the base's weights and leaves the base changed; the base is frozen",
    "olora": "OLoRA takes its start out of the base's weights and leaves the base changed; the base is frozen",
    "dora": "vLLM refuses to serve DoRA adapters",
    "alora": "vLLM refuses to serve aLoRA adapters",
}
#: The sections of an answer that can be weighted.
SECTIONS = ("PLAN", "REASONING", "THINK")


class MisuseError(Exception):
    """The job cannot do what it is asked; trying again will not help. The message is one line."""


@dataclass(frozen=True, slots=True)
class Preference:
    """How pairs and single judgements are learned from; rate, epochs and steps are those of a second stage."""

    beta: float = 0.1
    sft_weight: float = 1.0
    learning_rate: float = 1e-5
    epochs: float = 1
    max_steps: int = -1


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
    variant: str = "lora"
    quantization: str = "none"
    layers: int = 0
    span_weights: dict[str, float] = field(default_factory=dict)
    preference: Preference = Preference()


@dataclass(frozen=True, slots=True)
class Spec:
    """What to train, on what, and where the result goes."""

    base: Path
    out: Path
    seed: int
    hyperparameters: Hyperparameters
    technique: str = "sft"
    ordered: bool = False
    train: Path | None = None
    valid: Path | None = None
    pairs: Path | None = None
    pairs_valid: Path | None = None
    judged: Path | None = None
    judged_valid: Path | None = None

    def text(self) -> str:
        """Return the spec in one canonical form; a key that came later and was not used leaves no trace in it."""
        body = asdict(self)
        values = _without_defaults(Hyperparameters, body["hyperparameters"])
        body = _without_defaults(Spec, body) | {"hyperparameters": values, "train": body["train"]}
        return json.dumps(body | {"valid": self.valid}, indent=1, sort_keys=True, default=str) + "\n"


def _without_defaults(of: type[Any], body: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for one in fields(of):
        default = one.default if one.default_factory is MISSING else one.default_factory()
        plain = asdict(default) if isinstance(default, Preference) else default
        if plain is MISSING or body[one.name] != plain:
            kept[one.name] = body[one.name]
    return kept


Check = tuple[Callable[[Any], bool], str]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_int(value) or isinstance(value, float)


def _is_modules(value: Any) -> bool:
    named = isinstance(value, list) and len(value) > 0 and all(isinstance(name, str) and name for name in value)
    return named or value == "all-linear"


def _are_weights(value: Any) -> bool:
    return isinstance(value, dict) and all(
        name in SECTIONS and _is_number(weight) and weight >= 0 for name, weight in value.items()
    )


def _one_of(*words: str) -> Check:
    return (lambda value: value in words, " or ".join(json.dumps(word) for word in words))


COUNT: Check = (lambda value: _is_int(value) and value >= 1, "a whole number from 1")
COUNT_OR_NONE: Check = (lambda value: _is_int(value) and value >= 0, "a whole number from 0")
POSITIVE: Check = (lambda value: _is_number(value) and value > 0, "a number above 0")
FROM_ZERO: Check = (lambda value: _is_number(value) and value >= 0, "a number from 0")
WORD: Check = (lambda value: isinstance(value, str) and value != "", "a name")
PATH: Check = (lambda value: isinstance(value, str) and Path(value).is_absolute(), "an absolute path")
PATH_OR_NULL: Check = (lambda value: value is None or PATH[0](value), "an absolute path or null")
FLAG: Check = (lambda value: isinstance(value, bool), "true or false")
LIMIT: Check = (lambda value: _is_int(value) and (value == -1 or value >= 1), "-1 (no limit) or a whole number from 1")
OBJECT: Check = (lambda value: isinstance(value, dict), "an object")

SPEC_KEYS: dict[str, Check] = {
    "base": PATH,
    "train": PATH_OR_NULL,
    "valid": PATH_OR_NULL,
    "pairs": PATH_OR_NULL,
    "pairs_valid": PATH_OR_NULL,
    "judged": PATH_OR_NULL,
    "judged_valid": PATH_OR_NULL,
    "out": PATH,
    "seed": COUNT_OR_NONE,
    "technique": _one_of(*FILES),
    "ordered": FLAG,
    "hyperparameters": OBJECT,
}
LATER_KEYS = {
    "technique": "sft",
    "ordered": False,
    "pairs": None,
    "pairs_valid": None,
    "judged": None,
    "judged_valid": None,
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
    "precision": _one_of("bf16", "fp32"),
    "gradient_checkpointing": FLAG,
    "eval_steps": COUNT_OR_NONE,
    "save_steps": COUNT_OR_NONE,
    "patience": COUNT_OR_NONE,
    "variant": _one_of("lora", "rslora", *REFUSED),
    "quantization": _one_of("none", "nf4"),
    "layers": COUNT_OR_NONE,
    "span_weights": (_are_weights, f"weights from 0 by the names {', '.join(SECTIONS)}"),
    "preference": OBJECT,
}
LATER_HYPERPARAMETERS = {"variant": "lora", "quantization": "none", "layers": 0, "span_weights": {}, "preference": {}}
PREFERENCE_KEYS: dict[str, Check] = {
    "beta": POSITIVE,
    "sft_weight": FROM_ZERO,
    "learning_rate": POSITIVE,
    "epochs": POSITIVE,
    "max_steps": LIMIT,
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


def _check_evaluation(spec: Spec) -> None:
    values = spec.hyperparameters
    unseen = FILES[spec.technique][1]
    if values.eval_steps and all(getattr(spec, name) is None for name in unseen):
        raise MisuseError(f"eval_steps needs a {unseen[-1]} file; name one or set eval_steps to 0")
    if values.patience and not values.eval_steps:
        raise MisuseError("patience counts evaluations; set eval_steps above 0 or patience to 0")
    if values.patience and (not values.save_steps or values.save_steps % values.eval_steps):
        # The best step can only be returned to if it was saved.
        raise MisuseError("patience needs save_steps to be a multiple of eval_steps")


def _check_technique(spec: Spec) -> None:
    values = spec.hyperparameters
    if values.variant in REFUSED:
        raise MisuseError(f"variant {values.variant} is refused: {REFUSED[values.variant]}; use lora or rslora")
    if values.span_weights and spec.technique in {"dpo", "kto"}:
        raise MisuseError(f"span_weights weigh the answers that sft learns; {spec.technique} has none of them")
    if spec.technique == "kto" and values.batch_size < 2:  # noqa: PLR2004 - an answer is compared with a stranger's
        raise MisuseError(
            "kto needs a batch_size of 2 or more: it sets each answer against another question of the batch"
        )


def _check_files(spec: Spec) -> None:
    needed, unseen = FILES[spec.technique]
    if missing := [name for name in needed if getattr(spec, name) is None]:
        raise MisuseError(f"technique {spec.technique} needs a {missing[0]} file; name one")
    if not (spec.base / "config.json").is_file():
        raise MisuseError(f"base {spec.base} is not a model folder: it has no config.json")
    for name in (*needed, *unseen):
        path = getattr(spec, name)
        if path is not None and not path.is_file():
            raise MisuseError(f"{path} is not a file")


def _hyperparameters(given: dict[str, Any]) -> Hyperparameters:
    body = _checked({**LATER_HYPERPARAMETERS, **given}, HYPERPARAMETER_KEYS, "hyperparameters")
    wishes = _checked({**asdict(Preference()), **body["preference"]}, PREFERENCE_KEYS, "preference keys")
    return Hyperparameters(**{**body, "preference": Preference(**wishes)})


def _object(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(path.read_text())
    except OSError as error:
        raise MisuseError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise MisuseError(f"{path} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise MisuseError(f"{path} must hold one JSON object")
    return given


def read(path: Path) -> Spec:
    """Return the spec that `path` holds, with every key known, present and sensible."""
    body = _checked({**LATER_KEYS, **_object(path)}, SPEC_KEYS, "keys")
    values = _hyperparameters(body["hyperparameters"])
    paths = {
        key: Path(body[key]) if body[key] is not None else None
        for key, check in SPEC_KEYS.items()
        if check in (PATH, PATH_OR_NULL)
    }
    spec = Spec(**{**body, **paths, "hyperparameters": values})
    _check_technique(spec)
    _check_evaluation(spec)
    _check_files(spec)
    return spec
