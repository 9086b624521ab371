"""Takes off the shelf what is to teach no more: a repo, a session, an import, a whole recipe.

What is forgotten leaves the teachers' book, too. What is withdrawn can be made again: its marks go with it.
"""

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

Takes = Callable[[str, Making], bool]


def withdraw(home: Path, scope: Scope) -> int:
    """Withdraw what is of a repo or a session, and return how many examples that were; an example has no name here."""
    takes = _taken(scope)
    gone = 0
    if takes and (home / _SHELF).exists():
        with Shelf(home / _SHELF) as shelf:
            gone = _withdraw(shelf, takes)
            if scope.kind == "repo":
                shelf.forget_marks(f"poor/{scope.name}")  # the words of commits that wait for better ones
    if scope.kind == "repo" and (home / _TEACHERS).exists():
        with closing(TeacherBook(home / _TEACHERS)) as book:
            book.forget(scope.name)
    return gone


def withdraw_made(home: Path, name: str) -> int:
    """Withdraw what was made under a name (`import/apps`, `mine/OWNER/REPO`, `teach`), and return how many examples."""
    if not (home / _SHELF).exists():
        return 0
    with Shelf(home / _SHELF) as shelf:
        gone = _withdraw(shelf, lambda task, _: f"{task}/".startswith(f"{name}/"))
        shelf.forget_marks(name)
        if name.startswith("mine"):
            shelf.forget_marks(f"poor{name.removeprefix('mine')}")
    return gone


def _taken(scope: Scope) -> Takes | None:
    if scope.kind == "repo":
        return lambda _, making: making.group == scope.name
    return (lambda _, making: making.session == scope.name) if scope.kind == "session" else None


def _withdraw(shelf: Shelf, takes: Takes) -> int:
    behind, gone = "", 0
    while page := shelf.tasks_behind(behind, _PAGE):
        behind = page[-1][0]
        left = {task: [one for one in makings if not takes(task, one)] for task, makings in page}
        fewer = {task: left[task] for task, makings in page if len(left[task]) < len(makings)}
        gone += sum(len(makings) - len(left[task]) for task, makings in page)
        shelf.put(fewer)
    return gone
