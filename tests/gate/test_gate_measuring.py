import asyncio
import json
import random
import signal
import sys
from pathlib import Path

import pytest
from gate_house import IMPATIENT, ScriptedServer, make_gate, make_spec, publish_suite, write_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.core.clocks import SystemClock
from flywheel.core.errors import CorruptError, PermanentError, UnavailableError
from flywheel.core.lines import Sampling
from flywheel.core.verdicts import Verdict
from flywheel.gate.answers import AnswerLog
from flywheel.gate.evidence import Answer
from flywheel.gate.measuring import conclude
from flywheel.gate.questions import Asker, blocks
from flywheel.gate.results import is_done, read_result, write_result
from flywheel.gate.suites import read_problems

ARGV = [sys.executable, "-m", "flywheel.gate.measuring"]


@pytest.fixture
def manifest(tmp_path):
    return publish_suite(tmp_path / "suites")


async def ask(spec, told=lambda _: None):
    """Ask everything in this process and return the log's answers."""
    with AnswerLog(Path(spec.out) / "answers.jsonl") as log:
        await Asker(spec, log, SystemClock(), told).ask_all(read_problems(Path(spec.suite_path)))
        return log.answers


async def run(spec):
    """Run the real process to its end; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(*ARGV, str(write_spec(spec)), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode, [json.loads(line) for line in out.splitlines()]


async def kill_when(spec, enough, number):
    """Run the real process and end it with a signal once enough answers are kept."""
    process = await asyncio.create_subprocess_exec(*ARGV, str(write_spec(spec)), stdout=asyncio.subprocess.DEVNULL)
    kept = Path(spec.out) / "answers.jsonl"
    while not kept.exists() or kept.read_bytes().count(b"\n") < enough:
        assert process.returncode is None
        await asyncio.sleep(0.01)
    process.send_signal(number)
    await process.wait()


def test_roles_take_turns_block_by_block(tmp_path, manifest):
    """A block holds one role; every role gets the same samples before new ones come; who goes first alternates."""
    spec = make_spec(tmp_path, "http://x", manifest, models={"base": "b", "candidate": "c", "active": "a"})
    few = spec.gate.model_copy(update={"sampling": spec.gate.sampling.model_copy(update={"concurrency": 2})})
    spec = spec.model_copy(update={"gate": few})
    asked = list(blocks(read_problems(Path(spec.suite_path)), spec, frozenset()))
    assert sum(map(len, asked)) == 12 * 2 * 3
    for start in range(0, len(asked), 3):
        turn = asked[start : start + 3]
        assert [len({one.role for one in block}) for block in turn] == [1, 1, 1]
        assert {block[0].role for block in turn} == {"base", "candidate", "active"}
        assert len({tuple((one.problem.id, one.sample, one.seed) for one in block) for block in turn}) == 1
    assert {block[0].role for block in asked[::3]} == {"base", "candidate", "active"}
    assert len({one.seed for block in asked for one in block}) == 24


@pytest.mark.asyncio
async def test_a_measurement_asks_judges_and_leaves_its_result_last(tmp_path, manifest):
    """The process asks every role, tells how far it is, and leaves a report that vouches for itself."""
    async with ScriptedServer() as server:
        spec = make_spec(
            tmp_path, server.url, manifest, models={"base": "base", "candidate": "scope@1", "active": "scope@0"}
        )
        status, said = await run(spec)
        assert (status, said[-1]) == (0, {"event": "finished"})
        assert sum(server.asked.values()) == 12 * 2 * 3
        report, page = read_result(Path(spec.out))
        again = await run(spec)
    progress = [event for event in said if event["event"] == "progress"]
    assert (progress[-1]["done"], progress[-1]["of"], progress[-1]["eta_seconds"]) == (72, 72, 0.0)
    assert report.numbers["candidate.score"] > report.numbers["base.score"]
    assert report.sampling["models"]["active"] == "scope@0"
    assert b"src/3.py" in page
    assert again == (0, [{"event": "finished"}])
    assert sum(server.asked.values()) == 72


@pytest.mark.asyncio
async def test_kill_9_midway_then_resume_asks_nothing_twice(tmp_path, manifest):
    """What was answered before a kill is never asked again, and the report is the one of an unbroken run."""
    async with ScriptedServer(delay=0.03) as server:
        spec = make_spec(tmp_path / "broken", server.url, manifest, suite_path=str(tmp_path / "suites" / manifest.hash))
        Path(spec.out).parent.mkdir()
        kept = {}
        for enough, number in ((8, signal.SIGKILL), (20, signal.SIGKILL), (30, signal.SIGTERM)):
            await kill_when(spec, enough, number)
            assert not is_done(Path(spec.out))
            now = [json.loads(line) for line in (Path(spec.out) / "answers.jsonl").read_bytes().split(b"\n")[:-1]]
            kept |= {(one["problem"], one["role"], one["sample"]): one for one in now}
            assert len(kept) == len(now)
        status, _ = await run(spec)
        doubled = sum(count - 1 for count in server.asked.values())
        whole = make_spec(tmp_path / "whole", server.url, manifest, suite_path=spec.suite_path)
        Path(whole.out).parent.mkdir()
        await run(whole)
    assert status == 0
    assert doubled <= 3 * 4  # only what was under way at each of three kills: at most its concurrency of four
    final = [json.loads(line) for line in (Path(spec.out) / "answers.jsonl").read_text().splitlines()]
    assert len(final) == 48
    assert all(one in final for one in kept.values())
    reports = [read_result(Path(one.out))[0] for one in (spec, whole)]
    timed = ("latency", ".seconds", ".first_token", "per_second")
    timeless = [
        report.model_copy(update={
            "numbers": {k: v for k, v in report.numbers.items() if not any(word in k for word in timed)}
        })
        for report in reports
    ]  # fmt: skip
    assert timeless[0] == timeless[1]


@pytest.mark.asyncio
async def test_passing_faults_are_asked_again_and_do_not_count(tmp_path, manifest):
    """A few 500s, 429s and 503s change nothing but the time it takes."""
    async with ScriptedServer() as server:
        server.statuses = [500, 429, 503, 200, 500, 200] * 3
        answers = await ask(make_spec(tmp_path, server.url, manifest))
    assert len(answers) == 48
    assert not [one for one in answers.values() if one.error]


@pytest.mark.asyncio
async def test_an_adapter_that_breaks_the_server_s_answers_is_counted_against_it(tmp_path, manifest):
    """When only the candidate gets faults, they are its answers and its verdict."""
    async with ScriptedServer() as server:
        server.broken = {"scope@1"}
        spec = make_spec(tmp_path, server.url, manifest, patience=IMPATIENT.model_copy(update={"silence": 30}))
        status, _ = await run(spec)
    report, _ = read_result(Path(spec.out))
    assert (status, report.verdict) == (0, Verdict.FAIL)
    assert report.numbers["errors.rate"] == 1.0


@pytest.mark.asyncio
async def test_slow_answers_run_into_the_limit_and_count(tmp_path, manifest):
    """An answer that takes longer than the gate allows is no answer."""
    async with ScriptedServer(delay=0.4) as server:
        gate = make_gate(sampling=Sampling(samples=1, concurrency=24, timeout_seconds=0.05))
        patience = IMPATIENT.model_copy(update={"silence": 30, "tries": 2})
        answers = await ask(make_spec(tmp_path, server.url, manifest, gate=gate, patience=patience))
    assert {one.error for one in answers.values()} == {"no answer within 0.05 s"}


@pytest.mark.asyncio
@pytest.mark.parametrize("statuses", [[500] * 10_000, [503] * 10_000])
async def test_a_server_that_only_fails_ends_the_measurement_without_numbers(tmp_path, manifest, statuses):
    """When nobody gets an answer for too long, nothing is said about the adapter."""
    async with ScriptedServer() as server:
        server.statuses = statuses
        patience = IMPATIENT.model_copy(update={"tries": 10_000})
        with pytest.raises(UnavailableError, match="gave no answer for"):
            await ask(make_spec(tmp_path, server.url, manifest, patience=patience))


@pytest.mark.asyncio
async def test_a_server_that_is_away_fails_the_process_in_one_line(tmp_path, manifest):
    """Nobody listens: exit status 1 and one line that says so; a restart with the server back goes on."""
    async with ScriptedServer() as server:
        url = server.url
    status, said = await run(make_spec(tmp_path, url, manifest))
    assert status == 1
    assert said[-1]["event"] == "failed"
    assert "gave no answer" in said[-1]["error"]
    assert "\n" not in said[-1]["error"]


@pytest.mark.asyncio
async def test_a_server_that_comes_back_in_time_is_waited_for(tmp_path, manifest):
    """A restart of the server in the middle costs time and no answer."""
    async with ScriptedServer() as server:
        port = int(server.url.rsplit(":", 1)[1])
        spec = make_spec(tmp_path, server.url, manifest, patience=IMPATIENT.model_copy(update={"silence": 10}))
    waiting = asyncio.ensure_future(ask(spec))
    await asyncio.sleep(0.2)
    back = ScriptedServer()
    async with back:
        relay = await asyncio.start_server(lambda r, w: _pipe(r, w, back.url), "127.0.0.1", port)
        answers = await waiting
        relay.close()
        await relay.wait_closed()
    assert len(answers) == 48
    assert not [one for one in answers.values() if one.error]


async def _pipe(reader, writer, url):
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
    await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@pytest.mark.asyncio
async def test_an_absent_model_is_told_at_once(tmp_path, manifest):
    """A name the server does not know fails by that name, without a second try."""
    async with ScriptedServer() as server:
        server.models = {"base"}
        with pytest.raises(PermanentError, match="no model 'scope@1'"):
            await ask(make_spec(tmp_path, server.url, manifest))
        status, said = await run(make_spec(tmp_path, server.url, manifest))
    assert (status, "scope@1" in said[-1]["error"]) == (1, True)


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [
    {"choices": []}, {"nothing": 1}, {"choices": [{"message": None}]}, [1],
    {"choices": [{"message": {"content": None}}]},
    {"choices": [{"message": {"content": "\ud800", "tool_calls": [{"function": {"name": "\udfff"}}, 3]}}]},
    {"choices": [{"message": {"content": '<tool_call>{"name"'}, "finish_reason": "length"}]},
])  # fmt: skip
async def test_odd_bodies_are_wrong_answers_not_crashes(tmp_path, manifest, body):
    """Whatever the server sends with status 200, every question gets an answer and the report is whole."""
    async with ScriptedServer() as server:
        server.body = body
        spec = make_spec(tmp_path, server.url, manifest)
        await ask(spec)
    problems = read_problems(Path(spec.suite_path))
    with AnswerLog(Path(spec.out) / "answers.jsonl") as log:
        assert len(log.answers) == 48
        report, page = conclude(spec, problems, log, "json")
    assert report.numbers["candidate.score"] == 0
    write_result(Path(spec.out), report, page)
    assert read_result(Path(spec.out))[0] == report


@pytest.mark.asyncio
async def test_a_spec_that_is_none_fails_in_one_line(tmp_path):
    """A broken spec file says which key is wrong."""
    (tmp_path / "spec.json").write_text('{"line": 3}')
    process = await asyncio.create_subprocess_exec(*ARGV, str(tmp_path / "spec.json"), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 1
    assert "spec.json is no measurement: line" in json.loads(out)["error"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.binary(max_size=12))
def test_a_torn_file_of_answers_loses_its_torn_line_only(tmp_path_factory, cut, rubbish):
    """Whole lines before the tear are kept, what follows is written cleanly, and nothing is kept twice."""
    path = tmp_path_factory.mktemp("torn") / "answers.jsonl"
    made = [Answer(problem=f"p{n}", role="base", sample=0, text="é" * n, seconds=0.5) for n in range(6)]
    with AnswerLog(path) as log:
        for answer in made:
            log.append(answer)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + rubbish.replace(b"\n", b""))
    with AnswerLog(path) as log:
        assert list(log.answers.values()) == made[: whole[:cut].count(b"\n")]
        for answer in random.Random(cut).sample(made, 6):
            log.append(answer)
    with AnswerLog(path) as log:
        assert sorted(log.answers.values(), key=lambda one: one.problem) == made
    assert path.read_bytes().count(b"\n") == 6


@pytest.mark.parametrize("name", ["report.json", "report.html", "result.json"])
def test_a_changed_report_is_not_believed(tmp_path, manifest, name):
    """A report whose bytes are not those that were measured is refused."""
    spec = make_spec(tmp_path, "http://x", manifest)
    with AnswerLog(Path(spec.out) / "answers.jsonl") as log:
        report, page = conclude(spec, read_problems(Path(spec.suite_path)), log, "json")
    write_result(Path(spec.out), report, page)
    assert read_result(Path(spec.out))[0].verdict is Verdict.INSUFFICIENT
    (Path(spec.out) / name).write_text((Path(spec.out) / name).read_text()[:-30])
    with pytest.raises(CorruptError):
        read_result(Path(spec.out))
