"""One error tree, and its shape is a promise: callers decide by type whether to try again."""

import inspect
from typing import Any

import pytest

from flywheel.core import errors

TREE = {
    "FlywheelError": "Exception",
    "MisuseError": "FlywheelError",
    "SettingsError": "MisuseError",
    "PermanentError": "FlywheelError",
    "CorruptError": "PermanentError",
    "ConflictError": "PermanentError",
    "TemporaryError": "FlywheelError",
    "UnavailableError": "TemporaryError",
    "ResourceError": "TemporaryError",
}
CLASSES: list[Any] = [found for _, found in inspect.getmembers(errors, inspect.isclass)]


def test_the_tree_is_pinned() -> None:
    """Names and parents are exactly these."""
    assert {found.__name__: found.__bases__[0].__name__ for found in CLASSES} == TREE


def test_the_docstring_draws_the_tree() -> None:
    """Every error stands in the drawing at the top of the module."""
    assert all(name in (errors.__doc__ or "") for name in TREE)


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_is_one_line_with_its_mend(kind: type[errors.FlywheelError]) -> None:
    """What a person reads says what is wrong and, where one is known, what to do."""
    assert str(kind("it broke")) == "it broke"
    assert str(kind("it broke", "mend it")) == "it broke — mend it"


@pytest.mark.parametrize("kind", CLASSES)
def test_misuse_ends_with_two_and_the_rest_with_one(kind: type[errors.FlywheelError]) -> None:
    """The exit code follows from the type."""
    assert kind("x").exit_code == (2 if issubclass(kind, errors.MisuseError) else 1)


def test_only_temporary_errors_say_when_to_try_again() -> None:
    """A delay belongs to what may pass by itself."""
    assert errors.ResourceError("x", delay=30).delay == 30
    assert [kind.__name__ for kind in CLASSES if hasattr(kind("x"), "delay")] == [
        "ResourceError", "TemporaryError", "UnavailableError",
    ]  # fmt: skip
