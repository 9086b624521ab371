"""What the gateway costs, capture on: the same requests direct and through it, in turns, in one run. Two minutes.

Added latency at a rate, what a streamed event waits, how much goes through, and memory. With `--litellm` the proxy of
LiteLLM gets the same closed loop; its environment is built once from `litellm.lock`, over the network. Both ask for a
key, as LiteLLM does not start without one.

Usage: python benchmarks/gateway.py [--litellm] [--rate 1000] [--connections 64] [--seconds 4] [--rounds 3]
                                    [--memory 20000] [--json FILE]
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from gateway_loads import HOST, Client, at_rate, flat_out, free_port, process, resident, run_upstream, streaming, worked
from litellm_proxies import litellm_proxy

from flywheel.core.clocks import SystemClock
from flywheel.core.routing import Alias, Arm, Routing
from flywheel.gateway.keys import KeyFile, gateway_key_file
from flywheel.gateway.loops import run_gateway as serve_alone
from flywheel.gateway.settings import GatewaySettings

BARS = {"added p50 ms": 0.6, "added p99 ms": 6.0, "added p50 ms a chunk": 0.5, "times LiteLLM": 40.0}
_MIB_GROWN = 8.0


class Series(NamedTuple):
    """One figure over the rounds."""

    values: Sequence[float]

    @property
    def middle(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.values)

    def text(self, digits: int) -> str:
        """Return the median with the range: on a shared machine one figure misleads."""
        least, most = min(self.values), max(self.values)
        return f"{self.middle:.{digits}f} ({least:.{digits}f} - {most:.{digits}f})"


def run_gateway(home: str, port: int, upstream: int) -> None:
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.ReturnLoggerFactory()
    )
    settings = GatewaySettings(home=Path(home), port=port, upstreams=(f"http://{HOST}:{upstream}",))
    serve_alone(settings)


def added_at_rate(arguments: argparse.Namespace, ways: Mapping[str, int]) -> dict[str, Series]:
    return _cuts(arguments, ways, lambda port: at_rate(port, arguments.connections, arguments.rate, arguments.seconds))


def added_a_chunk(arguments: argparse.Namespace, ways: Mapping[str, int]) -> dict[str, Series]:
    return _cuts(arguments, ways, lambda port: streaming(port, arguments.connections, arguments.seconds))


def _cuts(arguments: argparse.Namespace, ways: Mapping[str, int], measure: Any) -> dict[str, Series]:
    """Return p50 and p99 of both ways, and what the gateway adds in each round."""
    found: dict[str, list[float]] = {f"{name} {cut}": [] for name in ways for cut in ("p50", "p99")}
    for _ in range(arguments.rounds):
        for name, port in ways.items():
            cuts = statistics.quantiles(asyncio.run(measure(port)), n=100)
            found[f"{name} p50"].append(cuts[49])
            found[f"{name} p99"].append(cuts[98])
    for cut in ("p50", "p99"):
        pairs = zip(found[f"direct {cut}"], found[f"gateway {cut}"], strict=True)
        found[f"added {cut}"] = [through - direct for direct, through in pairs]
    return _series(found)


def _series(found: Mapping[str, list[float]]) -> dict[str, Series]:
    return {name: Series(values) for name, values in found.items()}


def closed_loop(
    arguments: argparse.Namespace, ways: Mapping[str, int], pids: Mapping[str, int]
) -> tuple[dict[str, Series], dict[str, Series]]:
    """Return requests a second of each way, and the microseconds of a core that a request costs what stands in it."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in pids}
    for port in ways.values():
        asyncio.run(flat_out(port, arguments.connections, 1.0))  # warm: the first request of a proxy loads half of it
    for _ in range(arguments.rounds):
        for name, port in ways.items():
            before = worked(pids.get(name, 0))
            rate = asyncio.run(flat_out(port, arguments.connections, arguments.seconds))
            rates[name].append(rate)
            if name in pids:
                costs[name].append((worked(pids[name]) - before) / (rate * arguments.seconds) * 1e6)
    return _series(rates), _series(costs)


