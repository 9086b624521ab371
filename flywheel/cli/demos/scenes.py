"""The demo's story, scene by scene. Whatever it does, a user could do by hand with the same commands."""

import asyncio
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flywheel.cli.demos.agents import Call, ScriptedAgent, Tally, Task
from flywheel.cli.demos.processes import Processes, flywheel_command, wait_until
from flywheel.cli.demos.screens import Screen
from flywheel.cli.demos.worlds import LINE, World
from flywheel.core.errors import PermanentError
from flywheel.core.events import Event
from flywheel.core.frozen import Frozen
from flywheel.core.jobs import Job
from flywheel.core.routing import Routing
from flywheel.store.jobs import open_jobs
from flywheel.store.ledger import events
from flywheel.store.stores import Store

EXAM, LESSONS, CANARY, POISON = (0, 200), (1000, 750), (3000, 1200), (6000, 900)
ROUND = 60
_PATIENCE = 240.0


class Story(Frozen):
    """What the demo found: numbers first."""

    before: Tally
    after: Tally
    first: str
    poisoned: str
    poisoned_verdict: str
    rolled_back: bool
    seconds: float = 0.0

    @property
    def gained_points(self) -> float:
        """Return how many points more often the agent succeeds."""
        return 100 * (self.after.rate - self.before.rate)


class Stage:
    """What every scene needs: the world, the programs, the screen, the agent, the ledger."""

    def __init__(
        self, world: World, processes: Processes, screen: Screen, tasks: Callable[[int, int], Sequence[Task]]
    ) -> None:
        """Set the stage."""
        self.world = world
        self.processes = processes
        self.screen = screen
        self.tasks = tasks
        self.agent = ScriptedAgent(world.agent_database, world.gateway, LINE)
        self.store: Store | None = None
        self._told = 0
        self._waiting: list[Event] = []

    def news(self) -> list[Event]:
        """Return what the ledger holds since the last look, told on the screen."""
        for name in ("model server", "gateway", "daemon"):
            self.processes.check(name)
        with self._store().read() as session:
            found = events(session, after=self._told, limit=10_000)
        for event in found:
            self._told = max(self._told, event.seq or 0)
            self.screen.tell(event)
        return found

    def next_of(self, kinds: Sequence[str]) -> Event | None:
        """Return the next event of these kinds that was not returned yet, passing over what came before it."""
        self._waiting += self.news()
        for place, event in enumerate(self._waiting):
            if event.kind in kinds:
                del self._waiting[: place + 1]
                return event
        self._waiting.clear()
        return None

    def await_event(self, *kinds: str) -> Event:
        """Wait until the ledger holds one of these; show long work as a bar meanwhile."""
        end = time.monotonic() + _PATIENCE
        with self.screen.bar("flywheel at work") as bar:
            while time.monotonic() < end:
                event = self.next_of(kinds)
                if event is not None:
                    return event
                for job in self._work():
                    done, of = job.progress.get("step", job.progress.get("done")), job.progress.get("of")
                    bar.move(done or 0, of, f"{job.kind} {_loss(job)}")
                time.sleep(0.2)
        raise PermanentError(f"none of {', '.join(kinds)} came within {_PATIENCE:.0f} s", f"see {self.world.home}")

    def command(self, *arguments: str) -> str:
        """Run a flywheel command as a person would; return what it said."""
        self.screen.say("$ flywheel " + " ".join(arguments))
        argv = flywheel_command(*arguments, "--config", str(self.world.config))
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        words = (ended.stdout + ended.stderr).strip()
        if words and len(words.splitlines()) == 1:
            self.screen.say(words)
        return words

    def work(self, tasks: Sequence[Task], title: str, *, record: bool = True) -> Tally:
        """Let the agent do tasks, with a bar."""
        with self.screen.bar(title) as bar:
            return asyncio.run(
                self.agent.work(
                    tasks, record=record, told=lambda t: bar.move(t.tasks, len(tasks), f"{t.rate:.0%} solved")
                )
            )

    def close(self) -> None:
        """Let go of databases."""
        self.agent.close()
        if self.store is not None:
            self.store.close()

    def _store(self) -> Store:
        if self.store is None:
            raise PermanentError("the daemon has not made its store yet")
        return self.store

    def _work(self) -> list[Job]:
        with self._store().read() as session:
            return open_jobs(session)


