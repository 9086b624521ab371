"""`/metrics`, `/healthz` and `/readyz` of the gateway: what is told is what happened, and its labels stay few."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from gateway_house import BASE, NEW, OLD, House
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from flywheel.core.metrics import METRICS, MetricPage
from flywheel.core.traces import TelemetrySection
from flywheel.gateway.calls import Exchange, Receipt
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.gateway.meters import OTHER, Meter
from flywheel.gateway.sessions import Session
from flywheel.proc.telemetry import open_tracer

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def numbers(house: House) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of the page, as Prometheus' own library reads it."""
    async with house.client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await response.text()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found, name: str, **labels: str) -> float | None:
    return found.get((f"flywheel_gateway_{name}", tuple(sorted(labels.items()))))


@pytest.mark.asyncio
async def test_calls_are_told_by_line_arm_and_result(tmp_path: Path) -> None:
    """Answered, refused by the server, and answered by the base: each is counted where it belongs, with its time."""
    async with AsyncExitStack() as stack:
        house = House(tmp_path, stack)
        await house.start(models=(BASE, OLD))
        await house.apply(house.routing())
        for _ in range(3):
            await house.chat()
        await house.chat(model="nobody")
        found = await numbers(house)
        arm = {"line": "tool-calling", "arm": "active"}
        assert of(found, "calls_total", **arm, result="ok") == 3
        assert of(found, "calls_total", **arm, result="failed") == 0, "a count begins at nothing, not at one"
        assert of(found, "calls_total", line="none", arm="none", result="refused") == 1
        assert of(found, "call_duration_seconds_count", **arm) == 3
        assert of(found, "call_duration_seconds_bucket", **arm, le="+Inf") == 3
        assert of(found, "call_first_byte_seconds_count", **arm) == 3
        assert of(found, "requests_total", route="chat_completions", status="200") == 3
        assert of(found, "requests_total", route="chat_completions", status="404") == 1
        assert of(found, "base_fallbacks_total", line="tool-calling") == 0
        assert of(found, "routing_version") == 1
        assert of(found, "requests_in_flight") == 1, "the visit itself"
        assert of(found, "server_answers", server=house.upstream.origin) == 1
        await house.rows(4)
        assert of(await numbers(house), "capture_calls_total", fate="written") == 4


@pytest.mark.asyncio
async def test_an_arm_that_is_away_is_a_fallback(tmp_path: Path) -> None:
    """The base answered for the arm: the call is the line's, and the stand-in is counted beside it."""
    async with AsyncExitStack() as stack:
        house = House(tmp_path, stack)
        await house.start(models=(BASE,))
        await house.apply(house.routing())
        response, _ = await house.chat()
        assert response.status == 200
        found = await numbers(house)
        assert of(found, "base_fallbacks_total", line="tool-calling") == 1
        assert of(found, "calls_total", line="tool-calling", arm="active", result="ok") == 1


@pytest.mark.asyncio
async def test_every_metric_of_the_gateway_is_told(tmp_path: Path) -> None:
    """After one call, one refusal and one hold nothing of the registry is missing, and nothing else is there."""
    async with AsyncExitStack() as stack:
        house = House(tmp_path, stack)
        await house.start(requests_at_once=1)
        await house.apply(house.routing(share=0.5))
        await house.chat()
        house.station.in_flight.came()  # the house is full
        refused, _ = await house.chat()
        assert refused.status == 503
        names = {name for name, _ in await numbers(house)}
        house.station.in_flight.left()
        wanted = {spec.name for spec in METRICS.values() if spec.teller in {"gateway", "both"}}
        bare = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in names}
        assert bare == wanted


