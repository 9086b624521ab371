"""A real browser, driven by its own protocol: Debian's chromium, without a driver program between.

What is said to it are the commands of the DevTools protocol; what it says (errors of scripts, refusals of the pages'
policy) is kept, so that a test can ask for it.
"""

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "no chromium is installed: apt-get install chromium"
DESKTOP, PHONE = (1280, 900), (390, 844)
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-default-apps", "--force-color-profile=srgb",
    "--disable-features=Translate,MediaRouter,OptimizationHints", "--remote-debugging-port=0", "about:blank",
)  # fmt: skip
_PATIENCE = 120.0  # a machine that tests in two workers may be slow; nothing here waits for its own sake
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


class Browser:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self.complaints: list[str] = []

    async def start(self) -> None:
        """Listen to what the page says."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.say(f"{domain}.enable")

    async def close(self) -> None:
        """Listen no more."""
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader

    async def say(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; return its answer."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        answer = await asyncio.wait_for(self._waiting[number], _PATIENCE)
        del self._waiting[number]
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    async def open(self, address: str) -> None:
        """Go to a page and wait until it is whole."""
        self._loaded.clear()
        gone = await self.say("Page.navigate", url=address)
        assert "errorText" not in gone, f"{address}: {gone['errorText']}"
        await self.loaded()

    async def loaded(self) -> None:
        """Wait until the page that is coming is whole."""
        await asyncio.wait_for(self._loaded.wait(), _PATIENCE)

    async def run(self, script: str) -> Any:
        """Return what an expression of the page is worth."""
        told = await self.say("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true of the page; return its value."""
        end = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < end:
            with suppress(AssertionError):  # between two pages there is nothing to ask
                if value := await self.run(script):
                    return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {script}")

    async def press(self, key: str) -> None:
        """Press a key, as a person does."""
        code = _KEYS.get(key, ord(key[0].upper()))
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        told = {"key": key, "code": key, "windowsVirtualKeyCode": code, **({"text": text} if text else {})}
        await self.say("Input.dispatchKeyEvent", type="keyDown", **told)
        await self.say("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    async def go(self, key: str) -> None:
        """Press a key that leads to another page, and wait for it."""
        self._loaded.clear()
        await self.press(key)
        await self.loaded()

    async def write(self, text: str) -> None:
        """Write into the field that has the focus."""
        await self.say("Input.insertText", text=text)

    async def size(self, width: int, height: int) -> None:
        """Be a screen of this size; a narrow one is a phone's."""
        phone = width < 600
        await self.say("Emulation.setDeviceMetricsOverride", width=width, height=height, mobile=phone,
                       deviceScaleFactor=1)  # fmt: skip
        await self.say("Emulation.setTouchEmulationEnabled", enabled=phone)

    async def be_dark(self, *, dark: bool) -> None:
        """Have a person who prefers dark pages, or light ones."""
        wish = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.say("Emulation.setEmulatedMedia", features=[wish])

    async def picture(self, form: str = "webp") -> bytes:
        """Return what is seen."""
        told = {"format": form} if form == "png" else {"format": form, "quality": 70}
        return base64.b64decode((await self.say("Page.captureScreenshot", **told))["data"])

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told and told["id"] in self._waiting:
                self._waiting[told["id"]].set_result(told)
            elif told.get("method") == "Page.loadEventFired":
                self._loaded.set()
            elif complaint := _complaint(told):
                self.complaints.append(complaint)


def _complaint(told: dict[str, Any]) -> str:
    """Return what a page did wrong: an error of a script, something its policy refused, something that did not load."""
    method, params = told.get("method"), told.get("params", {})
    if method == "Runtime.exceptionThrown":
        return str(params["exceptionDetails"].get("exception", params["exceptionDetails"]))
    if method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
        return f"{params['entry']['text']} {params['entry'].get('url', '')}"
    if method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
        return str(params["args"])
    return ""


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Give a page of a browser that ends with the block, with everything that it started."""
    assert PROGRAM, MISSING
    with tempfile.TemporaryDirectory(prefix="flywheel-browser-", ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            PROGRAM, *_FLAGS[:-1], f"--user-data-dir={folder}", _FLAGS[-1],
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        drain: asyncio.Task[Any] | None = None
        try:
            port = await asyncio.wait_for(_port(process), _PATIENCE)
            assert process.stderr is not None
            drain = asyncio.create_task(process.stderr.read())
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(await _page(http, port), max_msg_size=0) as socket,
            ):
                page = Browser(socket)
                await page.start()
                yield page
                await page.close()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if drain is not None:
                await drain


async def _port(process: asyncio.subprocess.Process) -> int:
    """Return where the browser listens."""
    assert process.stderr is not None
    said = ""
    while line := (await process.stderr.readline()).decode(errors="replace"):
        said += line
        if found := re.search(r"DevTools listening on ws://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    raise AssertionError(f"the browser ended: {said[-800:]}")


async def _page(http: aiohttp.ClientSession, port: int) -> str:
    async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
        pages = await answer.json()
    return next(str(page["webSocketDebuggerUrl"]) for page in pages if page["type"] == "page")


def keep(path: Path, picture: bytes) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
