"""One model server as the reconciler meets it: its calls with time limits, its failures as errors of our tree.

ServerError (temporary)       the server, not the adapter, is in the way
|-- ServerDownError           nothing answers, or it says itself that it is not ready
|-- ServerSlowError           it took the call and did not answer in time
`-- ServerWrongError          it answers, but not as a model server with runtime LoRA loading does
AdapterRefusedError (permanent)   the server works and does not take this adapter
"""

from http import HTTPStatus
from typing import Any, Self

import aiohttp
from pydantic import ValidationError

from flywheel.core.errors import PermanentError, UnavailableError
from flywheel.core.serving import ServedModel
from flywheel.proc.tokens import TOKEN_HEADER

LOOK_SECONDS = 2.0
WORK_SECONDS = 30.0
REST_SECONDS = 120.0  # a model's weights on their way to the host's memory, or back

_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE,
                   HTTPStatus.GATEWAY_TIMEOUT})  # fmt: skip
_CLOSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_SHOWN = 300


class ServerError(UnavailableError):
    """The server is in the way; the adapter may be fine."""


class ServerDownError(ServerError):
    """Nothing answers there, or it is not ready."""


class ServerSlowError(ServerError):
    """It did not answer in time."""


class ServerWrongError(ServerError):
    """It answers, but not as it should."""


class AdapterRefusedError(PermanentError):
    """The server does not take this adapter."""


