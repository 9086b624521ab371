"""The answers of a measurement, appended as they come: a kill at any moment loses at most those still under way."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from flywheel.gate.evidence import Answer
from flywheel.gate.line_logs import LineLog, whole_lines

ANSWERS = "answers.jsonl"


class AnswerLog(LineLog):
    """One file of answers, each kept once."""

    def __init__(self, path: Path) -> None:
        """Open the file and know what was answered before."""
        super().__init__(path)
        found = (_answer(line) for _, line in self.lines())
        self.answers = {answer.key: answer for answer in found if answer is not None}

    def append(self, answer: Answer) -> None:
        """Keep an answer; the second answer to a question is not kept."""
        if answer.key in self.answers:
            return
        self.write(answer.model_dump_json(exclude_defaults=True).encode())
        self.answers[answer.key] = answer


def read_answers(path: Path) -> Iterator[Answer]:
    """Yield the answers of another measurement, whose file is left as it is."""
    return (answer for line in whole_lines(path) if (answer := _answer(line)) is not None)


def _answer(line: bytes) -> Answer | None:
    try:
        return Answer.model_validate_json(line)
    except ValidationError:
        return None
