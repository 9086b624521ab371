import asyncio
from collections import Counter
from pathlib import Path

import pytest
from gate_house import make_gate, make_spec
from measuring_house import StreamingServer, code_problem, publish_problems, tool_problem

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import UnavailableError
from flywheel.core.lines import Sampling
from flywheel.gate.answers import read_answers
from flywheel.gate.measuring import measure
from flywheel.gate.results import is_done, read_result
from flywheel.sandbox.programs import Ending, Run

SAMPLING = Sampling(samples=2, concurrency=4, timeout_seconds=5)
TIMED, UNTIMED = make_gate(judge_latency=True, sampling=SAMPLING), make_gate(judge_latency=False, sampling=SAMPLING)
QUESTIONS = 12 * 2


class CountingExecutor:
    """Runs nothing, counts."""

    ran = 0

    async def check(self):
        """Hold."""
        return ""

    async def run(self, program):
        """Say the same of everything."""
        CountingExecutor.ran += 1
        return tuple(Run(ending=Ending.FINISHED, value="0") for _ in program.calls)


class Bench:
    """Measurements one after another in folders beside each other, and what each of them asked."""

    def __init__(self, folder, server):
        self.folder, self.server, self.number = folder, server, 0
        self.problems = [*(tool_problem(n) for n in range(10)), *(code_problem(n) for n in range(2))]

    async def measure(self, candidate=1, *, active=None, gate=TIMED, problems=None, base="base-hash", **changes):
        """Measure; return the report and how often each model was asked."""
        self.number += 1
        manifest = publish_problems(self.folder / "suites", problems or self.problems)
        models = {"base": "base", "candidate": f"scope@{candidate}"}
        who = {"base": base, "candidate": f"hash-{candidate}"}
        if active is not None:
            models["active"], who["active"] = f"scope@{active}", f"hash-{active}"
        job = self.folder / "runs" / f"measure-{self.number}"
        job.mkdir(parents=True)
        spec = make_spec(
            job, self.server.url, manifest, suite_path=str(self.folder / "suites" / manifest.hash), gate=gate,
            models=models, who=who, earlier=str(self.folder / "runs"), executor="x", **changes,
        )  # fmt: skip
        self.server.order.clear()
        try:
            await asyncio.to_thread(measure, spec, SystemClock(), lambda _: CountingExecutor())
        finally:
            self.spec = spec
        return read_result(Path(spec.out))[0], Counter(self.server.order)


@pytest.fixture
def served(tmp_path):
    async def go(deed, **settings):
        async with StreamingServer(**settings) as server:
            await deed(Bench(tmp_path, server))

    return go


@pytest.mark.asyncio
async def test_the_same_adapter_on_the_same_suite_is_not_asked_again(served):
    """A second measurement asks nothing, runs nothing, and gives the numbers of the first, its times too."""

    async def deed(bench):
        first, asked = await bench.measure()
        assert asked == {"base": QUESTIONS, "scope@1": QUESTIONS}
        CountingExecutor.ran = 0
        second, asked = await bench.measure()
        third, _ = await bench.measure()
        assert (asked, CountingExecutor.ran) == ({}, 0)
        assert first.numbers == second.numbers == third.numbers
        assert first.numbers["latency.increase"] is not None
        assert second.verdict is first.verdict

    await served(deed)


@pytest.mark.asyncio
@pytest.mark.parametrize("sampling", [
    {"temperature": 0.8}, {"top_p": 0.9}, {"max_tokens": 255}, {"samples": 3}, {"timeout_seconds": 6},
    {"concurrency": 5},
])  # fmt: skip
async def test_another_sampling_finds_nothing(served, sampling):
    """Whatever changes in how answers are drawn, they are drawn anew."""

    async def deed(bench):
        await bench.measure()
        gate = TIMED.model_copy(update={"sampling": SAMPLING.model_copy(update=sampling)})
        _, asked = await bench.measure(gate=gate)
        assert asked["scope@1"] == asked["base"] == 12 * gate.sampling.samples

    await served(deed)


