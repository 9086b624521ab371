"""A home as it looks after months of work: made up, the same in every run, and made fast.

200,000 outcomes, 40,000 examples and 2,000 decisions that the shipped guardrails really made about facts that vary.
"""

import json
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from web_house import _draw as draw_curves

from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.facts import Facts
from flywheel.core.ids import content_hash, short
from flywheel.core.intents import Intent
from flywheel.core.training import Hyperparameters, TrainSpec
from flywheel.core.verdicts import Check, Report, Verdict
from flywheel.daemon.places import shipped
from flywheel.gate.pages import render
from flywheel.policy.judging import judge
from flywheel.policy.loading import load_policies
from flywheel.store.reports import report_id
from flywheel.store.stores import open_store, sqlite_url

LINES = ("tool-calling", "build-python", "plan")
SOURCES = ("opencode", "clean-room")
START = datetime(2026, 7, 1, 8, tzinfo=UTC)
END = datetime(2026, 11, 20, 18, tzinfo=UTC)
_SPAN = (END - START).total_seconds()
_KINDS = {"allow": "policy.intent_allowed", "hold": "policy.intent_held", "refuse": "policy.intent_refused"}
_SOUND: Facts = {
    "base.fingerprint_is_frozen": True, "base.is_adapter": False, "base.parameters_billion": 7.0,
    "clock.in_idle_window": True, "dataset.examples": 900, "dataset.is_of_base": True,
    "dataset.largest_foreign_repo_share": 0.02, "dataset.largest_session_share": 0.004, "dataset.lost_examples": 0,
    "dataset.new_group_share": 0.3, "dataset.replay_share": 0.15, "dataset.shares_with_suites": 0,
    "dataset.teacher_share": 0.0, "gate.verdict": "pass", "ladder.lowest_other_rung": 4, "line.is_paused": False,
    "line.is_planning": False, "line.minimum_examples": 400, "line.promotions": 2, "line.rounds_without_gain": 0,
    "line.rung": 4, "line.runs_per_day": 2, "line.runs_today": 0, "line.spare_disk_gib": 1.0, "line.technique": "sft",
    "machine.free_disk_gib": 220.0, "machine.gpus": 1, "parent.exists": True, "release.approved": True,
    "release.overridden": False, "suite.alpha_left": 0.04, "suite.exists": True,
}  # fmt: skip
_TROUBLES: tuple[Facts, ...] = (
    {}, {}, {}, {"clock.in_idle_window": False}, {"clock.in_idle_window": False}, {"line.runs_today": 2},
    {"dataset.replay_share": 0.31}, {"line.is_paused": True}, {"machine.free_disk_gib": 0.4},
    {"dataset.largest_session_share": 0.05, "dataset.examples": 1200}, {"suite.alpha_left": 0.0},
    {"gate.verdict": "fail"}, {"line.promotions": 0, "release.approved": False}, {"dataset.examples": 120},
)  # fmt: skip
_WANTED = ("train.start_run", "train.start_run", "gate.measure_adapter", "rollout.start_canary",
           "rollout.promote_adapter")  # fmt: skip

