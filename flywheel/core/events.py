"""The closed registry of events: `room.noun_past`, one name in ledger, log, docs and dashboard."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pydantic import Field, field_validator

from flywheel.core.frozen import Frozen

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "sources.outcomes_ingested": "a batch of outcomes was stored",
        "sources.calls_attributed": "a batch of gateway calls was joined to the adapters that answered them",
        "sources.row_quarantined": "a row could not be read as an outcome, or held a secret",
        "sources.source_failed": "a source cannot be read; it is tried again",
        "sources.source_recovered": "a source that failed can be read again",
        "sources.written_back": "a dataset or an adapter was told to an agent's own training tables",
        "curate.examples_admitted": "outcomes became examples",
        "curate.dataset_frozen": "a dataset was frozen under its hash",
        "curate.rung_climbed": "a line stands on the next rung of the ladder: from now on more may teach it",
        "curate.examples_superseded": "examples in frozen datasets lost their evidence; adapters they taught are named",
        "policy.intent_allowed": "every guardrail agreed to an intent",
        "policy.intent_held": "a guardrail holds an intent until facts change",
        "policy.intent_refused": "a guardrail refused an intent",
        "policy.policies_loaded": "a policy set was loaded",
        "policy.policies_rejected": "a changed policy set was turned down; the one before stays in force",
        "train.base_pinned": "a base model was seen for the first time and its bytes were pinned",
        "train.run_preflighted": "a run was checked before its start; what stops it is named",
        "train.run_started": "a training run was started",
        "train.run_resumed": "a run that had lost its process was started again from its last whole checkpoint",
        "train.run_paused": "a run gave the shared GPU back before its end; it goes on from its last whole checkpoint",
        "train.run_finished": "a training run finished",
        "train.run_failed": "a training run ended without an adapter",
        "train.run_cancelled": "a training run was ended because a person asked",
        "train.batch_halved": "a run ran out of memory; the next smaller batch is tried once",
        "train.fusion_started": "fusing an adapter into a copy of its base was started",
        "train.base_fused": "a base with layers was registered, with the adapters fused into it in order",
        "train.adapter_published": "an adapter folder was published whole",
        "gate.suite_frozen": "a suite was frozen under its hash",
        "gate.suite_adopted": "an imported suite or a starter became what a line is measured on",
        "gate.successor_called": "a suite is to be replaced: the line's next dataset holds rows out for another",
        "gate.suite_rotated": "a suite was retired and its successor took its place",
        "gate.measurement_started": "a measurement was started",
        "gate.adapter_measured": "a measurement finished",
        "gate.measurement_failed": "a measurement ended without numbers",
        "gate.adapter_passed": "an adapter passed its gate",
        "gate.adapter_failed": "an adapter failed its gate, or the evidence was not enough",
        "rollout.adapter_registered": "an adapter was registered, inactive",
        "rollout.adapter_rejected": "an adapter was turned down",
        "rollout.adapter_approved": "a person approved an adapter",
        "rollout.shadow_started": "an adapter is asked what the agent asks; nobody sees what it answers",
        "rollout.shadow_compared": "a shadow's answers were set beside the ones the agent got, with a verdict",
        "rollout.canary_started": "an adapter got a share of the traffic",
        "rollout.share_raised": "a canary whose outcomes were good enough got a larger share of the traffic",
        "rollout.adapter_promoted": "an adapter became the active one",
        "rollout.adapter_superseded": "the active adapter gave way to its successor",
        "rollout.adapter_rolled_back": "an adapter was taken back",
        "rollout.adapter_retired": "an adapter's life in front of the agent ended",
        "rollout.contest_started": "two adapters share a line's traffic, because a person wants to compare them",
        "rollout.contest_ended": "a contest of two adapters ended; its numbers are its report",
        "serve.adapter_loaded": "an adapter was loaded, warmed up and is ready",
        "serve.adapter_unloaded": "an adapter was unloaded",
        "serve.adapter_pruned": "an adapter's folder was deleted; it cannot come back",
        "serve.adapter_refused": "an adapter did not pass the checks before loading, or the server refused it",
        "serve.aliases_flipped": "what the aliases point at was published to the gateway",
        "serve.server_failed": "a model server does not answer as it should",
        "serve.server_recovered": "a model server answers again",
        "serve.calls_held": "a training run needs the shared GPU: the gateway is told to hold calls",
        "serve.server_rested": "the model servers sleep or were stopped; the shared GPU is the training run's",
        "serve.gpu_reclaimed": "the shared GPU goes back to the model servers; a run that is not done is paused",
        "serve.server_woken": "the model servers were woken or started, and have answered a request",
        "serve.calls_released": "the adapters are back: the gateway is told to let calls through again",
        "keep.leftovers_deleted": "what lay in the home and nobody needed was given up and deleted",
        "daemon.started": "the daemon is ready",
        "daemon.stopped": "the daemon left in order",
        "daemon.cycle_finished": "a cycle that changed something ended",
        "daemon.attempt_failed": "an allowed intent could not be done",
        "daemon.settings_reloaded": "changed settings are in force",
        "daemon.settings_rejected": "changed settings were turned down; the ones before stay in force",
        "daemon.approval_wanted": "an adapter waits for a person to approve it",
        "daemon.line_stalled": "a line has wanted the same thing for a long time and did not get it",
        "daemon.cycles_failed": "cycle after cycle failed; the next one tries again",
        "daemon.cycles_recovered": "cycles that kept failing succeed again",
        "daemon.notices_dropped": "notifications were given up: nobody took them in time",
        "operator.request_made": "a person asked for something",
        "operator.override_recorded": "a person overrode the gate, with a reason",
        "operator.records_forgotten": "what a person wanted forgotten is gone, and what learned from it is named",
        "operator.line_paused": "a person paused a line: it starts nothing new",
        "operator.line_resumed": "a person let a paused line go on",
        "operator.request_refused": "a person's request cannot be satisfied",
    }
)


class Event(Frozen):
    """Something that happened; appended, never changed. `cause` is the event that led to it."""

    kind: str
    at: datetime
    line: str = ""
    subject: str = ""
    cause: int | None = None
    seq: int | None = None
    body: dict[str, Any] = Field(default_factory=dict)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in EVENTS:
            msg = f"unknown event {kind!r}"
            raise ValueError(msg)
        return kind
