"""How a line's question is put to a teacher, and the form its answer has to have. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from flywheel.bootstrap.agreements import edited, shown_files
from flywheel.bootstrap.answer_tests import is_code
from flywheel.bootstrap.prompts import Prompt
from flywheel.bootstrap.questions import Question
from flywheel.bootstrap.teachers import Role
from flywheel.core.edits import EditError, parse_edits
from flywheel.core.lines import Line
from flywheel.core.outcomes import Message
from flywheel.core.tool_calls import ToolCall, parse_tool_calls

SHORT, LONG = 1024, 4096  # tokens of an answer: of words, and of code or a plan
_TOOLS = (
    "You may call these tools, each described by its JSON schema:\n{tools}\n"
    'To call one, answer with <tool_call>{{"name": …, "arguments": {{…}}}}</tool_call> and nothing else.'
)


def question_of(line: Line, prompt: Prompt) -> Question:
    """Return a line's question as the teacher is asked it: in the same words, with the tools told in words."""
    role = role_for(line, prompt)
    told = tuple(_readable(message) for message in prompt.messages)
    tools = "\n".join(json.dumps(one, ensure_ascii=False, sort_keys=True) for one in prompt.tools)
    above = (Message(role="system", content=_TOOLS.format(tools=tools)),) if tools else ()
    most = SHORT if role == "primary" else LONG
    return Question(role=role, messages=(*above, *told), max_tokens=most, subject=prompt.subject)


def role_for(line: Line, prompt: Prompt) -> Role:
    """Return who is asked: who plans for plans, who codes for code."""
    if line.planning or "plan" in prompt.call_type:
        return "thinking"
    return "coder" if is_code(prompt) else "primary"


def fault_of(prompt: Prompt, answer: str) -> str:
    """Return what is wrong with the form of an answer; nothing where it can be used as it is."""
    calls = parse_tool_calls(answer).calls
    if calls and prompt.tools:
        return next((fault for call in calls if (fault := _call_fault(call, prompt))), "")
    try:
        edits = parse_edits(answer)
    except EditError:
        return "an edit cannot be read"
    if edits and shown_files(prompt) and edited(prompt, answer) is None:
        return "its edits do not fit the files"
    return ""


def _call_fault(call: ToolCall, prompt: Prompt) -> str:
    schemas = {str(schema.get("name")): schema for schema in map(_function, prompt.tools)}
    schema = schemas.get(call.name)
    if schema is None:
        return "it calls a tool that there is not"
    parameters = schema.get("parameters")
    wanted = parameters.get("required", ()) if isinstance(parameters, Mapping) else ()
    given = call.arguments if isinstance(call.arguments, Mapping) else {}
    return "" if all(name in given for name in wanted) else "it calls a tool without what the tool needs"


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = tool.get("function")
    return inner if isinstance(inner, Mapping) else tool


def _readable(message: Message) -> Message:
    """Return a message that every server takes: what a tool said has to belong to a call there."""
    if message.role != "tool":
        return message
    return Message(role="user", content=f"<tool_response>\n{message.content}\n</tool_response>")
