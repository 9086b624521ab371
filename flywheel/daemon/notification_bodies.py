"""What is sent of a notice: one JSON document, and the headers that name and sign it. Pure."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime

from flywheel import __version__
from flywheel.daemon.notification_kinds import KINDS, TEST, Notice

VERSION = 1


def delivery_id(notice: Notice, target: str) -> str:
    """Return a delivery's name, the same at every try: whoever hears twice knows it by that."""
    return f"{target}-{notice.seq if notice.seq is not None else f'{notice.kind}-{notice.at:%Y%m%dT%H%M%S}'}"


def body_of(notice: Notice, target: str) -> bytes:
    """Return the document that is sent."""
    told = {
        "version": VERSION,
        "id": delivery_id(notice, target),
        "kind": notice.kind,
        "meaning": KINDS[notice.kind][1] if notice.kind != TEST else "a person tries whether this arrives",
        "text": f"flywheel: {notice.sentence}",
        "sentence": notice.sentence,
        "event": notice.event,
        "seq": notice.seq,
        "cause": notice.cause,
        "at": notice.at.isoformat(),
        "line": notice.line,
        "subject": notice.subject,
        "explain": f"flywheel explain {notice.seq}" if notice.seq is not None else "",
        "details": notice.details,
    }
    return json.dumps(told, ensure_ascii=False, default=str).encode()


def headers_of(notice: Notice, target: str, body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """Return what goes before a body; with a secret, time and body are signed together."""
    headers = {
        "content-type": "application/json",
        "user-agent": f"flywheel/{__version__}",
        "x-flywheel-kind": notice.kind,
        "x-flywheel-delivery": delivery_id(notice, target),
    }
    if not secret:
        return headers
    moment = str(int(now.timestamp()))
    return {**headers, "x-flywheel-timestamp": moment, "x-flywheel-signature": signature(secret, moment, body)}


def signature(secret: str, moment: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of a moment and a body, joined by a dot."""
    digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def variables_of(notice: Notice, target: str) -> Mapping[str, str]:
    """Return what a command finds in its environment, for scripts that read no JSON."""
    return {
        "FLYWHEEL_NOTICE_ID": delivery_id(notice, target),
        "FLYWHEEL_NOTICE_KIND": notice.kind,
        "FLYWHEEL_NOTICE_LINE": notice.line,
        "FLYWHEEL_NOTICE_SUBJECT": notice.subject,
        "FLYWHEEL_NOTICE_SENTENCE": notice.sentence.replace("\0", ""),
        "FLYWHEEL_NOTICE_SEQ": "" if notice.seq is None else str(notice.seq),
    }
