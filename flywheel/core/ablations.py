"""The same run several times with one number changed: what a person asks for to learn which is better. Pure."""

from typing import Any

from pydantic import ValidationError

from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.training import Hyperparameters, TrainSpec

MOST_VALUES = 8
NUMBERS = tuple(
    name for name, field in Hyperparameters.model_fields.items() if field.annotation in {int, float} and name != "alpha"
)


class Ablation(Frozen):
    """One number and the values it is given, in turn."""

    key: str
    values: tuple[float | int, ...]

    @classmethod
    def parse(cls, text: str) -> "Ablation":
        """Read `rank=32,64`; raises MisuseError for what no run can have."""
        key, _, listed = text.partition("=")
        key, words = key.strip(), [word.strip() for word in listed.split(",") if word.strip()]
        if key not in NUMBERS:
            raise MisuseError(f"{key!r} is no number of a run", f"numbers: {', '.join(NUMBERS)}")
        values = tuple(dict.fromkeys(_value(key, word) for word in words))
        if not 1 < len(values) <= MOST_VALUES:
            raise MisuseError(f"{text!r} names {len(values)} values", f"name 2 to {MOST_VALUES}, as in {key}=32,64")
        return cls(key=key, values=values)

    def variants(self, spec: TrainSpec) -> tuple[TrainSpec, ...]:
        """Return the runs, one a value; with another rank alpha keeps its proportion to it."""
        return tuple(spec.model_copy(update={"hyperparameters": self._with(spec, value)}) for value in self.values)

    def _with(self, spec: TrainSpec, value: float) -> Hyperparameters:
        numbers = spec.hyperparameters
        changed: dict[str, Any] = {self.key: value}
        if self.key == "rank":
            changed["alpha"] = max(1, round(numbers.alpha * value / numbers.rank))
        return Hyperparameters(**{**numbers.model_dump(), **changed})


def _value(key: str, word: str) -> float | int:
    try:
        number = int(word) if Hyperparameters.model_fields[key].annotation is int else float(word)
        Hyperparameters.model_validate({key: number})
    except ValidationError as error:
        raise MisuseError(f"{key} = {word}: {error.errors()[0]['msg']}", "see docs/policies.md for its range") from None
    except ValueError:
        raise MisuseError(f"{word!r} is no value for {key}", f"write numbers, as in {key}=32,64") from None
    return number
