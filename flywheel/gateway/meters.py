"""What the gateway counts of requests and calls as they end.

A call costs the count of one number and, at most, three looks into short lists: nothing waits, nothing is kept of a
single call. How many numbers there are is bounded by the routing's aliases and by `_MOST_LABELS`.
"""

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus

from flywheel.core.metrics import Histogram, MetricPage
from flywheel.core.routing import Alias
from flywheel.gateway.calls import Exchange

#: Seconds: from an answer out of a cache to a long generation on a small machine.
CALL_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
FIRST_BYTE_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
HELD_BOUNDS = (0.1, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

OTHER = "other"
_MOST_LABELS = 256  # pairs of line and arm; aliases of a routing are few, and old ones stay until the process ends

#: Paths by the name that stands in the metrics; all else is one.
_ROUTES = {
    "/v1/chat/completions": "chat_completions",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/models": "models",
    "/api/chat": "ollama_chat",
    "/api/generate": "ollama_generate",
    "/api/embed": "ollama_embed",
    "/api/embeddings": "ollama_embed",
    "/api/tags": "ollama_models",
    "/api/show": "ollama_models",
    "/health": "about",
    "/healthz": "about",
    "/readyz": "about",
    "/metrics": "about",
    "/flywheel/routing": "about",
}
RESULTS = ("ok", "refused", "failed", "cut")
_LEFT = 499  # the client went before it was answered: as other doors say it


class Meter:
    """Counts requests and calls as they end."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._requests: Counter[tuple[str, int]] = Counter()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._fallbacks: Counter[str] = Counter()
        self._durations: dict[tuple[str, str], Histogram] = {}
        self._first_bytes: dict[tuple[str, str], Histogram] = {}
        self._held = Histogram(HELD_BOUNDS)

    def request_ended(self, path: str, status: int | None) -> None:
        """Count one request; without a status its client left."""
        self._requests[_ROUTES.get(path, OTHER), status or _LEFT] += 1

    def call_ended(self, exchange: Exchange, ended: float, held: float) -> None:
        """Count one call for a model's work, by the line it asked for and the arm that answered."""
        receipt = exchange.receipt
        key = self._key(exchange.alias or "none", exchange.arm or "none")
        self._calls[*key, _result(receipt.status, whole=receipt.whole)] += 1
        self._durations[key].observe(ended - exchange.began)
        if receipt.first_at is not None:
            self._first_bytes[key].observe(receipt.first_at - exchange.began)
        if exchange.fallback and exchange.alias:
            self._fallbacks[key[0]] += 1
        if held:
            self._held.observe(held)

    def _key(self, line: str, arm: str) -> tuple[str, str]:
        key = (line, arm)
        if key not in self._durations:
            if len(self._durations) >= _MOST_LABELS:
                key = (OTHER, OTHER)
            self._begin(key)
        return key

    def _begin(self, key: tuple[str, str]) -> None:
        """Begin all counts of a line's arm at nothing: one that first appears as one is no increase to Prometheus."""
        self._durations.setdefault(key, Histogram(CALL_BOUNDS))
        self._first_bytes.setdefault(key, Histogram(FIRST_BYTE_BOUNDS))
        self._fallbacks[key[0]] += 0
        for result in RESULTS:
            self._calls[*key, result] += 0

    def know(self, aliases: Mapping[str, Alias]) -> None:
        """Tell of the lines and arms of a routing also where nobody has asked them yet."""
        for line, alias in aliases.items():
            for arm in alias.arms:
                self._key(line, arm.role)

    def tell(self, page: MetricPage) -> None:
        """Add everything that was counted."""
        for (route, status), count in self._requests.items():
            page.add("flywheel_gateway_requests_total", count, route=route, status=str(status))
        for (line, arm, result), count in self._calls.items():
            page.add("flywheel_gateway_calls_total", count, line=line, arm=arm, result=result)
        for (line, arm), found in self._durations.items():
            page.add_histogram("flywheel_gateway_call_duration_seconds", found, line=line, arm=arm)
            page.add_histogram(
                "flywheel_gateway_call_first_byte_seconds", self._first_bytes[line, arm], line=line, arm=arm
            )
        for line, count in self._fallbacks.items():
            page.add("flywheel_gateway_base_fallbacks_total", count, line=line)
        page.add_histogram("flywheel_gateway_call_held_seconds", self._held)


def _result(status: int | None, *, whole: bool) -> str:
    """Return how a call ended: `ok`, refused as the agent's own fault, failed, or cut off before its end."""
    if status is None:
        return "cut"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "failed"
    if status >= HTTPStatus.BAD_REQUEST:
        return "refused"
    return "ok" if whole else "cut"