_OUTCOMES = """
INSERT INTO outcomes (key, source, task, session, repo, call_type, at, model, line, label, confidence, prompt_key,
                      revision, considered, chain, gone, body)
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
SELECT printf('%016x%08x', i * 2654435761, i), CASE WHEN i % 3 THEN 'opencode' ELSE 'clean-room' END,
       printf('task-%d', i / 4), printf('ses_%d', i / 40), printf('repo-%d', i % 23), 'execute',
       strftime('%Y-%m-%d %H:%M:%S.000000', :start, printf('+%d seconds', i * :step)),
       CASE WHEN i < :count / 3 THEN 'qwen3-8b' ELSE 'tool-calling' END,
       CASE i % 4 WHEN 3 THEN 'plan' WHEN 2 THEN 'build-python' ELSE 'tool-calling' END,
       CASE WHEN (i * 7919) % 100 < 40 + i * 35 / :count THEN 'positive'
            WHEN (i * 7919) % 100 < 88 THEN 'negative' ELSE 'unknown' END,
       0.5 + (i % 50) / 100.0, printf('p%d', i), 1, 1, '', 0,
       json_object('messages', json_array(
                       json_array('system', 'You are a careful engineer. Use the tools that are offered.'),
                       json_array('user', printf('Make the test of module_%d pass, and say why it failed.', i % 997))),
                   'response', printf('The fixture of module_%d kept its state between two tests.', i % 997),
                   'signals', json_array(json_object('name', 'tests_passed', 'points', 1, 'strength', 0.9, 'note',
                                                     'pytest ended with 0')),
                   'extra', json_object('turns', i % 9))
FROM n
"""
_EXAMPLES = """
INSERT INTO examples (id, line, outcome, category, at, prompt_key, withdrawn, body)
SELECT printf('%012x%08x', seq * 40503, seq), line, key,
       CASE seq % 3 WHEN 0 THEN 'multi-tool' WHEN 1 THEN 'single-tool' ELSE 'edge-case' END, at, prompt_key,
       seq % 97 = 0,
       json_object('task', task, 'session', session, 'group', repo, 'origin', 'logged', 'foreign', json('false'),
                   'messages', json_insert(json_extract(body, '$.messages'), '$[#]',
                                           json_array('assistant', json_extract(body, '$.response'))))
FROM outcomes WHERE label = 'positive' ORDER BY seq LIMIT :count
"""
_CALLS = """
INSERT INTO attributions (call, line, name, arm, task, session, at, status, complete, fallback, latency_ms)
SELECT printf('call-%d', seq), 'tool-calling',
       CASE WHEN seq < :count * 5 / 10 THEN 'tool-calling@1' WHEN seq < :count * 6 / 10 THEN 'tool-calling@2'
            WHEN seq < :count * 9 / 10 OR seq % 5 THEN 'tool-calling@3' ELSE 'tool-calling@4' END,
       'active', task, session, at, 200, 1, 0, 300 + seq % 400
FROM outcomes WHERE line = 'tool-calling' AND seq > :count / 3 AND seq % 8 = 1
"""


_MEMBERS = """
INSERT INTO dataset_examples (dataset, example, part)
SELECT ?, id, CASE WHEN seq % 10 THEN 'train' ELSE 'valid' END
FROM examples WHERE line = 'tool-calling' ORDER BY seq LIMIT ?
"""
_COUNTS = (
    """INSERT INTO counters (scope, name, value)
       SELECT 'line:' || line, 'outcomes_' || label, count(*) FROM outcomes GROUP BY line, label""",
    """INSERT INTO counters (scope, name, value)
       SELECT 'line:' || line, 'examples', sum(NOT withdrawn) FROM examples GROUP BY line""",
    """INSERT INTO counters (scope, name, value)
       SELECT 'line:' || line, 'examples_fresh', CASE line WHEN 'build-python' THEN 12 ELSE 62 END
       FROM examples GROUP BY line""",
    """INSERT INTO counters (scope, name, value)
       SELECT 'source:' || source, 'outcomes', count(*) FROM outcomes GROUP BY source""",
)


class Size(NamedTuple):
    """How much there is."""

    outcomes: int = 200_000
    examples: int = 40_000
    decisions: int = 2_000


class World(NamedTuple):
    """Names to look at, by what they are."""

    home: Path
    config: Path
    line: str
    adapter: str
    candidate: str
    run: str
    dataset: str
    report: str
    example: str
    outcome: str
    decision: int
    request: str


