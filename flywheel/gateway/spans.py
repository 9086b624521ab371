"""What a call tells of itself in a trace: who answered, how it ended, how long it waited. Nothing of what was said."""

from http import HTTPStatus

from flywheel.core.traces import NO_SPAN, Span
from flywheel.gateway.calls import Exchange


def end_span(span: Span, exchange: Exchange, held: float) -> None:
    """Say what is known of a call, and that it is over."""
    if span is NO_SPAN:
        return  # nobody collects it: no call pays for what is not told
    receipt = exchange.receipt
    first = None if receipt.first_at is None else round(receipt.first_at - exchange.began, 6)
    span.note(
        {
            "flywheel.call": exchange.id,
            "flywheel.line": exchange.alias,
            "flywheel.arm": exchange.arm,
            "flywheel.fallback": exchange.fallback,
            "flywheel.routing_version": exchange.routing_version,
            "flywheel.held_seconds": held or None,
            "flywheel.first_byte_seconds": first,
            "gen_ai.request.model": exchange.model,
            "http.response.status_code": receipt.status,
        }
    )
    if not receipt.whole or (receipt.status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail("the answer did not reach its end" if not receipt.whole else f"the server answered {receipt.status}")
    span.end()
