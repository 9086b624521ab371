"""What was mined says exactly what git says: every edit example makes the new file of the old one, byte for byte."""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from odd_histories import OddHistory

from flywheel.bootstrap.chunk_miners import NO_TEXT, NO_WORDS, NOTHING, Order, Way, mine_chunk
from flywheel.bootstrap.histories import commit_names
from flywheel.bootstrap.repos import look_at
from flywheel.core.edits import apply_edits, parse_edits

COMMITS, A_CHUNK, A_FEW = 330, 66, 3


def ask(clone: Path, *arguments: str, given: str) -> bytes:
    argv = ["git", "-C", str(clone), *arguments]
    return subprocess.run(argv, input=given.encode(), capture_output=True, check=True).stdout


def files_of(clone: Path, commits: Sequence[str]) -> dict[str, list[str]]:
    """Return the files that each commit changed, as git tells it without any code of ours."""
    told = ask(clone, "diff-tree", "--stdin", "-r", "-z", "--root", "--name-only", given="\n".join(commits) + "\n")
    found: dict[str, list[str]] = {}
    for field in told.decode().split("\0")[:-1]:
        if field in commits:
            files = found.setdefault(field, [])
        else:
            files.append(field)
    return found


def blobs(clone: Path, names: Sequence[str]) -> dict[str, bytes | None]:
    """Return what git has under these names of commit and path."""
    told, at = ask(clone, "cat-file", "--batch", "-z", given="\0".join([*names, ""])), 0
    found: dict[str, bytes | None] = {}
    for name in names:
        head = told[at : told.index(b"\n", at)]
        at += len(head) + 1
        if not head.endswith(b"missing"):
            size = int(head.split()[-1])
            found[name], at = told[at : at + size], at + size + 1
    return found


@settings(max_examples=1, phases=[Phase.generate])  # a seed cannot be made simpler
@given(seed=st.integers(0, 10**6))
def test_every_edit_makes_the_new_file_of_the_old_one(seed):
    """Over 330 commits: odd line breaks, no end, other bytes, moves, links, modes, modules, long lines, empty files."""
    with tempfile.TemporaryDirectory() as folder:
        clone = OddHistory(Path(folder, "clone"), seed).grow(COMMITS)
        repo = look_at(clone)
        counts: Counter[str] = Counter()
        answers: dict[str, str] = {}
        names = list(commit_names(clone, repo.head))
        for start in range(0, len(names), A_CHUNK):
            chunk = mine_chunk(Order(repo, Way(own=True), tuple(names[start : start + A_CHUNK])))
            counts.update(chunk.counts)
            for task, makings in chunk.tasks.items():
                told = [making.response for making in makings if making.call_type == "execute_implement"]
                answers.update((task.rpartition("/")[2], answer) for answer in told)
        prove(clone, answers)
    assert sum(counts.values()) == COMMITS
    assert len(answers) > COMMITS / 3
    assert min(counts["kept"], counts[NO_TEXT], counts[NO_WORDS], counts[NOTHING]) > A_FEW, counts


def prove(clone: Path, answers: dict[str, str]) -> None:
    """Apply each answer to the files as git had them before, and compare all that the commit changed with git."""
    files = files_of(clone, list(answers))
    names = [f"{side}:{file}" for commit in answers for file in files[commit] for side in (f"{commit}^", commit)]
    held = blobs(clone, names)
    for commit, answer in answers.items():
        edits = parse_edits(answer)
        assert {edit.file for edit in edits} <= set(files[commit])
        before = {file: held[f"{commit}^:{file}"].decode() for file in files[commit] if f"{commit}^:{file}" in held}
        after = apply_edits(before, edits)
        for file in files[commit]:
            assert after[file].encode() == held[f"{commit}:{file}"], (commit, file)
