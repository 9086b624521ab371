"""What a room wants to do: imperative, judged before it is done. A closed registry."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field, field_validator

from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash

INTENTS: Mapping[str, str] = MappingProxyType(
    {
        "sources.ingest_outcomes": "read what changed in a watched database",
        "sources.write_back": "tell an agent's own training tables of datasets and adapters",
        "curate.admit_examples": "turn labelled outcomes into examples",
        "curate.freeze_dataset": "freeze a dataset from the pool",
        "curate.climb_rung": "let a line learn by the next rung of the ladder",
        "curate.report_superseded": "name the adapters that learned what has lost its evidence since",
        "gate.freeze_suite": "freeze a suite from held-out outcomes",
        "gate.import_suite": "freeze a suite from problems that came in a file",
        "gate.adopt_suite": "measure a line on an imported suite or a starter",
        "gate.call_successor": "let the next dataset hold rows out, because the line's suite is to be replaced",
        "gate.rotate_suite": "retire a suite and freeze its successor",
        "train.check_run": "look at what a run would meet before it takes the GPU",
        "train.record_check": "record what the check of a run found",
        "train.start_run": "start a training run from the frozen base",
        "train.publish_adapter": "publish what a finished run left",
        "train.close_run": "record that a run failed",
        "train.cancel_run": "end a run because a person asked",
        "train.fuse_adapter": "fuse an adapter into a copy of its base, which becomes a base with layers",
        "train.register_base": "give a fused model its place, its pin and its lineage",
        "rollout.register_adapter": "enter a published adapter into the registry, inactive",
        "gate.measure_adapter": "measure a candidate beside its base",
        "gate.judge_adapter": "judge a finished measurement",
        "rollout.reject_adapter": "turn down an adapter that did not pass",
        "rollout.approve_adapter": "record a person's approval",
        "rollout.start_shadow": "let an adapter answer copies of the traffic that nobody sees",
        "rollout.compare_shadow": "record what a shadow's answers came to beside the ones that were seen",
        "rollout.start_canary": "give an adapter a share of the traffic",
        "rollout.raise_share": "give a canary that does well a larger share of the traffic",
        "rollout.promote_adapter": "make an adapter the active one",
        "rollout.roll_back_adapter": "take an adapter back",
        "rollout.retire_adapter": "end an adapter's life in front of the agent",
        "rollout.start_contest": "let two adapters share a line's traffic for a while",
        "rollout.end_contest": "end a contest of two adapters and report it",
        "serve.check_server": "record that a model server does, or does not, answer as it should",
        "serve.load_adapter": "load an adapter into a model server",
        "serve.unload_adapter": "unload an adapter from a model server",
        "serve.prune_adapters": "delete the folders of adapters whose life is over",
        "serve.flip_aliases": "publish what each alias points at",
        "serve.hold_calls": "let the gateway hold calls, because a training run needs the shared GPU",
        "serve.rest_server": "put the model servers to sleep, or stop them",
        "serve.reclaim_gpu": "end training's turn on the shared GPU",
        "serve.wake_server": "wake the model servers, or start them",
        "serve.ask_server": "see that the model servers that were woken answer a request",
        "serve.release_calls": "let the gateway pass calls on again",
        "operator.forget_records": "forget a repo, a session or an example",
        "operator.sweep_capture": "delete what the gateway captured of sessions that were forgotten",
        "operator.pause_line": "let a line start nothing new until a person lets it go on",
        "operator.resume_line": "let a paused line go on",
        "keep.delete_leftovers": "delete what lies in the home and nobody needs",
        "operator.refuse_request": "turn down a request that cannot be satisfied",
    }
)


class Intent(Frozen):
    """One thing a room proposes: what, to whom, why, and the details it needs to do it."""

    kind: str
    line: str = ""
    subject: str
    why: str
    params: dict[str, Any] = Field(default_factory=dict)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in INTENTS:
            msg = f"unknown intent {kind!r}"
            raise ValueError(msg)
        return kind

    @property
    def key(self) -> str:
        """Return the intent's identity: the same wish has the same key in every cycle."""
        return content_hash([self.kind, self.line, self.subject, self.params])
