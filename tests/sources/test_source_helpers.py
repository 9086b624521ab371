# ruff: noqa: ARG005, D102, S301 - doubles say what they do by name and take what they are given; the pickle is our own
"""Helpers: a backlog is read by several processes, and what comes of it is the same as without them."""

import array
import fcntl
import json
import marshal
import os
import pickle
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.core.outcomes import Message
from flywheel.sources import looks
from flywheel.sources.backlogs import Backlog
from flywheel.sources.chunk_replies import ReplyError, readings_in, reply_of, sealed
from flywheel.sources.chunks import Chunk, read_chunk
from flywheel.sources.connections import Undecodable
from flywheel.sources.generics import GenericReader
from flywheel.sources.helpers import Helpers
from flywheel.sources.settings import GenericSource
from flywheel.store.words import Words, known_words, words_of

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
TASKS = ("task", "success", "created_at", "session", "repo")
CALLS = ("task", "call_type", "model", "system", "prompt", "messages", "response", "at", "success", "error",
         "latency_ms", "prompt_tokens")  # fmt: skip
ODD = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary(max_size=8),
    st.text(max_size=12), st.sampled_from(["", "a\x00b", SECRET, "2026-01-01", '{"content": "x", "tool_calls": []}']),
    st.builds(Undecodable, st.binary(min_size=1, max_size=4)),
)  # fmt: skip
ROLES = st.sampled_from(["system", "user", "assistant", "tool", "human", "nobody"])
TURNS = st.lists(st.fixed_dictionaries({"role": ROLES, "content": st.text(max_size=20)}), max_size=3).map(json.dumps)
SOME = st.sampled_from(["act", "plan", "[ERROR] it broke", "ok"])
WHEN = st.sampled_from(["2026-01-01T10:00:00Z", "2026-07-01T10:00:00.123456+05:30", 1_767_225_600, 1_767_225_600_123])


def mostly(usual):
    """What agents write, and now and then what they should not."""
    return st.one_of(usual, usual, usual, ODD)


CALL = st.tuples(mostly(SOME), mostly(SOME), mostly(st.none()), mostly(st.none()), mostly(TURNS), mostly(st.text()),
                 mostly(WHEN), mostly(st.none()), mostly(st.none()), mostly(st.integers(0, 999)), ODD)  # fmt: skip
TASK = st.tuples(
    mostly(st.sampled_from([0, 1])), mostly(WHEN), mostly(st.text(max_size=5)), mostly(st.sampled_from(["r", "s"])),
    st.booleans(), st.lists(CALL, max_size=4),
)  # fmt: skip


def chunk_of(tasks, source=None):
    """A chunk of these tasks, called t0, t1 and so on."""
    ends, calls, row = [], [], 0
    for number, (success, created_at, session, repo, has_row, several) in enumerate(tasks):
        if has_row:
            ends.append((f"t{number}", success, created_at, session, repo))
        for call in several:
            row += 1
            calls.append((row, f"t{number}", *call))
    source = source or GenericSource(name="agent", path=Path("/agent.db"), own_repos=("r",))
    return Chunk(source, TASKS, CALLS, tuple(f"t{number}" for number in range(len(tasks))), ends, calls)


def plain_chunk(tasks=40, calls=3, text="what is in a.py?"):
    asked = json.dumps([{"role": "system", "content": "be brief"}, {"role": "user", "content": text}])
    call = ("act", "m", None, None, asked, "nothing", "2026-01-01T10:00:00Z", None, None, 12, None)
    return chunk_of([(1, "2026-01-01", "s", "r", True, [call] * calls)] * tasks)


@settings(max_examples=300, deadline=None)
@given(st.lists(TASK, min_size=1, max_size=4))
def test_what_a_helper_answers_is_what_we_would_read(tasks):
    """Readings that went to another process and back equal those read here: values, types, order, words; no secret."""
    chunk = chunk_of(tasks)
    carried = Chunk(*pickle.loads(pickle.dumps(tuple(chunk), 5)))
    here = read_chunk(chunk)
    reply = reply_of("agent", read_chunk(carried))
    there = readings_in(reply, "agent", chunk.names)
    assert list(there.readings) == here
    assert [one.model_dump_json() for one in there.readings] == [one.model_dump_json() for one in here]
    outcomes = [outcome for one in there.readings for outcome in one.outcomes]
    assert [repr(outcome) for outcome in outcomes] == [repr(o) for one in here for o in one.outcomes]
    assert {key: words[2:] for key, words in there.words.items()} == {o.key: words_of(o)[2:] for o in outcomes}
    assert all(there.words[outcome.key].are_of(outcome) for outcome in outcomes)
    assert SECRET.encode() not in reply


