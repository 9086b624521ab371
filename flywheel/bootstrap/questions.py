"""What a teacher is asked and what came of it. Pure.

The key of a question is the hash of the whole request as its teacher gets it: the same key is asked once, ever.
"""

import hashlib
import json
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from flywheel.bootstrap.teachers import Role, Teacher
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message

Problem = Literal["no_teacher", "over_budget", "secret", "refused", "unavailable", "malformed", "stopped"]
Ended = Literal["stop", "length", "other"]

# What a server may put around the words: marks of roles, a system text of its own. A token holds at least one byte.
_TOKENS_AROUND = 256
_TOKENS_A_MESSAGE = 16


class Question(Frozen):
    """One request to the teacher who has a role.

    Another `take` is another answer to the same words; `subject` says what it is about, for forgetting; `tag` is for
    whoever asks. Neither of these two is part of the request.
    """

    role: Role
    messages: tuple[Message, ...] = Field(min_length=1)
    max_tokens: int = Field(default=1024, ge=1, le=10**6)
    temperature: float = Field(default=0.3, ge=0, le=2)
    as_json: bool = False
    take: int = Field(default=0, ge=0)
    subject: str = ""
    tag: str = ""


class Answer(Frozen):
    """What a teacher said, once and for all; `cost` is in picos, `at` when it was said first."""

    teacher: str
    model: str
    at: datetime
    text: str
    reasoning: str = ""
    ended: Ended = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: int = 0


class Reply(Frozen):
    """What came of a question: an answer, or the reason there is none."""

    question: Question
    answer: Answer | None = None
    problem: Problem | None = None
    note: str = ""
    cached: bool = False


def request_of(teacher: Teacher, question: Question) -> dict[str, Any]:
    """Return the body that a teacher gets."""
    form = {"response_format": {"type": "json_object"}} if question.as_json else {}
    return {
        **teacher.body,
        **form,
        "model": teacher.model,
        "messages": [{"role": one.role, "content": one.content} for one in question.messages],
        "temperature": question.temperature,
        teacher.limit_field: question.max_tokens,
    }


def key_of(teacher: Teacher, question: Question) -> str:
    """Return the name under which the answer is kept: of the teacher, the request and the take."""
    whole = [teacher.name, request_of(teacher, question), question.take]
    return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def prompt_bytes(question: Question) -> int:
    """Return how long the words are."""
    return sum(len(one.content.encode("utf-8", "surrogatepass")) for one in question.messages)


def bound_of(teacher: Teacher, question: Question) -> int:
    """Return what the answer costs at most, in picos: no tokenizer makes more tokens of a text than it has bytes."""
    prompt = prompt_bytes(question) + _TOKENS_A_MESSAGE * len(question.messages) + _TOKENS_AROUND
    return teacher.cost(prompt, question.max_tokens)
