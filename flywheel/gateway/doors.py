"""Who comes in: whoever has a key where keys are asked for, and no more at once than the gateway can carry.

Refused here is only what would harm the others, in the agents' own shape and with the time after which to try again.
"""

import socket
from collections import Counter

import structlog
from aiohttp import web

from flywheel.core.clocks import Clock
from flywheel.core.errors import SettingsError
from flywheel.gateway.keyrings import Keyring
from flywheel.gateway.refusals import refusal
from flywheel.gateway.settings import GatewaySettings

log = structlog.get_logger(__name__)

ANYBODY = ""
_ABOUT_US = ("/flywheel/", "/metrics")
_RETRY_SECONDS = "1"
_SECONDS_BETWEEN_COMPLAINTS = 5.0


class Door:
    """Lets requests in, and counts those it did not."""

    def __init__(self, settings: GatewaySettings, keyring: Keyring, clock: Clock) -> None:
        """Ask for keys where there are any, and always where others than this machine can knock.

        Raises SettingsError when others can and there are none.
        """
        if settings.is_exposed and not keyring:
            raise SettingsError(
                f"without a key the gateway listens on this machine only, not on {settings.host!r}",
                "add a key: `flywheel gateway key add NAME`, or set its host to 127.0.0.1",
            )
        self._settings = settings
        self._exposed = settings.is_exposed
        self._keyring = keyring
        self._clock = clock
        self._inside: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._last_complaint = float("-inf")

    def admit(self, request: web.Request, present: int) -> str | web.Response:
        """Return who asks, or the refusal; `present` are the requests that are on their way."""
        self._keyring.refresh()
        who = self._who(request)
        if who is None:
            return self._refuse(401)
        if request.path.startswith(_ABOUT_US):
            return who  # the daemon must be told what is on its way, however much that is
        if present >= self._settings.requests_at_once:
            return self._refuse(503)
        most = self._settings.requests_at_once_per_key
        if most and who and self._inside[who] >= most:
            return self._refuse(429)
        return who

    def came_in(self, who: str) -> None:
        """Count one request of a key's holder, until it went out."""
        if who:
            self._inside[who] += 1

    def went_out(self, who: str) -> None:
        """Count one request less."""
        if not who:
            return
        self._inside[who] -= 1
        if not self._inside[who]:
            del self._inside[who]

    @property
    def refused(self) -> dict[str, int]:
        """Return how many requests were refused, by the status they got."""
        return dict(self._refused)

    def tell(self) -> dict[str, object]:
        """Return what the door can say of itself, without anybody's name."""
        return {"asks_for_keys": self._asks(), "refused": self.refused}

    def _asks(self) -> bool:
        return bool(self._keyring) or self._exposed

    def _who(self, request: web.Request) -> str | None:
        """Return whose key it is, ANYBODY where none is asked for, None where it must not come in."""
        if not self._asks() or _came_by_socket(request):
            return ANYBODY
        return self._keyring.holder(request.headers)

    def _refuse(self, status: int) -> web.Response:
        self._refused[str(status)] += 1
        self._complain()
        kind, message = _WORDS[status]
        response = refusal(status, kind, message)
        response.headers.update(_HEADERS[status])
        return response

    def _complain(self) -> None:
        now = self._clock.monotonic()
        if now - self._last_complaint >= _SECONDS_BETWEEN_COMPLAINTS:
            log.warning("gateway.requests_refused", **{f"status_{status}": n for status, n in self._refused.items()})
            self._last_complaint = now


_WORDS = {
    401: ("authentication_error", "this gateway asks for a key: send it as `Authorization: Bearer KEY`"),
    429: ("rate_limit_error", "too many requests of this key are on their way; try again in a moment"),
    503: ("overloaded_error", "too many requests are on their way; try again in a moment"),
}
_HEADERS = {
    401: {"www-authenticate": "Bearer"},
    429: {"retry-after": _RETRY_SECONDS},
    503: {"retry-after": _RETRY_SECONDS},
}


def _came_by_socket(request: web.Request) -> bool:
    """Tell whether the request came by the Unix socket: its file's permissions have let it in already."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    return connection is not None and connection.family == socket.AF_UNIX
