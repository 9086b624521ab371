"""The real daemon as a user meets it: signals, mistakes, a second one, a server that comes and goes."""

import signal
import time

import pytest
from acceptance_house import LINE, World, rss_mb

pytestmark = [pytest.mark.train, pytest.mark.timeout(300)]


def test_it_starts_waits_and_leaves_in_order(world: World) -> None:
    """It says it started, says in words what it waits for, idles under 120 MB, and leaves at SIGTERM."""
    daemon = world.start_daemon()
    world.wait_for("serve.aliases_flipped")
    time.sleep(2)
    assert rss_mb(daemon.pid) < 120
    told = world.run("status")
    assert "the daemon is at work" in told
    assert LINE in told
    assert world.stop_daemon() == 0
    assert [event.kind for event in world.events("daemon.started", "daemon.stopped")] == [
        "daemon.started",
        "daemon.stopped",
    ]


def test_a_second_daemon_is_refused_in_one_line(world: World) -> None:
    """Two daemons never share a home; the second says who holds it."""
    daemon = world.start_daemon()
    world.wait_for("daemon.started")
    said = world.run("run", status=1)
    assert f"another daemon is at work on {world.home} (process {daemon.pid})" in said
    assert len(said.strip().splitlines()) == 1
    assert "Traceback" not in said


def test_a_reload_takes_good_changes_and_refuses_bad_ones(world: World) -> None:
    """SIGHUP puts changed policies in force; a bad file leaves the old ones and says so."""
    daemon = world.start_daemon()
    first = world.wait_for("daemon.started").body["policies"]
    world.edit(f"policies/lines/{LINE}.toml", ("rung = 3", "rung = 2"))
    daemon.send_signal(signal.SIGHUP)
    second = world.wait_for("daemon.settings_reloaded").body["policies"]
    assert first != second
    world.edit(f"policies/lines/{LINE}.toml", ("rung = 2", "rang = 2"))
    daemon.send_signal(signal.SIGHUP)
    refused = world.wait_for("policy.policies_rejected").body["reason"]
    assert "rang" in refused
    assert "rung" in refused
    assert daemon.poll() is None
    assert world.run("policy", "check", status=2)


def test_what_was_asked_for_in_vain_is_answered_in_words(world: World) -> None:
    """A request that cannot be satisfied is refused with the reason, and nothing else happens."""
    world.start_daemon()
    world.wait_for("daemon.started")
    said = world.run("adapters", "promote", f"{LINE}@9", status=1)
    assert f"{LINE}@9" in said
    assert "Traceback" not in said


def test_outcomes_are_stored_while_the_model_server_is_away(world: World) -> None:
    """With no model server at all the daemon ingests, says what is wrong, and goes on."""
    world.edit("flywheel.toml", (world.model.url, "http://127.0.0.1:9"))
    world.write_lessons(count=20, bad=0)
    daemon = world.start_daemon()
    ingested = world.wait_for("sources.outcomes_ingested")
    assert ingested.subject == "agent"
    failed = world.wait_for("serve.server_failed")
    assert "127.0.0.1:9" in str(failed.body) + failed.subject
    time.sleep(2)
    assert daemon.poll() is None
    assert len(world.events("serve.server_failed")) == 1
    assert len(world.rows("outcomes")) == 20
