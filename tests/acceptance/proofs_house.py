"""Adapters with known worth, trained for real on the tiny world, and what the gate of tool calling says of them."""

import asyncio
import json
import random
import shutil
import struct
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures.techniques import lessons, run_many, technique_spec
from fixtures.tiny import Json, tasks

from flywheel.cli.demos.processes import VLLM_ENV, Processes, free_port, vllm_command, wait_until
from flywheel.cli.demos.scenes import answers
from flywheel.core.clocks import SystemClock
from flywheel.core.ids import bytes_hash
from flywheel.core.lines import Gate, Sampling
from flywheel.core.outcomes import Message
from flywheel.core.suites import Provenance
from flywheel.core.verdicts import Problem, Report
from flywheel.daemon.places import shipped
from flywheel.gate.answers import ANSWERS, AnswerLog, read_answers
from flywheel.gate.evidence import Answer, compare
from flywheel.gate.measuring import measure
from flywheel.gate.questions import Asker
from flywheel.gate.results import read_result
from flywheel.gate.specs import MeasureSpec
from flywheel.gate.statistics import alpha_for
from flywheel.gate.suites import HeldOutRow, build, publish, read_problems
from flywheel.gate.verdicts import Subject, judge
from flywheel.policy.loading import load_policies
from flywheel.proc.environments import environment, why_not

SEED, BASE = 11, "tiny-base"
PROBLEMS, REPOS = 200, 40
BROKEN = "read_file"  # the tool that the base is best at: what it loses is seen at once
STEP = {"batch_size": 16, "learning_rate": 2e-3}
NAMES = ("sft", "breaks-one-tool", "shuffled-labels")


def gate(samples: int) -> Gate:
    """The gate that ships for tool calling; on a CPU a LoRA costs more time than the model, so time is not judged."""
    known = load_policies(shipped("policies")).gates["tool-calling"]
    sampling = Sampling(samples=samples, temperature=0.7, max_tokens=64, concurrency=64, timeout_seconds=120)
    return known.model_copy(update={"sampling": sampling, "judge_latency": False})


def train(base: Path, folder: Path) -> dict[str, Path]:
    """Train the three adapters in one process; add one that was never trained: LoRA whose B is zero."""
    rows, pairs = lessons("sft", 320), lessons("dpo", 320)
    specs = [
        technique_spec(base, folder / "sft", "sft", {"train": rows}, **STEP, epochs=2),
        technique_spec(base, folder / NAMES[1], "dpo", {"pairs": [_pair(row) for row in pairs]},
                       **{**STEP, "learning_rate": 1e-3}, epochs=2),
        technique_spec(base, folder / NAMES[2], "sft", {"train": _shuffled(rows)}, **STEP, epochs=2),
    ]  # fmt: skip
    run_many(specs)
    made = {name: folder / name / "out" / "adapter" for name in NAMES}
    made["clone"] = zeroed(made["sft"], folder / "clone")
    return made


def _pair(row: Json) -> Json:
    """Prefer the right form, but for one tool the old one: the adapter gets better at all others and breaks this."""
    if f'"{BROKEN}"' not in row["chosen"]:
        return row
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def _shuffled(rows: Sequence[Json]) -> list[Json]:
    """Give every question the answer to another one."""
    said = [row["messages"][-1] for row in rows]
    random.Random(SEED).shuffle(said)
    return [{"messages": [*row["messages"][:-1], other]} for row, other in zip(rows, said, strict=True)]


