"""A home in which much has happened: the whole way from outcomes to a canary, and a run under way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cli_house import LINE, write_settings

from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest
from flywheel.core.jobs import Job, JobState
from flywheel.core.releases import ReleaseState
from flywheel.core.training import AdapterManifest, Hyperparameters, TrainSpec
from flywheel.core.verdicts import Check, Report, Verdict
from flywheel.store.counters import add_to_counter, move_cursor
from flywheel.store.datasets import record_dataset, record_members
from flywheel.store.jobs import enqueue
from flywheel.store.ledger import append
from flywheel.store.releases import move, register, start_canary
from flywheel.store.reports import StoredReport, record_report, report_id
from flywheel.store.runs import adapter_by_name, end_run, record_adapter, start_run
from flywheel.store.stores import Store, insert_new, open_store, sqlite_url
from flywheel.store.tables import ExampleRow, OutcomeRow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DATASET = "da" * 32
ACTIVE, CANARY = f"{LINE}@1", f"{LINE}@2"
SECRETIVE = "[red]not markup[/red]"  # what comes from elsewhere is shown as it is


class World:
    """The home, and the numbers of what happened in it."""

    def __init__(self, folder: Path) -> None:
        """Let everything happen."""
        self.config = write_settings(folder)
        self.events: dict[str, int] = {}
        with open_store(sqlite_url(folder / "flywheel.db")) as store:
            self._learn(store)
            self._prove(store)
            self._go_on(store)

    def open(self) -> Store:
        """Open the store."""
        return open_store(sqlite_url(self.config.parent / "flywheel.db"))

    def _tell(self, session: Any, kind: str, subject: str, **body: Any) -> int:
        last = max(self.events.values(), default=None)
        at = NOON + timedelta(minutes=len(self.events))
        event = Event(kind=kind, at=at, line=LINE, subject=subject, cause=last, body=body)
        self.events[kind] = append(session, event)
        return self.events[kind]

    def _learn(self, store: Store) -> None:
        with store.write() as session:
            insert_new(session, OutcomeRow, [_outcome(number) for number in range(1, 5)])
            self._tell(session, "sources.outcomes_ingested", "agent", source="agent", new=4)
            insert_new(session, ExampleRow, [_example(number) for number in range(1, 5)])
            self._tell(session, "curate.examples_admitted", LINE, new=4)
            for name, count in {"outcomes_positive": 40, "outcomes_negative": 7, "outcomes_unknown": 3, "examples": 150,
                                "examples_fresh": 38, "left_out/short": 2}.items():  # fmt: skip
                add_to_counter(session, f"line:{LINE}", name, count)
            seq = self._tell(session, "curate.dataset_frozen", DATASET, sentence="froze dataset 1")
            manifest = DatasetManifest(hash=DATASET, line=LINE, number=1, parent=None, splits={}, examples=4, fresh=4,
                                       replayed=0, created_at=NOON)  # fmt: skip
            record_dataset(session, manifest, 4, seq)
            record_members(session, DATASET, {"train": ["ex-1", "ex-2", "ex-3"], "valid": ["ex-4"]})

    def _prove(self, store: Store) -> None:
        with store.write() as session:
            self._tell(session, "policy.intent_allowed", LINE, sentence="allowed: 1 guardrail agreed", **_decision())
            for number, name in ((1, ACTIVE), (2, CANARY)):
                self._publish(session, number, name)
                check = Check(name="points gained", verdict=Verdict.PASS, seen=0.1, needs="5", sentence="gained 10.0")
                report = Report(adapter=f"h{number}", suite="s" * 64, gate="g", verdict=Verdict.PASS, checks=(check,),
                                sentence="pass: gained 10.0 points", alpha_spent=0.01)  # fmt: skip
                name_of = report_id(report.adapter, report.suite)
                seq = self._tell(session, "gate.adapter_passed", name, sentence=report.sentence)
                stored = StoredReport(id=name_of, line=LINE, at=NOON + timedelta(hours=number), seq=seq, report=report)
                record_report(session, stored)
                seq = self._tell(session, "rollout.canary_started", name, sentence=f"{name} gets 10 % {SECRETIVE}")
                start_canary(session, name, 0.1, NOON, seq)
                if name == ACTIVE:
                    move(
                        session, name, ReleaseState.ACTIVE, NOON, self._tell(session, "rollout.adapter_promoted", name)
                    )

    def _publish(self, session: Any, number: int, name: str) -> None:
        spec = TrainSpec(line=LINE, dataset=DATASET, base_name="main", base_fingerprint="f",
                         hyperparameters=Hyperparameters(rank=8 * number))  # fmt: skip
        start_run(session, spec, NOON, self._tell(session, "train.run_started", spec.run_id, backend="trl"))
        end_run(session, spec.run_id, NOON, {})
        manifest = AdapterManifest(hash=f"h{number}", line=LINE, number=number, run=spec.run_id, dataset=DATASET,
                                   base_name="main", base_fingerprint="f", rank=8, target_modules=(),
                                   files={})  # fmt: skip
        seq = self._tell(session, "train.adapter_published", name)
        record_adapter(session, manifest, "/adapters", seq)
        adapter = adapter_by_name(session, name)
        assert adapter is not None
        register(session, adapter, NOON, seq)

    def _go_on(self, store: Store) -> None:
        told = {"step": 30, "of": 120, "loss": 0.4123, "eta_seconds": 600.0}
        job = Job(id="train-run-9", kind="train", line=LINE, subject="run-9", state=JobState.RUNNING, progress=told)
        waits = [f"needs 62 more examples {SECRETIVE}", "canary tool-calling@2: 3 of 50 outcomes"]
        with store.write() as session:
            enqueue(session, job)
            word = {"at": NOON.isoformat(), "sentence": f"nothing new {SECRETIVE}", "waits": {LINE: waits}}
            move_cursor(session, "daemon:status", word)


def _outcome(number: int) -> dict[str, Any]:
    signal = {"name": "tests_passed", "points": 1, "strength": 0.9, "note": f"12 of 12 {SECRETIVE}"}
    body = {"messages": [["user", "do it"]], "response": "done", "signals": [signal], "extra": {}}
    return {"key": f"agent/t{number}", "source": "agent", "task": f"t{number}", "session": f"s{number}", "repo": "r",
            "call_type": "act", "at": NOON, "model": "m", "line": LINE, "label": "positive", "confidence": 0.9,
            "prompt_key": f"p{number}", "revision": 1, "considered": True, "chain": "", "gone": False,
            "body": body}  # fmt: skip


def _example(number: int) -> dict[str, Any]:
    body = {"messages": [["user", "do it"]], "task": f"t{number}", "session": f"s{number}", "group": "r",
            "origin": "logged", "foreign": False}  # fmt: skip
    return {"id": f"ex-{number}", "line": LINE, "outcome": f"agent/t{number}", "category": "c", "at": NOON,
            "prompt_key": f"p{number}", "withdrawn": False, "body": body}  # fmt: skip


def _decision() -> dict[str, Any]:
    reason = {"guardrail": "frozen-base", "judgement": "allow", "enforced": True, "sentence": "the base is pinned"}
    return {"intent": {"kind": "train.start_run", "subject": LINE, "why": "38 fresh examples"},
            "facts": {"line.rung": 3},
            "decision": {"judgement": "allow", "policy_hash": "p" * 64, "reasons": [reason],
                         "facts": {"line.rung": 3}}}  # fmt: skip
