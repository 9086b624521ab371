"""Every command tells how it is typed: help, an example that can be typed, and `--json` where there is an answer."""

import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from flywheel.cli.main import COMMANDS, app
from flywheel.cli.nouns import WAYS
from flywheel.store.listings import NOUNS

#: They go on until they are told to stop; what they say is their log, which is JSON where nobody looks.
PROCESSES = {"flywheel run", "flywheel gateway", "flywheel llama"}
ROOT = get_command(app)


def walk(command: Any, path: str) -> Any:
    """Yield every command that does something, with how it is typed."""
    children = getattr(command, "commands", None)
    if children is None or (" " in path and command.invoke_without_command):
        yield path, command
    for name, child in (children or {}).items():
        yield from walk(child, f"{path} {name}")


ALL = dict(walk(ROOT, "flywheel"))
every_command = pytest.mark.parametrize("path", ALL)


@every_command
def test_every_command_says_what_it_does_in_a_sentence(path: str) -> None:
    """The help is a sentence, and so is that of every argument and option."""
    command = ALL[path]
    assert re.match(r"[A-Z].*[.:]", (command.help or "").strip(), re.DOTALL), path
    silent = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert silent == [], path


@every_command
def test_every_command_has_an_example_that_can_be_typed(path: str) -> None:
    """The example is of this very command, and its arguments and options are ones that it takes."""
    command = ALL[path]
    assert (command.epilog or "").startswith(f"Example: {path}"), path
    words = shlex.split(command.epilog.removeprefix("Example: ").removeprefix(path))
    with command.make_context(path, words):
        pass


@every_command
def test_every_command_answers_programs_too(path: str) -> None:
    """Whatever answers does so as JSON; a process that goes on until it is told to stop does not answer."""
    options = {name for parameter in ALL[path].params for name in parameter.opts}
    assert ("--json" in options) != (path in PROCESSES), path


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_commands_say(name: str) -> None:
    """The list is told without importing the commands, so its words are held to theirs."""
    told = " ".join((ROOT.commands[name].help or "").split())
    assert told.startswith(COMMANDS[name].help), told


def test_every_noun_has_its_commands() -> None:
    """What can be listed can be typed."""
    assert WAYS.keys() == NOUNS.keys()


def test_the_help_is_shown(typed: Any) -> None:
    """The first page names every command; a command's page ends with its example; a slip is answered with the word."""
    first = typed("--help")
    assert first.status == 0
    assert all(re.search(rf"\b{name}\b", first.out) for name in COMMANDS)
    assert "Example: flywheel status --live" in " ".join(typed("status", "-h").out.split())
    typed("statsu").refused(2, "No such command 'statsu'", "'status'")
