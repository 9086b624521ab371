"""Right is: the same choice among those offered, however much was said around it."""

import re
from collections.abc import Sequence
from typing import Any

from flywheel.core.thoughts import after_thoughts
from flywheel.gate.metrics.scores import Expectation, Score

_WORD = r"yes|no|true|false|not\s+relevant|irrelevant|relevant"
_MARK = rf"(?P<choice>(?:{_WORD})\b|[A-Za-z](?![A-Za-z'\u2019])|\d{{1,2}}(?![\w.]\w))"
_ORNAMENTS = str.maketrans("", "", "*_`$")
_BOXED = re.compile(r"\\boxed\{\s{0,3}(?:\\text\{)?\s{0,3}" + _MARK, re.IGNORECASE)
_TAGGED = re.compile(r"<answer>\s*[(\[\"']?" + _MARK, re.IGNORECASE)
_ALONE = re.compile(r"[\s(\[{\"'<]*(?:(?:option|choice)\s+)?" + _MARK + r"[\s)\]}\"'>.:,;!]*", re.IGNORECASE)
#: A letter behind "the answer is" may be an article: "a mistake". It is a choice when it is large or set apart.
_STATED = re.compile(
    r"(?i:answer|choice|option|verdict|decision|pick|choose)(?i:\s{1,3}is|\s{1,3}would\s{1,3}be)?"
    r"[\s\"'\u201c\u201d]{0,4}[:=]?[\s\"'\u201c\u201d(\[]{0,6}(?i:(?:option|choice)\s{1,3})?"
    rf"(?P<choice>(?i:{_WORD})\b|[B-HJ-Z](?![A-Za-z'\u2019])|[AI](?![A-Za-z'\u2019]|\s+[a-z])"
    r"|[a-z](?=[)\]\"'.])|\d{1,2}(?![\w.]\w))"
)
_LEADS = re.compile(
    r"\s*(?:[(\[]?(?P<choice>[A-Za-z]|\d{1,2})(?:[)\].:]|\s+[-\u2013\u2014])(?:\s|$)" + rf"|(?P<word>{_WORD})\b)",
    re.IGNORECASE,
)
_STANDING = re.compile(r"(?<![\w'\u2019.])(?:[B-HJ-Z]|[AI](?!\s+[a-z]))(?![\w'\u2019])")


class ChoiceMetric:
    """Scores 1 when the choice is the expected one; an answer without a choice is unusable."""

    name = "choice"

    def expect(self, answer: str) -> Expectation | None:
        """Return the choice of a held-out answer; None when it makes none."""
        made = choice_of(answer)
        return Expectation(made, format="choice") if made else None

    def score(self, expected: Any, text: str, native: Sequence[Any] = ()) -> Score:  # noqa: ARG002 - text decides
        """Compare two choices."""
        if not text.strip():
            return Score(0.0, "the answer is empty", unusable=True)
        made, wanted = choice_of(text), _canonical(str(expected))
        if made == wanted or _canonical(text) == wanted:
            return Score(1.0, format="choice")
        if not made:
            return Score(0.0, "no choice was found", unusable=True)
        return Score(0.0, f"chose {made}, expected {wanted}", "choice")


def choice_of(text: str) -> str:
    """Return what was chosen: a large letter, a number, or a word as yes and no; empty when nothing was."""
    said = after_thoughts(text)
    for pattern in (_BOXED, _TAGGED):
        if found := list(pattern.finditer(said)):
            return _canonical(found[-1]["choice"])
    plain = said.translate(_ORNAMENTS).strip()
    if alone := _ALONE.fullmatch(plain):
        return _canonical(alone["choice"])
    if stated := list(_STATED.finditer(plain)):
        return _canonical(stated[-1]["choice"])
    if leads := _LEADS.match(plain):
        return _canonical(leads["choice"] or leads["word"])
    letters = set(_STANDING.findall(plain))
    return letters.pop() if len(letters) == 1 else ""


def _canonical(choice: str) -> str:
    bare = " ".join(choice.split())
    if len(bare) == 1:
        return bare.upper()
    return bare.lower().replace("not relevant", "irrelevant")