class Server:
    """Calls one model server; use it as an asynchronous context."""

    def __init__(
        self, url: str, look_seconds: float = LOOK_SECONDS, work_seconds: float = WORK_SECONDS, token: str = ""
    ) -> None:
        """Prepare; nothing is opened before the context is entered. The token opens what a lock-down closes."""
        self.url = url
        self._headers = {TOKEN_HEADER: token} if token else {}
        self._look = aiohttp.ClientTimeout(total=look_seconds)
        self._work = aiohttp.ClientTimeout(total=work_seconds)
        self._long = aiohttp.ClientTimeout(total=max(work_seconds, REST_SECONDS))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open a session."""
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def models(self) -> tuple[ServedModel, ...]:
        """Return what the server lists."""
        status, answer = await self._call("GET", "/v1/models", None, self._look)
        if status != HTTPStatus.OK:
            raise ServerWrongError(f"{self.url} answers {status} to the question for its models", _mend_wrong())
        try:
            return tuple(
                ServedModel(name=entry["id"], root=entry.get("root"), parent=entry.get("parent"))
                for entry in answer["data"]
            )
        except (KeyError, TypeError, AttributeError, ValidationError) as error:
            raise ServerWrongError(f"{self.url} lists its models in a shape nobody knows", _mend_wrong()) from error

    async def load(self, name: str, path: str) -> None:
        """Load an adapter under a name that the server does not hold."""
        fields = {"lora_name": name, "lora_path": path}
        status, answer = await self._call("POST", "/v1/load_lora_adapter", fields, self._work)
        if _is_no_route(status, answer):
            raise ServerWrongError(f"{self.url} does not load adapters while it runs", _mend_loading())
        self._raise_refused(name, status, answer)

    async def unload(self, name: str) -> bool:
        """Unload an adapter; False when the server did not hold it."""
        status, answer = await self._call("POST", "/v1/unload_lora_adapter", {"lora_name": name}, self._work)
        if _is_no_route(status, answer):
            raise ServerWrongError(f"{self.url} does not unload adapters while it runs", _mend_loading())
        if status == HTTPStatus.NOT_FOUND:
            return False
        if status != HTTPStatus.OK:
            raise ServerWrongError(f"{self.url} answers {status} to unloading {name}: {_words(answer)}")
        return True

    async def ask(self, name: str) -> None:
        """Let a model say one token: the first request to an adapter is the slow one."""
        fields = {"model": name, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "temperature": 0}
        status, answer = await self._call("POST", "/v1/chat/completions", fields, self._work)
        if status == HTTPStatus.NOT_FOUND:
            raise ServerWrongError(f"{self.url} does not hold {name}: {_words(answer)}", "was it restarted?")
        self._raise_refused(name, status, answer)

    async def is_sleeping(self) -> bool | None:
        """Tell whether the server sleeps; None when it has no such door."""
        status, answer = await self._call("GET", "/is_sleeping", None, self._look)
        if status != HTTPStatus.OK or not isinstance(answer, dict):
            return None
        return bool(answer.get("is_sleeping"))

    async def sleep(self) -> None:
        """Put the server to sleep, its weights in the host's memory; what it is still asked is answered first."""
        await self._rest("/sleep?level=1&mode=wait", sleeping=True)

    async def wake(self) -> None:
        """Wake the server."""
        await self._rest("/wake_up", sleeping=False)

    async def _rest(self, path: str, *, sleeping: bool) -> None:
        status, answer = await self._call("POST", path, None, self._long)
        if status != HTTPStatus.OK or await self.is_sleeping() is not sleeping:
            what = "go to sleep" if sleeping else "wake up"
            raise ServerWrongError(f"{self.url} does not {what}: it answers {status}, {_words(answer)}", _mend_sleep())

    def _raise_refused(self, name: str, status: int, answer: Any) -> None:
        if status != HTTPStatus.OK:
            raise AdapterRefusedError(f"{self.url} refused {name} with {status}: {_words(answer)}")

    async def _call(self, method: str, path: str, body: Any, limit: aiohttp.ClientTimeout) -> tuple[int, Any]:
        assert self._session is not None
        try:
            async with self._session.request(method, self.url + path, json=body, timeout=limit) as response:
                answer = await _read(response)
        except TimeoutError as error:
            raise ServerSlowError(
                f"{self.url} did not answer in {limit.total:g} seconds", "see what it is busy with"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise ServerDownError(f"{self.url} cannot be reached: {reason}", "start the model server") from error
        if response.status in _BUSY:
            raise ServerDownError(f"{self.url} is not ready: it answers {response.status}", "see the server's log")
        if response.status == HTTPStatus.FORBIDDEN and "lock-down" in _words(answer):
            raise ServerWrongError(f"{self.url} does not know this daemon's token", _mend_token())
        if response.status in _CLOSED:
            raise ServerWrongError(f"{self.url} wants a key", "start it without --api-key, on the loopback")
        return response.status, answer


async def gateway_state(url: str, key: str = "") -> dict[str, Any] | None:
    """Return what the gateway says is in force and in flight; None when it cannot be asked.

    `unix:PATH` is a gateway that listens at a socket; `key` is the daemon's own, where it has one.
    """
    limit = aiohttp.ClientTimeout(total=LOOK_SECONDS)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    is_socket, path = url.startswith("unix:"), url.removeprefix("unix:")
    connector = aiohttp.UnixConnector(path) if is_socket else None
    base = "http://gateway" if is_socket else url.rstrip("/")
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, connector=connector, headers=headers) as session,
            session.get(f"{base}/flywheel/routing") as response,
        ):
            answer = await _read(response)
    except (aiohttp.ClientError, OSError):
        return None
    return answer if response.status == HTTPStatus.OK and isinstance(answer, dict) else None


async def _read(response: aiohttp.ClientResponse) -> Any:
    """Return the answer's JSON, or its text where it is none."""
    try:
        return await response.json(content_type=None)
    except ValueError:
        return await response.text(errors="replace")


def _is_no_route(status: int, answer: Any) -> bool:
    """Tell a path the server does not have from an adapter it does not have: only the latter explains itself."""
    bare = not isinstance(answer, dict) or _words(answer) == "Not Found"
    return status == HTTPStatus.METHOD_NOT_ALLOWED or (status == HTTPStatus.NOT_FOUND and bare)


def _words(answer: Any) -> str:
    """Return what an error says, in whichever shape it says it."""
    if isinstance(answer, dict):
        inner = answer.get("error", answer)
        answer = inner.get("message", inner.get("detail", inner)) if isinstance(inner, dict) else inner
    return " ".join(str(answer).split())[:_SHOWN]


def _mend_wrong() -> str:
    return "is this a vLLM server's address? see docs/serving.md"


def _mend_loading() -> str:
    return "start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"


def _mend_token() -> str:
    return "start it with the FLYWHEEL_SERVER_TOKEN_SHA256 that `flywheel emit vllm` prints"


def _mend_sleep() -> str:
    return "start it with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1"