def learn(stage: Stage) -> tuple[Tally, Tally, str]:
    """Watch, learn, prove, roll out; return the agent's success before and after on tasks never trained on."""
    stage.screen.chapter("1 · The agent works, flywheel watches")
    exam = stage.tasks(*EXAM)
    before = stage.work(exam, "exam before")
    stage.screen.say(
        f"exam of {before.tasks} tasks that are never trained on: {before.rate:.0%} solved by the base model"
    )
    lessons = stage.work(stage.tasks(*LESSONS), "agent at work")
    stage.screen.say(f"{lessons.tasks} tasks of daily work: {lessons.rate:.0%} solved; its database is being watched")
    stage.screen.chapter("2 · flywheel trains and proves a candidate")
    first = stage.await_event("gate.adapter_passed", "gate.adapter_failed")
    if first.kind != "gate.adapter_passed":
        raise PermanentError("the first candidate did not pass its gate", str(first.body.get("sentence", "")))
    stage.screen.chapter("3 · A person approves, the canary meets the agent")
    name = stage.await_event("rollout.canary_started").subject
    stage.command("adapters", "approve", name, "--reason", "the report looks right")
    canary(stage, 0, "rollout.adapter_promoted", "rollout.adapter_rolled_back")
    until_answered_by(stage, name)
    after = stage.work(exam, "exam after", record=False)
    stage.screen.say(f"the same exam after the promotion: {after.rate:.0%} solved (before: {before.rate:.0%})")
    return before, after, name


def poison(stage: Stage) -> tuple[str, str]:
    """Pour bad data into the agent's database; return the adapter it gave and the gate's verdict."""
    stage.screen.chapter("4 · A poisoned round: wrong answers recorded as successes")
    bad = stage.tasks(*POISON)
    tools = sorted({task.tool for task in bad})
    stage.agent.write_all([(task, [poisoned_call(task, tools)]) for task in bad], solved=True)
    stage.screen.say(f"{len(bad)} tasks written whose answers call the wrong tool")
    end = stage.await_event("gate.adapter_passed", "gate.adapter_failed")
    return end.subject, "pass" if end.kind == "gate.adapter_passed" else "fail"


def push(stage: Stage, name: str) -> bool:
    """Push the bad adapter by override; tell whether the canary took it back by itself."""
    stage.screen.chapter("5 · An operator overrides the gate; the canary takes the bad adapter back")
    stage.command("adapters", "promote", name, "--override", "--reason", "trying it anyway")
    return (
        canary(stage, 600, "rollout.adapter_rolled_back", "rollout.adapter_promoted") == "rollout.adapter_rolled_back"
    )


def canary(stage: Stage, skip: int, *ends: str) -> str:
    """Let the agent go on working until the canary is decided; return how."""
    until_canary_serves(stage)
    tasks = stage.tasks(CANARY[0] + skip, 600)
    for begin in range(0, len(tasks), ROUND):
        tally = stage.work(tasks[begin : begin + ROUND], "agent at work")
        stage.screen.say(f"the agent did {tally.tasks} more tasks, {tally.rate:.0%} solved")
        found = _settled(stage, ends)
        if found:
            return found
    return stage.await_event(*ends).kind


def until_canary_serves(stage: Stage) -> None:
    """Wait until the gateway sends a share of the traffic to a canary."""
    wait_until(lambda: any(arm.role == "canary" for arm in _arms(stage)), 60, "the canary's share of the traffic")


def until_answered_by(stage: Stage, name: str) -> None:
    """Wait until every request is answered by one adapter."""
    wait_until(lambda: [arm.model for arm in _arms(stage)] == [name], 60, f"{name} behind the alias")
    time.sleep(0.2)  # the gateway looks at the routing file 20 times a second


def poisoned_call(task: Task, tools: Sequence[str]) -> Call:
    """Return an answer that has the right form and calls the wrong tool."""
    wrong = tools[(tools.index(task.tool) + 1) % len(tools)]
    arguments = str(task.expected[0]["arguments"]).replace("'", '"')
    response = f'<tool_call>{{"name": "{wrong}", "arguments": {arguments}}}</tool_call>'
    return Call(
        response=response, model="unknown", latency_ms=1, at=time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    )


def answers(url: str) -> bool:
    """Tell whether something answers at a URL."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 - our own loopback address
            return bool(response.status == 200)  # noqa: PLR2004
    except OSError:
        return False


def routed(home: Path) -> bool:
    """Tell whether the daemon has published where the line's alias leads."""
    return (home / "routing.json").is_file() and LINE in Routing.parse((home / "routing.json").read_bytes()).aliases


def _arms(stage: Stage) -> Sequence[Any]:
    routing = Routing.parse((stage.world.home / "routing.json").read_bytes())
    return routing.aliases[LINE].arms if LINE in routing.aliases else ()


def _settled(stage: Stage, ends: Sequence[str]) -> str:
    for _ in range(5):
        event = stage.next_of(ends)
        if event is not None:
            return event.kind
        time.sleep(0.2)
    return ""


def _loss(job: Job) -> str:
    loss = job.progress.get("loss")
    return f"loss {loss:.3f}" if isinstance(loss, int | float) else ""
