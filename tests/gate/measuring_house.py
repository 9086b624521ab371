"""What the tests of measuring share: a server that streams or does not, and suites of mixed kinds."""

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path

from aiohttp import web
from gate_house import call_text

from flywheel.core.verdicts import Problem
from flywheel.gate.suites import Built, publish

STILL = [sys.executable, str(Path(__file__).with_name("measure_still.py"))]
TOOL = {"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}}}


def tool_problem(number, **more):
    question = f"read_file src/{number}.py"
    expected = [{"name": "read_file", "arguments": {"path": f"src/{number}.py"}}]
    return _problem(f"tool-{number}", "tool_call", "read_file", question, expected, **more)


def code_problem(number, **more):
    expected = {"language": "python", "entry": "double", "seconds": 60,
                "tests": [{"args": [n], "kwargs": {}, "returns": 2 * n} for n in (number, -1)]}  # fmt: skip
    return _problem(f"code-{number}", "code_calls", "arithmetic", f"double {number}", expected, **more)


def _problem(name, kind, category, question, expected, **more):
    return Problem(
        id=name, kind=kind, category=category, group=f"repo-{hash_of(name) % 7}", expected=expected, prompt_key=name,
        messages=({"role": "user", "content": question},), **more,
    )  # fmt: skip


def hash_of(text):
    return random.Random(text).getrandbits(32)


def publish_problems(folder, problems):
    return publish(Built(tuple(problems), {}, "json"), "scope", "dataset-hash", "tool_call", folder)


def lucky(asked, chances):
    """Whether an answer is right: always the same for the same question, whoever asks and when."""
    mark = f"{asked['model']}{asked['messages'][-1]['content']}{asked['seed']}"
    return random.Random(mark).random() < chances.get(asked["model"], 0.5)


def answer_to(asked, chances):
    """The text of an answer, right or wrong, by what is asked."""
    what, subject = asked["messages"][-1]["content"].split()
    right = lucky(asked, chances)
    if what == "double":
        return f"```python\ndef double(n):\n    return n {'* 2' if right else '+ ' + str(asked['seed'] % 3)}\n```"
    return call_text(subject, what) if right else "I would rather not."


class StreamingServer:
    """A model server that streams as vLLM does, says what it was asked in what order, and refuses what it is told to.

    `lacks` holds what it turns down: "stream", "stream_options", "tool_choice". `drop` closes so many connections in
    the middle of an answer; `plain` answers in one body although a stream was asked for.
    """

    def __init__(self, **settings):
        self.asked = Counter()
        self.bodies = []
        self.order = []
        self.at_once = 0
        self.most_at_once = Counter()
        self.chances = settings.get("chances", {"base": 0.4, "scope@1": 0.9, "scope@0": 0.6, "scope@2": 0.8})
        self.lacks = settings.get("lacks", frozenset())
        self.drop = settings.get("drop", 0)
        self.plain = settings.get("plain", False)
        self.pause = settings.get("pause", 0.0)
        self.stuck = settings.get("stuck", frozenset())
        self.native = settings.get("native", False)
        self.refused = settings.get("refused", {})
        self.version = settings.get("version", "1.0")
        self.url, self._runner = "", None

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/version", self._version)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _complete(self, request):
        asked = await request.json()
        self.bodies.append(asked)
        if (refusal := self._refusal(asked)) is not None:
            status, text = refusal
            return web.json_response({"error": {"message": text}}, status=status)
        self.asked[asked["model"], asked["messages"][-1]["content"], asked["seed"]] += 1
        self.order.append(asked["model"])
        self.at_once += 1
        try:
            return await self._answer(request, asked)
        finally:
            self.at_once -= 1

    async def _version(self, _request):
        return web.json_response({"version": self.version}) if self.version else web.Response(status=404)

    def _refusal(self, asked):
        if "tool_choice" in self.lacks and asked.get("tools") and asked.get("tool_choice") == "auto":
            return 400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        if "stream_options" in self.lacks and "stream_options" in asked:
            return 400, "Unknown field: stream_options"
        if "stream" in self.lacks and asked.get("stream"):
            return 400, "stream is not supported by this server"
        return self.refused.get(asked["model"])

    async def _answer(self, request, asked):
        text = answer_to(asked, self.chances)
        usage = {"prompt_tokens": 7, "completion_tokens": len(text)}
        if not asked.get("stream") or self.plain:
            await asyncio.sleep(self.pause * 4)
            choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return web.json_response({"choices": [choice], "usage": usage})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await response.write(_sse({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}))
        if asked["model"] in self.stuck:
            await response.write(_delta({"content": text[:3]}))
            await asyncio.sleep(30)
        for delta in self._deltas(text):
            await asyncio.sleep(self.pause)
            await response.write(_delta(delta))
            if self.drop > 0:
                self.drop -= 1
                request.transport.close()
                return response
        await response.write(_delta({}, finish_reason="stop"))
        if (asked.get("stream_options") or {}).get("include_usage"):
            await response.write(_sse({"choices": [], "usage": usage}))
        await response.write(b"data: [DONE]\n\n")
        return response

    def _deltas(self, text):
        if self.native and text.startswith("<tool_call>"):
            call = json.loads(text.removeprefix("<tool_call>").removesuffix("</tool_call>"))
            arguments = json.dumps(call["arguments"])
            yield {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": call["name"]}}]}
            yield from ({"tool_calls": [{"index": 0, "function": {"arguments": arguments[n : n + 5]}}]}
                        for n in range(0, len(arguments), 5))  # fmt: skip
            return
        step = -(-len(text) // 3)
        yield from ({"content": text[n : n + step]} for n in range(0, len(text), step))


def _delta(delta, **more):
    return _sse({"choices": [{"index": 0, "delta": delta, **more}]})


def _sse(body):
    return f"data: {json.dumps(body)}\n\n".encode()
