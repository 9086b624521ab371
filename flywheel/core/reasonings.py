"""Whether an answer shows its reasoning: a thought, or a marked section, with words in it. Pure.

It says what the trainer says (`jobs/answer_sections.py`), which shares no code with the daemon: what is frozen for a
technique that learns reasoning is never turned down there.
"""

import re

_MARK = re.compile(r"\[(?:REASONING|PLAN)\]")
#: Some templates open the thought in the prompt, so an answer may begin inside one.
_THOUGHT = re.compile(r"(?:<think>|\A(?=(?:(?!<think>).)*</think>))(?P<body>.*?)</think>", re.DOTALL)
#: What ends a section: an end mark, another mark, or code.
_END = re.compile(
    r"\[(?:REASONING|PLAN)\]|\[/[A-Z]+\]|^\[[A-Z]+\][ \t]*$"
    r"|<edit\b|<tool_call>|<function=|^```|^diff --git |^--- |^\*\*\* Begin Patch",
    re.MULTILINE,
)


def shows_reasoning(answer: str) -> bool:
    """Tell whether an answer shows its reasoning."""
    thoughts = [(found.span(), found["body"]) for found in _THOUGHT.finditer(answer)]
    if any(body.strip() for _, body in thoughts):
        return True
    marks = [mark for mark in _MARK.finditer(answer) if not any(s <= mark.start() < e for (s, e), _ in thoughts)]
    return any(_body(answer, mark.end()).strip() for mark in marks)


def _body(answer: str, start: int) -> str:
    end = _END.search(answer, start)
    return answer[start : end.start() if end else len(answer)]
