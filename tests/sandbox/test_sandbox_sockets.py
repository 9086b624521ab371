"""The sockets that services listen at, and the executor's word to systemd."""

import asyncio
import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from flywheel.core.errors import ConflictError, SettingsError
from flywheel.sandbox import run as lives
from flywheel.sandbox.sockets import Place, unix_listener


def listening(path, group):
    """Listen as the executor does."""
    return unix_listener(Place(path, group, "an executor", "executor.socket", "executor.group"))


class Heard:
    """A supervisor that keeps what it is told."""

    def __init__(self):
        self.words: list[str] = []

    def alive(self):
        """Keep it."""
        self.words.append("alive")


def test_a_socket_is_its_owners_alone_and_leaves_with_us(tmp_path):
    """Mode 0600 from the first moment; removed at the end."""
    path = tmp_path / "deep" / "executor.sock"
    with listening(path, None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_group_may_talk_to_it(tmp_path):
    """A named group may read and write; one that is not there is said."""
    path = tmp_path / "executor.sock"
    names = {entry.gr_gid: entry.gr_name for entry in grp.getgrall()}
    name = names.get(os.getgid()) or pytest.skip("the group of this process has no name")
    with listening(path, name):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.group() == name
    with pytest.raises(SettingsError, match="no group nobody-here"), listening(path, "nobody-here"):
        pass


def test_a_dead_socket_is_taken_over_and_a_living_one_is_not(tmp_path):
    """What a killed executor left is no hindrance; a living executor is."""
    path = tmp_path / "executor.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with listening(path, None), pytest.raises(ConflictError, match="listens"), listening(path, None):
        pass
    assert not path.exists()


def test_anothers_file_is_not_removed(tmp_path):
    """Only our own socket is removed at the end, not one that was put in its place."""
    path = tmp_path / "executor.sock"
    with listening(path, None):
        (tmp_path / "other").write_text("x")
        (tmp_path / "other").rename(path)
    assert path.read_text() == "x"


def test_a_path_that_is_no_address_is_said():
    """The kernel's bound on a socket's name is said before it is met."""
    with pytest.raises(SettingsError, match="107"), listening(Path("/tmp") / ("x" * 120), None):
        pass


@pytest.mark.asyncio
async def test_the_beat_says_that_the_loop_turns():
    """A sign of life comes as often as asked, and none where nobody asked."""
    heard = Heard()
    beating = asyncio.create_task(lives._beat(heard, 0.01))
    async with asyncio.timeout(20):
        while len(heard.words) < 3:  # noqa: ASYNC110 - the beat has no other end
            await asyncio.sleep(0.01)
    beating.cancel()
    await lives._beat(heard, None)