@pytest.mark.asyncio
async def test_who_watches_needs_no_key_and_a_scraper_does(tmp_path: Path) -> None:
    """With keys `/healthz` and `/readyz` stay open; the numbers name lines and servers, so they are asked for."""
    async with AsyncExitStack() as stack:
        house = House(tmp_path, stack)
        key = KeyFile(gateway_key_file(tmp_path)).add("prometheus", NOON)
        await house.start()
        statuses = {}
        for path in ("/healthz", "/readyz", "/metrics"):
            async with house.client.get(path) as response:
                statuses[path] = response.status
        async with house.client.get("/metrics", headers={"authorization": f"Bearer {key}"}) as response:
            statuses["with the key"] = response.status
        assert statuses == {"/healthz": 200, "/readyz": 200, "/metrics": 401, "with the key": 200}


@pytest.mark.asyncio
async def test_readiness_follows_servers_and_drain(tmp_path: Path) -> None:
    """No model server answers, or the process is about to end: alive, and not ready, in words."""
    async with AsyncExitStack() as stack:
        house = House(tmp_path, stack)
        await house.start(upstreams_at=("http://127.0.0.1:9",))
        assert await _ready(house.client) == (200, "ready"), "nobody has looked yet: what is not known is not bad"
        response, _ = await house.chat(model=NEW)
        assert response.status == 502
        assert await _ready(house.client) == (503, "no model server answers")
        house.station.draining = True
        assert await _ready(house.client) == (503, "draining")
        async with house.client.get("/healthz") as alive:
            assert alive.status == 200


async def _ready(client: aiohttp.ClientSession) -> tuple[int, str]:
    async with client.get("/readyz") as response:
        return response.status, (await response.json())["status"]


def _exchange(alias: str, arm: str) -> Exchange:
    receipt = Receipt(keep=0, status=200, whole=True)
    return Exchange(
        at=NOON, began=0.0, raw=b"", alias=alias, model="m", arm=arm, routing_version=1,
        session=Session("s", "header"), task=None, streamed=False, receipt=receipt,
    )  # fmt: skip


def test_labels_never_grow_without_end() -> None:
    """A thousand aliases that come and go are at most so many numbers; what is beyond is told as one."""
    meter = Meter()
    for number in range(1000):
        meter.call_ended(_exchange(f"line-{number}", "active"), 1.0, 0.0)
    for number in range(1000):
        meter.request_ended(f"/nonsense/{number}", 404)
    page = MetricPage("gateway")
    meter.tell(page)
    samples = [line for line in page.text().splitlines() if not line.startswith("#")]
    calls = [line for line in samples if line.startswith("flywheel_gateway_calls_total") and 'result="ok"' in line]
    assert len(calls) == 257
    assert f'flywheel_gateway_calls_total{{line="{OTHER}",arm="{OTHER}",result="ok"}} 744' in samples
    assert 'flywheel_gateway_requests_total{route="other",status="404"} 1000' in samples


@pytest.mark.asyncio
async def test_a_call_is_a_span_of_the_agents_trace(tmp_path: Path) -> None:
    """It names line, arm and model and nothing of what was said; the server's request carries it on."""
    exporter = InMemorySpanExporter()
    tracer = open_tracer(TelemetrySection(), "flywheel-gateway", exporter)
    async with AsyncExitStack() as stack:
        house = House(tmp_path, stack)
        await house.start()
        house.station.tracer = tracer
        await house.apply(house.routing())
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        response, _ = await house.chat(headers={"traceparent": parent})
        await house.chat(model="nobody")
        tracer.close()
    first, second = exporter.get_finished_spans()
    assert format(first.parent.span_id, "016x") == "b7ad6b7169203331"
    assert first.attributes["flywheel.call"] == response.headers["x-flywheel-call"]
    told = {"flywheel.line": "tool-calling", "flywheel.arm": "active", "gen_ai.request.model": OLD}
    assert told.items() <= dict(first.attributes).items()
    assert (first.attributes["http.response.status_code"], first.status.is_ok) == (200, True)
    assert "hello" not in str(first.attributes)
    assert (second.parent, second.attributes["http.response.status_code"]) == (None, 404)
    carried = [seen.headers.get("traceparent") for seen in house.upstream.seen if seen.method == "POST"]
    assert carried[0] == f"00-0af7651916cd43dd8448eb211c80319c-{first.context.span_id:016x}-01"
