"""A commit told as examples, one for each thing an agent has to do. Pure but for reading the tree it was made on.

| kind of call | asked | answered |
|---|---|---|
| `task_analysis` | the order and the files there are | what changes, and where |
| `scope` | one file | whether the change touches it, or leans on it |
| `precision` | one symbol | the same |
| `execute_plan` | the order and the files | the parts, those first that others lean on |
| `execute_implement` | the order and the files' words | the edits |
| `execute_function_implement` | the order and a function's head | the function as it became; worse: as it was |
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flywheel.bootstrap.commit_chains import level_of_change
from flywheel.bootstrap.commit_messages import subject_of
from flywheel.bootstrap.dependencies import Tree, dependencies_of
from flywheel.bootstrap.favors import favors_of
from flywheel.bootstrap.mined_commits import FileChange, MinedCommit
from flywheel.bootstrap.outlines import language_of, outline
from flywheel.bootstrap.relevances import Relevance, Surroundings, surroundings_of
from flywheel.core.curricula import curriculum_tag
from flywheel.core.edits import Edit, EditError
from flywheel.core.makings import Making
from flywheel.core.outcomes import Message, Signal
from flywheel.core.written_edits import edits_between, render_edits

#: A person thought it good, and the project took it: more than a guess, less than a test.
KEPT = Signal(name="commit_kept", points=1, strength=0.8, note="the project took the change")
#: What was there before is the worse answer to the question what should be there now; it need not be wrong.
REPLACED = Signal(
    name="replaced_by_commit", points=-1, strength=0.75, note="the project put something else in its place"
)
_LONGEST = 48_000  # characters of files that are shown with one question
_MOST_NAMES = 60
_WEIGHTS: dict[Relevance, float] = {"primary": 1.0, "supporting": 0.5, "rest": 1.0}


def derive(commit: MinedCommit) -> list[Making]:
    """Return what a commit teaches; nothing when its change cannot be told as edits."""
    edits = edits_of(commit.changes)
    if not edits:
        return []
    surroundings = surroundings_of(commit)
    makings = [_implementation(commit, edits)]
    makings += _preferences(commit)
    if surroundings is not None:
        makings += [_analysis(commit, surroundings), _plan(commit)]
        makings += [*_scopes(commit, surroundings), *_precisions(commit, surroundings)]
    return [making for making in makings if making is not None]


def edits_of(changes: Sequence[FileChange]) -> list[Edit]:
    """Return edits that make the new files of the old ones, byte for byte; none where edits cannot say it.

    A file that is deleted or moved is nothing that an edit can say.
    """
    if any(change.after is None or _is_moved(change) for change in changes):
        return []
    try:
        edits = [edit for change in changes for edit in edits_between(change.path, change.before, change.after or "")]
        render_edits(edits)
    except EditError:
        return []
    return edits


def _is_moved(change: FileChange) -> bool:
    return change.before is not None and change.old_path != change.new_path


def _implementation(commit: MinedCommit, edits: Sequence[Edit]) -> Making | None:
    if sum(len(change.before or "") for change in commit.changes) > _LONGEST:
        return None
    shown = "\n\n".join(_shown(change.path, change.before) for change in commit.changes if change.before is not None)
    asked = f"{_order(commit)}\n\n{shown or 'The files are new.'}\n\nAnswer with edits."
    return _making(commit, "execute_implement", asked, render_edits(edits))


def _shown(path: str, text: str) -> str:
    return f'<file path="{path}">\n{text}\n</file>'


def _preferences(commit: MinedCommit) -> Iterator[Making]:
    """Yield both answers to the question for each function that was written anew: they are paired by the question."""
    for favor in favors_of(commit):
        head = f"File: {favor.path}\n{favor.symbol.signature}"
        asked = f"{_order(commit)}\n\n{head}\n\nWrite `{favor.symbol.name}` as it is after the task."
        about = {"improves": list(favor.improves)} if favor.improves else {}
        for key, code, signal in (("after", favor.after, KEPT), ("before", favor.before, REPLACED)):
            making = _making(
                commit, "execute_function_implement", asked, code, f"{favor.path}:{favor.symbol.name}/{key}"
            )
            # No chain: they are no attempts one after the other, but two answers to one question.
            changes = {"signals": (signal,), "chain": "", "about": {**making.about, **about}}
            yield making.model_copy(update=changes)


def _analysis(commit: MinedCommit, found: Surroundings) -> Making:
    names = "\n".join(sorted({one.path for one in found.files})[:_MOST_NAMES])
    changed = [one.path for one in found.files if one.relevance == "primary"]
    symbols = [one.symbol.name for one in found.symbols if one.relevance == "primary"][:6]
    where = f"{_listed(symbols)} in {_listed(changed)}" if symbols else _listed(changed)
    asked = f"{_order(commit)}\n\nFiles:\n{names}\n\nSay in one or two sentences what changes, and where."
    return _making(commit, "task_analysis", asked, f"{_sentence(commit)} This changes {where}.")


def _scopes(commit: MinedCommit, found: Surroundings) -> Iterator[Making]:
    for one in found.files:
        told = outline(one.path, commit.read(one.path) or "")
        holds = ", ".join(symbol.name for symbol in told.symbols[:20]) if told else ""
        file = f"File: {one.path} (language={language_of(one.path)})\nholds: {holds or 'nothing that has a name'}"
        asked = f"{_order(commit)}\n\n{file}\n\nDoes the task concern this file? Answer yes or no."
        yield _making(commit, "scope", asked, _answer(one.relevance), one.path, one.relevance)


def _precisions(commit: MinedCommit, found: Surroundings) -> Iterator[Making]:
    for one in found.symbols:
        symbol = one.symbol
        head = f"Symbol: {symbol.name} ({symbol.kind}) in {one.path}:{symbol.first}-{symbol.last}"
        told = f"{head}\nsig: {symbol.signature}" + (f"\ndoc: {symbol.doc}" if symbol.doc else "")
        asked = f"{_order(commit)}\n\n{told}\n\nDoes the task concern this symbol? Answer yes or no."
        key = f"{one.path}:{symbol.name}:{symbol.first}"
        yield _making(commit, "precision", asked, _answer(one.relevance), key, one.relevance)


def _plan(commit: MinedCommit) -> Making:
    """Return the order of the work: what others import comes before them."""
    changes = {change.path: change for change in commit.changes}
    leans = {path: _imports(change, list(changes)) for path, change in changes.items()}
    number = {path: place for place, path in enumerate(_in_order(leans), 1)}
    parts = [
        {
            "id": f"p{place}",
            "description": f"{'Add' if changes[path].before is None else 'Change'} {path}",
            "affected_files": [path],
            "depends_on": [f"p{number[other]}" for other in leans[path] if number[other] < place],
        }
        for path, place in number.items()
    ]
    why = "What others import is changed before them." if any(leans.values()) else "No part leans on another."
    answer = json.dumps({"task_summary": _sentence(commit), "parts": parts, "rationale": why}, indent=1)
    shown = "\n".join(sorted(changes))
    asked = f"{_order(commit)}\n\nFiles:\n{shown}\n\nAnswer with a plan as JSON: task_summary, parts, rationale."
    return _making(commit, "execute_plan", asked, answer)


def _imports(change: FileChange, paths: Sequence[str]) -> list[str]:
    told = outline(change.path, change.after or "")
    return dependencies_of(change.path, told, Tree(paths)) if told else []


def _in_order(leans: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the files so that each comes behind those it leans on; a circle is broken at its first by name."""
    done: list[str] = []
    left = sorted(leans)
    while left:
        free = [path for path in left if all(other in done for other in leans[path])] or left[:1]
        done += free
        left = [path for path in left if path not in free]
    return done


