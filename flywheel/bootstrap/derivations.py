"""A commit told as examples, one for each thing an agent has to do. Pure but for reading the tree it was made on."""

from collections.abc import Sequence

from flywheel.bootstrap.commit_messages import subject_of
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.core.edits import Edit, EditError
from flywheel.core.makings import Making
from flywheel.core.outcomes import Message, Signal
from flywheel.core.written_edits import edits_between, render_edits

#: A person thought it good, and the project took it: more than a guess, less than a test.
KEPT = Signal(name="commit_kept", points=1, strength=0.8, note="the project took the change")


def derive(commit: MinedCommit) -> list[Making]:
    """Return what a commit teaches; nothing when none of it can be told."""
    return [making for making in (_implement(commit),) if making is not None]


def edits_of(changes: Sequence[FileChange]) -> list[Edit] | None:
    """Return edits that make the new tree of the old one, byte for byte; None where edits cannot say it.

    A file that is deleted or moved is nothing that an edit can say.
    """
    if any(
        change.after is None or (change.before is not None and change.old_path != change.new_path) for change in changes
    ):
        return None
    try:
        return [edit for change in changes for edit in edits_between(change.path, change.before, change.after or "")]
    except EditError:
        return None


def _implement(commit: MinedCommit) -> Making | None:
    """Return the change itself: the files as they were and the order, answered by the edits."""
    edits = edits_of(commit.changes)
    if not edits:
        return None
    try:
        answer = render_edits(edits)
    except EditError:
        return None
    files = "\n\n".join(
        f'<file path="{change.path}">\n{change.before}\n</file>'
        for change in commit.changes
        if change.before is not None
    )
    return _making(commit, "execute_implement", f"{subject_of(commit.message)}\n\n{files}".strip(), answer)


def _making(commit: MinedCommit, call_type: str, asked: str, answer: str) -> Making:
    return Making(
        key=call_type,
        recipe="mine",
        origin="synthetic",
        group=commit.repo,
        call_type=call_type,
        at=commit.at,
        model="git",
        messages=(Message(role="user", content=asked),),
        response=answer,
        signals=(KEPT,),
        session=f"{commit.repo}@{commit.hash[:12]}",
        chain=f"mine/{commit.repo}/{commit.hash}/{call_type}",
        licence=commit.licence,
        about={"repo": commit.repo, "commit": commit.hash, **({} if commit.own else {"foreign": True})},
    )
