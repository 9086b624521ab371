"""The boundaries between one durable change and the next: where a kill would hurt most.

Everything that changes something announces the moment before and after. In service nobody
listens; the tests put a listener here that kills the process, once at every boundary.
"""

from collections.abc import Callable

Listener = Callable[[str], None]


class Steps:
    """Names each boundary by what is being done and how many changes it has made so far."""

    def __init__(self, listener: Listener | None = None) -> None:
        """Tell `listener` about every boundary."""
        self._listener = listener
        self._scope = "outside"
        self._count = 0

    def enter(self, scope: str) -> None:
        """Begin something: its boundaries are counted from one."""
        self._scope = scope
        self._count = 0
        self.reached("begin")

    def leave(self) -> None:
        """End it."""
        self.reached("end")
        self._scope = "outside"
        self._count = 0

    def wrote(self, moment: str) -> None:
        """Pass the moment before or after a transaction."""
        self._count += moment == "before"
        self.reached(f"{moment} write {self._count}")

    def reached(self, moment: str) -> None:
        """Pass a boundary."""
        if self._listener is not None:
            self._listener(f"{self._scope}: {moment}")
