"""What the command line says to bad input: one line, the right exit code, the mend, never a traceback."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_house import Said

from flywheel.cli.main import app
from flywheel.core.events import Event
from flywheel.core.examples import DatasetManifest
from flywheel.core.training import AdapterManifest
from flywheel.core.verdicts import Report, Verdict
from flywheel.daemon.places import shipped
from flywheel.store import tables as t
from flywheel.store.ledger import append
from flywheel.store.listings import NOUNS
from flywheel.store.stores import open_store, sqlite_url

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TYPES = {str: "same", int: 1, float: 0.5, bool: False, datetime: NOON}

ADAPTER = AdapterManifest(hash="h", line="l", number=1, run="r", dataset="d", base_name="b", base_fingerprint="f",
                          rank=1, target_modules=(), files={})  # fmt: skip
DATASET = DatasetManifest(hash="h", line="l", number=1, parent=None, splits={}, examples=0, fresh=0, replayed=0,
                          created_at=NOON)  # fmt: skip
REPORT = Report(adapter="h", suite="s", gate="g", verdict=Verdict.FAIL, sentence="fail", checks=(), alpha_spent=0.01)

READING = (
    ("status",), ("decisions",), ("sources", "list"), *((noun, "list") for noun in NOUNS),
    ("examples", "superseded"), ("examples", "pairs"),
)  # fmt: skip
NEEDS_STORE = (
    *READING, ("explain", "x"), ("train", "x"), ("adapters", "promote", "x@1"), ("adapters", "approve", "x@1"),
    ("adapters", "rollback", "x@1"), ("adapters", "retire", "x@1"), *((noun, "show", "x") for noun in NOUNS),
    ("datasets", "export", "x", "x", "--to", "messages"), ("forget", "--session", "x", "--dry-run"),
    ("runs", "cancel", "x"), ("reports", "compare", "x@1"), ("adapters", "fuse", "x@1", "--as", "x"),
    ("adapters", "check", "x", "--base", "x"), ("adapters", "export", "x@1", "--to", "adapter", "--out", "x"),
    ("reports", "open", "x"), ("reports", "journal", "x"), ("suites", "adopt", "x", "--line", "x"),
    ("suites", "rotate", "x"), ("adapters", "prune", "--dry-run"), ("adapters", "compare", "x@1", "x@2"),
    ("pause", "x"), ("resume", "x"), ("notify", "list"), ("datasets", "freeze", "x"), ("backup", "x"), ("verify",),
    ("gc", "--dry-run"), ("policy", "replay", "--policies", "x"),
)  # fmt: skip
NEEDS_SETTINGS = (
    *NEEDS_STORE, ("policy", "check"), ("policy", "explain", "x"), ("gate", "x@1"),
    ("suites", "import", "x", "x", "--line", "x"),
    ("gateway", "key", "add", "x"), ("gateway", "key", "list"), ("gateway", "key", "remove", "x"),
    ("emit", "vllm"), ("emit", "opencode"), ("emit", "overrides"), ("emit", "units"),
    ("notify", "test"), ("policy", "diff", "x"), ("restore", "x"), ("web", "--where"),
    ("bootstrap", "status"), ("bootstrap", "teachers"), ("bootstrap", "teach", "x"),
    ("bootstrap", "import", "x", "x"), ("bootstrap", "withdraw", "x"), ("bootstrap", "mine", "x"),
)  # fmt: skip
PROCESSES = (("run",), ("cycle",), ("cycle", "--dry-run"), ("gateway",), ("executor",), ("sources", "ingest", "--once"),
             ("llama",))  # fmt: skip


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine's user reach a test."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in [name for name in os.environ if name.startswith("FLYWHEEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def say(typed: Any) -> Any:
    """Run a command in this process; each says itself with which settings."""
    return typed


def spawn(*arguments: str | Path) -> Said:
    """Run a command as a process of its own; for those that set up logs or signals."""
    argv = [sys.executable, "-m", "flywheel", *map(str, arguments)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return Said(ended.returncode, ended.stdout, ended.stderr)


class House:
    """A home with settings; its store is made when asked for."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.config = folder / "flywheel.toml"
        self.home.mkdir()
        self.write("")

    def write(self, text: str) -> Path:
        """Write the settings."""
        self.config.write_text(f'home = "{self.home}"\n{text}')
        return self.config

    def make_store(self) -> None:
        """Make an empty store."""
        open_store(sqlite_url(self.home / "flywheel.db")).close()

    def fill(self) -> None:
        """Put two rows of every noun there, whose names begin alike, and two events."""
        with open_store(sqlite_url(self.home / "flywheel.db")) as store, store.write() as session:
            for noun in NOUNS.values():
                for number in (1, 2):
                    session.add(noun.table(**_values(noun.table, noun.key, number)))
            for number in (1, 2):
                append(session, Event(kind="train.run_started", at=NOON, line="l", subject=f"same-{number}"))

    def bytes(self) -> dict[str, str]:
        """What lies below the home, by hash."""
        files = (path for path in sorted(self.home.rglob("*")) if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _values(table: Any, key: str, number: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in table.model_fields.items():
        if field.is_required() and field.annotation in TYPES:
            values[name] = TYPES[field.annotation]
    values.update({name: f"{name}-{number}" for name in ("line", "run", "adapter", "row") if name in values})
    values.update({name: number for name in ("number",) if name in values})
    if table is t.AdapterRow:
        values["body"] = ADAPTER.model_dump(mode="json")
    if table is t.DatasetRow:
        values["body"] = DATASET.model_dump(mode="json")
    if table is t.ReportRow:
        values["body"] = REPORT.model_dump(mode="json")
    if table is t.ReleaseRow:
        values["state"] = "registered"
    return {**values, key: f"same-{number}"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A home with settings and no store."""
    return House(tmp_path)


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of the program."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield (*path, name)


# ── settings ────────────────────────────────────────────────────────────────


def test_the_list_of_commands_here_is_whole() -> None:
    """A new command is added to these tests."""
    given = {
        "x",
        "x@1",
        "x@2",
        "--dry-run",
        "--once",
        "--to",
        "messages",
        "--session",
        "--as",
        "--base",
        "--out",
        "--line",
        "adapter",
        "--policies",
        "--where",
    }
    known = {tuple(word for word in one if word not in given)
             for one in (*NEEDS_SETTINGS, *PROCESSES)}  # fmt: skip
    alone = {("demo",), ("env", "create"), ("env", "list"), ("sources", "probe"), ("datasets", "validate"), ("init",),
             ("doctor",), ("emit", "alerts"), ("emit", "grafana"), ("service", "install"), ("service", "status"),
             ("service", "uninstall"), ("service", "upgrade"), ("bootstrap", "score"),
             ("bootstrap", "lintseq"), ("bootstrap", "datasets")}  # fmt: skip
    assert set(commands()) == known | alone


@pytest.mark.parametrize("command", NEEDS_SETTINGS, ids=" ".join)
def test_a_settings_file_that_is_not_there_is_named(say: Any, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Every command that reads settings says which file is missing and how to name another."""
    missing = tmp_path / "nowhere.toml"
    say(*command, "--config", missing).refused(2, f"there is no settings file {missing}", "--config")


@pytest.mark.parametrize("command", PROCESSES, ids=" ".join)
def test_the_processes_name_a_missing_settings_file(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The daemon, a cycle and the gateway do the same."""
    missing = tmp_path / "nowhere.toml"
    spawn(*command, "--config", missing).refused(2, f"there is no settings file {missing}")


@pytest.mark.parametrize("command", NEEDS_STORE, ids=" ".join)
def test_without_settings_and_store_a_reader_says_what_to_start(say: Any, command: tuple[str, ...]) -> None:
    """With no settings at all the usual places count; a store that was never made is said, not made."""
    home = Path(os.environ["HOME"]) / ".local/share/flywheel"
    say(*command).refused(2, f"there is no store at {home / 'flywheel.db'}", "`flywheel run`")
    assert not home.exists()


MALFORMED = {
    "not TOML": ("lines = [", ("is not valid TOML", "mend that line")),
    "unknown key": ('lnes = ["a"]', ("unknown setting 'lnes'", "did you mean 'lines'?")),
    "unknown key in a section": ("[gateway]\nprot = 3", ("unknown setting 'gateway.prot'", "did you mean 'port'?")),
    "wrong type": ('[gateway]\nport = "x"', ("gateway.port: ", "docs/settings.md")),
    "out of range": ("[daemon]\nnice = 40", ("daemon.nice: ", "less than or equal to 19")),
    "a source without a path": ('[[sources]]\nname = "a"', ("sources.0.path: Field required",)),
    "a source with a relative path": ('[[sources]]\nname = "a"\npath = "b"', ("0.path: a source's path is absolute",)),
    "a source twice": (
        '[[sources]]\nname = "a"\npath = "/b"\n[[sources]]\nname = "a"\npath = "/c"',
        ("two sources have the same name",),
    ),
    "a server that is no address": ('[[servers]]\nurl = "garbage"', ("servers.0.url: ", "http://127.0.0.1:8000")),
    "a server with a path": ('[[servers]]\nurl = "http://127.0.0.1:1/v1"', ("servers.0.url: ", "without /v1")),
    "no server": ("servers = []", ("servers: ", "at least 1")),
    "an idle window of words": ('[daemon]\nidle_window = "at night"', ("daemon.idle_window: ",)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_settings_are_one_line(say: Any, house: House, name: str) -> None:
    """Each says where it is wrong, and the nearest right word where there is one."""
    text, words = MALFORMED[name]
    say("status", "--config", house.write(text)).refused(2, *words)


def test_malformed_variables_are_one_line(say: Any, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read with the same care as the file."""
    monkeypatch.setenv("FLYWHEEL_SERVERS", "not json")
    say("status", "--config", house.config).refused(2, "the environment: ", "JSON")


def test_bytes_and_folders_are_no_settings(say: Any, house: House) -> None:
    """A file that is not text, and a folder, are said to be so."""
    house.config.write_bytes(b"\xff\xfe\x00")
    say("status", "--config", house.config).refused(2, "cannot be read", "UTF-8")
    say("status", "--config", house.home).refused(2, "cannot be read", "directory")


WRONG_AT_START = {
    "a line that no policy declares": ('lines = ["zzz"]', ("line 'zzz'", "lines declared: build-python, ")),
    "a base that is not there": ('lines = ["tool-calling"]', ("base 'main'", "[bases.main]")),
    "policies that are not there": ('policies = "/nowhere"', ("/nowhere: there is no such policies folder",)),
    "a cron line that is none": ('[daemon]\nfull_look = "soon"', ("'soon' is not a cron line",)),
    "a window that is none": ('[daemon]\nidle_window = "29:00-99:00"', ("is not a window", "22:00-06:00")),
    "a store that is no URL": ('store = "garbage"', ("`store` is no URL",)),
}


@pytest.mark.parametrize("name", WRONG_AT_START)
def test_the_daemon_refuses_to_start_on_what_cannot_be(house: House, name: str) -> None:
    """Exit code 2 and one line, before anything was done."""
    text, words = WRONG_AT_START[name]
    spawn("run", "--config", house.write(text)).refused(2, *words)


def test_the_gateway_refuses_to_listen_to_the_world(house: House) -> None:
    """Without a key it may only be reached from this machine."""
    spawn("gateway", "--config", house.write('[gateway]\nhost = "0.0.0.0"')).refused(2, "this machine only")


def test_the_gateway_names_a_model_name_it_cannot_use(house: House) -> None:
    """A base or line whose name no request could carry is one line."""
    text = '[bases.tiny]\npath = "/b"\nserved_as = "a\\u0001b"'
    spawn("gateway", "--config", house.write(text)).refused(2, "the gateway cannot use base_model")


@pytest.mark.parametrize("command", [("status",), ("cycle",)], ids=" ".join)
def test_a_store_that_is_none_is_said(house: House, command: tuple[str, ...]) -> None:
    """A file that is no database is left as it is."""
    (house.home / "flywheel.db").write_bytes(b"this is no database " * 100)
    before = (house.home / "flywheel.db").read_bytes()
    spawn(*command, "--config", house.config).refused(1, "the store is damaged", "restore a backup")
    assert (house.home / "flywheel.db").read_bytes() == before


# ── misuse ──────────────────────────────────────────────────────────────────

MISUSED = {
    "nonsense": ("No such command 'nonsense'", "`flywheel --help`"),
    "outcomes lst": ("No such command 'lst'", "'list'", "`flywheel outcomes --help`"),
    "outcomes show": ("Missing argument", "`flywheel outcomes show --help`"),
    "outcomes list --limit 0": ("--limit", "greater than or equal to 1"),
    "cycle --dryrun": ("--dry-run",),
    "status --config": ("--config",),
    "env create nope": ("no environment 'nope'", "core, train, serve"),
    "env create core --cpu --cuda": ("exclude each other",),
    "adapters promote bad": ("'bad' is not the name of an adapter", "tool-calling@3"),
    "adapters promote x@1 --override": ("an override needs its reason", "--reason"),
    "adapters promote x@1": ("'x' is not a line of the settings",),
    "train x": ("'x' is not a line of the settings",),
    "decisions --kind nope": ("no event is called 'nope'",),
    "decisions --since soon": ("--since 'soon' is not a time", "2026-01-31"),
    "decisions --since 99999999999999d": ("--since", "is not a time"),
    "decisions --since 999999d": ("--since", "is not a time"),
    "decisions --since 2026-13-40": ("--since", "is not a time"),
    "explain nothing": ("nothing is called 'nothing'", "try a number of the ledger, an adapter"),
    "explain 99999999999999999999999": ("nothing is called",),
    "explain #7": ("nothing is called",),
    "policy explain zzz": ("there is no line 'zzz'", "lines: build-python, "),
}


@pytest.mark.parametrize("words", MISUSED)
def test_misuse_is_exit_code_2_and_one_line(say: Any, house: House, words: str) -> None:
    """Whatever is asked wrongly, the answer says what and points to the help or the right word."""
    house.make_store()
    arguments = words.split()
    takes_config = arguments[0] not in {"nonsense", "env"} and "--config" not in arguments and arguments[1:] != ["lst"]
    say(*arguments, *(("--config", house.config) if takes_config else ())).refused(2, *MISUSED[words])


@pytest.mark.parametrize("noun", NOUNS)
def test_names_that_are_unknown_or_begin_several_are_said(say: Any, house: House, noun: str) -> None:
    """Each noun: an unknown name, a beginning of two names, a whole name."""
    house.fill()
    at = ("--config", house.config)
    say(noun, "show", "zz", *at).refused(2, f"nothing among the {noun} is called 'zz'", f"`flywheel {noun} list`")
    say(noun, "show", "%", *at).refused(2, f"nothing among the {noun} is called '%'")
    say(noun, "show", "same", *at).refused(2, f"'same' begins the names of 2 {noun}", "give more")
    assert say(noun, "show", "same-2", *at).status == 0


def test_explain_says_which_names_a_beginning_could_mean(say: Any, house: House) -> None:
    """Both are named."""
    house.fill()
    said = say("explain", "same", "--config", house.config)
    said.refused(2, "'same' begins several names: same-1, same-2", "give more of the name")


def test_a_request_that_nobody_answers_stays_and_is_said(say: Any, house: House) -> None:
    """Without a daemon a request is kept, and the person is told where to look for the answer."""
    house.make_store()
    house.write('lines = ["tool-calling"]\n')
    said = say("train", "tool-calling", "--wait", "0", "--config", house.config)
    assert said.status == 0
    assert "answer yet" in said.out
    assert "`flywheel requests show req-" in said.out
    assert len(json.loads(say("requests", "list", "--json", "--config", house.config).out)) == 1


def test_a_database_that_cannot_be_probed_is_a_failure(say: Any, tmp_path: Path) -> None:
    """Exit code 1, what is wrong and the mend; as JSON it is still one document."""
    say("sources", "probe", tmp_path / "nope.db").refused(1, "is not there", "as soon as it appears")
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at by a reader of pages")
    say("sources", "probe", tmp_path / "text.db").refused(1, "is not an SQLite database", "check the source's path")
    assert json.loads(say("sources", "probe", tmp_path / "text.db", "--json").out)["readable"] is False


# ── reading ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("filled", [False, True], ids=["empty", "filled"])
def test_json_parses_and_is_the_same_each_time(say: Any, house: House, *, filled: bool) -> None:
    """Every reading command gives one JSON document, twice the same, and nothing on standard error."""
    house.make_store()
    if filled:
        house.fill()
    asked = [*READING, *([("explain", "same-1"), *((noun, "show", "same-1") for noun in NOUNS)] if filled else [])]
    for command in (*asked, ("policy", "check"), ("policy", "explain", "tool-calling")):
        first, again = (say(*command, "--json", "--config", house.config) for _ in range(2))
        assert first.status == 0, (command, first)
        assert first.err == "", command
        assert json.loads(first.out) == json.loads(again.out), command
        if command[-1] == "list" and command[0] != "sources":
            assert len(json.loads(first.out)) == (2 if filled else 0), command
    assert isinstance(json.loads(say("env", "list", "--json").out), list)


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_help_shows_an_example_that_names_the_command(say: Any, command: tuple[str, ...]) -> None:
    """Every command's help ends with an example a person can copy."""
    said = say(*command, "--help")
    assert said.status == 0
    assert f"Example: flywheel {' '.join(command)}" in " ".join(said.out.split())


# ── a dry run ───────────────────────────────────────────────────────────────


def test_a_dry_run_leaves_no_trace(house: House) -> None:
    """With a store and without one: not a byte of the home changes, and nothing is left in it."""
    before = house.bytes()
    said = spawn("cycle", "--dry-run", "--config", house.config)
    assert said.status == 0, said
    assert said.out.startswith("dry run: ")
    assert house.bytes() == before == {}
    house.fill()
    before = house.bytes()
    assert spawn("cycle", "--dry-run", "--json", "--config", house.config).status == 0
    assert house.bytes() == before


# ── policies ────────────────────────────────────────────────────────────────

BROKEN = {
    "lines/tool-calling.toml": ("rung", "rang", ("rang", "rung")),
    "guardrails/frozen-base.toml": (
        "base.fingerprint_is_frozen",
        "base.fingerprint_is_frosen",
        ("base.fingerprint_is_frozen",),
    ),
    "gates/tool-calling.toml": ("metric", "metrik", ("metrik", "metric")),
    "rollouts/careful.toml": ("\nshare", "\nshere", ("shere", "share")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_policy_check_names_file_fault_and_nearest_word(say: Any, tmp_path: Path, name: str) -> None:
    """A misspelt word anywhere is found, with the file and the word that was meant."""
    old, new, words = BROKEN[name]
    folder = tmp_path / "policies"
    shutil.copytree(shipped("policies"), folder)
    path = folder / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    said = say("policy", "check", "--policies", folder)
    said.refused(2, "problem(s)", str(folder))
    assert name in said.out
    for word in words:
        assert word in said.out
    as_json = say("policy", "check", "--policies", folder, "--json")
    assert as_json.status == 2
    assert json.loads(as_json.out)["problems"]


@pytest.mark.parametrize("damage", ["missing", "a file", "empty", "not TOML", "not text"])
def test_policy_check_survives_any_folder(say: Any, tmp_path: Path, damage: str) -> None:
    """A folder that is no set of policies is said to be none, in one line."""
    folder = tmp_path / "policies"
    if damage == "a file":
        folder.write_text("")
    elif damage != "missing":
        (folder / "lines").mkdir(parents=True)
    if damage == "not TOML":
        (folder / "lines" / "a.toml").write_text("why = [")
    if damage == "not text":
        (folder / "lines" / "a.toml").write_bytes(b"\xff\xfe")
    said = say("policy", "check", "--policies", folder)
    assert "Traceback" not in said.out + said.err
    if damage == "empty":
        return
    said.refused(2, "problem(s)")
