"""What is looked at before a run may start, and what each finding says. Pure: facts in, findings out.

The facts about tokenizer and rows come from `jobs/preflight.py`; those about the machine and the server from
`preflight_looks`. An error stops the run by name until something changed; a warning is only told.
"""

from collections.abc import Collection, Iterator
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.training import TrainSpec
from flywheel.train.preflight_facts import (
    BaseFacts,
    FileFacts,
    PreflightFacts,
    Question,
    Surroundings,
    TokenizerFacts,
)
from flywheel.train.preflight_memories import Load, Need, Shape, adapter_bytes, checkpoint_bytes, estimate, shown

Level = Literal["error", "warning"]

#: Every finding there is; docs/training.md lists them.
FINDINGS = MappingProxyType(
    {
        "check.failed": "the check itself could not be made",
        "dataset.below-floor": "the dataset holds fewer examples than the line asks for (a warning: guardrails decide)",
        "dataset.empty": "a file that is learned from has no rows",
        "rows.too-long": "rows are longer than max_length, and nothing is cut silently",
        "rows.beyond-base": "rows are longer than the base was built for",
        "rows.unwritable": "rows cannot be written with the base's chat template",
        "rows.unended": "the labels of rows do not end in the token that ends an answer",
        "rows.unlearned": "rows have no label at all: nothing is learned from them",
        "rows.silent": "rows teach nothing but to stop (a warning)",
        "rows.lopsided": "judged answers are good ones alone or bad ones alone; kto needs both",
        "rows.unmarked": "span_weights weigh a section that no answer has",
        "eos.untold": "the chat template does not end an answer with one token",
        "eos.training": "the tokenizer's EOS is not the token that ends an answer",
        "eos.serving": "a server would not stop at the token that ends an answer",
        "pad.missing": "there is no pad token, and a trainer would pad with the EOS",
        "pad.is-eos": "the pad token is the EOS",
        "pad.is-base-eos": "the pad token is what the base itself ends with",
        "template.differs": "the server renders a prompt to other tokens than the trainer",
        "template.unchecked": "no server was there to compare with (a warning)",
        "memory.short": "the estimate is more than the memory that is free",
        "memory.unknown": "what the run needs, or what is free, could not be told (a warning)",
        "disk.short": "checkpoints and adapter are more than the disk has free",
        "rank.refused": "the rank is more than the model server takes",
    }
)
WARNINGS = frozenset({"dataset.below-floor", "rows.silent", "template.unchecked", "memory.unknown"})
KEPT_CHECKPOINTS = 3
_CHATML_END = "<|im_end|>"


class Finding(Frozen):
    """One thing that is wrong, in a sentence with its numbers, and how to mend it."""

    name: str
    level: Level
    sentence: str
    mend: str = ""


