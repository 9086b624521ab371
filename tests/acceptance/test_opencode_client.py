"""The real opencode client at work behind the gateway: what really happened, against what flywheel makes of it."""

import asyncio
import json
import os
import signal
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from opencode_house import ARMS, CONTEXT, LINE, OWN, TITLE, Client, House, Server, Step, house, wait
from sqlmodel import select

from flywheel.core.clocks import SystemClock
from flywheel.core.examples import prompt_key
from flywheel.core.lines import Line, Select
from flywheel.core.outcomes import Outcome
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import OpencodeSource
from flywheel.store.ledger import events
from flywheel.store.outcomes import StoredOutcome, list_outcomes
from flywheel.store.stores import open_store, sqlite_url
from flywheel.store.tables import AttributionRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the installation, once a machine

CHECK = ("bash", {"command": "python3 -m unittest -q", "description": "Runs the tests"})
SLEEP = ("bash", {"command": "echo $$ > pid; exec sleep 90", "description": "Waits"})
RIGHT, WRONG, BROKEN = "a + b", "a * b", "a - b"
UNSAID = '%"type":"text","text":""%'  # the client writes a text when it is whole
SECRET = "ghp_" + "Zz9" * 13


def scripts(home: Path) -> dict[str, list[Step]]:
    """What the model says in each session; the projects and their tests are real."""

    def read(name: str) -> Step:
        return Step("Let me read it.", (("read", {"filePath": str(home / "projects" / name / "calc.py")}),))

    def edit(name: str, old: str, new: str) -> Step:
        path = str(home / "projects" / name / "calc.py")
        return Step(f"It should be {new}.", (("edit", {"filePath": path, "oldString": old, "newString": new}),))

    check = Step("", (CHECK,))
    good = {name: [read(name), edit(name, BROKEN, RIGHT), check, Step("All tests pass now.")]
            for name in ("reverted", "helped")}  # fmt: skip
    helper = {"description": "fix the adder", "prompt": "Please fix it [[helped]]", "subagent_type": "general"}
    return {
        **good,
        "succeeded": [read("succeeded"), edit("succeeded", BROKEN, RIGHT), check, Step("I am done: all is well.")],
        "failed": [read("failed"), edit("failed", BROKEN, WRONG), check, Step("I could not make it work.")],
        "repaired": [read("repaired"), edit("repaired", BROKEN, WRONG), check, edit("repaired", WRONG, RIGHT), check,
                     Step("Now it works.")],
        "helper": [Step("I ask a helper.", (("task", helper),)), Step("The helper fixed it.")],
        "refused": [Step("I call it.", (("no_such_tool", {"a": 1}),)), Step("There is no such tool.")],
        "aborted": [Step("I begin with a long explanation ", waits=True)],
        "interrupted": [read("interrupted"), Step("I think that the reason is this: ", waits=True)],
        "killed": [Step("This takes a while.", (SLEEP,))],
    }  # fmt: skip


class Watch:
    """The sources room of a daemon, on the client's database and the gateway's capture."""

    def __init__(self, made: House) -> None:
        self.path = made.flywheel / "flywheel.db"
        self.store = open_store(sqlite_url(self.path))
        source = OpencodeSource(name="opencode", path=made.client.database, quiet_seconds=0)
        line = Line(name=LINE, why="w", base="b", select=Select(tags=("language:python",)))
        self.room = SourcesRoom(self.store, SystemClock(), [source], lambda: {LINE: line}, made.capture)

    def look(self) -> None:
        """Two cycles: one may find what only the next one joins."""

        async def cycles() -> None:
            for _ in range(2):
                for proposal in (await self.room.propose()).proposals:
                    await self.room.perform(proposal.intent, None)

        asyncio.run(cycles())

    def outcomes(self) -> list[StoredOutcome]:
        """Everything that is stored, in the order it happened."""
        with self.store.read() as session:
            return sorted(list_outcomes(session, limit=10_000), key=lambda stored: stored.outcome.at)

    def close(self) -> None:
        """Let go."""
        self.room.close()
        self.store.close()


