"""A llama-server that thinks nothing: for tests and for trying the door out. `python -m flywheel.serve.llama_doubles`.

It takes the real one's options for model, adapters, host and port; it answers with the names of the adapters that were
asked for, and it does not start with a file that is no GGUF.
"""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

_MAGIC = b"GGUF"
_BROKEN = b"GGUFbroken"  # begins as one, and cannot be read


class LlamaDouble:
    """llama-server's answers about its adapters, and chats that tell who speaks."""

    def __init__(self, alias: str, ggufs: list[str], seconds: float) -> None:
        """Hold these files, each at scale 1 for a request that says nothing, as the real one was seen to do."""
        self._alias = alias
        self._ggufs = ggufs
        self._scales = dict.fromkeys(range(len(ggufs)), 1.0)
        self._seconds = seconds

    def app(self) -> web.Application:
        """Return the handles."""
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/lora-adapters", self._listed)
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _listed(self, _: web.Request) -> web.Response:
        told = [{"id": n, "path": path, "scale": self._scales[n]} for n, path in enumerate(self._ggufs)]
        return web.json_response(told)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        fields = await request.json()
        words = [*self._speakers(fields), "speaks"]
        if not fields.get("stream"):
            await asyncio.sleep(self._seconds)
            message = {"role": "assistant", "content": " ".join(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": len(words)}
            return web.json_response({"id": "c", "model": self._alias, "choices": [choice], "usage": usage})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for word in words:
            choice = {"index": 0, "delta": {"content": f"{word} "}}
            await response.write(b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n")
            await asyncio.sleep(self._seconds)
        await response.write(b"data: [DONE]\n\n")
        return response

    def _speakers(self, fields: dict[str, Any]) -> list[str]:
        """Return who speaks: what a request does not name has no scale, what names nobody keeps the server's scales."""
        asked = {int(one["id"]): float(one["scale"]) for one in fields.get("lora") or ()}
        scales = asked or self._scales
        names = [Path(path).stem for n, path in enumerate(self._ggufs) if scales.get(n, 0.0)]
        return names or [self._alias]


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="llama_doubles")
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-a", "--alias", default="base")
    parser.add_argument("--lora", action="append", default=[])
    parser.add_argument("--lora-init-without-apply", action="store_true")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long an answer, or a word of a stream, takes")
    return parser.parse_args(argv)


async def _serve(arguments: argparse.Namespace) -> None:
    double = LlamaDouble(arguments.alias, arguments.lora, arguments.seconds)
    runner = web.AppRunner(double.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, arguments.host, arguments.port, reuse_address=True).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


def main(argv: list[str]) -> int:
    """Serve until SIGTERM; 1 when an adapter cannot be read."""
    arguments = _arguments(argv)
    for path in arguments.lora:
        data = Path(path).read_bytes() if Path(path).is_file() else b""
        if not data.startswith(_MAGIC) or data.startswith(_BROKEN):
            sys.stderr.write(f"failed to load lora adapter '{path}'\n")
            return 1
    asyncio.run(_serve(arguments))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