class Preflight(Frozen):
    """What a check found, and the numbers a person likes to see beside it."""

    findings: tuple[Finding, ...]
    numbers: dict[str, Any] = Field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Return what stops the run."""
        return tuple(one for one in self.findings if one.level == "error")

    @property
    def sentence(self) -> str:
        """Return in one line what stops the run, each with its mend; nothing when nothing does."""
        return "; ".join(f"{one.name}: {one.sentence} — {one.mend}" for one in self.errors)

    def with_warnings(self, names: Collection[str]) -> "Preflight":
        """Return the same with findings of these names as warnings: an operator only wants to be told."""
        found = [one.model_copy(update={"level": "warning"}) if one.name in names else one for one in self.findings]
        return self.model_copy(update={"findings": tuple(found)})


def decide(facts: PreflightFacts, asked: Question, around: Surroundings) -> Preflight:
    """Return everything that is wrong, most fundamental first."""
    found = [
        *_dataset(facts, asked),
        *_tokens(facts.tokenizer, facts.base),
        *_rows(facts, asked),
        *_server(around, asked),
        *_machine(facts, asked, around),
    ]
    return Preflight(findings=tuple(found), numbers=_numbers(facts, asked, around))


def failed(error: str) -> Preflight:
    """Return what stands for a check that could not be made."""
    mend = "see the check's stderr.log, mend what it names, then `flywheel train LINE --check` looks again"
    return Preflight(findings=(_finding("check.failed", f"the check ended without a result: {error}", mend),))


def need_of(facts: PreflightFacts, asked: Question, where: Literal["gpu", "ram"]) -> Need | None:
    """Return the memory the run is thought to need, or None for a base of a family the arithmetic does not know."""
    shape, spec = Shape.of(facts.base.config), asked.spec
    if shape is None:
        return None
    longest = max((one.lengths.max for one in facts.files), default=0)
    length = min(longest, spec.hyperparameters.max_length)
    stored = facts.base.weight_bytes if facts.base.config.get("quantization_config") else None
    load = Load(
        values=spec.hyperparameters, length=length, technique=spec.technique, backend=spec.backend, where=where,
        stored=stored,
    )  # fmt: skip
    return estimate(shape, load)


def _finding(name: str, sentence: str, mend: str) -> Finding:
    return Finding(name=name, level="warning" if name in WARNINGS else "error", sentence=sentence, mend=mend)


def _dataset(facts: PreflightFacts, asked: Question) -> Iterator[Finding]:
    if asked.examples < asked.minimum_examples:
        yield _finding(
            "dataset.below-floor",
            f"the dataset holds {asked.examples} examples, the line asks for {asked.minimum_examples}",
            "gather more, or lower dataset.minimum_examples of the line",
        )
    for one in facts.files:
        if not one.rows:
            yield _finding("dataset.empty", f"{one.name}.jsonl has no rows", "freeze a dataset that has some")


def _tokens(told: TokenizerFacts, base: BaseFacts) -> Iterator[Finding]:
    wanted = _CHATML_END if str(base.config.get("model_type", "")).startswith("qwen") else told.ending
    if told.ending is None or told.ending != wanted:
        word = told.ending_problem or f"it ends one with {told.ending}"
        yield _finding(
            "eos.untold",
            f"an answer has to end with {wanted or 'one special token'}, the chat template does otherwise: {word}",
            "use the instruct model's chat template in a copy of the base",
        )
    if told.ending is not None:
        yield from _eos(told, base, told.ending)
    yield from _pad(told, base)


def _eos(told: TokenizerFacts, base: BaseFacts, ending: str) -> Iterator[Finding]:
    copy = "in a copy of the base (its bytes are pinned)"
    if told.eos != ending:
        yield _finding(
            "eos.training",
            f"the tokenizer's EOS is {told.eos}, answers end with {ending}: the model would never learn to stop",
            f'write "eos_token": "{ending}" into tokenizer_config.json {copy}',
        )
    where, stops = _stops(base)
    if told.ending_id not in stops:
        yield _finding(
            "eos.serving",
            f"{where} stops at {_listed(stops)}, answers end with {ending} ({told.ending_id}): a server would not stop",
            f'write "eos_token_id": {[told.ending_id, *stops]} into generation_config.json {copy}',
        )


def _stops(base: BaseFacts) -> tuple[str, list[int]]:
    """Return which file tells a server where to stop, and at which tokens."""
    if base.generation is not None and base.generation.get("eos_token_id") is not None:
        return "generation_config.json", _ids(base.generation["eos_token_id"])
    return "config.json", _ids(base.config.get("eos_token_id"))


def _ids(value: Any) -> list[int]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)]


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids)) or "nothing"


def _pad(told: TokenizerFacts, base: BaseFacts) -> Iterator[Finding]:
    mend = "name another special token as pad_token in tokenizer_config.json in a copy of the base, as <|fim_pad|>"
    if told.pad is None:
        yield _finding("pad.missing", "the tokenizer has no pad token: a trainer would pad with the EOS", mend)
    elif told.pad in {told.eos, told.ending}:
        yield _finding("pad.is-eos", f"the pad token is {told.pad}, the EOS: what ends an answer would be masked", mend)
    elif told.pad_id in _own_eos(told, base):
        word = f"the pad token is {told.pad} ({told.pad_id}), which is where the base itself ends"
        yield _finding("pad.is-base-eos", word, mend)


def _own_eos(told: TokenizerFacts, base: BaseFacts) -> set[int]:
    """Return what a base ends with by its own word: an instruct model lists its pad token as a second stop, too."""
    generation = _ids((base.generation or {}).get("eos_token_id"))
    first = generation[:1] if told.ending_id not in generation else []
    return {one for one in (*_ids(base.config.get("eos_token_id")), *first) if one != told.ending_id}


def _rows(facts: PreflightFacts, asked: Question) -> Iterator[Finding]:
    limit, built = asked.spec.hyperparameters.max_length, facts.base.config.get("max_position_embeddings")
    for one in facts.files:
        lengths = f"half are within {one.lengths.p50} tokens, 95 % within {one.lengths.p95}, the longest has"
        if one.long.count:
            yield _finding(
                "rows.too-long",
                f"{one.long.count} of {one.rows} rows of {one.name}.jsonl are longer than max_length {limit}: "
                f"{one.long.named}; {lengths} {one.lengths.max}",
                f"raise max_length to {one.lengths.max}, or lower the limit the line's dataset sets on rows",
            )
        if isinstance(built, int) and min(one.lengths.max, limit) > built:
            yield _finding(
                "rows.beyond-base",
                f"the longest row of {one.name}.jsonl has {one.lengths.max} tokens, the base was built for {built}",
                f"lower max_length to {built}, or choose a base with a longer context",
            )
        yield from _unfit(one)
        yield from _of_technique(one, asked.spec)


def _of_technique(one: FileFacts, spec: TrainSpec) -> Iterator[Finding]:
    """Yield what the technique asks of a whole file."""
    if one.name == "judged" and spec.technique == "kto" and len(one.judged) == 1:
        only = "good" if one.judged[0] else "bad"
        yield _finding(
            "rows.lopsided", f"{one.name}.jsonl holds {only} answers alone", "gather judgements of both kinds"
        )
    missing = sorted(set(spec.hyperparameters.span_weights) - set(one.sections))
    if one.name == "train" and missing:
        word = f"span_weights weigh [{missing[0]}], and no answer in {one.name}.jsonl has such a section"
        yield _finding("rows.unmarked", word, "correct the section's name, or leave it out")


def _unfit(one: FileFacts) -> Iterator[Finding]:
    kinds = (
        ("rows.unwritable", one.unwritable, "cannot be written with the base's chat template"),
        ("rows.unended", one.unended, "do not end their labels in the EOS"),
        ("rows.unlearned", one.unlearned, "have no label"),
        ("rows.silent", one.silent, "have no label but the EOS: they teach silence"),
    )
    for name, trouble, word in kinds:
        if trouble.count:
            told = f"{trouble.count} of {one.rows} rows of {one.name}.jsonl {word}: {trouble.named}"
            yield _finding(name, told, "`flywheel datasets show` tells where they come from; withdraw them")


def _server(around: Surroundings, asked: Question) -> Iterator[Finding]:
    rank = asked.spec.hyperparameters.rank
    if around.max_lora_rank is not None and rank > around.max_lora_rank:
        yield _finding(
            "rank.refused",
            f"the line trains rank {rank}, the model server takes at most {around.max_lora_rank}",
            f"start it with --max-lora-rank {rank} or more and set max_lora_rank of [[servers]], or lower the rank",
        )
    if around.server_differs is not None:
        yield _finding(
            "template.differs",
            f"the server renders a prompt to other tokens than the trainer: {around.server_differs}",
            "let both use one folder: the base's path in the settings and the server's --model, and one chat template",
        )
    elif around.template_unchecked:
        yield _finding(
            "template.unchecked",
            f"whether the server renders prompts as the trainer does was not checked: {around.template_unchecked}",
            "start the model server, then `flywheel train LINE --check`",
        )


def _machine(facts: PreflightFacts, asked: Question, around: Surroundings) -> Iterator[Finding]:
    need, kind = need_of(facts, asked, around.memory), "GPU memory" if around.memory == "gpu" else "memory"
    if need is None or around.free_memory is None:
        why = "the base is of no family whose widths are known" if need is None else f"free {kind} cannot be read here"
        yield _finding("memory.unknown", f"whether the run fits was not checked: {why}", "watch the first run")
    elif need.total > around.free_memory:
        yield _finding(
            "memory.short",
            f"the run is thought to need {need.sentence} of {kind}, {shown(around.free_memory)} are free",
            "lower batch_size (and raise accumulation), max_length or rank, set gradient_checkpointing or "
            'quantization = "nf4", or free some',
        )
    wanted = _disk(facts, asked)
    if wanted is not None and around.free_disk is not None and wanted > around.free_disk:
        yield _finding(
            "disk.short",
            f"checkpoints and adapter take {shown(wanted)}, {shown(around.free_disk)} are free on the disk",
            "free some, or move the home",
        )


def _disk(facts: PreflightFacts, asked: Question) -> int | None:
    """Return what the run writes: the checkpoints that are kept and one being written, the adapter twice."""
    shape, values = Shape.of(facts.base.config), asked.spec.hyperparameters
    if shape is None:
        return None
    kept = KEPT_CHECKPOINTS + 1 if values.save_steps else 0
    return kept * checkpoint_bytes(shape, values) + 2 * adapter_bytes(shape, values)


def _numbers(facts: PreflightFacts, asked: Question, around: Surroundings) -> dict[str, Any]:
    need = need_of(facts, asked, around.memory)
    return {
        "rows": {one.name: {"rows": one.rows, "tokens": one.tokens, **one.lengths.model_dump()} for one in facts.files},
        "needs_bytes": need.total if need else None,
        "needs": need.model_dump() if need else None,
        "memory": around.memory,
        "free_bytes": around.free_memory,
        "disk_needs_bytes": _disk(facts, asked),
        "disk_free_bytes": around.free_disk,
        "rank": asked.spec.hyperparameters.rank,
        "max_lora_rank": around.max_lora_rank,
    }