class Story:
    """Everything that happened, told once: sessions by name, and what was stored before the revert."""

    def __init__(self, made: House) -> None:
        self.house = made
        self.client: Client = made.client
        self.sessions: dict[str, str] = {}
        self.watch = Watch(made)
        self.before: list[StoredOutcome] = []

    def happen(self) -> None:
        """Let every session happen."""
        projects = {name: self.house.project(name) for name in
                    ("succeeded", "reverted", "helped", "failed", "repaired", "interrupted", "killed")}  # fmt: skip
        server = Server(self.client, projects["reverted"])
        runs = {name: self.client.run(projects[name], f"Go on [[{name}]]", *(("--agent", LINE) if agent else ()))
                for name, agent in (("succeeded", True), ("interrupted", False), ("killed", False))}  # fmt: skip
        self._talk(server, "reverted", projects["reverted"])
        self._said("interrupted", "I think that", UNSAID)
        runs["interrupted"].send_signal(signal.SIGINT)
        self._said("killed", "This takes", '%"status":"running"%')
        self._kill(runs["killed"].pid, projects["killed"] / "pid")
        for name in ("failed", "repaired", "helper", "refused"):
            self._talk(server, name, projects.get("helped" if name == "helper" else name, projects["reverted"]))
        self._abort(server, projects["reverted"])
        self._said("succeeded", "I am done", '%"type":"step-finish"%')
        assert [run.wait(400) == 0 for run in runs.values()] == [True, False, False], self.client.log()
        self.watch.look()
        self.before = self.watch.outcomes()
        self._revert(server)
        self._plant_secrets()
        self.watch.look()

    def of(self, name: str) -> list[Outcome]:
        """The outcomes of a session, in the order its answers were given."""
        return [one.outcome for one in self.watch.outcomes() if one.outcome.session == self.sessions[name]]

    def _talk(self, server: Server, name: str, project: Path) -> None:
        session = server.session(project)
        server.say(session, f"Please go on [[{name}]]")
        self.sessions[name] = session

    @staticmethod
    def _kill(client: int, command: Path) -> None:
        """Kill the client at once, and what it had started and cannot end any more."""
        number = wait(lambda: command.is_file() and command.read_text().strip(), "the command of the killed session")
        os.killpg(client, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(int(number), signal.SIGKILL)

    def _abort(self, server: Server, project: Path) -> None:
        self.sessions["aborted"] = server.session(project)
        server.say(self.sessions["aborted"], "Please go on [[aborted]]", wait=False)
        self._said("aborted", "I begin", UNSAID)
        assert server.ask(f"/session/{self.sessions['aborted']}/abort") is True

    def _revert(self, server: Server) -> None:
        session = self.sessions["reverted"]
        asked = self.client.rows("SELECT id FROM message WHERE session_id = ? ORDER BY time_created", session)[0]["id"]
        assert server.ask(f"/session/{session}/revert", {"messageID": asked})["revert"]["messageID"] == asked
        assert BROKEN in (self.house.home / "projects" / "reverted" / "calc.py").read_text()

    def _said(self, name: str, beginning: str, part: str) -> None:
        """Wait until an answer has begun and the client has noted a part of it."""

        def begun() -> list[str]:
            return [seen.session for seen in self.house.upstream.seen
                    if seen.step and seen.step.text.startswith(beginning)]  # fmt: skip

        session = self.sessions[name] = wait(begun, f"the answer of {name}")[0]
        query = "SELECT 1 FROM part WHERE session_id = ? AND data LIKE ?"
        wait(lambda: self.client.rows(query, session, part), f"a part of {name}")

    def _plant_secrets(self) -> None:
        """Fill the tables that hold a person's secrets, as the client does when they log in."""
        rows = {
            "account": ("me", "me@host", "https://host", SECRET, SECRET, 1, 1, 1),
            "control_account": ("me@host", "https://host", SECRET, SECRET, 1, 1, 1, 1),
            "credential": ("c", "i", "label", json.dumps({"key": SECRET}), "x", "y", 1, 1, 1),
        }
        with closing(sqlite3.connect(self.client.database, timeout=30)) as connection, connection:
            for table, values in rows.items():
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608
            share = self.sessions["succeeded"], "share", SECRET, "https://host", 1, 1
            connection.execute("INSERT INTO session_share VALUES (?, ?, ?, ?, ?, ?)", share)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The sessions, once for all tests."""
    home = tmp_path_factory.mktemp("opencode")
    with house(home, scripts(home)) as made:
        told = Story(made)
        try:
            told.happen()
            yield told
        finally:
            told.watch.close()


def labels(outcomes: list[Outcome]) -> list[str]:
    """The labels of a session's answers, in order."""
    return [outcome.labelled.label.value for outcome in outcomes]


def teaches(outcome: Outcome) -> bool:
    """Tell whether a line may learn from it."""
    return outcome.labelled.label.value == "positive" and outcome.labelled.confidence >= Line.model_fields[
        "labels"].default.minimum_confidence  # fmt: skip


def test_what_worked_is_positive(story: Story) -> None:
    """The function was mended and its tests passed: every answer on the way is a good one, for the line of Python."""
    outcomes = story.of("succeeded")
    assert labels(outcomes) == ["positive"] * 4
    assert all(teaches(outcome) and outcome.line == LINE for outcome in outcomes)
    assert RIGHT in (story.house.home / "projects" / "succeeded" / "calc.py").read_text()


def test_what_failed_is_negative_and_never_teaches(story: Story) -> None:
    """The tests failed and the model gave up: the wrong edit and the end are negative, nothing is positive."""
    outcomes = story.of("failed")
    assert WRONG in outcomes[1].response
    assert [labels(outcomes)[place] for place in (1, -1)] == ["negative", "negative"]
    assert "positive" not in labels(outcomes)


def test_a_repair_teaches_what_was_right_in_the_end(story: Story) -> None:
    """The tests failed, then passed: the second edit, its check and the end teach, the wrong edit does not."""
    outcomes = story.of("repaired")
    assert [WRONG in outcomes[1].response, f'"{RIGHT}"' in outcomes[3].response] == [True, True]
    assert [teaches(outcome) for outcome in outcomes[3:]] == [True, True, True]
    assert not any(teaches(outcome) for outcome in outcomes[1:3])


def test_a_helper_s_work_is_its_own_and_its_caller_s_task(story: Story) -> None:
    """What the sub-agent mended and tested is positive, under the session that called it."""
    outcomes = [one.outcome for one in story.watch.outcomes() if one.outcome.task == story.sessions["helper"]]
    child = [outcome for outcome in outcomes if outcome.session != outcome.task]
    assert labels(child) == ["positive"] * 4
    assert [outcome.response for outcome in outcomes if outcome.session == outcome.task][-1] == "The helper fixed it."
    assert "negative" not in labels(outcomes)


def test_what_was_reverted_is_negative_though_it_was_positive(story: Story) -> None:
    """Later evidence wins: the same outcomes, their labels turned, their exact prompts kept."""
    before = {one.outcome.key: one for one in story.before if one.outcome.session == story.sessions["reverted"]}
    after = {
        one.outcome.key: one for one in story.watch.outcomes() if one.outcome.session == story.sessions["reverted"]
    }
    assert labels([one.outcome for one in before.values()]) == ["positive"] * 4
    assert labels([one.outcome for one in after.values()]) == ["negative"] * 4
    assert before.keys() == after.keys()
    for key, stored in after.items():
        assert stored.revision == before[key].revision + 1
        assert stored.outcome.messages == before[key].outcome.messages
        assert stored.outcome.extra["call"] == before[key].outcome.extra["call"]


@pytest.mark.parametrize("name", ["aborted", "interrupted", "killed"])
def test_what_was_cut_off_is_unknown(story: Story, name: str) -> None:
    """Stopped through the API, by SIGINT in the middle of an answer, by SIGKILL in the middle of a command: unknown."""
    assert set(labels(story.of(name))) == {"unknown"}


def test_a_call_of_no_tool_is_negative(story: Story) -> None:
    """The client notes a tool that does not exist as completed; the answer that called it is negative all the same."""
    assert labels(story.of("refused"))[0] == "negative"


def test_every_prompt_is_the_one_that_the_model_saw(story: Story) -> None:
    """System prompt, history and tools of each outcome are those of the request that reached the model server."""
    outcomes = [one.outcome for one in story.watch.outcomes()]
    assert {outcome.session for outcome in outcomes} >= set(story.sessions.values())
    for outcome in outcomes:
        (seen,) = [one for one in story.house.upstream.seen
                   if one.session == outcome.session and len(one.body["messages"]) == len(outcome.messages)
                   and one.step is not None]  # fmt: skip
        assert [message.role for message in outcome.messages] == [one["role"] for one in seen.body["messages"]]
        assert outcome.messages[0].content == seen.body["messages"][0]["content"]
        assert outcome.messages[0].content.startswith("You are opencode")
        assert outcome.messages[-1].content == seen.body["messages"][-1]["content"]
        assert list(outcome.tools) == seen.body["tools"]
        assert (outcome.extra["answered_by"], outcome.extra["arm"]) in [(arm.model, arm.role) for arm in ARMS]
        assert outcome.extra["answered_by"] == seen.model
    assert all(one.prompt_key == prompt_key(one.outcome.messages) for one in story.watch.outcomes())
    assert not any(TITLE in outcome.response for outcome in outcomes)


def test_the_client_runs_with_what_flywheel_emits(story: Story) -> None:
    """Its own words stay, our provider and agents are understood, and the agent works, streamed and with tools."""
    client = story.client
    assert client.config.read_text().startswith(OWN.partition("\n}")[0])
    taken = client.told(story.house.home / "projects" / "succeeded", "debug", "config")
    assert taken["share"] == "disabled"
    assert taken["provider"]["flywheel"]["options"]["baseURL"] == f"{story.house.gateway}/v1"
    assert taken["agent"][LINE]["model"] == taken["model"] == f"flywheel/{LINE}"
    rows = client.rows("SELECT data FROM message WHERE session_id = ?", story.sessions["succeeded"])
    assert {json.loads(row["data"])["agent"] for row in rows} == {LINE}
    asked = [
        seen.body for seen in story.house.upstream.seen if seen.session == story.sessions["succeeded"] and seen.step
    ]
    assert all(body["stream"] and body["tools"] and body["max_tokens"] == CONTEXT // 4 for body in asked)


def test_the_door_s_key_stays_at_the_door(story: Story) -> None:
    """The client sends the key that its configuration names; the gateway asks for it and tells no model server."""
    assert story.client.key not in story.client.config.read_text()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{story.house.gateway}/v1/models", timeout=10)
    headers = [value for seen in story.house.upstream.seen for value in seen.headers.values()]
    assert headers
    assert not any(story.client.key in value for value in headers)


def test_who_answered_is_known_by_task(story: Story) -> None:
    """What the model server was asked for and what is attributed are the same, and a session has one arm."""
    asked = {one.session: {seen.model for seen in story.house.upstream.seen if seen.session == one.session}
             for one in story.house.upstream.seen}  # fmt: skip
    assert all(len(models) == 1 for models in asked.values())
    with story.watch.store.read() as session:
        rows = session.exec(select(AttributionRow)).all()
    assert len(rows) == len(story.house.upstream.seen)
    assert all({row.name} == asked[row.session] for row in rows)
    tasks = {outcome.extra["call"]: outcome.task for outcome in (one.outcome for one in story.watch.outcomes())}
    assert all(row.task == tasks[row.call] for row in rows if row.call in tasks)


def test_secrets_of_the_client_stay_with_it(story: Story) -> None:
    """Nothing of the tables that hold a person's secrets is read, even when they are full."""
    assert story.client.rows("SELECT value FROM credential")
    assert not any(SECRET.encode() in path.read_bytes() for path in story.house.flywheel.rglob("flywheel.db*"))
    with story.watch.store.read() as session:
        kinds = {event.kind for event in events(session)}
    assert kinds == {"sources.calls_attributed", "sources.outcomes_ingested"}