def post(url: str, body: Json) -> None:
    """Ask a model server for something."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


@contextmanager
def loaded(url: str, adapters: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    """The names under which a server holds adapters for a while."""
    names = {name: f"known-{name}" for name in adapters}
    for name, path in adapters.items():
        post(f"{url}/v1/load_lora_adapter", {"lora_name": names[name], "lora_path": str(path)})
    try:
        yield names
    finally:
        for name in names.values():
            post(f"{url}/v1/unload_lora_adapter", {"lora_name": name})


@contextmanager
def vllm(base: Path, folder: Path) -> Iterator[str]:
    """The address of real vLLM with a base."""
    env = environment("serve", "cpu")
    if reason := why_not(env):
        pytest.skip(reason)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Processes(folder) as processes:
        processes.start("vllm", vllm_command(env.python, base, BASE, port), VLLM_ENV)
        wait_until(lambda: answers(f"{url}/health"), 400, "vLLM", lambda: processes.check("vllm"))
        yield url


def zeroed(adapter: Path, folder: Path) -> Path:
    """A copy of an adapter that changes nothing: every B is zero."""
    shutil.copytree(adapter, folder)
    weights = folder / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    (size,) = struct.unpack("<Q", data[:8])
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if ".lora_B." in name:
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            data[begin:end] = bytes(end - begin)
    weights.write_bytes(data)
    return folder


def publish_exam(suites: Path, count: int = PROBLEMS) -> Path:
    """Freeze a suite of tasks that no lesson holds; return its folder."""
    rows, known = [], {}
    for task in tasks(count, SEED, start=9000):
        answer = f"<tool_call>{json.dumps(task['expected'][0])}</tool_call>"
        messages = (*(Message(**one) for one in task["messages"]), Message(role="assistant", content=answer))
        rows.append(HeldOutRow(task["id"], messages))
        repo = f"repo-{int(bytes_hash([task['id'].encode()])[:6], 16) % REPOS:02d}"
        known[task["id"]] = Provenance(group=repo, category=task["tool"], prompt_key=task["id"])
    manifest = publish(build(rows, "tool_call", known), "tool-calling", "dataset", "tool_call", suites)
    return suites / manifest.hash


def measured(exam: Path, out: Path, server: str, models: dict[Any, str], samples: int) -> tuple[Report, list[Answer]]:
    """Measure as the daemon's measuring process does; return the verdict and the answers it rests on."""
    spec = _spec(exam, out, server, models, samples)
    measure(spec, SystemClock())
    return read_result(out / "out")[0], list(read_answers(out / "out" / ANSWERS))


def _spec(exam: Path, out: Path, server: str, models: dict[Any, str], samples: int) -> MeasureSpec:
    return MeasureSpec(
        line="tool-calling", adapter=out.name, suite=exam.name, suite_path=str(exam), server=server, models=models,
        gate=gate(samples), alpha=alpha_for(1, 0.05), attempt=1, out=str(out / "out"), who=models,
        earlier=str(out.parent),
    )  # fmt: skip


def drawn(exam: Path, out: Path, server: str, models: dict[Any, str], samples: Mapping[str, range]) -> list[Answer]:
    """Ask each role for these samples alone: another number is another seed, and so another answer."""
    spec = _spec(exam, out, server, models, max(one.stop for one in samples.values()))
    problems = read_problems(exam)
    with AnswerLog(out / "answers.jsonl") as log:
        unwanted = [
            Answer(problem=problem.id, role=role, sample=sample)
            for problem in problems
            for role in models
            for sample in range(spec.gate.sampling.samples)
            if sample not in samples[role]
        ]
        log.answers.update({answer.key: answer for answer in unwanted})
        asyncio.run(Asker(spec, log, SystemClock(), lambda _: None).ask_all(problems))
        return [answer for answer in log.answers.values() if answer.sample in samples[answer.role]]


class Draws:
    """Many answers to each problem, all drawn from what is one and the same model."""

    def __init__(self, problems: Sequence[Problem], answers: Sequence[Answer]) -> None:
        self._problems = problems
        self._answers: dict[str, list[Answer]] = {}
        for answer in answers:
            self._answers.setdefault(answer.problem, []).append(answer)

    def attempt(self, number: int, problems: int) -> Report:
        """Judge a clone as the `number`-th candidate: a subset of the problems, and to each draws of its own."""
        rng, dealt = random.Random(f"{SEED}/{number}"), []
        chosen = rng.sample(self._problems, problems)
        for problem in chosen:
            found = self._answers[problem.id]
            half = len(found) // 2
            for place, answer in enumerate(rng.sample(found, 2 * half)):
                role = "base" if place < half else "candidate"
                dealt.append(answer.model_copy(update={"role": role, "sample": place % half}))
        subject = Subject(adapter=f"clone-{number}", suite="suite", alpha=alpha_for(number, 0.05))
        return judge(compare(chosen, dealt, "json"), gate(half), subject)
