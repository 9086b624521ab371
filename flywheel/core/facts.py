"""The closed registry of facts: the readings that plans and policies may look at.

A room's `facts.py` takes the readings; here stands what each one means, so that a
guardrail can only ask for what somebody measures.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from flywheel.core.frozen import Frozen
from flywheel.core.training import LEARNED_FROM

Value = bool | int | float | str | None
Facts = Mapping[str, Value]


class FactSpec(Frozen):
    """A fact's type and meaning, in words."""

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    meaning: str
    choices: tuple[str, ...] = ()


def _registry(specs: Iterable[FactSpec]) -> Mapping[str, FactSpec]:
    return MappingProxyType({spec.name: spec for spec in specs})


def _fact(name: str, kind: Any, meaning: str, choices: tuple[str, ...] = ()) -> FactSpec:
    return FactSpec(name=name, type=kind, meaning=meaning, choices=choices)


FACTS: Mapping[str, FactSpec] = _registry(
    [
        _fact("base.fingerprint_is_frozen", bool, "the base model's bytes are the ones that were pinned"),
        _fact("base.is_adapter", bool, "the base folder already holds an adapter or a merge of one"),
        _fact("base.layers", int, "adapters that were fused into the base, one after the other"),
        _fact("base.parameters_billion", float, "size of the base model in billions of parameters"),
        _fact("clock.in_idle_window", bool, "the hour is one in which a GPU may train: set, or learned from calls"),
        _fact(
            "dataset.above_rung", int, "examples that ask for a higher rung than the line's and never taught it before"
        ),
        _fact("dataset.examples", int, "examples in the dataset, rehearsed rows not counted"),
        _fact("dataset.fewest_mined_lines", int, "lines of code of the smallest mined repo not your own"),
        _fact("dataset.fresh", int, "examples no earlier dataset of the line holds"),
        _fact("dataset.judgements", int, "single judgements in the dataset, rehearsed rows not counted"),
        _fact("dataset.is_of_base", bool, "the dataset was frozen for the base that the line learns on now"),
        _fact(
            "dataset.largest_domain_share",
            float,
            "part of the examples from the most common domain; unknown for a line that selects by domain",
        ),
        _fact("dataset.largest_foreign_repo_share", float, "part of the examples from the largest repo not your own"),
        _fact(
            "dataset.largest_mined_domain_share",
            float,
            "part of the examples from the most common domain of mined repos not your own",
        ),
        _fact("dataset.largest_session_share", float, "part of the examples from the largest session"),
        _fact("dataset.lost_examples", int, "examples of the parent dataset missing without having been withdrawn"),
        _fact("dataset.mined_domains", int, "different domains of the mined repos not your own, where known"),
        _fact("dataset.mined_organisations", int, "different owners of the mined repos not your own"),
        _fact("dataset.mined_share", float, "part of the examples that was mined from repos not your own"),
        _fact("dataset.most_mined_lines", int, "lines of code of the largest mined repo not your own"),
        _fact(
            "dataset.new_group_share", float, "part of the fresh examples from repos or problem types not seen before"
        ),
        _fact(
            "dataset.others_share", float, "part of the examples that others made: teachers, git histories, datasets"
        ),
        _fact("dataset.pairs", int, "preference pairs in the dataset, rehearsed rows not counted"),
        _fact("dataset.private_examples", int, "examples and lessons made of what stands under no known licence"),
        _fact("dataset.replay_share", float, "part of the training rows that rehearse earlier datasets"),
        _fact("dataset.shares_with_suites", int, "examples whose question stands in a suite"),
        _fact("dataset.teacher_share", float, "part of the examples that come from a teacher"),
        _fact(
            "gate.verdict",
            str,
            "the verdict on this very adapter: pass, fail, insufficient evidence, none",
            ("pass", "fail", "insufficient evidence", "none"),
        ),
        _fact("gateway.quiet_minutes", float, "minutes since the agent's last call through the gateway ended"),
        _fact("ladder.lowest_other_rung", int, "lowest rung among the lines that do not plan"),
        _fact("line.failed_runs", int, "runs of the line that failed since its last success"),
        _fact("line.is_paused", bool, "a person paused the line: it starts nothing new until one lets it go on"),
        _fact("line.is_planning", bool, "the line writes plans"),
        _fact("line.minimum_examples", int, "fewest examples the line may be trained on"),
        _fact("line.minimum_judgements", int, "fewest single judgements the line may be trained on"),
        _fact("line.minimum_pairs", int, "fewest pairs the line may be trained on"),
        _fact("line.next_rung", int, "the rung that the line would climb to"),
        _fact("line.own_examples", int, "examples that are the line's own agent's answers, counted to its minimum"),
        _fact("line.passes_on_rung", int, "adapters that passed the gate since the line stands on its rung"),
        _fact("line.promotions", int, "adapters of the line ever promoted"),
        _fact("line.rounds_without_gain", int, "candidates since the last one that passed the gate"),
        _fact("line.rung", int, "rung on the ladder: 1 teacher, 2 mixed, 3 execution feedback, 4 production feedback"),
        _fact("line.runs_per_day", int, "most runs the line may start in 24 hours"),
        _fact("line.runs_today", int, "runs the line started in the last 24 hours"),
        _fact("line.spare_disk_gib", float, "GiB that must be free before a run of the line may start"),
        _fact("line.technique", str, "what the line learns by", tuple(LEARNED_FROM)),
        _fact("machine.free_disk_gib", float, "GiB that are free where runs are kept"),
        _fact("machine.gpus", int, "GPUs this machine has"),
        _fact("parent.exists", bool, "an earlier dataset of the line exists"),
        _fact("release.approved", bool, "a person approved this adapter"),
        _fact("release.overridden", bool, "an operator's recorded override stands behind this adapter"),
        _fact("report.category_fell", bool, "the line's last report found a category that became worse"),
        _fact("report.exists", bool, "an adapter of the line was measured before"),
        _fact("report.falls_in_a_row", int, "last reports of the line in a row that found a category worse"),
        _fact("report.in_format", float, "part of the last candidate's answers in the trained format"),
        _fact(
            "report.verdict",
            str,
            "the verdict of the line's last report",
            ("pass", "fail", "insufficient evidence"),
        ),
        _fact("report.weakest_category", float, "the last candidate's score in the category where it is lowest"),
        _fact("suite.alpha_left", float, "part of the false-promotion budget the suite still holds"),
        _fact("suite.due", bool, "the suite is to be replaced: spent, too small, only lent, or a person asked for it"),
        _fact("suite.exists", bool, "a suite was frozen for the line before training"),
        _fact("suite.next_problems", int, "problems that the suite's successor could be built from now"),
        _fact("suite.problems", int, "problems in the line's suite"),
    ]
)


def check_facts(facts: Facts) -> None:
    """Refuse a reading nobody declared or of another type than declared; unknown is None."""
    for name, value in facts.items():
        spec = FACTS.get(name)
        if spec is None:
            msg = f"fact {name!r} is not in the registry"
            raise KeyError(msg)
        if value is not None and not _fits(value, spec.type):
            msg = f"fact {name!r} is a {spec.type.__name__}, got {value!r}"
            raise TypeError(msg)


def _fits(value: Value, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) if kind is float else isinstance(value, kind)
