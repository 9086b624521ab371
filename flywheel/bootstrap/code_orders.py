"""Orders for real code in languages that are scarce: implement it, fix it, refactor it. Pure.

The code is real and is the answer. A teacher writes what somebody would have ordered, and what would have stood there
before: nothing, the function with one fault, or a clumsier one. What it writes has to parse in the real file, to keep
the function's head and to give nothing away; then a judge has to find that the code is what was ordered.
"""

import difflib
import re
from typing import Annotated, Literal

from pydantic import StringConstraints

from flywheel.bootstrap.formed_answers import Score, Scores, Sentence
from flywheel.bootstrap.outlines import outline
from flywheel.bootstrap.real_codes import RealCode
from flywheel.core.edits import EditError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.written_edits import edits_between, render_edits

Kind = Literal["implement", "fix", "refactor"]

NO_EDIT = "the change cannot be told as edits"
NOT_PARSED = "what it puts in the code's place does not parse"
OTHER_HEAD = "what it puts in the code's place has another head"
UNCHANGED = "what it puts in the code's place is the code"
TOO_FAR = "what it puts in the code's place is another function"
GIVEN_AWAY = "the order quotes the answer"
MARKED = "a comment tells what is wrong"

LARGEST_SHOWN = 12_000  # characters of a file that is shown with its fault
_LEAST_ALIKE = {"fix": 0.5, "refactor": 0.1}
_TELLING_LINE = 24  # a shorter line stands everywhere
_TELLS = re.compile(r"(?i)\b(?:bug(?:gy)?|fixme|todo|broken|wrong(?:ly)?|incorrect(?:ly)?|faulty?|mistake)\b")


class Order(Frozen):
    """What the teacher writes of code that is to be made."""

    task: Sentence


class Altered(Frozen):
    """What the teacher writes of code that is to be changed, with the code as it was before."""

    task: Sentence
    start: Annotated[str, StringConstraints(min_length=1, max_length=16_000)]


class OrderScores(Scores):
    """What the judge says of an order and the code that answers it."""

    done: Score
    clear: Score
    natural: Score


def kind_of(code: RealCode) -> Kind:
    """Return what is ordered of a function: the same each time, a third of each kind where the file can be shown."""
    if len(code.text) > LARGEST_SHOWN:
        return "implement"
    kinds: tuple[Kind, ...] = ("implement", "fix", "refactor")
    return kinds[int(content_hash([code.repo.name, code.path, code.code])[:8], 16) % len(kinds)]


def reject(code: RealCode, task: str, start: str | None, kind: Kind) -> str:
    """Return why an order is not believed; nothing when a judge may see it."""
    if quotes(task, code):
        return GIVEN_AWAY
    return "" if start is None else _reject_start(code, start, kind)


def quotes(task: str, code: RealCode) -> bool:
    """Tell whether an order holds a line of the function's body, so that it need only be copied."""
    told = _fold(task)
    head = _fold(code.symbol.signature)
    body = (_fold(line) for line in code.alone.split("\n"))
    return any(len(line) >= _TELLING_LINE and line in told and line not in head for line in body)


def _reject_start(code: RealCode, start: str, kind: Kind) -> str:
    if start.split() == code.code.split():
        return UNCHANGED
    before, was = outline(code.path, code.with_other(start)), outline(code.path, code.text)
    if before is None or was is None:
        return NOT_PARSED
    heads = [(one.name, one.signature) for one in before.symbols]
    if heads != [(one.name, one.signature) for one in was.symbols]:
        return OTHER_HEAD
    if len(_TELLS.findall(start)) > len(_TELLS.findall(code.code)):
        return MARKED
    alike = difflib.SequenceMatcher(None, start.split(), code.code.split(), autojunk=False).ratio()
    return TOO_FAR if alike < _LEAST_ALIKE[kind] else ""


def asked_and_answered(code: RealCode, task: str, start: str | None) -> tuple[str, str] | None:
    """Return the question and its answer; None where the change cannot be told as edits.

    An answer in edits makes the real file of the one that is shown, byte for byte.
    """
    if start is None:
        asked = f"Task: {task}\n\nFile: {code.path}\n{code.symbol.signature}\n\nWrite `{code.symbol.name}`."
        return asked, f"```{code.language}\n{code.alone}\n```"
    before = code.with_other(start)
    try:
        answer = render_edits(edits_between(code.path, before, code.text))
    except EditError:
        return None
    return f'Task: {task}\n\n<file path="{code.path}">\n{before}\n</file>\n\nAnswer with edits.', answer


def _fold(text: str) -> str:
    return " ".join(text.split())