def _answer(relevance: Relevance) -> str:
    return "no" if relevance == "rest" else "yes"


def _order(commit: MinedCommit) -> str:
    return f"Task: {subject_of(commit.message)}"


def _sentence(commit: MinedCommit) -> str:
    subject = subject_of(commit.message)
    return f"{subject[0].upper()}{subject[1:]}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _making(
    commit: MinedCommit, call_type: str, asked: str, answer: str, key: str = "", relevance: Relevance = "primary"
) -> Making:
    name = f"{call_type}/{key}" if key else call_type
    return Making(
        key=name,
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
        weight=_WEIGHTS[relevance],
        tags=_tags(commit),
        chain=f"mine/{commit.repo}/{commit.hash}/{name}",
        licence=commit.licence,
        line=commit.line,
        about={"repo": commit.repo, "commit": commit.hash, **({} if commit.own else _foreign(commit))},
    )


def _tags(commit: MinedCommit) -> tuple[str, ...]:
    language = language_of(commit.changes[0].path)
    level = curriculum_tag(level_of_change([change.path for change in commit.changes], commit.steps))
    return (*((f"language:{'typescript' if language == 'tsx' else language}",) if language else ()), level)


def _foreign(commit: MinedCommit) -> dict[str, Any]:
    """Return what somebody else's repository is: by this the limits of what is mined are kept."""
    known: dict[str, Any] = {"domain": commit.domain, "organisation": commit.organisation, "lines": commit.lines}
    return {"foreign": True, **{name: told for name, told in known.items() if told}}
