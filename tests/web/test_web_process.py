"""The dashboard's process: says where it is, leaves with its parent, and comes back when it ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs
from web_house import LINE, settings_in

from flywheel.daemon import web_children
from flywheel.daemon.web_children import WebChild, web_command

SECONDS = 60


@contextmanager
def dashboard(home, *more, **kwargs):
    """Give the process with its address."""
    command = [*web_command(home / "flywheel.toml"), *more]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
    try:
        told = json.loads(child.stderr.readline())
        assert told["event"] == "web.listening_started", told
        yield child, told["url"]
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stderr.close()


def fetched(url):
    """Return the first page."""
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return answer.read().decode()


def test_it_answers_and_leaves_in_order_at_a_signal(world):
    """It says where it listens and shows the lines; a second one there is told so; at SIGTERM it ends in order."""
    with dashboard(world.home) as (child, url):
        assert LINE in fetched(url)
        settings_in(world.home, port=int(url.rstrip("/").rpartition(":")[2]))
        second = subprocess.run(web_command(world.home / "flywheel.toml"), capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "cannot listen on" in second.stderr
        child.send_signal(signal.SIGTERM)
        assert child.wait(SECONDS) == 0


def test_a_child_leaves_when_its_parent_is_gone(world):
    """However the parent ended, the pipe it held is closed, and the child takes that for its own end."""
    with dashboard(world.home, "--child") as (child, url):
        assert LINE in fetched(url)
        child.stdin.close()
        assert child.wait(SECONDS) == 0


def test_a_mistake_in_the_settings_is_one_line_and_its_own_status(tmp_path):
    """What cannot be is said in one line with its mend, and no restart is asked for."""
    settings_in(tmp_path, host="0.0.0.0")  # noqa: S104 - it must be refused
    ended = subprocess.run(web_command(tmp_path / "flywheel.toml"), capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "can be reached from elsewhere" in ended.stderr


def section(**values):
    """Return the dashboard's part of the settings."""
    return web_children.WebSection(**values)


def scripted(monkeypatch, program):
    """Let the child be a small program instead of the dashboard."""
    monkeypatch.setattr(web_children, "web_command", lambda _: [sys.executable, "-c", program])


async def lines_of(path, count):
    """Return the lines of a file once there are so many."""
    async with asyncio.timeout(SECONDS):
        while not path.exists() or len(path.read_text().split()) < count:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)
    return path.read_text().split()


@pytest.mark.asyncio
async def test_a_child_that_ends_comes_back_after_ever_longer_waits(tmp_path, monkeypatch):
    """An end is no end of the dashboard: it is started again, each time a little later."""
    scripted(monkeypatch, f"open({str(tmp_path / 'starts')!r}, 'a').write('x\\n'); raise SystemExit(1)")
    monkeypatch.setattr(web_children, "FIRST_SECONDS", 0.01)
    child = WebChild(None, section())
    with capture_logs() as logs:
        child.start()
        await lines_of(tmp_path / "starts", 4)
        await child.stop()
    waits = [log["again_in"] for log in logs if log["event"] == "web.ended"]
    assert waits[:3] == [0.01, 0.02, 0.04]


@pytest.mark.asyncio
async def test_a_mistake_in_the_settings_is_not_tried_again(monkeypatch):
    """Exit status 2 is a mistake that another start does not mend."""
    scripted(monkeypatch, "raise SystemExit(2)")
    child = WebChild(None, section())
    with capture_logs() as logs:
        child.start()
        async with asyncio.timeout(SECONDS):
            await asyncio.shield(child._keeping)
    assert [log["event"] for log in logs] == ["web.refused"]
    await child.stop()


@pytest.mark.asyncio
async def test_a_child_that_will_not_leave_is_made_to(tmp_path, monkeypatch):
    """A child is asked, told, and ended; nothing of it is left when the daemon goes on."""
    pid = tmp_path / "pid"
    scripted(
        monkeypatch,
        f"import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)",
    )
    monkeypatch.setattr(web_children, "_LEAVE_SECONDS", 0.2)
    child = WebChild(None, section())
    child.start()
    (number,) = await lines_of(pid, 1)
    await child.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


@pytest.mark.asyncio
async def test_what_systemd_tells_the_daemon_is_not_the_childs(tmp_path, monkeypatch):
    """The child cannot answer for the daemon: it is not told where to."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    scripted(monkeypatch, f"import os; open({str(tmp_path / 'env')!r}, 'w').write(' '.join(os.environ)); input()")
    child = WebChild(None, section())
    child.start()
    names = await lines_of(tmp_path / "env", 1)
    await child.stop()
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(names)


@pytest.mark.asyncio
async def test_no_child_is_started_where_nobody_wants_one(monkeypatch):
    """With web.enabled = false the daemon starts nothing."""
    scripted(monkeypatch, "raise AssertionError")
    child = WebChild(None, section(enabled=False))
    child.start()
    assert child._keeping is None
    await child.stop()


def test_the_daemon_starts_it_and_takes_it_along(world):
    """`flywheel run` has its dashboard; a daemon that is killed, not stopped, leaves none behind."""
    env = {**os.environ, "FLYWHEEL_WEB__ENABLED": "true"}
    command = [sys.executable, "-m", "flywheel", "run", "--config", str(world.home / "flywheel.toml")]
    daemon = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
    try:
        told = (json.loads(line) for line in daemon.stderr if line.startswith("{"))
        url = next(one["url"] for one in told if one.get("event") == "web.listening_started")
        assert "daemon running" in fetched(url)
        daemon.kill()
        rest = daemon.stderr.read()  # ends when the child has let go of it, too
        assert "web.stopped" in rest
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stderr.close()
