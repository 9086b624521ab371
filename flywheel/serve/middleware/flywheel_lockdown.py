"""Closes what vLLM leaves open: `--middleware flywheel_lockdown.LockDown`, with this file's folder on PYTHONPATH.

vLLM's `--api-key` guards `/v1` and a few prefixes; `/adapters`, `/invocations`, `/tokenize`, `/sleep` and more answer
anybody. This lets through what agents ask and what monitors look at, by name; everything else, loading and unloading
adapters among it, only with the token of the daemon, of which the server knows the hash alone:

    FLYWHEEL_SERVER_TOKEN_SHA256   the sha256 of the token, in hexadecimal; without it nobody has one
    FLYWHEEL_SERVER_OPEN           more that is open, as in "GET /load, POST /rerank"

It runs in the server's own environment, so it leans on nothing but the standard library.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

HEADER = b"x-flywheel-token"
HASH_VARIABLE = "FLYWHEEL_SERVER_TOKEN_SHA256"
OPEN_VARIABLE = "FLYWHEEL_SERVER_OPEN"

#: What anybody who reaches the server may ask: method and path.
OPEN: frozenset[tuple[str, str]] = frozenset(
    {
        *(("GET", path) for path in ("/health", "/ping", "/version", "/metrics", "/metrics/", "/v1/models")),
        *(
            ("POST", f"/v1/{name}")
            for name in (
                "chat/completions",
                "completions",
                "responses",
                "embeddings",
                "messages",
                "messages/count_tokens",
                "rerank",
                "score",
                "audio/transcriptions",
                "audio/translations",
            )
        ),
    }
)
#: What is stored under an id may be asked for again, and cancelled: /v1/responses/ID, /v1/responses/ID/cancel.
_STORED = ("v1", "responses")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class LockDown:
    """An ASGI middleware: what is not on the list needs the daemon's token."""

    def __init__(self, app: App, environment: Mapping[str, str] = os.environ) -> None:
        """Stand before `app`; raises ValueError for a list that cannot be read, and the server does not start."""
        self._app = app
        self._open = OPEN | frozenset(more_open(environment.get(OPEN_VARIABLE, "")))
        self._hash = environment.get(HASH_VARIABLE, "").strip().lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass; answer the rest with 403, and close sockets that may not be opened."""
        kind = scope["type"]
        if kind not in {"http", "websocket"} or self._may_pass(scope):
            await self._app(scope, receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not open here"})
        else:
            await _refuse(scope, send)

    def _may_pass(self, scope: Scope) -> bool:
        return is_open(scope, self._open) or self._is_the_daemon(scope)

    def _is_the_daemon(self, scope: Scope) -> bool:
        given = [value for name, value in scope.get("headers", ()) if name.lower() == HEADER]
        if not self._hash or len(given) != 1:
            return False
        return hmac.compare_digest(hashlib.sha256(given[0]).hexdigest(), self._hash)


def is_open(scope: Scope, listed: frozenset[tuple[str, str]] = OPEN) -> bool:
    """Tell whether anybody may ask this: by the very method and path, as the server will route it."""
    if scope["type"] != "http":
        return False
    method, path = str(scope["method"]), _path(scope)
    asked = "OPTIONS" if method == "OPTIONS" else "GET" if method == "HEAD" else method
    if asked == "OPTIONS":  # a browser's question before a request that is judged when it comes
        return any(path == known for _, known in listed)
    return (asked, path) in listed or _is_stored(asked, path)


def more_open(text: str) -> Iterable[tuple[str, str]]:
    """Return the methods and paths of a list like `GET /load, POST /rerank`."""
    for entry in filter(None, (part.strip() for part in text.split(","))):
        method, _, path = entry.partition(" ")
        if not method.isalpha() or not method.isupper() or not path.startswith("/"):
            raise ValueError(f"{OPEN_VARIABLE}: {entry!r} is not a method and a path, as in 'GET /load'")
        yield method, path


def _path(scope: Scope) -> str:
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _is_stored(method: str, path: str) -> bool:
    parts = path.split("/")[1:]
    if tuple(parts[:2]) != _STORED or not all(parts) or {".", ".."}.intersection(parts):
        return False
    return (method == "GET" and len(parts) == 3) or (method == "POST" and len(parts) == 4 and parts[3] == "cancel")  # noqa: PLR2004


async def _refuse(scope: Scope, send: Send) -> None:
    told = f"{scope['method']} {_path(scope)} is not open here: flywheel's lock-down lets only the daemon ask for it"
    body = json.dumps({"error": {"message": told, "type": "PermissionDeniedError", "code": 403}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
