"""What bad input gets from the real daemon: one line that says what is wrong, nothing lost, the rest goes on."""

import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acceptance_house import LINE
from bad_input_house import NAN, TRAINER, BadWorld, ScriptedServer, wait

from flywheel.cli.demos import worlds

pytestmark = [pytest.mark.train, pytest.mark.timeout(120)]

BASE = worlds.BASE


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A scripted model server that runs."""
    made = ScriptedServer()
    yield made
    made.stop()


@pytest.fixture
def home(server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadWorld]:
    """A home around the scripted server; nothing runs in it yet."""
    made = BadWorld(tmp_path / "home", server)
    monkeypatch.delenv("FLYWHEEL_TRAIN_PYTHON")  # it would win over the settings
    try:
        yield made
    finally:
        made.close()


def ask(home: BadWorld, model: str = LINE) -> tuple[int, str]:
    """Ask the gateway as the agent does; return the status and who answered."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "go"}]}).encode()
    request = urllib.request.Request(
        f"{home.paths.gateway}/v1/chat/completions", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return response.status, json.load(response)["model"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def refused(home: BadWorld, *words: str, status: int = 2) -> None:
    """The daemon does not start and says why in one line."""
    said = home.run("run", status=status)
    assert len(said.strip().splitlines()) == 1, said
    for word in words:
        assert word in said


# ── at start ────────────────────────────────────────────────────────────────


def test_broken_policies_stop_the_start_by_file_and_word(home: BadWorld) -> None:
    """Nothing is done under policies that cannot be understood."""
    home.edit(f"policies/lines/{LINE}.toml", ("rung = 3", "rang = 3"))
    refused(home, f"{LINE}.toml", "rang", "rung", "`flywheel policy check`")
    assert home.events() == []


def test_a_column_that_is_not_there_is_refused_by_name(home: BadWorld) -> None:
    """A column map that does not fit the agent's tables is said with source, column and table."""
    home.lessons(0, 1)
    home.edit("flywheel.toml", ('name = "agent"', 'name = "agent"\ncall_columns = { response = "reply_text" }'))
    refused(home, "agent", "reply_text", "llm_calls")


def test_a_second_daemon_on_the_same_store_is_refused(home: BadWorld, tmp_path: Path) -> None:
    """Two homes do not make one store safe for two daemons: the second says who holds it."""
    store = tmp_path / "shared" / "team.db"
    home.config.write_text(f'store = "sqlite:///{store}"\n' + home.config.read_text())
    daemon = home.start_daemon()
    wait(lambda: home.said("daemon.started"), "the start")
    home.config.write_text(home.config.read_text().replace(f'home = "{home.home}"', f'home = "{tmp_path / "second"}"'))
    refused(home, f"another daemon is at work on {store} (process {daemon.pid})", status=1)
    assert home.stop_daemon() == 0


# ── sources ─────────────────────────────────────────────────────────────────


def failed(home: BadWorld) -> list[str]:
    """What the ledger says is wrong with sources, in order."""
    return [event.body["problem"] for event in home.events("sources.source_failed")]


def recovered(home: BadWorld) -> int:
    """How often the ledger says that a source can be read again."""
    return len(home.events("sources.source_recovered"))


def outcomes(home: BadWorld) -> int:
    """How many outcomes are stored."""
    return len(home.rows("outcomes"))


def test_a_source_that_comes_goes_breaks_and_is_replaced_is_followed(home: BadWorld) -> None:
    """Missing at start, there later, no database, another database, folder away: said once each, read when possible."""
    folder = home.paths.agent_database.parent
    away = folder.with_name("agent-away")
    home.lessons(0, 10)
    home.agent.close()
    folder.rename(away)
    daemon = home.start_daemon()
    wait(lambda: failed(home), "the missing source")
    assert failed(home) == ["is not there: its folder is missing"]

    away.rename(folder)
    wait(lambda: recovered(home) == 1, "the first recovery")
    assert outcomes(home) == 10

    good = home.paths.agent_database.read_bytes()
    shutil.rmtree(folder)
    folder.mkdir()
    home.paths.agent_database.write_text("this is no database " * 500)
    wait(lambda: "is not an SQLite database" in failed(home)[-1], "the word about what is no database")

    home.paths.agent_database.unlink()
    home.paths.agent_database.write_bytes(good)
    wait(lambda: recovered(home) >= 2, "the second recovery")
    database = sqlite3.connect(home.paths.agent_database)
    database.execute("DROP TABLE task_runs")
    database.commit()
    database.close()
    wait(lambda: "task_runs" in failed(home)[-1], "the word about the missing table")

    for path in folder.iterdir():
        path.unlink()
    home.agent = type(home.agent)(home.paths.agent_database, home.paths.gateway, LINE)
    home.lessons(10, 5)
    wait(lambda: outcomes(home) == 15, "the replacement's outcomes")
    problems = failed(home)
    assert all(one != other for one, other in itertools.pairwise(problems)), problems
    assert daemon.poll() is None
    home.one_liners()


def test_a_source_locked_for_seconds_is_read_when_it_is_free(home: BadWorld) -> None:
    """The agent's own exclusive lock neither stops the daemon nor loses or doubles a row."""
    home.lessons(0, 4)
    home.agent._database.execute("PRAGMA journal_mode = DELETE")
    daemon = home.start_daemon()
    wait(lambda: home.events("sources.outcomes_ingested"), "the first outcomes")
    home.agent._database.execute("BEGIN EXCLUSIVE")
    wait(lambda: failed(home), "the word about the lock")
    assert failed(home) == ["is locked by another program"]
    assert daemon.poll() is None
    home.agent._database.execute("COMMIT")
    home.lessons(4, 4)
    wait(lambda: outcomes(home) == 8, "the outcomes behind the lock")
    wait(lambda: recovered(home) == 1, "the recovery")
    home.one_liners()


# ── the model server ────────────────────────────────────────────────────────


def test_a_server_down_at_start_or_restarted_gets_its_adapters_before_the_alias(home: BadWorld) -> None:
    """While it is away the alias rests on the base; it points at the adapter only once that is loaded and warm."""
    name = home.publish(1, "canary", "active")
    pointed_at_load: list[dict[str, float]] = []
    home.server.on_load = lambda: pointed_at_load.append(home.pointed())
    home.server.stop()
    home.start_gateway()
    daemon = home.start_daemon()
    wait(lambda: home.events("serve.server_failed"), "the word about the server")
    wait(lambda: home.pointed() == {BASE: 1.0}, "the alias on the base")
    assert ask(home)[0] in {502, 503}
    assert home.server.url in home.run("status")

    home.server.start()
    wait(lambda: home.pointed() == {name: 1.0}, "the alias on the adapter")
    assert home.server.loads == [name]
    assert pointed_at_load == [{BASE: 1.0}]
    wait(lambda: ask(home) == (200, name), "the adapter's answer")

    home.server.stop()
    answered: list[tuple[int, str]] = []

    def look() -> None:
        pointed_at_load.append(home.pointed())
        answered.append(ask(home))  # while it loads, however quick that is

    home.server.on_load = look
    home.server.start()
    wait(lambda: answered.append(ask(home)) or home.server.loads == [name, name], "the second load")
    assert {status for status, _ in answered} == {200}
    assert (200, BASE) in answered
    wait(lambda: ask(home) == (200, name), "the adapter's answer again")
    assert pointed_at_load == [{BASE: 1.0}, {BASE: 1.0}]
    assert daemon.poll() is None
    home.one_liners()


def test_a_server_that_is_wrong_or_slow_is_said_in_one_line_and_taken_back(home: BadWorld) -> None:
    """Garbage, errors, another model, no answer for seconds: each is said, nothing is loaded, and it recovers."""
    name = home.publish(1, "canary", "active")
    daemon = home.start_daemon()
    wait(lambda: home.pointed() == {name: 1.0}, "the alias on the adapter")
    server = home.server
    wrong = {
        "garbage": ({"garbage": "<html>not json"}, {"garbage": ""}),
        "json of another shape": ({"garbage": '{"data": 3}'}, {"garbage": ""}),
        "errors": ({"status": 500}, {"status": 200}),
        "another base": ({"base": "other-model"}, {"base": BASE}),
        "slow": ({"seconds": 10.0}, {"seconds": 0.0}),
    }
    for number, (name_of_fault, (broken, mended)) in enumerate(wrong.items(), 1):
        vars(server).update(broken)
        wait(lambda: len(home.events("serve.server_failed")) == number, name_of_fault)  # noqa: B023
        reason = home.events("serve.server_failed")[-1].body["reason"]
        assert server.url in reason, reason
        assert "\n" not in reason
        assert " — " in reason, "it says how to mend it"
        if name_of_fault == "another base":
            assert "other-model" in reason
        if name_of_fault == "slow":
            assert home.pointed() == {name: 1.0}, "a server that is slow still answers for what it held"
        vars(server).update(mended)
        wait(lambda: len(home.events("serve.server_recovered")) == number, f"after {name_of_fault}")  # noqa: B023
        wait(lambda: home.pointed() == {name: 1.0}, "the alias on the adapter again")
    assert server.loads == [name]
    assert daemon.poll() is None
    home.one_liners()


# ── the gateway ─────────────────────────────────────────────────────────────


def test_the_gateway_answers_whatever_becomes_of_routing_daemon_and_store(home: BadWorld) -> None:
    """No routing, garbage in it, the daemon killed, the store deleted: the agent's requests go on."""
    routing = home.home / "routing.json"
    name = home.publish(1, "canary", "active")
    home.start_gateway()
    assert ask(home) == (200, BASE), "before the daemon ever spoke, a line's name means the base"
    assert ask(home, BASE) == (200, BASE)
    routing.write_text("garbage {")
    assert ask(home) == (200, BASE)

    home.start_daemon()
    wait(lambda: ask(home) == (200, name), "the adapter's answer")
    for garbage in ("garbage {", '{"version": 99}', ""):
        routing.write_text(garbage)
        assert ask(home) == (200, name)
        wait(lambda: home.pointed_or_none() == {name: 1.0}, "the daemon's file again")

    home.stop_daemon(signal.SIGKILL)
    for path in home.home.glob("flywheel.db*"):
        path.unlink()
    routing.write_text("garbage {")
    time.sleep(0.3)
    assert ask(home) == (200, name)
    routing.unlink()
    time.sleep(0.3)
    assert ask(home) == (200, name)


# ── a full disk ─────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_a_full_disk_is_said_and_nothing_is_lost_or_doubled(home: BadWorld, small_disk: Path) -> None:
    """The daemon waits in one line, goes on, and after space is back every outcome is there exactly once."""
    home.config.write_text(f'store = "sqlite:///{small_disk}/flywheel.db"\n' + home.config.read_text())
    daemon = home.start_daemon()
    wait(lambda: home.said("daemon.started"), "the start")
    home.lessons(0, 20)
    wait(lambda: home.said("sources.outcomes_ingested"), "the first outcomes")
    fill(small_disk / "ballast")
    home.lessons(20, 300)
    wait(lambda: home.said("free disk space; nothing was lost"), "the word about the disk")
    assert daemon.poll() is None
    (small_disk / "ballast").unlink()

    def stored() -> int:
        database = sqlite3.connect(f"file:{small_disk}/flywheel.db?mode=ro", uri=True)
        try:
            return int(database.execute("SELECT count(*) FROM outcomes").fetchone()[0])
        finally:
            database.close()

    wait(lambda: stored() == 320, "every outcome", 40)
    time.sleep(0.5)
    assert stored() == 320
    assert home.stop_daemon() == 0
    database = sqlite3.connect(small_disk / "flywheel.db")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert database.execute("SELECT count(DISTINCT task) FROM outcomes").fetchone() == (320,)
    counted = database.execute("SELECT value FROM counters WHERE name = 'outcomes'").fetchone()
    assert counted == (320,)
    database.close()
    home.one_liners()


# ── adapters ────────────────────────────────────────────────────────────────


def test_adapters_that_are_not_what_they_claim_are_never_loaded(home: BadWorld) -> None:
    """Changed bytes, numbers that are none, pickled files, a file away: refused by name; a sound one loads."""
    weights, config = "adapter_model.safetensors", "adapter_config.json"

    def flip(folder: Path) -> None:
        data = bytearray((folder / weights).read_bytes())
        data[-1] ^= 1
        (folder / weights).write_bytes(data)

    def pickled(folder: Path) -> None:
        (folder / weights).rename(folder / "adapter_model.bin")
        (folder / "adapter_model.bin").write_bytes(b"\x80\x04\x95pickle")

    expected = {
        home.publish(1, damage=flip): f"{weights} is not the file its manifest names",
        home.publish(2, value=NAN): "holds numbers that are not finite",
        home.publish(3, more=pickled): f"{weights} is missing",
        home.publish(4, damage=lambda folder: (folder / "optimizer.pt").write_bytes(b"\x80\x04")): "optimizer.pt lies",
        home.publish(5, damage=lambda folder: (folder / config).unlink()): f"{config} is missing",
        home.publish(6, damage=shutil.rmtree): "is missing",
    }
    sound = home.publish(7)
    daemon = home.start_daemon()
    wait(lambda: len(home.events("rollout.adapter_rejected")) == len(expected), "the rejections")
    wait(lambda: home.events("serve.adapter_loaded"), "the sound one")
    reasons = {event.subject: event.body["reason"] for event in home.events("serve.adapter_refused")}
    assert set(reasons) == set(expected)
    for name, words in expected.items():
        assert words in reasons[name], name
    states = {row["name"]: row["state"] for row in home.rows("releases")}
    assert states == dict.fromkeys(expected, "rejected") | {sound: "registered"}
    assert home.server.loads == [sound]
    assert "optimizer.pt" in home.run("explain", f"{LINE}@4")
    assert daemon.poll() is None
    home.one_liners()


# ── training ────────────────────────────────────────────────────────────────


def attempts(home: BadWorld) -> list[str]:
    """What could not be done, in words."""
    return [event.body["reason"] for event in home.events("daemon.attempt_failed")]


def test_a_damaged_dataset_and_a_missing_environment_stop_only_the_training(home: BadWorld) -> None:
    """Each is one line with its mend; no run begins; outcomes go on being stored; mended, the run begins."""
    folder = home.freeze()
    home.use_trainer(TRAINER)
    good = (folder / "train.jsonl").read_bytes()
    (folder / "train.jsonl").write_bytes(good + good)
    daemon = home.start_daemon()
    wait(lambda: attempts(home), "the word about the dataset")
    assert attempts(home) == [f"train.jsonl of dataset d1 is not what was frozen — restore {folder} from a backup"]
    wait(lambda: "train.jsonl of dataset d1 is not what was frozen" in home.run("status"), "the word in the status", 10)
    home.lessons(0, 3)
    wait(lambda: outcomes(home) == 3, "the outcomes")
    assert home.rows("runs") == []
    assert home.stop_daemon() == 0
    assert daemon.returncode == 0

    (folder / "train.jsonl").write_bytes(good)
    (home.home / "trainer").unlink()
    database = sqlite3.connect(home.store_file)
    with database:
        database.execute("UPDATE decisions SET not_before = NULL")  # as if the pause after the failure were over
    database.close()
    home.start_daemon()
    wait(lambda: len(attempts(home)) == 2, "the word about the environment")
    assert attempts(home)[-1] == "the train environment is not there — run `flywheel env create train`"
    assert home.rows("runs") == []
    assert home.stop_daemon() == 0

    home.write_trainer(TRAINER)
    database = sqlite3.connect(home.store_file)
    with database:
        database.execute("UPDATE decisions SET not_before = NULL")
    database.close()
    home.start_daemon()
    home.wait_for("train.run_finished", 30)
    home.one_liners()


@pytest.mark.parametrize("how", ["a protocol line", "standard error"])
def test_a_trainer_that_fails_is_told_in_its_own_words_and_asked_again(home: BadWorld, how: str) -> None:
    """The run fails with the trainer's line; status says it; `flywheel train LINE` starts another attempt."""
    words = "CUDA out of memory: tried to allocate 2 GiB"
    event = json.dumps({"event": "failed", "error": words})
    script = f"echo '{event}'" if how == "a protocol line" else f"echo 'Traceback:' >&2; echo '{words}' >&2"
    home.freeze()
    home.use_trainer(f"#!/bin/sh\n{script}\nexit 1\n")
    daemon = home.start_daemon()
    run = home.wait_for("train.run_failed", 30)
    assert run.body["error"] == words
    assert [(row["state"], row["error"]) for row in home.rows("runs")] == [("failed", words)]
    status = wait(lambda: words in (said := home.run("status")) and said, "the word in the status")
    assert f"`flywheel train {LINE}` tries again" in status
    assert len(home.rows("runs")) == 1, "it is not tried again by itself"

    home.write_trainer(TRAINER)
    answer: Any = json.loads(home.run("train", LINE, "--json"))
    assert answer["state"] == "satisfied"
    assert "attempt 2" in answer["answer"]
    finished = home.wait_for("train.run_finished", 30)
    assert finished.subject != run.subject
    assert daemon.poll() is None
    home.one_liners()
