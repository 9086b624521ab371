"""What the gate's tests share: a scripted model server, suites, evidence from seeds."""

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from flywheel.core.examples import DatasetManifest, Example, Split
from flywheel.core.ids import bytes_hash
from flywheel.core.lines import Gate, Planted, Sampling
from flywheel.core.outcomes import Message
from flywheel.core.suites import Provenance
from flywheel.gate.evidence import Compared, Samples
from flywheel.gate.specs import MeasureSpec, Patience
from flywheel.gate.suites import HeldOutRow, build, publish

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IMPATIENT = Patience(tries=3, first_pause=0.01, longest_pause=0.02, silence=0.4)


def call_text(path, name="read_file"):
    return "<tool_call>" + json.dumps({"name": name, "arguments": {"path": path}}) + "</tool_call>"


def rows(count, groups=10, tools=("read_file", "run_tests")):
    """Held-out rows, whose question names the answer, and where each comes from."""
    made, known = [], {}
    for n in range(count):
        tool = tools[n % len(tools)]
        asked = Message(role="user", content=f"{tool} src/{n}.py")
        made.append(
            HeldOutRow(f"example-{n}", (asked, Message(role="assistant", content=call_text(f"src/{n}.py", tool))))
        )
        known[f"example-{n}"] = Provenance(group=f"repo-{n % groups}", category="files", prompt_key=f"key-{n}")
    return made, known


def publish_suite(folder, count=12, line="scope"):
    return publish(build(*_args(count)), line, "dataset-hash", "tool_call", folder)


def _args(count):
    made, known = rows(count)
    return made, "tool_call", known


def freeze_dataset(folder, held_out, line="scope", number=1):
    """Write a dataset folder with rows held out; return its manifest."""
    lines = [{"messages": [m.model_dump() for m in row.messages], "example": row.example} for row in held_out]
    data = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
    digest = bytes_hash([data])
    (folder / digest).mkdir(parents=True)
    (folder / digest / "test.jsonl").write_bytes(data)
    return DatasetManifest(
        hash=digest, line=line, number=number, parent=None, examples=100, fresh=100, replayed=0, created_at=NOW,
        splits={"train": Split(rows=100, sha256="-"), "test": Split(rows=len(lines), sha256=digest)},
    )  # fmt: skip


def example_of(row, origin, line="scope"):
    return Example(
        id=row.example, line=line, outcome=f"outcome-{row.example}", task="task", session="s", group=origin.group,
        category=origin.category, at=NOW, origin="logged", messages=row.messages, prompt_key=origin.prompt_key,
    )  # fmt: skip


def make_gate(**changes):
    values = {"minimum_problems": 10, "minimum_groups": 2, "judge_latency": False, "largest_error_rate": 0.4,
              "planted": Planted(problems=0),
              "sampling": Sampling(samples=2, concurrency=4, timeout_seconds=5)} | changes  # fmt: skip
    return Gate(name="tool-calling", why="tests", **values)


def make_spec(folder, server, manifest, **changes):
    values = {
        "gate": make_gate(),
        "models": {"base": "base", "candidate": "scope@1"},
        "patience": IMPATIENT,
        "suite_path": str(folder / "suites" / manifest.hash),
    } | changes
    return MeasureSpec(
        line="scope", adapter="adapter-hash", suite=manifest.hash, server=server, alpha=0.03, attempt=1,
        out=str(folder / "out"), **values,
    )  # fmt: skip


def simulate(seed, count=300, gain=0.0, **options):
    """Evidence from a world where the base is right half the time and problems differ in difficulty."""
    rng = random.Random(seed)
    samples, clusters = options.get("samples", 4), options.get("clusters", 40)
    made = []
    for n in range(count):
        ease = rng.choice([0.1, 0.3, 0.5, 0.7, 0.9])
        better = min(1.0, max(0.0, ease + gain))
        roles = {}
        for role, chance in (("base", ease), ("candidate", better), ("active", better)):
            if role == "active" and not options.get("active"):
                continue
            scores = tuple(float(rng.random() < chance) for _ in range(samples))
            seconds = tuple(rng.lognormvariate(0, 0.3) for _ in range(samples))
            roles[role] = Samples(scores, (False,) * samples, seconds, (True,) * samples)
        made.append(Compared(f"p{n}", f"tool-{n % 6}", f"repo-{n % clusters}", roles))
    return made


class ScriptedServer:
    """A model server that answers as it is told and counts what it was asked."""

    def __init__(self, right=None, delay=0.0):
        self.asked = Counter()
        self.models = {"base", "scope@1", "scope@0"}
        self.right = right or {"base": 0.4, "scope@1": 0.9, "scope@0": 0.6}
        self.delay = delay
        self.statuses = []
        self.broken = set()
        self.body = None
        self.url = ""
        self._runner = None

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _complete(self, request):
        asked = await request.json()
        model, question = asked["model"], asked["messages"][-1]["content"]
        if model not in self.models:
            return web.json_response({"error": {"message": f"no model {model}"}}, status=404)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return web.json_response({"error": "as scripted"}, status=status)
        if model in self.broken:
            return web.json_response({"error": "broken adapter"}, status=500)
        await asyncio.sleep(self.delay)
        self.asked[model, question, asked["seed"]] += 1
        tool, path = question.split()
        lucky = random.Random(f"{model}{question}{asked['seed']}").random() < self.right[model]
        text = call_text(path, tool) if lucky else "I would rather not."
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return web.json_response(self.body or {"choices": [choice]})


def write_spec(spec):
    path = Path(spec.out).parent / "spec.json"
    path.write_text(spec.model_dump_json())
    return path
