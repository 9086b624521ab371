"""`flywheel train LINE --check` and `flywheel adapters export`: what people and programs are told."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fixtures.tiny import conversations, tasks, write_rows
from typer.testing import CliRunner

from flywheel.cli.main import app
from flywheel.core.clocks import ManualClock
from flywheel.core.errors import FlywheelError
from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest, Split
from flywheel.core.ids import content_hash
from flywheel.core.training import AdapterManifest
from flywheel.daemon.places import shipped
from flywheel.proc.files import file_hash, write_json
from flywheel.store.datasets import record_dataset
from flywheel.store.ledger import append
from flywheel.store.runs import record_adapter
from flywheel.store.stores import Store, open_store, sqlite_url
from flywheel.train.adapters import FILES, is_whole

LINE = "tool-calling"


class World:
    """A home with a line, a base, a frozen dataset and a published adapter."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.store = open_store(sqlite_url(self.home / "flywheel.db"))
        self.config = folder / "flywheel.toml"
        self.write_config(base)

    def write_config(self, base: Path, more: str = "") -> None:
        """Write the settings; the server is one that nobody runs."""
        python = os.environ.get("FLYWHEEL_TRAIN_PYTHON", "/nowhere/python")
        self.config.write_text(
            f'home = "{self.home}"\nlines = ["{LINE}"]\npolicies = "{shipped("policies")}"\n'
            f'train_python = "{python}"\n{more}\n[bases.main]\npath = "{base}"\nserved_as = "main"\n'
            '[[servers]]\nurl = "http://127.0.0.1:9"\nmax_lora_rank = 64\n'
        )

    def freeze(self, *, long: bool = False) -> None:
        """Freeze a dataset of eight rows; with `long`, one of them is too long for any line."""
        rows = conversations(tasks(8, seed=5))
        if long:
            rows[2]["messages"][0]["content"] = "x " * 5000
        folder = self.home / "datasets" / "d1"
        folder.mkdir(parents=True)
        write_rows(folder / "train.jsonl", rows)
        splits = {"train": Split(rows=8, sha256=file_hash(folder / "train.jsonl"))}
        now = ManualClock().now()
        manifest = DatasetManifest(hash="d1", line=LINE, number=1, parent=None, splits=splits, examples=8, fresh=8,
                                   replayed=0, created_at=now)  # fmt: skip
        with self.store.write() as session:
            seq = append(session, Event(kind="curate.dataset_frozen", at=now, line=LINE, subject="d1"))
            record_dataset(session, manifest, 1, seq)

    def publish(self, *, private: bool = False) -> str:
        """Publish an adapter of made-up bytes; return its name."""
        folder = self.home / "adapters" / LINE / "1"
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).write_text(name)
        files = {name: file_hash(folder / name) for name in FILES}
        manifest = AdapterManifest(hash=content_hash(files), line=LINE, number=1, run="run-1", dataset="d1",
                                   base_name="main", base_fingerprint="f", rank=4, target_modules=("q_proj",),
                                   files=files, private=private)  # fmt: skip
        write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
        with self.store.write() as session:
            record_adapter(session, manifest, str(folder), 1)
        return manifest.name

    def say(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command line; return exit code, output, and the error's line."""
        done = CliRunner().invoke(app, [*arguments, "--config", str(self.config)], standalone_mode=False)
        if isinstance(done.exception, FlywheelError):
            return done.exception.exit_code, done.stdout, str(done.exception)
        assert done.exception is None, done.exception
        return int(done.return_value or 0), done.stdout, done.stderr


@pytest.fixture
def world(tmp_path: Path) -> Any:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    made = World(tmp_path, base)
    yield made
    store: Store = made.store
    store.close()


@pytest.mark.train
def test_a_check_tells_what_would_stop_the_next_run(world: World, tiny_base: Path) -> None:
    """Counted here and now, in words and as one JSON document; a second look counts nothing again."""
    world.write_config(tiny_base)
    world.freeze(long=True)
    status, told, _ = world.say("train", LINE, "--check", "--json")
    found = json.loads(told)
    assert (status, found["may_start"]) == (1, False)
    errors = {one["name"]: one["sentence"] for one in found["findings"] if one["level"] == "error"}
    assert errors.keys() == {"rows.too-long", "rows.beyond-base"}
    assert "1 of 8 rows of train.jsonl" in errors["rows.too-long"]
    assert found["numbers"]["rows"]["train"]["max"] > 5000
    facts = next(world.home.glob("runs/preflight-run-*/out/facts.json"))
    before = facts.stat().st_mtime_ns
    status, told, _ = world.say("train", LINE, "--check")
    assert (status, facts.stat().st_mtime_ns) == (1, before)
    assert "error rows.too-long" in told
    assert "the run may not start" in told
    world.write_config(tiny_base, '[preflight]\nobserve = ["rows.too-long", "rows.beyond-base"]')
    status, told, _ = world.say("train", LINE, "--check")
    assert status == 0
    assert "warning rows.too-long" in told


def test_a_line_without_a_run_to_start_says_so(world: World) -> None:
    """One line each: no dataset, no such line, no such finding to observe."""
    status, _, error = world.say("train", LINE, "--check")
    assert (status, "has no run that waits to start" in error) == (1, True)
    status, _, error = world.say("train", "tool-caling", "--check")
    assert (status, "is not a line of the settings" in error) == (2, True)
    world.write_config(world.home, '[preflight]\nobserve = ["rows.to-long"]')
    status, _, error = world.say("train", LINE, "--check")
    assert (status, "did you mean 'rows.too-long'?" in error) == (2, True)


def test_an_adapter_is_exported_as_it_is(world: World, tmp_path: Path) -> None:
    """The copy is whole; the JSON names the files; a second time nothing is written over."""
    name = world.publish()
    status, told, _ = world.say("adapters", "export", name, "--out", str(tmp_path / "out"), "--json")
    assert (status, is_whole(tmp_path / "out")) == (0, True)
    assert json.loads(told)["files"].keys() == {*FILES, "manifest.json"}
    status, _, error = world.say("adapters", "export", name, "--out", str(tmp_path / "out"))
    assert (status, "is there already" in error) == (1, True)


def test_what_learned_from_no_known_licence_stays(world: World, tmp_path: Path) -> None:
    """It is refused with the reason; a person may take it for themselves, and the copy says what it is."""
    name, out = world.publish(private=True), tmp_path / "out"
    status, _, error = world.say("adapters", "export", name, "--out", str(out))
    assert (status, out.exists()) == (2, False)
    assert "under no known licence" in error
    assert "--private" in error
    status, _, _ = world.say("adapters", "export", name, "--out", str(out), "--private")
    assert (status, is_whole(out)) == (0, True)
    assert json.loads((out / "manifest.json").read_bytes())["private"] is True


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("nobody@1", "--out", "x"), 2, "there is no adapter 'nobody@1'"),
        ((f"{LINE}@1", "--to", "gguff", "--out", "x"), 2, "choose from adapter, merged, gguf, ollama"),
        ((f"{LINE}@1", "--type", "q4", "--out", "x"), 2, "there is no type 'q4'"),
        ((f"{LINE}@1",), 2, "add --out DIR"),
        ((f"{LINE}@1", "--to", "merged", "--out", "x"), 1, ""),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, word: str
) -> None:
    """Each mistake with its mend, and nothing appears."""
    monkeypatch.chdir(tmp_path)
    world.publish()
    found, _, error = world.say("adapters", "export", *arguments)
    assert found == status
    assert word in error
    assert not (tmp_path / "x").exists()
