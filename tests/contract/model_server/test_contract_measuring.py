"""What measuring needs of a model server: streams with counts, tools that are shown, times, nothing asked twice."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.model_servers import BASE, ModelServer

from flywheel.core.clocks import SystemClock
from flywheel.core.lines import Gate, Sampling
from flywheel.core.verdicts import Problem, Report
from flywheel.gate.answers import read_answers
from flywheel.gate.evidence import Answer
from flywheel.gate.measuring import measure
from flywheel.gate.results import read_result
from flywheel.gate.specs import MeasureSpec
from flywheel.gate.suites import Built, publish

Load = Callable[[str], str]

PATHS = ("src/cache.py", "core/queue.py", "docs/guide.md", "src/app.py", "core/store.py", "tests/test_queue.py")
SAMPLING = Sampling(samples=2, temperature=0, max_tokens=64, concurrency=4, timeout_seconds=60)
TOOL = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}


def problem(number: int, path: str, tools: tuple[dict, ...] = ()) -> Problem:
    expected = [{"name": "read_file", "arguments": {"path": path}}]
    return Problem(
        id=f"p{number}", kind="tool_call", category="read_file", group=f"g{number}", expected=expected,
        messages=({"role": "user", "content": f"Show {path}"},), prompt_key=f"p{number}", tools=tools,
    )  # fmt: skip


def measured(folder: Path, server: ModelServer, name: str, problems: list[Problem], run: int) -> tuple[Report, Path]:
    """Measure an adapter against the base; return the report and the folder with the answers."""
    manifest = publish(Built(tuple(problems), {}, "json"), "scope", "dataset", "tool_call", folder / "suites")
    out = folder / "runs" / f"measure-{run}" / "out"
    gate = Gate(name="contract", why="tests", minimum_problems=4, minimum_groups=4, sampling=SAMPLING)
    spec = MeasureSpec(
        line="scope", adapter="hash", suite=manifest.hash, suite_path=str(folder / "suites" / manifest.hash),
        server=f"http://127.0.0.1:{server.port}", models={"base": BASE, "candidate": name}, gate=gate, alpha=0.05,
        attempt=1, out=str(out), who={"base": "base", "candidate": name}, earlier=str(folder / "runs"),
    )  # fmt: skip
    measure(spec, SystemClock())
    return read_result(out)[0], out


def answers(out: Path, role: str) -> dict[str, Answer]:
    """The first answer of a role to every problem."""
    return {one.problem: one for one in read_answers(out / "answers.jsonl") if (one.role, one.sample) == (role, 0)}


def answered(server: ModelServer) -> float:
    """How many requests the server has answered, by its own metrics."""
    lines = server.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("vllm:request_success_total{"))


def test_a_measurement_streams_counts_and_asks_nothing_twice(server: ModelServer, loaded: Load, tmp_path: Path) -> None:
    """Streamed answers are those of whole bodies, with tokens and times for both; a second measurement asks nothing."""
    name, problems = loaded("reader"), [problem(number, path) for number, path in enumerate(PATHS)]
    before = answered(server)
    report, out = measured(tmp_path, server, name, problems, 1)
    assert answered(server) - before == len(PATHS) * 2 * 2
    for role, model in (("base", BASE), ("candidate", name)):
        for one in answers(out, role).values():
            whole = server.chat(f"Show {PATHS[int(one.problem[1:])]}", model).json
            assert one.text == whole["choices"][0]["message"]["content"]
            assert (one.tokens, one.finish) == (whole["usage"]["completion_tokens"], "stop")
            assert 0 < one.first_token < one.seconds
        assert report.numbers[f"{role}.first_token"] > 0
        assert report.numbers[f"{role}.tokens_per_second"] > 0
    assert report.numbers["base.score"] > report.numbers["candidate.score"] == pytest.approx(1 / len(PATHS))
    assert report.numbers["candidate.format.json"] == 1.0
    before = answered(server)
    again, _ = measured(tmp_path, server, name, problems, 2)
    assert answered(server) == before
    assert again.numbers == report.numbers


def test_a_server_that_does_not_read_calls_is_offered_tools_in_another_way(
    server: ModelServer, loaded: Load, tmp_path: Path
) -> None:
    """It refuses to choose among tools, so that it is asked to write only: no refusal becomes an answer."""
    problems = [problem(number, path, (TOOL,)) for number, path in enumerate(PATHS[:4])]
    report, out = measured(tmp_path, server, loaded("reader"), problems, 1)
    assert (report.numbers["errors.rate"], report.numbers["base.errors.rate"]) == (0.0, 0.0)
    assert all(one.text and not one.error for one in answers(out, "base").values())