@pytest.mark.asyncio
async def test_another_suite_another_adapter_or_another_base_finds_nothing(served):
    """A suite that was rotated, a candidate of another hash, a base of another fingerprint: all is asked."""

    async def deed(bench):
        await bench.measure()
        _, asked = await bench.measure(problems=[tool_problem(n) for n in range(20, 30)])
        assert asked == {"base": 20, "scope@1": 20}
        _, asked = await bench.measure(2)
        assert asked == {"base": QUESTIONS, "scope@2": QUESTIONS}
        _, asked = await bench.measure(base="other-base")
        assert asked == {"base": QUESTIONS, "scope@1": QUESTIONS}

    await served(deed)


@pytest.mark.asyncio
async def test_another_version_of_the_server_finds_nothing(served):
    """Answers of one engine are not those of the next; one that tells no version is the one it was."""

    async def deed(bench):
        await bench.measure()
        for version, asked in (("1.1", QUESTIONS), ("1.1", 0), ("", QUESTIONS), ("", 0), ("1.0", 0)):
            bench.server.version = version
            _, counts = await bench.measure()
            assert counts["scope@1"] == counts["base"] == asked

    await served(deed)


@pytest.mark.asyncio
async def test_times_of_two_measurements_never_meet(served):
    """Where latency is judged a known base is asked beside a new candidate; where it is not, it serves its scores."""

    async def deed(bench):
        known, _ = await bench.measure(1)
        timed, asked = await bench.measure(2, gate=TIMED)
        assert asked["base"] == QUESTIONS
        assert timed.numbers["latency.increase"] is not None
        untimed, asked = await bench.measure(0, gate=UNTIMED)
        assert asked == {"scope@0": QUESTIONS}
        assert untimed.numbers["base.score"] == known.numbers["base.score"]
        assert untimed.numbers["latency.increase"] is None
        assert "base.seconds" not in untimed.numbers
        assert untimed.numbers["candidate.seconds"] > 0
        again, asked = await bench.measure(0, gate=TIMED)
        assert asked == {"base": QUESTIONS, "scope@0": QUESTIONS}
        assert again.numbers["latency.increase"] is not None

    await served(deed)


@pytest.mark.asyncio
async def test_the_active_adapter_is_known_from_when_it_was_the_candidate(served):
    """Its scores are compared, its times are not."""

    async def deed(bench):
        then, _ = await bench.measure(1)
        now, asked = await bench.measure(2, active=1)
        assert asked == {"base": QUESTIONS, "scope@2": QUESTIONS}
        assert now.numbers["active.score"] == then.numbers["candidate.score"]
        assert "active.seconds" not in now.numbers

    await served(deed)


@pytest.mark.asyncio
async def test_an_attempt_that_failed_is_gone_on_with(served):
    """The next attempt asks what is missing; what it took over says where it was drawn."""

    async def deed(bench):
        bench.server.refused = {"scope@1": (503, "away")}
        with pytest.raises(UnavailableError):
            await bench.measure()
        before = len(list(read_answers(Path(bench.spec.out) / "answers.jsonl")))
        assert 0 < before < 2 * QUESTIONS
        assert not is_done(Path(bench.spec.out))
        bench.server.refused = {}
        _, asked = await bench.measure()
        assert sum(asked.values()) == 2 * QUESTIONS - before
        drawn = Counter(one.run for one in read_answers(Path(bench.spec.out) / "answers.jsonl"))
        assert drawn == {"measure-1": before, "": 2 * QUESTIONS - before}

    await served(deed)


@pytest.mark.asyncio
async def test_a_measurement_that_lost_answers_serves_nobody(served):
    """A folder with fewer answers than questions, a torn mark of what it measured, or none: all is asked."""

    async def deed(bench):
        for number, spoil in enumerate((_lose_an_answer, _tear_subjects, _forget), 1):
            await bench.measure(1, base=f"base-{number}")
            spoil(Path(bench.spec.out))
            _, asked = await bench.measure(1, base=f"base-{number}")
            assert asked["base"] == QUESTIONS

    await served(deed)


def _lose_an_answer(out):
    lines = (out / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (out / "answers.jsonl").write_bytes(b"".join(lines[1:]))


def _tear_subjects(out):
    (out / "subjects.json").write_text('{"run": ')


def _forget(out):
    for path in out.iterdir():
        path.unlink()
