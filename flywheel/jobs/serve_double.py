"""The double of vLLM: a small real model server with the same doors, for machines and tests without vLLM.

Several adapters stand on one base and are loaded and unloaded while it runs. Statuses and bodies are those of vLLM
(tests/contract/model_server runs one suite against both). It computes in float32 on the CPU, keeps no limit on
loaded adapters beyond memory, and refuses logprobs, echo, suffix and tool parsing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import progress
import starts

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="serve_double.py", description="A small model server with vLLM's doors.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--served-model-name", help="default: the path of the model, as vLLM does")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: any free port, told in the ready line")
    parser.add_argument("--max-lora-rank", type=int, choices=RANKS, default=16)
    parser.add_argument("--max-loras", type=int, default=2)
    parser.add_argument("--max-cpu-loras", type=int, default=4)
    parser.add_argument("--max-model-len", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--middleware", action="append", default=[], help="module.Class, asked before every request")
    arguments = parser.parse_args(argv)
    if arguments.max_cpu_loras < arguments.max_loras:
        parser.error("--max-cpu-loras must be at least --max-loras")
    if not (arguments.model / "config.json").is_file():
        parser.error(f"--model {arguments.model} is not a model folder: it has no config.json")
    return arguments


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "0").strip().lower() in {"1", "true"}


async def _serve(arguments: argparse.Namespace, began: float) -> None:
    # Here and not above: a misspelt option is told at once, not after the imports.
    starts.leave_quantizer(arguments.model)
    with starts.undisturbed():
        from aiohttp import web
        from double_engine import Engine
        from double_routes import Server, application

    server = Server(
        engine=Engine(arguments.model),
        base=arguments.served_model_name or str(arguments.model),
        root=str(arguments.model),
        limit=arguments.max_model_len,
        max_rank=arguments.max_lora_rank,
        max_loras=arguments.max_loras,
        chance=random.Random(arguments.seed),
    )
    app = application(
        server,
        runtime_adapters=_is_set("VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
        dev_mode=_is_set("VLLM_SERVER_DEV_MODE"),
        middleware=arguments.middleware,
    )
    # Handlers end when their client leaves, and with them the generation.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, arguments.host, arguments.port).start()
    progress.tell("ready", port=runner.addresses[0][1], seconds=round(time.monotonic() - began, 2))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


def main(argv: list[str]) -> int:
    """Serve until told to stop; the exit status is 0, 1 when the port cannot be had, or 2 for misuse."""
    began = time.monotonic()
    arguments = _arguments(argv)
    progress.keep_chatter_off()
    try:
        asyncio.run(_serve(arguments, began))
    except OSError as error:
        progress.failed(str(error))
        return 1
    return 0


if __name__ == "__main__":
    starts.leave(main(sys.argv[1:]))
