"""How the problems of the shipped Python suite are told: a reference function with its wording, group and cases.

The modules `functions_*.py` and `programs_*.py` here hold the problems; `build_starters.py` makes the suite of them. The
references never ship.
"""

import copy
import inspect
import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Function:
    """One problem about a function: the reference's docstring is the wording, its cases are the tests."""

    category: str
    group: str
    reference: Callable[..., Any]
    cases: tuple[tuple[Any, ...], ...]

    @property
    def name(self) -> str:
        """The name of the function to write."""
        return self.reference.__name__

    @property
    def code(self) -> str:
        """The reference as an answer would hold it."""
        source = textwrap.dedent(inspect.getsource(self.reference))
        begun = "from typing import Any\n\n\n" if "Any" in source else ""
        return begun + source[source.index("\ndef ") + 1 :]

    @property
    def tests(self) -> list[dict[str, Any]]:
        """Each case with what the reference returns, as JSON holds it."""
        returned = [self.reference(*copy.deepcopy(case)) for case in self.cases]
        return [
            json.loads(json.dumps({"args": case, "returns": value}))
            for case, value in zip(self.cases, returned, strict=True)
        ]

    @property
    def question(self) -> str:
        """What is asked: signature, wording, and the first case as an example."""
        first = ", ".join(repr(one) for one in self.cases[0])
        signature = str(inspect.signature(self.reference)).replace("typing.", "")
        shown = repr(self.reference(*copy.deepcopy(self.cases[0])))
        return (
            f"Write a Python function `{self.name}{signature}`.\n\n"
            f"{inspect.getdoc(self.reference)}\n\nExample: `{self.name}({first})` returns `{shown}`."
        )


@dataclass(frozen=True)
class Script:
    """One problem about a whole program: what it reads and prints."""

    category: str
    group: str
    name: str
    wording: str
    code: str
    inputs: tuple[str, ...]
    tolerance: float | None = None


FUNCTIONS: list[Function] = []
SCRIPTS: list[Script] = []


def family(category: str) -> Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """Return the decorator of a category: `@problem(group, case, case, ...)`."""

    def problem(group: str, *cases: tuple[Any, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def keep(reference: Callable[..., Any]) -> Callable[..., Any]:
            FUNCTIONS.append(Function(category, f"{category}/{group}", reference, cases))
            return reference

        return keep

    return problem


def script(
    category: str, group: str, name: str, *inputs: str, tolerance: float | None = None
) -> Callable[[str, str], None]:
    """Return what keeps a program's wording and reference code."""

    def keep(wording: str, code: str) -> None:
        told = " ".join(wording.split())
        SCRIPTS.append(
            Script(category, f"{category}/{group}", name, told, textwrap.dedent(code).lstrip(), inputs, tolerance)
        )

    return keep
