"""The registry: each version's success, requests and speed, by the rule that canaries are judged by."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlmodel import Session

from flywheel.core.events import Event
from flywheel.core.ids import content_hash
from flywheel.core.releases import ReleaseState
from flywheel.core.serving import Loaded
from flywheel.core.training import AdapterManifest
from flywheel.rollout.readings import results_of
from flywheel.store.attributions import Successes, attributed_outcomes, successes
from flywheel.store.gateway_calls import NEWEST, GatewayCall, Served, attribute, served
from flywheel.store.ledger import append
from flywheel.store.loaded import mark_loaded
from flywheel.store.registry import PROMOTED, Entry, entries, entry_of
from flywheel.store.releases import move, register, start_canary
from flywheel.store.runs import adapter_by_name, record_adapter
from flywheel.store.stores import Store, insert_new
from flywheel.store.tables import AttributionRow, DatasetExampleRow, ExampleRow, OutcomeRow, ReportRow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINE = "code"


def call(number: int, name: str = "code@1", **given: Any) -> GatewayCall:
    known = {"line": LINE, "arm": "active", "task": f"t{number}", "session": "s", "status": 200, "complete": True,
             "fallback": False, "latency_ms": 100.0, "first_token_ms": 10.0, "prompt_tokens": 5,
             "completion_tokens": 7, "at": NOON + timedelta(seconds=number)}  # fmt: skip
    return GatewayCall(call=f"c{number}", name=name, **(known | given))


def outcome(number: int, task: str, label: str, source: str = "agent", line: str = LINE) -> dict[str, Any]:
    return {"key": f"o{number}", "source": source, "task": task, "session": "s", "repo": "r", "call_type": "x",
            "at": NOON + timedelta(seconds=number), "model": "m", "line": line, "label": label, "confidence": 1.0,
            "prompt_key": f"p{number}", "revision": 1, "considered": True, "body": {}}  # fmt: skip


def publish(session: Session, number: int, line: str = LINE) -> str:
    """Enter an adapter as training and rollout do."""
    name = f"{line}@{number}"
    at = NOON + timedelta(hours=number)
    seq = append(session, Event(kind="train.adapter_published", at=at, line=line, subject=name))
    manifest = AdapterManifest(hash=content_hash(name), line=line, number=number, run=f"run-{name}", dataset="d" * 64,
                               base_name="main", base_fingerprint="f" * 64, rank=8, target_modules=(),
                               files={})  # fmt: skip
    record_adapter(session, manifest, f"/adapters/{name}", seq)
    adapter = adapter_by_name(session, name)
    assert adapter is not None
    register(session, adapter, at, seq)
    return name


def promote(session: Session, number: int, instead_of: str | None) -> None:
    """Bring an adapter through its canary; the one before gives way."""
    name = f"{LINE}@{number}"
    start_canary(session, name, 0.1, NOON, 1)
    body = {"instead_of": instead_of}
    seq = append(session, Event(kind=PROMOTED, at=NOON, line=LINE, subject=name, body=body))
    if instead_of:
        move(session, instead_of, ReleaseState.SUPERSEDED, NOON, seq)
    move(session, name, ReleaseState.ACTIVE, NOON + timedelta(hours=number), seq)


@pytest.fixture
def filled(store: Store) -> Store:
    """Two versions of a line, the second active, and one of another line."""
    with store.write() as session:
        for number in (1, 2):
            publish(session, number)
        promote(session, 1, None)
        promote(session, 2, "code@1")
        publish(session, 1, "plan")
        calls = [call(n, "code@1") for n in range(4)] + [call(n, "code@2") for n in range(4, 10)]
        attribute(session, calls)
        labels = ["positive", "negative", "positive", "positive", "positive", "unknown", "negative"]
        insert_new(session, OutcomeRow, [outcome(n, f"t{n}", label) for n, label in enumerate(labels)])
        report = {"id": "report-1", "line": LINE, "adapter": content_hash("code@2"), "suite": "s", "verdict": "pass",
                  "alpha_spent": 0.01, "at": NOON, "seq": 1,
                  "body": {"sentence": "it gained", "numbers": {"candidate.score": 0.6, "base.score": 0.5,
                                                                "gain": 0.1}}}  # fmt: skip
        insert_new(session, ReportRow, [report])
        mark_loaded(session, Loaded(server="http://one", name="code@2", path="/adapters/code@2", warmed_at=NOON))
    return store


def by_name(store: Store, line: str | None = None) -> dict[str, Entry]:
    with store.read() as session:
        return {entry.name: entry for entry in entries(session, line)}


def test_every_version_says_what_it_is(filled: Store) -> None:
    """Id, version, base, rank, when, which one came before, which one it took over from, where it is loaded."""
    found = by_name(filled)
    assert list(found) == ["code@1", "code@2", "plan@1"]
    one, two = found["code@1"], found["code@2"]
    assert (two.version, two.rank, two.base, two.created_at) == (2, 8, "main", NOON + timedelta(hours=2))
    assert (one.previous, two.previous, two.took_over_from, one.took_over_from) == (None, "code@1", "code@1", None)
    assert (one.state, one.active, two.state, two.active) == ("superseded", False, "active", True)
    assert (one.loaded_on, two.loaded_on) == ((), ("http://one",))
    assert two.validation is not None
    assert (two.validation.verdict, two.validation.gain, two.validation.score) == ("pass", 0.1, 0.6)
    assert one.validation is None
    assert found["plan@1"].last_used is None
    assert two.last_used == NOON + timedelta(seconds=9)


def test_ids_count_up_over_all_lines(filled: Store) -> None:
    """An id is the number of an event: two adapters never share one, and a later one has the larger."""
    found = by_name(filled)
    ids = [found[name].id for name in ("code@1", "code@2", "plan@1")]
    assert sorted(set(ids)) == ids


def test_one_entry_is_what_the_list_says_of_it(filled: Store) -> None:
    """Looked at alone, an adapter is no other than in the list; a name that is not there is none."""
    with filled.read() as session:
        assert [entry_of(session, entry.line, entry.name) for entry in entries(session)] == entries(session)
        assert entry_of(session, LINE, "code@9") is None
        assert [entry.name for entry in entries(session, "plan")] == ["plan@1"]


def test_success_is_told_of_each_version(filled: Store) -> None:
    """Of the tasks a version alone answered: how many ended, how many well; what is unknown is left out."""
    found = by_name(filled)
    assert found["code@1"].success == Successes(tasks=4, successes=3)
    assert found["code@2"].success == Successes(tasks=2, successes=1)
    assert found["plan@1"].success == Successes()


def test_the_domains_are_those_of_its_examples(filled: Store) -> None:
    """What its dataset's examples are tagged with, once each; other tags say nothing of a domain."""
    bodies: list[dict[str, Any]] = [{"tags": ["domain:math", "stage:scope"]}, {"tags": ["language:rust"]}, {}, {}]
    with filled.write() as session:
        rows = [{"id": f"e{n}", "line": LINE, "outcome": f"o{n}", "category": "c", "at": NOON, "prompt_key": "p",
                 "withdrawn": False, "body": body} for n, body in enumerate(bodies)]  # fmt: skip
        insert_new(session, ExampleRow, rows)
        held = [{"dataset": "d" * 64, "example": f"e{n}", "part": "train"} for n in range(3)]
        insert_new(session, DatasetExampleRow, held)
    assert by_name(filled)["code@1"].domains == ("math", "rust")


