"""A kill at any moment leaves the old, the new, or nothing: never half."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel.core.ids import bytes_hash
from flywheel.proc.files import file_hash, publish_folder, write_file, write_json


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The folder is made, the newest content is there with its mode, and nothing else lies about."""
    path = tmp_path / "a" / "b" / "c.txt"
    write_file(path, b"one")
    write_file(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert mode(path) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["c.txt"]


def test_json_has_one_form(tmp_path: Path) -> None:
    """Sorted, readable, as UTF-8, with an end of line."""
    write_json(tmp_path / "x.json", {"b": 1, "a": "ü"})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": "ü",\n  "b": 1\n}\n'


def test_a_files_hash_is_its_bytes(tmp_path: Path) -> None:
    """Large files are read in pieces, with the same result."""
    data = b"0123456789" * 300_000
    (tmp_path / "x").write_bytes(data)
    assert file_hash(tmp_path / "x") == bytes_hash([data])


def test_a_folder_is_published_whole_and_readable(tmp_path: Path) -> None:
    """Nothing is seen before the end; then everything, open to the model server's user."""
    target = tmp_path / "adapters" / "l" / "1-abc"
    with publish_folder(target) as folder:
        (folder / "deep").mkdir(mode=0o700)
        write_file(folder / "deep" / "x", b"x", mode=0o600)
        (folder / "y").write_text("y")
        assert not target.exists()
    assert {p.relative_to(target).as_posix() for p in target.rglob("*")} == {"deep", "deep/x", "y"}
    assert [mode(p) for p in (target, target / "deep", target / "deep" / "x")] == [0o755, 0o755, 0o644]
    assert [p.name for p in target.parent.iterdir()] == ["1-abc"]


def test_what_was_published_first_stays(tmp_path: Path) -> None:
    """Publishing again changes nothing and leaves nothing behind."""
    target = tmp_path / "1-abc"
    for text in ("first", "second"):
        with publish_folder(target) as folder:
            (folder / "x").write_text(text)
    assert (target / "x").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["1-abc"]


def test_a_folder_that_was_not_finished_is_not_published(tmp_path: Path) -> None:
    """A fault while filling leaves no target, and the next try begins with an empty folder."""
    target = tmp_path / "1-abc"
    with pytest.raises(RuntimeError), publish_folder(target) as folder:  # noqa: PT012 - the block is what is undone
        (folder / "half").write_text("x")
        raise RuntimeError
    assert not target.exists()
    with publish_folder(target) as folder:
        assert list(folder.iterdir()) == []
        (folder / "whole").write_text("x")
    assert [p.name for p in target.iterdir()] == ["whole"]


KILLER = """
import json, os, random, signal, sys, time
from pathlib import Path
from flywheel.proc.files import publish_folder, write_file

home, rounds = Path(sys.argv[1]), int(sys.argv[2])

def work():
    number = 0
    while True:
        number += 1
        write_file(home / "file", str(number % 10).encode() * 50_000)
        with publish_folder(home / f"folder-{os.getpid()}-{number}") as folder:
            for name in "abc":
                (folder / name).write_bytes(str(number % 10).encode() * 20_000)

seen = {"files": 0, "folders": 0, "torn": [], "signs": 0}
random.seed(7)
for _ in range(rounds):
    child = os.fork()
    if child == 0:
        work()
    time.sleep(random.random() * 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen["signs"] += any(path.name.startswith(".") for path in home.iterdir())
    if (home / "file").exists():
        data = (home / "file").read_bytes()
        seen["files"] += 1
        if len(data) != 50_000 or len(set(data)) != 1:
            seen["torn"].append("file")
for folder in home.glob("folder-*"):
    seen["folders"] += 1
    parts = [path.read_bytes() for path in sorted(folder.iterdir())]
    if [len(part) for part in parts] != [20_000] * 3 or len(set(b"".join(parts))) != 1:
        seen["torn"].append(folder.name)
print(json.dumps(seen))
"""


def test_thirty_kills_tear_nothing(tmp_path: Path) -> None:
    """A writer is killed at random moments; every file and folder that is there is whole."""
    found = subprocess.run([sys.executable, "-c", KILLER, str(tmp_path), "30"], capture_output=True, check=True)
    seen = json.loads(found.stdout)
    assert seen["torn"] == []
    assert seen["files"] > 10, "the writer never came to write"
    assert seen["folders"] > 3
    assert seen["signs"] > 0, "no kill hit the middle of anything"
