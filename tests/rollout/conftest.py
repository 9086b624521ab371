"""A line with its store: adapters, verdicts, outcomes and requests are put in as the other rooms would."""

from datetime import timedelta

import pytest

from flywheel.core.clocks import ManualClock
from flywheel.core.events import Event
from flywheel.core.ids import content_hash
from flywheel.core.lines import Line, RolloutPlan
from flywheel.core.requests import Request
from flywheel.core.training import AdapterManifest
from flywheel.rollout.run import RolloutRoom
from flywheel.store import releases as release_rows
from flywheel.store.ledger import append, events
from flywheel.store.requests import make_request, request_by_id
from flywheel.store.runs import record_adapter
from flywheel.store.stores import insert_new, open_store, sqlite_url
from flywheel.store.tables import AttributionRow, OutcomeRow, ReportRow

LINE = "tool-calling"


class House:
    """One rollout room on a real store."""

    def __init__(self, store):
        self.store = store
        self.clock = ManualClock()
        self.lines = {LINE: Line(name=LINE, why="tests", base="tiny", rollout="careful")}
        self.rollouts = {"careful": RolloutPlan(name="careful", why="tests", share=0.2, minimum_outcomes=20)}
        self.pairs = []
        self.room = RolloutRoom(store, self.clock, lambda: self.lines, lambda: self.rollouts, self._heard)
        self._tasks = 0

    def publish(self, number, line=LINE):
        """Publish an adapter as training does."""
        name = f"{line}@{number}"
        manifest = AdapterManifest(
            hash=content_hash(name), line=line, number=number, run=f"run-{name}", dataset="d", base_name="tiny",
            base_fingerprint="f", rank=8, target_modules=("q_proj",), files={},
        )  # fmt: skip
        with self.store.write() as session:
            seq = append(session, Event(kind="train.adapter_published", at=self.clock.now(), line=line, subject=name))
            record_adapter(session, manifest, f"/nowhere/{name}", seq)
        return name

    def judge(self, name, verdict="pass", suite="s1"):
        """Judge an adapter as the gate does."""
        kind = "gate.adapter_passed" if verdict == "pass" else "gate.adapter_failed"
        line = name.partition("@")[0]
        with self.store.write() as session:
            seq = append(session, Event(kind=kind, at=self.clock.now(), line=line, subject=name))
            row = {"id": f"{name}-{suite}", "line": line, "adapter": content_hash(name), "suite": suite,
                   "verdict": verdict, "alpha_spent": 0.01, "at": self.clock.now(), "seq": seq,
                   "body": {"sentence": f"it is a {verdict}"}}  # fmt: skip
            insert_new(session, ReportRow, [row])
        return seq

    def _heard(self, model, since, limit, known):
        return [pair for pair in self.pairs[:limit] if pair.call not in known]

    def roll_out(self, **given):
        """Let the line's rollout be this one."""
        self.rollouts["careful"] = RolloutPlan(name="careful", why="tests", **given)

    def release(self, name):
        """Return a release."""
        with self.store.read() as session:
            return release_rows.release_by_name(session, name)

    def ends(self, name, success, task=None, line=LINE, **cost):
        """Let a task be answered by a model and end."""
        self._tasks += 1
        self.clock.advance(10)
        task = task or f"t{self._tasks}"
        arm = "canary" if self.state_of(name) == "canary" else "active"
        label = {True: "positive", False: "negative", None: "unknown"}[success]
        with self.store.write() as session:
            insert_new(session, AttributionRow, [{"call": f"c{self._tasks}", "line": line, "name": name, "arm": arm,
                                                  "task": task, "session": task, "at": self.clock.now(),
                                                  **cost}])  # fmt: skip
            insert_new(session, OutcomeRow, [{
                "key": f"o{self._tasks}", "source": "agent", "task": task, "session": task, "repo": "r",
                "call_type": "x", "at": self.clock.now() + timedelta(seconds=1), "model": line, "line": line,
                "label": label, "confidence": 1.0, "prompt_key": f"p{self._tasks}", "revision": 1,
                "considered": True, "body": {},
            }])  # fmt: skip

    def ask(self, kind, subject, **given):
        """Ask for something as the command line does; return the request's id."""
        key = f"r{kind}{subject}{self.clock.monotonic()}"
        self.clock.advance(1)
        with self.store.write() as session:
            seq = append(session, Event(kind="operator.request_made", at=self.clock.now(), line=LINE, subject=subject))
            line = given.pop("line", LINE)
            request = Request(
                id=key, kind=kind, line=line, subject=subject, at=self.clock.now(), cause=seq, by="ada", **given
            )
            make_request(session, request)
        return key

    def answer(self, key):
        """Return a request's state and answer."""
        with self.store.read() as session:
            request = request_by_id(session, key)
        return request.state, request.answer

    async def cycle(self, allow=lambda _: True):
        """Run one cycle; return the sentences of what changed."""
        done = []
        for proposal in (await self.room.propose()).proposals:
            if allow(proposal):
                attempt = await self.room.perform(proposal.intent, proposal.cause)
                done += [attempt.sentence] if attempt.changed else []
        return done

    async def settle(self):
        """Run cycles until nothing changes."""
        for _ in range(10):
            if not await self.cycle():
                return
        raise AssertionError("it never settles")

    async def waits(self):
        """Return what the line waits for."""
        return (await self.room.propose()).waits.get(LINE, "")

    def state_of(self, name):
        """Return a release's state in words."""
        with self.store.read() as session:
            release = release_rows.release_by_name(session, name)
        return release.state.value if release else None

    def events(self, *kinds):
        """Return the ledger's events of these kinds."""
        with self.store.read() as session:
            return events(session, kinds=kinds)

    def refuse(self, name):
        """Let serving refuse an adapter."""
        with self.store.write() as session:
            append(session, Event(kind="serve.adapter_refused", at=self.clock.now(), line=LINE, subject=name,
                                  body={"reason": "its tensors are not finite"}))  # fmt: skip

    async def canary(self, number):
        """Bring a new adapter to its canary."""
        name = self.publish(number)
        self.judge(name)
        await self.settle()
        assert self.state_of(name) == "canary"
        return name

    async def active(self, number):
        """Bring a new adapter to be the active one, as a person who is in a hurry does."""
        name = await self.canary(number)
        self.ask("promote", name)
        await self.settle()
        assert self.state_of(name) == "active"
        return name


@pytest.fixture
def house(tmp_path):
    with open_store(sqlite_url(tmp_path / "flywheel.db")) as store:
        yield House(store)
