"""How long the dashboard takes for each page, with 200,000 outcomes and 2,000 decisions in the store.

Run: python benchmarks/dashboard.py [rounds] [outcomes]

Server time of a whole page over the loopback: the median and the slowest of all rounds, the first one told apart, and
what SQLite does for it. What is counted beside the pages (the success of each version) is counted before.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

sys.path.append(str(Path(__file__).parent.parent / "tests" / "web"))  # the store and the list of pages stand there

from big_store import Size, build
from visits import counted, narrowed, pages, visit

from flywheel.daemon.settings import load_settings
from flywheel.web.apps import build_app

BAR_MS = 300


async def measure(world, rounds):
    app = build_app(load_settings(world.config))
    addresses = {**pages(world), **narrowed(world)}
    seen = {name: [] for name in addresses}
    with counted(app) as count:
        async with TestClient(TestServer(app)) as client:
            for round_ in range(rounds):
                for name, address in addresses.items():
                    seen[name].append(await visit(client, address, count))
                if round_ == 0:
                    await asyncio.sleep(5)
    return seen


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    size = Size(outcomes=int(sys.argv[2])) if len(sys.argv) > 2 else Size()
    with tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(measure(build(Path(folder), size), rounds))
    print(f"{size.outcomes:,} outcomes, {size.examples:,} examples, {size.decisions:,} decisions; {rounds} rounds")
    print(f"{'page':24}{'first ms':>9}{'median ms':>10}{'slowest ms':>11}{'statements':>11}{'instructions':>13}")
    for name, visits in seen.items():
        later = [one.seconds * 1000 for one in visits[1:]] or [visits[0].seconds * 1000]
        last = visits[-1]
        print(f"{name:24}{visits[0].seconds * 1000:9.0f}{statistics.median(later):10.1f}{max(later):11.1f}"
              f"{last.statements:11}{last.instructions:13,}")  # fmt: skip
    slow = [name for name, visits in seen.items() if statistics.median(one.seconds for one in visits) * 1000 > BAR_MS]
    print(f"over {BAR_MS} ms: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()
