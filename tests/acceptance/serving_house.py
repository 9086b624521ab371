"""What the tests of serving share: a home whose adapters are written by hand, an agent that never pauses, real vLLM."""

import asyncio
import json
import os
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp
from acceptance_house import LINE, Model, World
from fixtures.model_servers import BASE, VLLM_SETTINGS, ModelServer
from serving_speakers import Speakers

from flywheel.cli import requests
from flywheel.cli.demos.agents import Call, Task
from flywheel.cli.demos.processes import wait_until
from flywheel.core.events import Event
from flywheel.core.routing import Routing
from flywheel.core.training import TrainSpec
from flywheel.core.verdicts import Report, Verdict
from flywheel.store.ledger import append
from flywheel.store.reports import StoredReport, record_report, report_id
from flywheel.store.runs import pin_base, pin_parts, record_adapter
from flywheel.store.stores import open_store, sqlite_url
from flywheel.train.adapters import describe, publish
from flywheel.train.fingerprints import prints

TOKENS = 12
WORKERS = 4
ROLLOUT = """\
why = "Half of the sessions, so that both arms speak all the time; nothing is decided before outcomes came."
share = 0.5
minimum_outcomes = 20
longest_hours = 1
"""


class Answer(NamedTuple):
    """One call as the agent saw it; the gateway's headers say who answered."""

    began: float
    ended: float
    task: str
    status: int
    model: str
    text: str
    streamed: bool