def build(home: Path, size: Size = Size()) -> World:  # noqa: B008 - a tuple of numbers
    """Make the home; return the names that pages are asked for."""
    home.mkdir(parents=True, exist_ok=True)
    url = sqlite_url(home / "flywheel.db")
    open_store(url).close()
    writer = _Writer(home)
    with closing(sqlite3.connect(home / "flywheel.db", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        step = int(_SPAN / size.outcomes)
        db.execute(_OUTCOMES, {"count": size.outcomes, "start": _sql(START), "step": step})
        db.execute(_EXAMPLES, {"count": size.examples})
        db.execute(_CALLS, {"count": size.outcomes})
        writer.story(size)
        writer.write(db)
        for counting in _COUNTS:  # as the rooms keep them up
            db.execute(counting)
        db.execute("COMMIT")
        db.execute("ANALYZE") if False else None
        example = db.execute("SELECT id FROM examples WHERE line = 'tool-calling' LIMIT 1").fetchone()[0]
        outcome = db.execute("SELECT key FROM outcomes WHERE seq = 2").fetchone()[0]
    return World(
        home=home, config=write_settings(home), line=LINES[0], adapter="tool-calling@3", candidate="tool-calling@4",
        run=writer.runs["tool-calling@3"], dataset=writer.datasets["tool-calling@3"],
        report=writer.reports["tool-calling@3"], example=example, outcome=outcome, decision=writer.held,
        request="req-0001",
    )  # fmt: skip


class _Writer:
    """Collects rows of the small tables, in the order of the ledger."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.runs: dict[str, str] = {}
        self.datasets: dict[str, str] = {}
        self.reports: dict[str, str] = {}
        self.held = 0
        self._policies = load_policies(shipped("policies"))
        self._random = random.Random(7)
        self._seq = 0
        self._at = START

    def add(self, table: str, **row: Any) -> None:
        """Add a row."""
        self.rows.setdefault(table, []).append(row)

    def tell(self, kind: str, line: str = "", subject: str = "", cause: int | None = None, /, **body: Any) -> int:
        """Append an event; return its number."""
        self._seq += 1
        self.add("ledger", seq=self._seq, at=_sql(self._at), kind=kind, line=line, subject=subject, cause=cause,
                 key=None, body=json.dumps(body))  # fmt: skip
        return self._seq

    def decide(self, kind: str, line: str, subject: str, cause: int | None, changed: Facts) -> int:
        """Let the shipped guardrails judge an intent, and append what they said."""
        intent = Intent(kind=kind, line=line, subject=subject, why="it has 412 fresh examples")
        facts = {**_SOUND, **changed}
        decision = judge(intent, facts, self._policies)
        return self.tell(
            _KINDS[decision.judgement.value], line, subject, cause, intent=intent.model_dump(mode="json"), facts=facts,
            decision=decision.model_dump(mode="json"), sentence=decision.sentence,
        )  # fmt: skip

    def story(self, size: Size) -> None:
        """Tell months of work: batches that come in, decisions, and now and then an adapter."""
        self.tell("daemon.started")
        self.tell("policy.policies_loaded", hash=self._policies.hash, guardrails=len(self._policies.guardrails))
        rounds = {int(size.decisions * part): number for number, part in enumerate((0.12, 0.35, 0.55, 0.9), 1)}
        ingested = 0
        for step in range(size.decisions - 24):
            self._at = START + timedelta(seconds=_SPAN * step / size.decisions)
            ingested = self.tell("sources.outcomes_ingested", "", SOURCES[step % 2], new=100, changed=1)
            line = LINES[step % 3]
            if step % 5 == 0:
                self.tell("curate.examples_admitted", line, "", ingested, new=20, withdrawn=1)
            trouble = self._random.choice(_TROUBLES)
            seq = self.decide(self._random.choice(_WANTED), line, f"{line}@{1 + step // 600}", ingested, trouble)
            self.held = seq if trouble else self.held
            self.tell("daemon.cycle_finished", sentence="nothing new")
            if step in rounds:
                self._adapter(LINES[0], rounds[step], ingested)
                self._adapter(LINES[1], rounds[step], ingested)
        self._end()

    def _adapter(self, line: str, number: int, cause: int) -> None:
        """Tell of a dataset, its run, what the gate measured and what the rollout did."""
        name = f"{line}@{number}"
        dataset, digest = content_hash([name, "dataset"]), content_hash([name, "adapter"])
        spec = TrainSpec(line=line, dataset=dataset, base_name="main", base_fingerprint="f" * 64,
                         hyperparameters=Hyperparameters(rank=32, alpha=64))  # fmt: skip
        self.runs[name], self.datasets[name] = spec.run_id, dataset
        seq = self.tell("curate.dataset_frozen", line, dataset, cause, number=number, valid=70,
                        train=640 + 220 * number, fresh=412)  # fmt: skip
        self.add("datasets", hash=dataset, line=line, number=number, watermark=900 * number, seq=seq,
                 body=_frozen(dataset, line, number, self._at))  # fmt: skip
        if number == 1:
            self.add("suites", hash=content_hash([line, "suite"]), line=line, dataset=dataset, problems=300, groups=120,
                     live=1, seq=self.tell("gate.suite_frozen", line, content_hash([line, "suite"]), seq))  # fmt: skip
        seq = self.decide("train.start_run", line, spec.run_id, seq, {})
        started = self._at
        seq = self.tell("train.run_started", line, spec.run_id, seq, dataset=dataset, base="main")
        self._at += timedelta(hours=2)
        self._run(spec, started, seq)
        seq = self.tell("train.run_finished", line, spec.run_id, seq, steps=300, train_loss=0.41, eval_loss=0.52)
        seq = self.tell("train.adapter_published", line, name, seq, run=spec.run_id, hash=digest)
        self.add("adapters", name=name, line=line, number=number, hash=digest, run=spec.run_id,
                 path=str(self.home / "adapters" / line / f"{number}-{short(digest)}"), seq=seq, pruned_at=None,
                 body=json.dumps(_manifest(name, spec, digest)))  # fmt: skip
        seq = self.tell("rollout.adapter_registered", line, name, seq)
        self._report(line, name, digest, seq)

    def _run(self, spec: TrainSpec, started: datetime, seq: int) -> None:
        result = {"steps": 300, "loss": 0.41, "eval_loss": 0.52, "seconds": 7110.0}
        self.add("runs", id=spec.run_id, line=spec.line, dataset=spec.dataset, state="finished",
                 started_at=_sql(started), finished_at=_sql(self._at), spec=spec.model_dump_json(),
                 result=json.dumps(result), error="", seq=seq)  # fmt: skip
        draw_curves(self.home / "runs" / spec.run_id)

    def _report(self, line: str, name: str, digest: str, seq: int) -> None:
        number = int(name.rpartition("@")[2])
        doubtful = (line, number) == ("build-python", 3)
        verdict, gain = (Verdict.INSUFFICIENT, 1.1) if doubtful else (Verdict.PASS, 4.0 + 2.5 * number)
        report = _measured(content_hash([line, "suite"]), digest, verdict, gain)
        kind = "gate.adapter_passed" if verdict is Verdict.PASS else "gate.adapter_failed"
        seq = self.decide("gate.measure_adapter", line, name, seq, {})
        seq = self.tell("gate.adapter_measured", line, name, seq, problems=300)
        self.reports[name] = report_id(digest, report.suite)
        seq = self.tell(kind, line, name, seq, verdict=verdict, sentence=report.sentence, report=self.reports[name])
        self.add("reports", id=self.reports[name], line=line, adapter=digest, suite=report.suite, verdict=verdict.value,
                 alpha_spent=0.008, at=_sql(self._at), seq=seq, body=report.model_dump_json())  # fmt: skip
        page = self.home / "reports" / f"{self.reports[name]}.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text(render(report, name))
        self._roll_out(line, name, digest, seq)

    def _roll_out(self, line: str, name: str, digest: str, seq: int) -> None:
        number = int(name.rpartition("@")[2])
        state = {1: "superseded", 2: "rolled back", 3: "active", 4: "canary"}[number]
        if line != LINES[0]:
            state = {3: "rejected", 4: "registered"}.get(number, state)
        if state == "rejected":
            seq = self.tell("rollout.adapter_rejected", line, name, seq, reason="its gate says insufficient evidence")
        elif state != "registered":
            seq = self.decide("rollout.start_canary", line, name, seq, {})
            seq = self.tell("rollout.canary_started", line, name, seq, share=0.2)
            seq = self._go_on(line, name, seq) if state != "canary" else seq
        self.add("releases", name=name, line=line, number=number, adapter=digest, state=state,
                 share={"active": 0.8, "canary": 0.2}.get(state, 0.0), overridden=0, approved=int(number < 4),
                 changed_at=_sql(self._at), canary_since=_sql(self._at) if state == "canary" else None,
                 seq=seq)  # fmt: skip

    def _go_on(self, line: str, name: str, seq: int) -> int:
        seq = self.decide("rollout.promote_adapter", line, name, seq, {})
        better = f"{name} became the active one: 240 tasks, better than the arm beside it"
        seq = self.tell("rollout.adapter_promoted", line, name, seq, sentence=better)
        if name.endswith("@2"):
            why = "its success fell below that of the arm beside it"
            seq = self.tell("rollout.adapter_rolled_back", line, name, seq, reason=why)
        return seq

    def _end(self) -> None:
        """Add what people asked, what was kept out, and what the daemon said last."""
        for number, (kind, subject, state, answer) in enumerate((
            ("approve", "tool-calling@1", "satisfied", "approved tool-calling@1"),
            ("roll_back", "tool-calling@2", "satisfied", "tool-calling@2 was taken back; tool-calling@1 answers again"),
            ("promote", "build-python@3", "refused", "its gate says insufficient evidence"),
            ("train", "plan", "open", ""),
        ), 1):  # fmt: skip
            self._at = END - timedelta(hours=6 - number)
            line = subject.partition("@")[0]
            seq = self.tell("operator.request_made", line, subject, request=f"req-{number:04}", by="ann", kind=kind)
            self.add("requests", id=f"req-{number:04}", kind=kind, line=line, subject=subject, reason="looked at it",
                     by="ann", override=0, at=_sql(self._at), state=state, answer=answer, cause=seq,
                     body="{}")  # fmt: skip
        for number in range(300):
            self.add("quarantine", source=SOURCES[number % 2], row=f"llm_calls:{number * 31}", at=_sql(self._at),
                     rule="secret" if number % 3 else "shape",
                     reason="it holds a token" if number % 3 else "a message without a role")  # fmt: skip
        waits = {"tool-calling": ["needs 38 more fresh examples", "canary tool-calling@4: 31 of 50 outcomes"],
                 "build-python": ["build-python@4 waits for its canary"],
                 "plan": ["needs 38 more fresh examples"]}  # fmt: skip
        status = {"at": END.isoformat(), "sentence": "nothing new", "waits": waits}
        self.add("cursors", source="daemon:status", body=json.dumps(status))
        members = [
            (name, number) for number, name in enumerate(("tool-calling@1", "tool-calling@2", "tool-calling@3"), 1)
        ]
        self._at_work()
        self.members = [(self.datasets[name], 300 * number) for name, number in members]

    def _at_work(self) -> None:
        """Let a run be under way."""
        spec = TrainSpec(line="plan", dataset=content_hash("plan"), base_name="main", base_fingerprint="f" * 64)
        seq = self.tell("train.run_started", "plan", spec.run_id, dataset=spec.dataset, base="main")
        self.add("runs", id=spec.run_id, line="plan", dataset=spec.dataset, state="running", started_at=_sql(self._at),
                 finished_at=None, spec=spec.model_dump_json(), result="{}", error="", seq=seq)  # fmt: skip
        told = {"step": 140, "of": 300, "loss": 0.62, "eta_seconds": 2100}
        self.add("jobs", id=f"train-{spec.run_id}", kind="train", line="plan", subject=spec.run_id, state="running",
                 token=1, attempts=1, folder="", handled=0, error="", spec="{}", progress=json.dumps(told))  # fmt: skip

    def write(self, db: sqlite3.Connection) -> None:
        """Write everything that was collected."""
        for table, rows in self.rows.items():
            names = list(rows[0])
            marks = ", ".join(f":{name}" for name in names)
            db.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows)  # noqa: S608 - ours
        for dataset, count in self.members:
            db.execute(_MEMBERS, (dataset, count))


def _frozen(dataset: str, line: str, number: int, at: datetime) -> str:
    rows = {"train": 640 + 220 * number, "valid": 70, "test": 300}
    splits = {part: Split(rows=count, sha256="0" * 64) for part, count in rows.items()}
    return DatasetManifest(
        hash=dataset, line=line, number=number, parent=None, splits=splits, examples=sum(rows.values()), fresh=412,
        replayed=90, created_at=at,
    ).model_dump_json()  # fmt: skip


def _manifest(name: str, spec: TrainSpec, digest: str) -> dict[str, Any]:
    line, _, number = name.rpartition("@")
    return {"hash": digest, "line": line, "number": int(number), "run": spec.run_id, "dataset": spec.dataset,
            "base_name": "main", "base_fingerprint": "f" * 64, "rank": 32, "target_modules": ["q_proj"],
            "files": {}}  # fmt: skip


def _measured(suite: str, digest: str, verdict: Verdict, gain: float) -> Report:
    low, high = gain - 3.4, gain + 3.4
    sentence = f"{gain:+.1f} points over the base on 300 problems (95 % from {low:+.1f} to {high:+.1f})"
    base, shares = 0.61, {"multi-tool": 0.52, "single-tool": 0.7, "edge-case": 0.44}
    return Report(
        adapter=digest, suite=suite, gate="tool-calling", verdict=verdict, sentence=sentence, alpha_spent=0.008,
        checks=(
            Check(name="gain", verdict=verdict, seen=gain, needs="above 0", sentence=sentence, low=low, high=high),
            Check(name="no category fell", verdict=Verdict.PASS, seen=0.0, needs="none", sentence="none fell"),
            Check(name="in format", verdict=Verdict.PASS, seen=0.99, needs="at least 0.95",
                  sentence="99 % of the answers are in the trained format (needs 95 %)"),
        ),
        numbers={"problems": 300, "base.score": base, "candidate.score": base + gain / 100, "gain": gain / 100,
                 "gain.low": low / 100, "gain.high": high / 100},
        categories={name: {"problems": 100.0, "base": share, "candidate": share + gain / 100, "difference": gain / 100,
                           "shrunk": gain / 120} for name, share in shares.items()},
    )  # fmt: skip


def write_settings(home: Path) -> Path:
    """Write the settings of a home; return their file."""
    path = home / "flywheel.toml"
    sources = "".join(f'[[sources]]\nname = "{name}"\npath = "{home / name}.db"\n' for name in SOURCES)
    path.write_text(
        f'home = "{home}"\nlines = {json.dumps(LINES)}\n\n[web]\nport = 0\n\n{sources}\n'
        f'[bases.main]\npath = "{home / "base"}"\nserved_as = "qwen3-8b"\n'
    )
    return path


def _sql(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"
