"""The next smaller batch: what a run that ran out of memory is given, once. Pure."""

from flywheel.core.training import Hyperparameters, TrainSpec


def halved(spec: TrainSpec) -> TrainSpec | None:
    """Return the run with half the batch and the same rows in a step, or None when there is none or it was tried."""
    smaller = None if spec.halved else _smaller(spec.hyperparameters)
    return spec.model_copy(update={"hyperparameters": smaller, "halved": True}) if smaller else None


def why_starved(spec: TrainSpec, error: str) -> str:
    """Return in one sentence what became of memory, and what is left to do about it."""
    values, smaller = spec.hyperparameters, halved(spec)
    size = f"batch_size {values.batch_size}"
    if smaller is not None:
        next_one = smaller.hyperparameters
        return f"{error} — with {size}; {next_one.batch_size} x {next_one.accumulation} is tried once"
    again = f"again, with the smaller {size}" if spec.halved else f"with {size}, than which there is no smaller one"
    return f"{error} — {again}: lower max_length, turn on gradient_checkpointing or nf4, or train a smaller base"


def _smaller(values: Hyperparameters) -> Hyperparameters | None:
    rows = values.batch_size * values.accumulation
    fitting = [size for size in range(1, values.batch_size // 2 + 1) if rows % size == 0]
    if not fitting:
        return None
    return values.model_copy(update={"batch_size": fitting[-1], "accumulation": rows // fitting[-1]})