SCALARS = st.one_of(st.none(), st.integers(-9, 9), st.text(max_size=3))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40), VALUES)
def test_nonsense_is_no_answer(data, value):
    """Whatever bytes or values come back, they are an answer to what was asked, or refused."""
    for reply in (data, sealed(marshal.dumps(value)), sealed(marshal.dumps(("agent", [], [], value)))):
        with pytest.raises(ReplyError):
            readings_in(reply, "agent", ("t0",))


def test_an_answer_about_something_else_is_none():
    """An answer about other tasks, in another order, of another source, or cut short, is refused."""
    chunk = plain_chunk(3)
    reply = reply_of("agent", read_chunk(chunk))
    for source, names in (("other", chunk.names), ("agent", chunk.names[::-1]), ("agent", chunk.names[:2])):
        with pytest.raises(ReplyError):
            readings_in(reply, source, names)
    with pytest.raises(ReplyError):
        readings_in(reply[:-10], "agent", chunk.names)


def test_words_of_other_messages_are_not_used():
    """An outcome whose messages became others, by a join or a redaction, has its words worked out anew."""
    (reading, *_) = read_chunk(plain_chunk(1))
    outcome = reading.outcomes[0]
    known = {outcome.key: words_of(outcome)}
    assert known_words(outcome, known) is known[outcome.key]
    other = outcome.model_copy(update={"messages": (Message(role="user", content="else"),)})
    assert known_words(other, known) == words_of(other)
    assert "else" in known_words(other, known).text
    known[outcome.key] = Words(outcome.messages, "another answer", "q", "t")
    assert known_words(outcome, known) == words_of(outcome)


def waiting(helpers):
    """Return how many chunks no helper has begun."""
    found = array.array("i", [0])
    fcntl.ioctl(helpers._ends()[0], termios.FIONREAD, found)
    return found[0]


def wait_for(what, seconds=30.0):
    """Wait until something is true."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


def warmed(helpers):
    """Have helpers called in and at work."""
    helpers.call_in()
    one = helpers.give(plain_chunk(1), 1)
    while one.answer is None:
        assert helpers._collect(30)
    assert helpers.reading(one).words, "a helper read it"
    return helpers


@pytest.fixture
def helpers():
    made = Helpers(1)
    yield made
    made.close()


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_killed_helper_loses_nothing(helpers):
    """Killed with a chunk in its hands and more waiting: all is read here, and nobody is called until the next time."""
    warmed(helpers)
    chunks = [plain_chunk(300, 4, text=f"{number} " * 200) for number in range(3)]
    given = [helpers.give(chunk, chunk.size) for chunk in chunks]
    (pid,) = helpers.pids
    wait_for(lambda: waiting(helpers) < len(given))
    os.kill(pid, signal.SIGKILL)
    assert [helpers.reading(one).readings for one in given] == [read_chunk(chunk) for chunk in chunks]
    assert helpers.pids == ()
    helpers.call_in()
    assert helpers.pids == ()
    helpers.close()
    assert warmed(helpers).pids


def test_a_stopped_helper_holds_up_nothing_for_long(helpers, monkeypatch):
    """A helper that does not go on is given up after a while, and its chunk read here."""
    monkeypatch.setattr("flywheel.sources.helpers.PATIENCE", 0.2)
    warmed(helpers)
    os.kill(helpers.pids[0], signal.SIGSTOP)
    chunk = plain_chunk()
    assert helpers.reading(helpers.give(chunk, chunk.size)).readings == read_chunk(chunk)  # nobody had begun it
    os.kill(helpers.pids[0], signal.SIGCONT)
    one = helpers.give(plain_chunk(300, 4, text="long " * 400), 1)
    wait_for(lambda: not waiting(helpers))
    os.kill(helpers.pids[0], signal.SIGSTOP)
    assert len(helpers.reading(one).readings) == 300
    assert helpers.pids == () or one.reading.words  # it had just finished


NONSENSE = "import os, sys; os.read(0, 1); os.write(1, {}); os.read(0, 1)"
RIGHT_SIZE = "bytes([23, 8, 0, 0, 0, 0, 0, 0, 0]) + bytes(os.truncate(int(sys.argv[24]), 8) or 0)"


@pytest.mark.parametrize(
    "program",
    [
        ("/no/such/program",),
        (sys.executable, "-c", "pass"),
        (sys.executable, "-P", "-m", "flywheel.sources.chunk_readers", "0.0.0-other"),
        (sys.executable, "-c", NONSENSE.format("b'oops'")),
        (sys.executable, "-c", NONSENSE.format("b'x' * 9")),
        (sys.executable, "-c", NONSENSE.format(RIGHT_SIZE)),
    ],
)  # fmt: skip
def test_a_helper_of_no_use_changes_nothing(program):
    """One that cannot start, ends at once, is of another version or answers nonsense: everything is read here."""
    helpers = Helpers(1, program)
    helpers.call_in()
    chunks = [plain_chunk(number) for number in (1, 2, 3)]
    given = [helpers.give(chunk, chunk.size) for chunk in chunks]
    time.sleep(0.3)
    assert [helpers.reading(one).readings for one in given] == [read_chunk(chunk) for chunk in chunks]
    helpers.close()


def test_without_room_for_files_nobody_is_called(monkeypatch):
    """A system without files in memory, or without a free one, reads everything by itself."""
    before, make = set(Path("/proc/self/fd").iterdir()), os.memfd_create
    left = iter(range(5))

    def some(name):
        if next(left, None) is None:
            raise OSError(24, "too many open files")
        return make(name)

    monkeypatch.setattr(os, "memfd_create", some)
    helpers = Helpers(2)
    helpers.call_in()
    chunk = plain_chunk()
    assert helpers.pids == ()
    assert set(Path("/proc/self/fd").iterdir()) == before
    assert helpers.reading(helpers.give(chunk, chunk.size)).readings == read_chunk(chunk)


def test_a_crowded_machine_gets_no_helpers(monkeypatch):
    """One for each further core, at most three; none on one core, and none where many wait for a core already."""
    found = []
    monkeypatch.setattr(Helpers, "_start", lambda self, helpers: found.append(helpers))
    for cores, load in ((1, 0.0), (2, 1.0), (2, 3.9), (2, 4.1), (4, 1.0), (64, 1.0)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, cores=cores: range(cores))
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        Helpers().call_in()
    assert found == [0, 1, 1, 0, 3, 3]


def test_closing_leaves_nothing_behind():
    """After closing there is no process, no open file and nothing that waits, whatever was under way."""
    before = set(Path("/proc/self/fd").iterdir())
    for _ in range(2):
        helpers = warmed(Helpers(2))
        given = [helpers.give(plain_chunk(100), 1) for _ in range(30)]
        pids = helpers.pids
        helpers.close()
        assert all(is_gone(pid) for pid in pids)
        assert set(Path("/proc/self/fd").iterdir()) == before
        assert len(helpers.reading(given[0]).readings) == 100


DAEMON = """
import sys, time
sys.path.insert(0, {tests!r})
from test_source_helpers import Helpers, plain_chunk, warmed
helpers = warmed(Helpers(2))
for _ in range(20):
    helpers.give(plain_chunk(300), 1)