class Agent:
    """Calls the gateway without pause from a thread of its own: whole answers and streams, sessions old and new."""

    def __init__(self, gateway: str) -> None:
        self.answers: list[Answer] = []
        self.errors: list[str] = []
        self._url = f"{gateway}/v1/chat/completions"
        self._going = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator["Agent"]:
        """Call until the block ends; what is on its way then is waited for."""
        self._going.set()
        thread = threading.Thread(target=lambda: asyncio.run(self._call_on()))
        thread.start()
        try:
            yield self
        finally:
            self._going.clear()
            thread.join()

    def wait_for(self, more: int, seconds: float = 120) -> list[Answer]:
        """Wait until so many more calls were answered; return these."""
        known = len(self.answers)
        wait_until(lambda: len(self.answers) >= known + more, seconds, f"{more} more answers")
        return self.answers[known:]

    def hear(self, name: str, seconds: float = 120) -> None:
        """Wait until an adapter has answered."""
        known = 0

        def heard() -> bool:
            nonlocal known
            before, known = known, len(self.answers)
            return any(answer.model == name for answer in self.answers[before:known])

        wait_until(heard, seconds, f"an answer of {name}")

    async def _call_on(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as client:
            await asyncio.gather(*(self._worker(client, number) for number in range(WORKERS)))

    async def _worker(self, client: aiohttp.ClientSession, number: int) -> None:
        count = 0
        while self._going.is_set():
            count += 1
            try:
                answer = await self._ask(client, number, count)
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
                self.errors.append(f"{datetime.now(UTC):%H:%M:%S.%f} {type(error).__name__}: {error}")
                await asyncio.sleep(0.1)
                continue
            self.answers.append(answer)
            if answer.status != 200:
                await asyncio.sleep(0.1)  # nobody is there: it asks again, and not a thousand times

    async def _ask(self, client: aiohttp.ClientSession, worker: int, count: int) -> Answer:
        session = f"{worker}-{count if count % 2 else count % 8}"  # half of the calls are a session's first
        task, streamed = f"task-{worker}-{count}", bool((worker + count // 2) % 2)
        body = {"model": LINE, "max_tokens": TOKENS, "temperature": 0, "stream": streamed,
                "messages": [{"role": "user", "content": f"Show src/{session}.py"}]}  # fmt: skip
        headers, began = {"x-session-id": session, "x-task-id": task}, time.monotonic()
        async with client.post(self._url, json=body, headers=headers) as response:
            raw = (await response.read()).decode()
            model = response.headers.get("x-flywheel-model", "")
            text = said(raw, model, streamed=streamed) if response.status == 200 else raw
            return Answer(began, time.monotonic(), task, response.status, model, text, streamed)


def said(raw: str, model: str, *, streamed: bool) -> str:
    """Return the text of an answer whose every part names one and the same model; raises ValueError for others."""
    if not streamed:
        bodies, key = [json.loads(raw)], "message"
    else:
        lines = [line.removeprefix("data: ") for line in raw.splitlines() if line]
        if lines.pop() != "[DONE]":
            raise ValueError(f"a stream without an end: {raw!r}")
        bodies, key = [json.loads(line) for line in lines], "delta"
    named = {body["model"] for body in bodies}
    if named != {model}:
        raise ValueError(f"{model} answered, and the answer names {named}")
    return "".join(body["choices"][0][key].get("content") or "" for body in bodies if body["choices"])


class Speaking(World):
    """A home whose adapters each say one word. Their numbers begin where no other home's did on this server."""

    def __init__(self, home: Path, server: ModelServer, speakers: Speakers, first: int) -> None:
        super().__init__(home, Model(f"http://127.0.0.1:{server.port}", server.base))
        self.server = server
        self.edit("flywheel.toml", ('served_as = "tiny-base"', f'served_as = "{BASE}"'))
        self.edit(f"policies/lines/{LINE}.toml", ("require_tool_call = true", "require_tool_call = false"))
        (home / "policies" / "rollouts" / "demo.toml").write_text(ROLLOUT)
        self.words: dict[str, str] = {}
        self._speakers = speakers
        self._next = first
        self._fingerprint = self._pin()
        self._known = {word.text * TOKENS for word in speakers.words}

    def _pin(self) -> str:
        found = prints(self.model.base)
        with open_store(self.store_url) as store, store.write() as session:
            seq = append(session, Event(kind="train.base_pinned", at=now(), subject="tiny"))
            pin_base(session, "tiny", str(self.model.base), found.whole, seq)
            pin_parts(session, "tiny", found.parts)
        return found.whole

    @property
    def store_url(self) -> str:
        """Where the store is."""
        return sqlite_url(self.home / "flywheel.db")

    def publish(self) -> str:
        """Publish an adapter that has passed its gate, as training and gate leave it; return its name."""
        number, self._next = self._next, self._next + 1
        word = self._speakers.words[number % len(self._speakers.words)]
        made = self.home / "made" / str(number)
        self._speakers.write(made, word)
        spec = TrainSpec(
            line=LINE, dataset="by-hand", base_name="tiny", base_fingerprint=self._fingerprint, seed=number
        )
        manifest = describe(spec, number, made)
        path = publish(manifest, made, self.home / "adapters")
        report = Report(adapter=manifest.hash, suite=f"suite-{number}", gate="demo", verdict=Verdict.PASS,
                        sentence="it speaks", checks=(), alpha_spent=0.0)  # fmt: skip
        with open_store(self.store_url) as store, store.write() as session:
            body = {"hash": manifest.hash, "run": manifest.run, "dataset": manifest.dataset}
            told = {"at": now(), "line": LINE, "subject": manifest.name}
            record_adapter(
                session, manifest, str(path), append(session, Event(kind="train.adapter_published", body=body, **told))
            )
            seq = append(session, Event(kind="gate.adapter_passed", body={"sentence": report.sentence}, **told))
            stored = StoredReport(
                id=report_id(manifest.hash, report.suite), line=LINE, at=now(), seq=seq, report=report
            )
            record_report(session, stored)
        self.words[manifest.name] = word.text
        return manifest.name

    def promote(self, name: str) -> None:
        """Promote by command, and wait until the alias points there."""
        requests.promote(name, reason="a test", override=False, wait=30, as_json=False, config=self.paths.config)
        self.until_points_at(name)

    def roll_back(self, name: str) -> None:
        """Take back by command, and wait until the alias has left it."""
        requests.rollback(name, reason="a test", wait=30, as_json=False, config=self.paths.config)
        self.wait(lambda: name not in self.pointed(), f"{name} is left")

    def begin_canary(self) -> str:
        """Publish an adapter and wait until it has its share."""
        name = self.publish()
        self.wait(lambda: any(arm.model == name and arm.role == "canary" for arm in self.arms()), f"the canary {name}")
        return name

    def until_points_at(self, *names: str) -> None:
        """Wait until the alias points at these, the active one first, and nowhere else, and the gateway goes by it."""
        self.wait(lambda: self.pointed() == list(names) and self._is_in_force(), f"the alias at {names}")

    def _is_in_force(self) -> bool:
        written, told = Routing.parse((self.home / "routing.json").read_bytes()), self.get("/health")
        return bool(told) and told["routing_version"] == written.version

    def pointed(self) -> list[str]:
        """What the alias points at: the active one first."""
        return [arm.model for arm in sorted(self.arms(), key=lambda arm: arm.role)]

    def wait(self, true: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Wait for something the daemon does; fail with its log when it does not."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what} did not come\n{self.log()}"
            assert self.daemon is None or self.daemon.poll() is None, self.log()
            time.sleep(0.02)

    def assert_nothing_mixed(self, answers: Sequence[Answer]) -> Counter[str]:
        """Every answer is wholly the word of the model that the gateway names; return how many were whose."""
        for answer in answers:
            assert answer.status == 200, answer
            if answer.model == BASE:
                assert answer.text not in self._known, answer
            else:
                assert answer.text == self.words[answer.model] * TOKENS, answer
        return Counter(answer.model for answer in answers)

    def lags(self) -> list[float]:
        """Seconds from each decision to take an adapter back to the last call that came later and was sent to it."""
        taken = {event.subject: event.at for event in self.events("rollout.adapter_rolled_back")}
        lags = []
        with closing(sqlite3.connect(f"file:{self.home / 'capture.db'}?mode=ro", uri=True)) as capture:
            for name, at in taken.items():
                last = capture.execute("SELECT max(at) FROM calls WHERE model = ?", (name,)).fetchone()[0]
                lags.append(max(0.0, (datetime.fromisoformat(last) - at).total_seconds()) if last else 0.0)
        return sorted(lags)

    def end_tasks(self, answers: Sequence[Answer], bad: str) -> None:
        """Write down as the agent how tasks ended: what the bad adapter answered led nowhere, all else worked."""
        for solved in (True, False):
            found = [answer for answer in answers if (answer.model != bad) is solved]
            self.agent.write_all([(_task(answer), [_call(answer)]) for answer in found], solved=solved)

    def restart_gateway(self) -> None:
        """End the gateway and start it again on its port; the daemon is not there to tell it anything."""
        self.processes.stop()
        self.start_gateway()

    def delete_store(self) -> None:
        """Delete the store with all that lies beside it."""
        for path in self.home.glob("flywheel.db*"):
            path.unlink()


def _task(answer: Answer) -> Task:
    messages = ({"role": "user", "content": f"Do {answer.task}"},)
    return Task(id=answer.task, tool="read_file", messages=messages, expected=())


def _call(answer: Answer) -> Call:
    return Call(response=answer.text, model=LINE, latency_ms=5, at=now().isoformat(timespec="milliseconds"))


class Vllm(ModelServer):
    """Real vLLM that can die, started as `flywheel emit vllm` says it for a CPU: one slot more than is held.

    Engine and model share a process, as in the demo; tests/contract speaks to the two that vLLM makes of it.
    """

    patience = 400.0
    settings: Mapping[str, str] = {**VLLM_SETTINGS, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}

    def kill(self) -> None:
        """End it all at once, as a machine out of memory does; what it shared in memory goes with it."""
        assert self.process is not None
        shared = _shared(self.process.pid)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self.process = None
        for path in shared:
            path.unlink(missing_ok=True)


def _shared(group: int) -> set[Path]:
    """Return the files in shared memory that the processes of a group use."""
    found: set[Path] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(ProcessLookupError, FileNotFoundError):  # somebody else's, and just gone
            if os.getpgid(int(entry.name)) == group:
                maps = (entry / "maps").read_text()
                found.update(Path(name) for name in maps.split() if name.startswith("/dev/shm/"))
    return found


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)
