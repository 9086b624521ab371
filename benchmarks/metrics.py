"""What being looked at costs: a visit to `/metrics`, counting a call at the gateway, a span, a replay of decisions.

python benchmarks/metrics.py [--events 1000000] [--decisions 2000]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import timeit
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert

from flywheel.core.clocks import ManualClock
from flywheel.core.events import EVENTS, Event
from flywheel.core.facts import FACTS
from flywheel.core.intents import Intent
from flywheel.core.rooms import Proposal
from flywheel.core.traces import NO_TRACER, TelemetrySection
from flywheel.daemon.decisions import Decisions
from flywheel.daemon.places import shipped
from flywheel.daemon.settings import load_settings
from flywheel.gateway.calls import Exchange, Receipt
from flywheel.gateway.meters import Meter
from flywheel.gateway.sessions import Session
from flywheel.policy.judging import judge
from flywheel.policy.line_facts import facts_of_line
from flywheel.policy.loading import load_policies
from flywheel.policy.replaying import replay
from flywheel.proc.telemetry import open_tracer
from flywheel.store.ledger import append
from flywheel.store.past_decisions import past_decisions
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.store.tables import LedgerRow
from flywheel.web.apps import build_app

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINES = ("code", "plan", "tool-calling")


def fill(store: Store, count: int) -> None:
    """Write so many events, of every kind, on three lines."""
    kinds = list(EVENTS)
    for start in range(0, count, 20_000):
        rows = [
            {"at": NOON + timedelta(seconds=n), "kind": kinds[n % len(kinds)], "line": LINES[n % 3], "subject": f"s{n}",
             "body": {}}
            for n in range(start, min(start + 20_000, count))
        ]  # fmt: skip
        with store.write() as session:
            session.connection().execute(insert(LedgerRow), rows)


async def visits(config: Path, store: Store) -> None:
    """Visit once, then again with something new each time."""
    async with TestClient(TestServer(build_app(load_settings(config)))) as client:
        times = []
        for number in range(21):
            with store.write() as session:
                append(session, Event(kind="daemon.started", at=NOON, subject=f"again {number}"))
            began = time.perf_counter()
            response = await client.get("/metrics")
            size = len(await response.read())
            times.append((time.perf_counter() - began) * 1000)
        print(f"  first visit {times[0]:.0f} ms, then median {statistics.median(times[1:]):.1f} ms, page {size} bytes")


def per_call() -> None:
    """Count a call and a request, and begin and end a span that nobody collects, and one that somebody does."""
    receipt = Receipt(keep=0, status=200, whole=True)
    receipt.first_at = 0.3
    call = Exchange(
        at=NOON, began=0.0, raw=b"", alias="code", model="m", arm="active", routing_version=1,
        session=Session("s", "header"), task=None, streamed=False, receipt=receipt,
    )  # fmt: skip
    meter = Meter()
    tracer = open_tracer(TelemetrySection(endpoint="http://127.0.0.1:9"), "benchmark")

    def span(of) -> None:
        one, headers = of.begin("gateway.call", {}), {}
        one.carry(headers)
        one.note({"flywheel.line": "code", "http.response.status_code": 200})
        one.end()

    for words, work in (
        ("count a call", lambda: meter.call_ended(call, 0.4, 0.0)),
        ("count a request", lambda: meter.request_ended("/v1/chat/completions", 200)),
        ("a span that nobody collects", lambda: span(NO_TRACER)),
        ("a span that is collected", lambda: span(tracer)),
    ):
        print(f"  {words}: {min(timeit.repeat(work, number=5000, repeat=5)) / 5000 * 1e6:.2f} µs")
    tracer.close()


def replays(folder: Path, count: int) -> None:
    """Record decisions as the daemon does, and judge them again under the shipped policies."""
    policies, clock = load_policies(shipped("policies")), ManualClock(NOON)
    facts = dict.fromkeys(FACTS) | facts_of_line(policies.lines["code"])
    with open_store(sqlite_url(folder / "decisions.db")) as store:
        hand = Decisions(store, clock)
        for number in range(count):
            intent = Intent(kind="train.start_run", line="code", subject=f"run-{number}", why="fresh examples")
            hand.record(Proposal(intent=intent, facts=facts), judge(intent, facts, policies))
        began = time.perf_counter()
        found = replay(past_decisions(store), policies)
        taken = time.perf_counter() - began
    assert (found.decisions, found.different) == (count, 0)
    print(f"  {count} decisions under {len(policies.guardrails)} guardrails: {taken:.2f} s")


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=2000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "flywheel.toml"
        config.write_text(f'home = "{folder}"\nlines = ["code", "plan", "tool-calling"]\n')
        with open_store(sqlite_url(folder / "flywheel.db")) as store:
            fill(store, asked.events)
            print(f"/metrics with {asked.events} events in the ledger")
            asyncio.run(visits(config, store))
        print("at the gateway, each call")
        per_call()
        print("policy replay")
        replays(folder, asked.decisions)


if __name__ == "__main__":
    main()