def memory(arguments: argparse.Namespace, pid: int, port: int) -> list[float]:
    """Return the MiB that the gateway holds after each tenth of the requests, once they are written."""
    held = []
    for _ in range(10):
        asyncio.run(flat_out(port, arguments.connections, most=arguments.memory / 10))
        while _capture(port)["waiting"]:
            time.sleep(0.1)
        held.append(resident(pid))
    return held


def _capture(port: int) -> dict[str, Any]:
    asked = urllib.request.Request(f"http://{HOST}:{port}/flywheel/routing", headers={"x-api-key": Client.key})
    with urllib.request.urlopen(asked) as response:  # noqa: S310 - our own gateway
        told: dict[str, Any] = json.load(response)["capture"]
        return told


def measure(arguments: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Measure everything and return the figures; they are printed as they come."""
    upstream, gateway, rival = free_port(), free_port(), free_port()
    write_routing(home, upstream)
    Client.key = KeyFile(gateway_key_file(home)).add("benchmark", SystemClock().now())
    ways = {"direct": upstream, "gateway": gateway}
    with ExitStack() as stack:
        stack.enter_context(process(run_upstream, upstream, upstream))
        pid = stack.enter_context(process(run_gateway, gateway, str(home), gateway, upstream))
        whole = added_at_rate(arguments, ways)
        show(f"{arguments.rate}/s, {arguments.connections} connections: ms", whole, 3)
        chunks = added_a_chunk(arguments, ways)
        show(f"{arguments.connections} streams at once, 25 events/s each: ms from server to client", chunks, 3)
        held = memory(arguments, pid, gateway)
        print(f"\nmemory after each tenth of {arguments.memory} requests, MiB: {', '.join(f'{x:.1f}' for x in held)}")
        pids = {"gateway": pid}
        if arguments.litellm:
            pids["litellm"] = stack.enter_context(litellm_proxy(rival, upstream, home))
            ways["litellm"] = rival
        loop, costs = closed_loop(arguments, ways, pids)
        show(f"closed loop, {arguments.connections} connections: requests a second", loop, 0)
        show("microseconds of a core a request, the capture's process left out", costs, 0)
        capture = _capture(gateway)
    print(f"\ncapture: {capture}")
    return {"rate": whole, "stream": chunks, "loop": loop, "cost": costs, "memory": Series(held), "capture": capture}


def write_routing(home: Path, upstream: int) -> None:
    alias = Alias(arms=(Arm(model="line@1", share=0.8, role="active"), Arm(model="line@2", share=0.2, role="canary")))
    routing = Routing(version=1, upstreams=(f"http://{HOST}:{upstream}",), base_model="b", aliases={"line": alias})
    (home / "routing.json").write_bytes(routing.dump())


def show(title: str, series: Mapping[str, Series], digits: int) -> None:
    print(f"\n{title}: median (least - most) of the rounds")
    for name, one in series.items():
        print(f"  {name:14}{one.text(digits):>30}", flush=True)


def judge(figures: Mapping[str, Any]) -> dict[str, tuple[float, bool]]:
    """Return the figures that have a bar, and whether each holds."""
    seen = {
        "added p50 ms": figures["rate"]["added p50"].middle,
        "added p99 ms": figures["rate"]["added p99"].middle,
        "added p50 ms a chunk": figures["stream"]["added p50"].middle,
    }
    held = {name: (value, value <= BARS[name]) for name, value in seen.items()}
    loop = figures["loop"]
    if "litellm" in loop:
        times = loop["gateway"].middle / loop["litellm"].middle
        held["times LiteLLM"] = (times, times >= BARS["times LiteLLM"])
    grown = figures["memory"].values[-1] - figures["memory"].values[1]
    held["MiB grown"] = (grown, grown <= _MIB_GROWN)
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", action="store_true")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        figures = measure(arguments, Path(home))
    held = judge(figures)
    print("\nbars")
    for name, (value, holds) in held.items():
        bar = BARS.get(name, _MIB_GROWN)
        print(f"  {name:22}{value:10.3f}   bar {bar:g}: {'holds' if holds else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, default=str, indent=2) + "\n", encoding="utf-8")
    sys.exit(not all(holds for _, holds in held.values()))


if __name__ == "__main__":
    main()
