"""What every key of a line, a gate and a rollout means: told in error lines and in the reference. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "Line.name": "the line's name",
        "Line.why": "what gets better, for people",
        "Line.base": "the base model, by its name in the settings",
        "Line.planning": "whether the line writes plans",
        "Line.rung": "the rung on the ladder, 1 to 4",
        "Line.gate": "the gate its adapters must pass",
        "Line.rollout": "the rollout its adapters go through",
        "Line.select": "which outcomes belong to the line",
        "Line.labels": "how sure a label must be",
        "Line.dataset": "how a dataset is drawn from the pool",
        "Line.trigger": "when the line wants a new adapter",
        "Line.train": "how the line is trained",
        "Select.sources": "the sources it takes outcomes from; empty takes all",
        "Select.call_types": "the kinds of call it takes; empty takes all",
        "Labels.minimum_confidence": "the least confidence of a label that may teach",
        "Labels.require_tool_call": "whether only answers that call a tool may teach",
        "DatasetPlan.minimum_examples": "the fewest examples a run may be started on",
        "DatasetPlan.holdout": "the share of tasks set aside for the suite",
        "DatasetPlan.valid": "the share of examples that validate during training",
        "DatasetPlan.suite_limit": "the most problems of a suite",
        "DatasetPlan.replay": "the share of training rows that rehearse earlier datasets",
        "DatasetPlan.session_cap": "the largest share of examples one session may have",
        "Trigger.fresh_examples": "how many new examples make the line want an adapter",
        "Trigger.after_days": "after how many days anything new is enough",
        "TrainPlan.backend": "the program that trains",
        "TrainPlan.technique": "the way of training",
        "TrainPlan.seed": "the seed of everything random",
        "TrainPlan.runs_per_day": "the most runs in 24 hours",
        "TrainPlan.hyperparameters": "the numbers of the training itself",
        "Hyperparameters.rank": "the size of the adapter",
        "Hyperparameters.alpha": "the weight of the adapter, often twice the rank",
        "Hyperparameters.dropout": "the share of the adapter's inputs dropped in training",
        "Hyperparameters.target_modules": "the layers that get an adapter: a list, or 'all-linear'",
        "Hyperparameters.learning_rate": "the size of a step",
        "Hyperparameters.scheduler": "how the learning rate falls",
        "Hyperparameters.epochs": "how often the data is gone through",
        "Hyperparameters.max_steps": "the most optimiser steps; -1 lets the epochs decide",
        "Hyperparameters.batch_size": "examples in one forward pass",
        "Hyperparameters.accumulation": "forward passes in one optimiser step",
        "Hyperparameters.warmup": "the share of steps in which the learning rate rises",
        "Hyperparameters.weight_decay": "how strongly weights are pulled to zero",
        "Hyperparameters.max_length": "the most tokens of an example",
        "Hyperparameters.optimizer": "the optimiser, by the backend's name for it",
        "Hyperparameters.precision": "the number format of the training",
        "Hyperparameters.gradient_checkpointing": "whether memory is saved at the price of time",
        "Hyperparameters.eval_steps": "steps between two looks at the validation loss; 0 never looks",
        "Hyperparameters.save_steps": "steps between two checkpoints",
        "Hyperparameters.patience": "looks without a better validation loss before it stops; 0 never stops early",
        "Gate.name": "the gate's name",
        "Gate.why": "what it proves, for people",
        "Gate.metric": "how an answer is scored",
        "Gate.alpha": "the share of false promotions that is tolerated",
        "Gate.minimum_problems": "the fewest problems a verdict may rest on",
        "Gate.minimum_groups": "the fewest independent groups of problems a verdict may rest on",
        "Gate.minimum_gain": "the least gain over the base",
        "Gate.minimum_score": "the least score, whatever the base does",
        "Gate.largest_loss_to_active": "how much worse than the active adapter it may be",
        "Gate.largest_category_loss": "how much any one category may lose",
        "Gate.largest_error_rate": "the largest share of calls that may fail",
        "Gate.largest_latency_increase": "how much slower than the base it may be",
        "Gate.judge_latency": "whether latency decides",
        "Gate.sampling": "how answers are drawn",
        "Sampling.samples": "answers drawn for each problem",
        "Sampling.temperature": "the temperature, as in production",
        "Sampling.top_p": "the nucleus, as in production",
        "Sampling.max_tokens": "the most tokens of an answer",
        "Sampling.concurrency": "requests at the same time",
        "Sampling.timeout_seconds": "how long an answer may take",
        "RolloutPlan.name": "the rollout's name",
        "RolloutPlan.why": "the reason for this care, for people",
        "RolloutPlan.share": "the share of sessions the canary answers",
        "RolloutPlan.minimum_outcomes": "the fewest outcomes of the canary before it is judged good",
        "RolloutPlan.alpha": "the share of false alarms and false promotions that is tolerated",
        "RolloutPlan.tolerated_loss": "how much worse than the active one is not yet worse",
        "RolloutPlan.longest_hours": "the hours after which a canary ends either way",
        "RolloutPlan.without_outcomes": "what happens to a canary that got too few outcomes",
    }
)


def meaning_of(owner: type[BaseModel], key: str) -> str:
    """Return what a key means: as its own type says, or as it stands here."""
    field = owner.model_fields.get(key)
    if field is None:
        return ""
    return field.description or MEANINGS.get(f"{owner.__name__}.{key}", "")
