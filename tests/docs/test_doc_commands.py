"""Every command in a block of the documents is run, in a world made for it, or says here why it cannot be."""

import re
import shlex

import documents as d
import pytest
from doc_world import World
from fixtures.homes import Home

from flywheel.store.copies import settle
from flywheel.store.stores import open_store, sqlite_url

#: What a line of a block begins with when it is a command.
_PROGRAMS = "flywheel make python python3 pip curl sudo systemctl journalctl opencode tensorboard git apt ollama export"
PROGRAMS = frozenset(_PROGRAMS.split(" "))
#: Why a command is not run here, and what proves it instead.
REASONS = {
    r"make ": "it is how the tests themselves are run",
    r"\S*python3? -m venv |\S*pip install ": "it builds an environment: the new-user trial of tests/acceptance does",
    r".*flywheel env create": "it downloads: tests/proc/test_proc_environments.py builds environments",
    r"flywheel (decisions --follow|status (--live|-w))": "it goes on until it is stopped: tests/cli follow and stop it",
    r"flywheel (run|gateway|web|llama)( --config \S+)?$": "it serves until it is stopped: tests/acceptance start them",
    r"flywheel executor": "it needs a kernel that boxes: tests/sandbox/test_sandbox_command.py runs both",
    r"flywheel demo": "it trains for minutes: tests/acceptance/test_demo.py runs it",
    r"(sudo |systemctl|journalctl|.*flywheel service )": "it changes the machine: tests/systemd boots one for it",
    r"flywheel reports open": "it opens a browser: tests/cli/test_cli_reports.py looks at what it would open",
    r"flywheel (gate|adapters check) ./my-adapter": "it needs a real adapter: tests/acceptance/test_gate_command.py",
    r"flywheel adapters export": "it needs the train environment: tests/cli/test_cli_exports.py has it",
    r"flywheel bootstrap import": "it needs a dataset: tests/bootstrap/test_bootstrap_import_commands.py makes some",
    r"flywheel suites import": "it needs a file of another project: tests/cli/test_cli_suites.py makes one",
    r"flywheel notify test": "it needs somebody to tell: tests/daemon/test_daemon_notifications.py has a webhook",
    r"export ": "it is the shell's own",
    r"tensorboard": "it is another program, and optional",
    r"\w+=.* python -m pytest": "it is how the tests themselves are run",
}
#: What has to be so before a command is typed.
BEFORE = {
    r"flywheel restore /mnt/backups/flywheel$": World.empty,
    r"flywheel restore .* --backup": World.empty,
}
#: Commands that say by their exit status what they found, and may find something in this world.
MAY_FIND = {r"flywheel doctor": {0, 1}, r"flywheel bootstrap teachers --check": {0, 1}}
_FLYWHEEL = re.compile(r"(?:/opt/flywheel/bin/)?flywheel ")


def _commands(document):
    """Yield the commands of a document's blocks, in order; lines that a backslash joins are one."""
    for language in ("", "sh", "bash", "console"):
        for block in d.blocks(document, language):
            lines = [line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip()]
            lines = [_bare(line) for line in lines if not line.startswith("#")]
            if lines and (language or all(_is_command(line) for line in lines)):
                yield from lines


def _bare(line):
    """Return a command without a prompt before it and a comment behind it."""
    return re.sub(r"\s+#\s.*$", "", line.removeprefix("$ "))


def _is_command(line):
    first = re.sub(r"^(\w+=\S+\s+)+", "", line).split()[:1]
    return bool(first) and first[0].rpartition("/")[2] in PROGRAMS


DOCUMENTS = [path for path in d.DOCUMENTS if list(_commands(path.read_text(encoding="utf-8")))]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "flywheel.db"
    open_store(sqlite_url(path)).close()
    settle(path)
    return path


def test_there_are_commands():
    """The test below looks at something."""
    names = {d.name(path) for path in DOCUMENTS}
    assert {"README.md", "docs/backup.md"} <= names


@pytest.mark.parametrize("document", DOCUMENTS, ids=d.name)
def test_every_command_of_a_document_does_what_it_says(document, tmp_path, empty_store, monkeypatch, capsys):
    """Typed in the order of the document, in a home that has been at work, each command ends well."""
    monkeypatch.setattr(Home, "template", empty_store)
    lines = list(_commands(document.read_text(encoding="utf-8")))
    runnable = [line for line in lines if not any(re.match(pattern, line) for pattern in REASONS)]
    world = World(tmp_path) if runnable else None
    for line in runnable:
        assert _FLYWHEEL.match(line), f"nobody runs {line!r}, and REASONS does not say why"
        for pattern, prepare in BEFORE.items():
            if re.match(pattern, line):
                prepare(world)
        status = world.run(line, monkeypatch)
        said = capsys.readouterr()
        well = next((codes for pattern, codes in MAY_FIND.items() if re.match(pattern, line)), {0})
        assert status in well, f"{shlex.split(line)}: {said.out}{said.err}"


@pytest.fixture(scope="module")
def world(tmp_path_factory, empty_store):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Home, "template", empty_store)
        yield World(tmp_path_factory.mktemp("world"))


def _examples():
    """Return the examples of the reference of commands."""
    found = [re.fullmatch(r"`(flywheel .*)`", cells[-1]) for cells in d.rows(d.text("docs/commands.md"))]
    return [row[1] for row in found if row]


@pytest.mark.parametrize("line", [one for one in _examples() if not any(re.match(why, one) for why in REASONS)])
def test_every_example_of_the_reference_does_what_it_says(line, world, monkeypatch, capsys):
    """Each command's example in docs/commands.md, typed in that home, ends well."""
    world.live()
    status = world.run(line, monkeypatch)
    said = capsys.readouterr()
    well = next((codes for pattern, codes in MAY_FIND.items() if re.match(pattern, line)), {0})
    assert status in well, f"{said.out}{said.err}"


def test_every_reason_is_needed():
    """A reason that no command needs any more is taken away."""
    everything = [line for path in d.DOCUMENTS for line in _commands(path.read_text(encoding="utf-8"))]
    everything += _examples()
    assert [pattern for pattern in REASONS if not any(re.match(pattern, line) for line in everything)] == []
