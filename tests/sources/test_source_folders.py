"""Watched folders: a small cursor, a cheap glance, and nothing that is missed."""

import json
import os
import shutil
import time

import pytest

from flywheel.sources import folders
from flywheel.sources.folders import Found, WatchedFolder
from flywheel.sources.problems import SourceProblemError


def wanted(name):
    """Files that count."""
    return name.endswith(".jsonl")


class Follower:
    """A reader that reads files one after the other, and may forget everything but its cursor."""

    def __init__(self, root, depth=1):
        self.root, self.depth, self.now = root, depth, 0.0
        self.cursor = {}
        self.restart()

    def restart(self):
        """Begin anew, as after a kill; the cursor has been through the store."""
        self.folder = WatchedFolder(self.root, wanted, self.depth, lambda: self.now)
        self.cursor = json.loads(json.dumps(self.cursor))

    def read(self, most=10_000):
        """The names of the next files."""
        found = self.folder.news(self.cursor)
        done = [Found(file.name, folders.state_of((self.root / file.name).stat())) for file in found[:most]]
        self.cursor = self.folder.forward(self.cursor, found, done)
        return [file.name for file in done]


def write(root, name, text="{}\n"):
    """Write or append to a file."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)
    return path


def test_what_is_new_grown_moved_or_replaced_is_found_once(tmp_path):
    """Each change comes out once, over restarts; other names and deeper folders do not."""
    root = tmp_path / "root"
    root.mkdir()
    follower = Follower(root)
    for name in ("a.jsonl", "p/b.jsonl", "p/q/deep.jsonl", "c.txt"):
        write(root, name)
    assert follower.read() == ["a.jsonl", "p/b.jsonl"]
    assert (follower.read(), follower.folder.changed()) == ([], False)
    old = write(tmp_path, "old.jsonl")
    os.utime(old, (1, 1))
    for change in (
        lambda: write(root, "a.jsonl"),
        lambda: shutil.move(old, root / "p" / "moved.jsonl"),
        lambda: write(tmp_path, "new.jsonl").replace(root / "a.jsonl"),
        lambda: (root / "p" / "b.jsonl").write_text(""),
    ):
        time.sleep(0.02)
        change()
        assert follower.folder.changed()
        assert len(follower.read()) == 1
        follower.restart()
        assert follower.folder.changed()  # nothing was looked at yet
        assert follower.read() == []


def test_what_was_found_is_told_until_it_was_read(tmp_path):
    """The daemon asks whether anything changed, and the room asks again: the second answer is that of the first."""
    follower = Follower(tmp_path)
    write(tmp_path, "a.jsonl")
    assert follower.read() == ["a.jsonl"]
    write(tmp_path, "b.jsonl")
    time.sleep(0.1)  # the folder's own time stamp is settled
    assert [follower.folder.changed() for _ in range(3)] == [True] * 3
    assert follower.read() == ["b.jsonl"]
    assert [follower.folder.changed() for _ in range(2)] == [False] * 2


def test_a_file_older_than_the_newest_is_found_by_a_walk(tmp_path, monkeypatch):
    """Growth of an old file is seen within a minute; a glance alone does not look at it."""
    monkeypatch.setattr(folders, "RECENT_FILES", 2)
    follower = Follower(tmp_path)
    for number in range(6):
        write(tmp_path, f"{number}.jsonl")
        time.sleep(0.01)
    assert len(follower.read()) == 6
    assert len(follower.cursor["recent"]) == 2
    time.sleep(0.1)  # the folder's own time stamp is settled
    follower.now = 61
    assert not follower.folder.changed()
    write(tmp_path, "0.jsonl")
    assert not follower.folder.changed()
    follower.now = 130
    assert follower.folder.changed()
    assert follower.read() == ["0.jsonl"]


def test_reading_in_parts_and_restarting_in_between_loses_nothing(tmp_path, monkeypatch):
    """However a long list is cut, and wherever the reader dies, each file is read, and the cursor stays small."""
    monkeypatch.setattr(folders, "RECENT_FILES", 5)
    names = {write(tmp_path, f"{number}.jsonl").name for number in range(50)}
    follower = Follower(tmp_path)
    found = []
    for part in range(20):
        found += follower.read(3)
        if part % 3 == 0:
            follower.restart()
            write(tmp_path, "0.jsonl")
    assert set(found) == names
    assert len(json.dumps(follower.cursor)) < 1000


def test_a_glance_costs_the_same_at_any_size(tmp_path):
    """Whether something changed is asked of folders and newest files only: a thousand old ones cost nothing."""

    def cost(number):
        root = tmp_path / str(number)
        for name in range(number):
            write(root, f"{name}.jsonl")
        follower = Follower(root)
        follower.read()
        time.sleep(0.1)
        follower.now = 1
        assert not follower.folder.changed()
        begun = time.perf_counter()
        for _ in range(20):
            assert not follower.folder.changed()
        return time.perf_counter() - begun

    small, large = cost(150), cost(3000)
    assert large < 5 * small


def test_links_loops_and_closed_folders_hold_nobody(tmp_path):
    """Loops of links are not followed, odd names and what cannot be listed are refused by name."""
    root = tmp_path / "root"
    write(root, "a.jsonl")
    (root / "loop").symlink_to(root)
    (root / "self.jsonl").symlink_to(root / "self.jsonl")
    (root / "linked.jsonl").symlink_to(write(tmp_path, "elsewhere"))
    with open(os.fsencode(root) + b"/\xff.jsonl", "w") as file:  # noqa: PTH123 - a path of bytes
        file.write("{}\n")
    follower = Follower(root, depth=3)
    assert sorted(follower.read()) == ["a.jsonl", "linked.jsonl"]
    assert [refusal.rule for refusal in follower.folder.refusals()] == ["not-utf8"]
    (tmp_path / "x").symlink_to(tmp_path / "x")
    with pytest.raises(SourceProblemError, match="cannot be reached"):
        WatchedFolder(tmp_path / "x", wanted).changed()


def test_another_folder_in_its_place_is_read_from_its_beginning(tmp_path):
    """A folder that was replaced is another one, however old its files are."""
    root = tmp_path / "root"
    write(root, "a.jsonl")
    follower = Follower(root)
    follower.read()
    write(tmp_path / "other", "a.jsonl")
    root.rename(tmp_path / "gone")
    with pytest.raises(SourceProblemError, match="no such folder"):
        follower.folder.changed()
    (tmp_path / "other").rename(root)
    assert follower.folder.changed()
    assert follower.read() == ["a.jsonl"]