print(*helpers.pids, flush=True)
time.sleep(600)
"""


def test_helpers_end_with_a_killed_daemon():
    """After kill -9 of the process that called them in, with work left, helpers are gone within seconds."""
    script = DAEMON.format(tests=str(Path(__file__).parent))
    daemon = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in daemon.stdout.readline().split()]
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()
    assert len(pids) == 2
    wait_for(lambda: all(is_gone(pid) for pid in pids))


class NothingPending:
    """A source of which nothing is remembered."""

    def among(self, tasks):
        return {}

    def newest(self, limit):
        return {}

    def after(self, position, limit):
        return {}, 0

    def known(self, tasks):
        return frozenset()

    def marks(self):
        return {}


def fill(agent, chat, tasks=60):
    """Tasks as agents write them, and some as they should not."""
    agent.connection.execute("BEGIN")
    for number in range(tasks):
        agent.task(f"t{number}", number % 2, session=f"s{number}", repo=f"r{number % 3}")
        for step in range(number % 4 + 1):
            asked = chat(("system", "be brief"), ("user", f"read {number}.py, step {step % 2} é"))
            agent.call(f"t{number}", prompt=None, messages=asked, response=f"answer {step}", latency_ms=step + 0.5)
    agent.task(7, 1)
    agent.call(7, response=SECRET)
    agent.call("7", prompt=b"\x00\xff")
    agent.run("INSERT INTO llm_calls (task_id, prompt, response) VALUES ('t1', CAST(x'ff61' AS TEXT), 'x')")
    agent.call(None)
    agent.connection.execute("COMMIT")


def batches_of(reader, between=lambda batch: None):
    """All batches of a source, read one after the other."""
    found, cursor = [], {}
    while not found or found[-1].more:
        found.append(reader.read(cursor, NothingPending()))
        cursor = found[-1].cursor
        between(found[-1])
    return found


@pytest.fixture
def backlog(monkeypatch):
    """Many batches out of little."""
    monkeypatch.setattr(looks, "ROWS_A_BATCH", 30)
    monkeypatch.setattr(looks, "_NAMES_A_QUERY", 5)


def without_words(batch):
    return batch.model_copy(update={"words": {}})


def reader_on(agent, helpers):
    reader = GenericReader(GenericSource(name="agent", path=agent.path))
    reader._backlog = Backlog(helpers)
    return reader


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.sampled_from([200, 2_000, 16_000_000]), most=st.sampled_from([1, 2]))
def test_batches_are_the_same_with_helpers_and_without(agent, chat, backlog, size, most):
    """The same batches, cut at the same places, in the same order, with the same cursors, whoever read them."""
    if not agent.connection.execute("SELECT count(*) FROM llm_calls").fetchone()[0]:
        fill(agent, chat)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "BYTES_A_BATCH", size)
        alone = batches_of(reader_on(agent, Helpers(0)))
        helped = batches_of(reader_on(agent, warmed(Helpers(most))))
    assert len(alone) > 3
    assert sum(len(batch.refusals) + sum(len(task.refusals) for task in batch.tasks) for batch in alone) > 3
    assert [one.model_copy(update={"words": {}}) for one in helped] == [
        one.model_copy(update={"words": {}}) for one in alone
    ]
    assert any(batch.words for batch in helped)
    assert not any(batch.words for batch in alone)


def test_helpers_leave_when_the_backlog_is_done(agent, chat, backlog):
    """They are there as long as there is more, and gone with the last batch."""
    fill(agent, chat)
    helpers = warmed(Helpers(1))
    reader = reader_on(agent, helpers)
    seen = []
    batches_of(reader, lambda batch: seen.append((batch.more, bool(helpers.pids))))
    assert seen == [(True, True)] * (len(seen) - 1) + [(False, False)]
    reader.close()


def test_helpers_killed_between_batches_change_nothing(agent, chat, backlog):
    """Killed while they read ahead: the next batches are the same."""
    fill(agent, chat)
    helpers = warmed(Helpers(2))
    kill = lambda batch: [os.kill(pid, signal.SIGKILL) for pid in helpers.pids[:1]]  # noqa: E731
    found = batches_of(reader_on(agent, helpers), kill)
    alone = batches_of(reader_on(agent, Helpers(0)))
    assert [batch.tasks for batch in found] == [batch.tasks for batch in alone]


def test_what_was_read_ahead_is_forgotten_when_somebody_writes(agent, chat, backlog):
    """A row changed between two looks is read as it is then, though it was read ahead before."""
    fill(agent, chat)
    change = lambda batch: agent.run("UPDATE llm_calls SET response = response || '!' WHERE task_id > 't3'")  # noqa: E731
    helped = batches_of(reader_on(agent, warmed(Helpers(1))), change)
    read = [outcome for batch in helped[1:] for task in batch.tasks for outcome in task.outcomes if task.task > "t3"]
    assert len(read) > 30
    assert all(outcome.response.endswith("!") for outcome in read)
    assert sum(outcome.response.count("!") for batch in helped[2:] for task in batch.tasks if task.task > "t3"
               for outcome in task.outcomes) > len(read)  # fmt: skip


def test_a_backlog_that_nobody_goes_on_with_costs_nothing(agent, chat, backlog):
    """Asked again and again whether anything changed, and never to read, a reader sends its helpers away."""
    fill(agent, chat)
    helpers = warmed(Helpers(1))
    reader = reader_on(agent, helpers)
    assert reader.read({}, NothingPending()).more
    assert helpers.pids
    for _ in range(30):
        assert reader.changed()
    assert not helpers.pids
    reader.close()


@pytest.mark.asyncio
async def test_a_small_look_calls_nobody(house, agent, chat, monkeypatch):
    """What an agent writes while it works is read without helpers."""
    monkeypatch.setattr(Helpers, "_start", lambda self, helpers: pytest.fail("a helper was started"))
    fill(agent, chat)
    (done,) = await house.cycle()
    assert done.body["new"] > 100


@pytest.mark.asyncio
async def test_what_is_stored_is_the_same(house, agent, chat, backlog, tmp_path):
    """Rows of a store that helpers helped to fill equal those of one that was filled alone, to the byte."""
    fill(agent, chat)
    kept = []
    for most in (1, 0):
        house.room.close()
        house.room = house.new_room()
        helpers = warmed(Helpers(1)) if most else Helpers(0)
        house.room._readers["agent"]._backlog = Backlog(helpers)
        house.room.ask_full_look()
        while await house.proposals():
            await house.cycle()
        with house.store.write() as session:
            rows = session.connection().exec_driver_sql("SELECT * FROM outcomes ORDER BY seq").all()
            kept.append([row[1:] for row in rows])
            session.connection().exec_driver_sql("DELETE FROM outcomes")
    assert kept[0] == kept[1]
    assert len(kept[0]) > 100
