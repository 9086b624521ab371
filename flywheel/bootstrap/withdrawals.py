"""Takes what was made of a repo or in a session off the shelf, and the teachers' answers about it out of their book."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.teacher_books import TeacherBook
from flywheel.core.forgetting import Scope
from flywheel.core.makings import Making

_SHELF = "bootstrap.db"
_TEACHERS = "teachers.db"
_PAGE = 200


def withdraw(home: Path, scope: Scope) -> int:
    """Withdraw what is of a repo or a session, and return how many examples that were; an example has no name here."""
    takes = _taken(scope)
    gone = 0
    if takes and (home / _SHELF).exists():
        with Shelf(home / _SHELF) as shelf:
            gone = _withdraw(shelf, takes)
            if scope.kind == "repo":
                shelf.forget_marks(f"poor/{scope.name}/")  # the words of commits that wait for better ones
    if scope.kind == "repo" and (home / _TEACHERS).exists():
        with closing(TeacherBook(home / _TEACHERS)) as book:
            book.forget(scope.name)
    return gone


def _taken(scope: Scope) -> Callable[[Making], bool] | None:
    if scope.kind == "repo":
        return lambda making: making.group == scope.name
    return (lambda making: making.session == scope.name) if scope.kind == "session" else None


def _withdraw(shelf: Shelf, takes: Callable[[Making], bool]) -> int:
    behind, gone = "", 0
    while page := shelf.tasks_behind(behind, _PAGE):
        behind = page[-1][0]
        left = {task: [one for one in makings if not takes(one)] for task, makings in page if any(map(takes, makings))}
        gone += sum(len(makings) - len(left[task]) for task, makings in page if task in left)
        shelf.put(left)
    return gone
