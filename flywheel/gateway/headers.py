"""Which headers travel on, which belong to one connection only. Pure."""

from collections.abc import Mapping
from urllib.parse import quote

from multidict import CIMultiDict

KEY_PREFIX = "flywheel-"  # by it a key of this door is known, and never sent on to a model server
KEY_HEADERS = ("x-api-key", "api-key")  # where a key may stand, beside `Authorization: Bearer`

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OF_THIS_REQUEST = _HOP_BY_HOP | {"host", "content-length", "expect"}
_DECODED = frozenset({"gzip", "deflate", "br", "zstd"})  # what the server has undone before we see the body
_LONGEST = 200
_KEYS = ("authorization", *KEY_HEADERS)


def request_headers(headers: Mapping[str, str], *, plain: bool) -> CIMultiDict[str]:
    """Return what the upstream is sent; with `plain` it is asked not to compress, for the capture to be readable."""
    onward = _without(headers, _OF_THIS_REQUEST)
    if onward.get("content-encoding", "").lower() in _DECODED:
        del onward["content-encoding"]
    for name in _KEYS:
        if _is_our_key(onward.get(name, "")):
            del onward[name]  # the key of this door is nobody else's
    if plain:
        onward["accept-encoding"] = "identity"
    return onward


def response_headers(headers: Mapping[str, str], added: Mapping[str, str]) -> CIMultiDict[str]:
    """Return what the client is sent: the upstream's headers and ours."""
    onward = _without(headers, _HOP_BY_HOP)
    onward.update(added)
    return onward


def header_text(value: str) -> str:
    """Return a name in a form that any header may carry."""
    return quote(value[:_LONGEST], safe="/:@.+-_ ", errors="replace").strip()


def _without(headers: Mapping[str, str], names: frozenset[str]) -> CIMultiDict[str]:
    connection = headers.get("connection", "")
    if connection:
        names |= {name.strip().lower() for name in connection.split(",")}
    return CIMultiDict([pair for pair in headers.items() if pair[0].lower() not in names])


def _is_our_key(value: str) -> bool:
    return KEY_PREFIX in value and value.rpartition(" ")[2].startswith(KEY_PREFIX)
