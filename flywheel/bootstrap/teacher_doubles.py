"""A teacher that is none: it speaks the protocol, says what it is told to and fails as it is told to. For tests.

It charges as the servers that are paid for do: for every answer that was made, whether or not it arrived, and for no
refusal. `asked` and `charged` are what its bill would say.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Mood = Literal["ok", "429", "500", "502", "400", "401", "slow", "cut", "truncated", "malformed", "wrong", "greedy"]

_SOON = 0.2
_REFUSALS = frozenset({"429", "500", "502", "400", "401"})
_GREED = 10**6


def echo(body: dict[str, Any]) -> str:
    """Answer with the last words, backwards: never the question, and always the same."""
    return str(body["messages"][-1]["content"])[::-1]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived, what it met, and the tokens that are charged for it."""

    body: dict[str, Any]
    headers: dict[str, str]
    mood: Mood
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def words(self) -> str:
        """Return the last message."""
        return str(self.body["messages"][-1]["content"])


@dataclass(slots=True)
class TeacherDouble:
    """Answers by `answer`; meets the requests with `moods` one after the other, and from then on with "ok"."""

    answer: Callable[[dict[str, Any]], str] = echo
    moods: Sequence[Mood] = ()
    seconds: float = 0.0
    slow_seconds: float = 30.0
    retry_after: str | None = "0"
    reasoning: str = ""
    models: Sequence[str] = ("m",)
    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    most_at_once: int = 0
    base_url: str = ""

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator["TeacherDouble"]:
        """Listen on the loopback until the block ends."""
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=_SOON)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            yield self
        finally:
            await runner.cleanup()

    def charged(self, price_in: int, price_out: int) -> int:
        """Return what all of it costs, by the prices of one token."""
        return sum(one.prompt_tokens * price_in + one.completion_tokens * price_out for one in self.asked)

    async def _list(self, request: web.Request) -> web.Response:  # noqa: ARG002 - the signature is aiohttp's
        if self.moods and self.moods[0] == "401":
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        number = len(self.asked)
        mood: Mood = self.moods[number] if number < len(self.moods) else "ok"
        said = self._said(body, mood)
        usage = said["usage"] if mood not in _REFUSALS else {"prompt_tokens": 0, "completion_tokens": 0}
        self.asked.append(
            Asked(
                body,
                {name.lower(): value for name, value in request.headers.items()},
                mood,
                usage["prompt_tokens"],
                usage["completion_tokens"],
            )
        )
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await asyncio.sleep(self.slow_seconds if mood == "slow" else self.seconds)
        finally:
            self.under_way -= 1
        return self._met(request, mood, said)

    def _met(self, request: web.Request, mood: Mood, said: dict[str, Any]) -> web.Response:
        if mood in _REFUSALS:
            headers = {"retry-after": self.retry_after} if self.retry_after and mood == "429" else {}
            return web.json_response({"error": {"message": "not now"}}, status=int(mood), headers=headers)
        if mood == "malformed":
            return web.Response(text=json.dumps(said)[:40], content_type="application/json")
        if mood == "cut" and request.transport is not None:
            request.transport.abort()
        return web.json_response(said)

    def _said(self, body: dict[str, Any], mood: Mood) -> dict[str, Any]:
        most = int(body.get("max_tokens") or body["max_completion_tokens"])
        words = ("something else" if mood == "wrong" else self.answer(body)).split(" ")
        cut = mood == "truncated" or len(words) > most
        words = words[: max(1, min(most, len(words) // 2))] if cut else words
        prompt = sum(len(str(one["content"]).split()) for one in body["messages"])
        count = _GREED if mood == "greedy" else len(words)
        message = {"role": "assistant", "content": " ".join(words)}
        message |= {"reasoning_content": self.reasoning} if self.reasoning else {}
        return {
            "id": "c", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count},
        }  # fmt: skip
