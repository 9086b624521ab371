"""A question that a line is to be good at: from the shelf, or from a file. Pure."""

from typing import Any, Self

from pydantic import Field

from flywheel.bootstrap.line_makings import Held
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.makings import UNKNOWN_LICENCE
from flywheel.core.outcomes import Message

_KEY = 24  # characters of a hash: of a hundred million questions no two share them


class Prompt(Frozen):
    """One question with what is known of it; `tests` are in the shape of a suite's problem.

    `origin` is the task of the shelf that it is from, `subject` the repo, dataset or file that it is about.
    """

    messages: tuple[Message, ...]
    call_type: str
    group: str
    subject: str = ""
    session: str = ""
    tags: tuple[str, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    licence: str = UNKNOWN_LICENCE
    tests: dict[str, Any] | None = None
    origin: str = ""
    about: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, held: Held) -> Self:
        """Return the question of a making."""
        making = held.making
        tests = making.about.get("tests")
        return cls(
            messages=making.messages,
            call_type=making.call_type,
            group=making.group,
            subject=str(making.about.get("repo") or making.about.get("dataset") or making.group),
            session=making.session,
            tags=making.tags,
            tools=making.tools,
            licence=making.licence,
            tests=tests if isinstance(tests, dict) else None,
            origin=held.task,
            about=making.about,
        )

    @property
    def key(self) -> str:
        """Return its name: the same words with the same tools have the same one."""
        words = [[one.role, one.content] for one in self.messages]
        return content_hash([words, list(self.tools)])[:_KEY]

    @property
    def digest(self) -> str:
        """Return what changes with anything of it."""
        return content_hash(self.model_dump(mode="json"))
