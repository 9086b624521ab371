"""Commands that are imported when they are typed: who asks for the status does not wait for what trains.

The help of a group is told from its table alone; a test holds the table's words to the commands' own.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

_HOUSE = "flywheel.cli"


class Late(NamedTuple):
    """A command, or a group of them, that is not imported yet: one sentence of help, and what makes it."""

    help: str
    make: Callable[[str], Any]


def late(place: str, help_: str, example: str) -> Late:
    """Return the command of a function, as in `statuses:status`."""

    def make(name: str) -> Any:
        one = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        one.command(name, epilog=f"Example: {example}")(found(place))
        return get_command(one)

    return Late(help_, make)


def late_app(place: str, help_: str) -> Late:
    """Return the group of an app that stands at a place, or of one that a function there makes."""

    def make(name: str) -> Any:
        app = found(place)
        return group_of(app if isinstance(app, typer.Typer) else app(name), name)

    return Late(help_, make)


def found(place: str) -> Any:
    """Return what stands at `module:name` below the command line."""
    module, _, name = place.partition(":")
    module = f"{_HOUSE}.{module}"
    if module not in sys.modules:
        with unswept():
            import_module(module)
    return getattr(sys.modules[module], name)


@contextmanager
def unswept() -> Iterator[None]:
    """Look for no garbage meanwhile, nor in it later: what is imported stays, and looking costs a tenth of a start."""
    sweeps = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if sweeps:
            gc.enable()


def group_of(app: typer.Typer, name: str) -> Any:
    """Return an app as the group of that name."""
    group = get_group(app)
    group.name = name
    return group


def late_group(table: Mapping[str, Late]) -> type[TyperGroup]:
    """Return the class of a group that has these commands beside the ones it is given."""

    class LateGroup(TyperGroup):
        def __init__(self, **values: Any) -> None:
            super().__init__(**values)
            self.commands = LateCommands(self.commands, table)

        def format_help(self, ctx: Any, formatter: Any) -> None:
            with self._listing():
                super().format_help(ctx, formatter)

        def shell_complete(self, ctx: Any, incomplete: str) -> Any:
            with self._listing():
                return super().shell_complete(ctx, incomplete)

        def _listing(self) -> "_Listing":
            assert isinstance(self.commands, LateCommands)
            return _Listing(self.commands)

    return LateGroup


class LateCommands(MutableMapping[str, Any]):
    """Commands by name; one that is not imported yet is, as soon as it is asked for."""

    def __init__(self, made: Mapping[str, Any], table: Mapping[str, Late]) -> None:
        """Hold what is made, and the table of what can be."""
        self._made = dict(made)
        self._table = {name: one for name, one in table.items() if name not in made}
        self.listing = False

    def __getitem__(self, name: str) -> Any:
        """Return a command; while they are listed only its name and its help."""
        if name not in self._made:
            one = self._table[name]
            if self.listing:
                return TyperCommand(name, help=one.help)
            self._made[name] = one.make(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Put a command under its name."""
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        """Forget a command."""
        self._made.pop(name, None)
        self._table.pop(name, None)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a command, without importing it."""
        return name in self._made or name in self._table

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of the table, those that were given first at the end."""
        yield from self._table
        yield from (name for name in self._made if name not in self._table)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._table.keys() | self._made.keys())


class _Listing:
    def __init__(self, commands: LateCommands) -> None:
        self._commands = commands

    def __enter__(self) -> None:
        self._commands.listing = True

    def __exit__(self, *_: object) -> None:
        self._commands.listing = False