def test_calls_are_counted_by_how_they_ended(store: Store) -> None:
    """5xx are errors, what the agent left is unfinished, what nobody measured is only a call."""
    with store.write() as session:
        attribute(session, [
            call(1), call(2, status=500, complete=True), call(3, complete=False), call(4, status=None, complete=False),
            call(5, arm="canary", fallback=True), call(6, status=502, complete=False), call(7, status=404),
            GatewayCall(call="c8", line=LINE, name="code@1", arm="active", task="t", session="s", at=NOON),
            call(9, name="code@2"), call(10, line="plan"),
        ])  # fmt: skip
    with store.read() as session:
        seen = served(session, LINE, "code@1")
        assert served(session, LINE, "code@7") == Served()
        since = served(session, LINE, "code@1", since=NOON + timedelta(seconds=5))
    assert (seen.calls, seen.measured, seen.errors, seen.unfinished, seen.stand_ins) == (8, 7, 2, 2, 1)
    assert seen.arms == {"active": 7, "canary": 1}
    assert (seen.prompt_tokens, seen.completion_tokens) == (35, 49)
    assert (seen.first_at, seen.last_at) == (NOON, NOON + timedelta(seconds=7))
    assert seen.error_rate == pytest.approx(2 / 7)
    assert (since.calls, since.errors) == (3, 1)


def test_speeds_are_those_of_the_newest_whole_answers(store: Store) -> None:
    """Half within p50, 95 of 100 within p95; errors and halves do not make a model fast."""
    with store.write() as session:
        attribute(session, [call(n, latency_ms=float(n), first_token_ms=None) for n in range(1, 101)])
        attribute(session, [call(200, latency_ms=0.0, status=500), call(201, latency_ms=0.0, complete=False)])
    with store.read() as session:
        seen = served(session, LINE, "code@1")
    assert (seen.latency.answers, seen.latency.p50, seen.latency.p95) == (100, 50.0, 95.0)
    assert (seen.first_token.answers, seen.first_token.p50) == (0, None)
    assert NEWEST >= 100


LABELS = st.sampled_from(["positive", "negative", "unknown"])
NAMES = st.sampled_from(["main", "code@1", "code@2"])
TASKS = st.sampled_from(["", "t1", "t2", "t3", "t4"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(st.tuples(NAMES, TASKS), max_size=8),
    ends=st.lists(st.tuples(TASKS, LABELS, st.sampled_from(["a", "b"]), st.integers(0, 3)), max_size=8),
)
def test_success_is_counted_as_canaries_are_judged(
    store: Store, calls: list[tuple[str, str]], ends: list[tuple[str, str, str, int]]
) -> None:
    """Whatever was called and however it ended: a version's success is that of its results as a canary."""
    with store.write() as session:
        for table in (AttributionRow, OutcomeRow):
            session.connection().execute(delete(table))
        attribute(session, [call(n, name, task=task) for n, (name, task) in enumerate(calls)])
        rows = [outcome(n, task, label, source) for n, (task, label, source, _) in enumerate(ends)]
        for row, (*_, second) in zip(rows, ends, strict=True):
            row["at"] = NOON + timedelta(seconds=second)
        insert_new(session, OutcomeRow, rows)
    with store.read() as session:
        counted = successes(session, LINE)
        found = attributed_outcomes(session, LINE, NOON - timedelta(days=1))
    for name in ("main", "code@1", "code@2"):
        results = [result.success for result in results_of(found, name, None) if result.canary]
        assert counted.get(name, Successes()) == Successes(tasks=len(results), successes=sum(results))
