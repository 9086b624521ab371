r"""Finding secrets in text before it is stored: by known formats and by names, without guessing by entropy. Pure.

Every byte an agent wrote passes here, so a text is cleared by a few searches in C; patterns are tried only where one
of them stopped. What was written as JSON, once or many times over, is looked at with its escapes undone: a `\n` before
a token is no letter of it, and the `\"` around a value is no part of it.
"""

import re
import threading
from collections.abc import Iterable

from flywheel.core.secret_formats import RULES, Rule

__all__ = ["RULES", "find_secret", "find_secret_in"]

_SHORTEST_RUN = b"x" * 20
_CLASSES = bytes(120 if chr(c).isascii() and (chr(c).isalnum() or chr(c) in "_-") else 32 for c in range(256))
_TOKENS = tuple(rule for rule in RULES if not rule.mark)
_PHRASES = {
    mark: tuple((re.compile(rule.pattern.encode()), rule.name) for rule in RULES if rule.mark == mark)
    for mark in dict.fromkeys(rule.mark for rule in RULES if rule.mark)
}


def _any_of(rules: Iterable[Rule]) -> str:
    return "|".join(f"(?:{rule.pattern})" for rule in rules)


_LOOKS_BEHIND = "(?<="
_AT_RUN = re.compile(_any_of(rule for rule in _TOKENS if not rule.pattern.startswith(_LOOKS_BEHIND)).encode())
_BEHIND_RUN = re.compile(_any_of(rule for rule in _TOKENS if rule.pattern.startswith(_LOOKS_BEHIND)).encode())
_IN_RUN = re.compile(rf"-(?!-)(?:{_any_of(_TOKENS)})".encode())
_BEYOND = 40  # so far do patterns look beyond a run
_WEBHOOKS = re.compile(
    rb"hooks\.(slack)\.com/(?:services|workflows|triggers)/[\w/]{30,}|(discord)(?:app)?\.com/api/webhooks/\d{15,}/[\w-]{50}"
)
_BEHIND = b".:/~"
_PERCENT = ord("%")
_ESCAPED = re.compile(rb"(?<=%)[0-9A-Fa-f]{2}")  # `%3D` before a token is no part of it

_BREAK = b"\x1f"  # stands for a line's end that was written as an escape: no token goes on over it, a value may
_LINES = (rb"\n", rb"\r", rb"\t")
_NUMBERED = re.compile(rb"\\+(?:u00|x)([0-7][0-9a-fA-F])")
_COLOURS = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")

_CREDENTIALS = re.compile(rb"[^\s\x1f/:@\"'<>]{0,200}:([^\s\x1f/@\"'<>]{3,200})@[\w.\[-]")
_PLACEHOLDER = re.compile(
    r"(?i)example|sample|dummy|change_?-?me|place_?holder|redacted|insert|replace|x{4,}|\*\*\*|\.\.\.|"
    r"(?<![A-Za-z0-9])(?:your|fake|xxx)|(?:your|fake|xxx)(?![A-Za-z0-9])|"
    r"^(?:password|passwd|secret|token|pass|user|none|null|true|false|undefined|test\w*|foo\w*|bar\w*|p|pw|pwd)$|"
    r"[<>{}$%()\[\]]|os\.environ|getenv|process\.env"
)
_VALUE = (
    r"(?P<space>['\"\]]*[\s\x1f]{0,4})(?::[\s\x1f]{0,2}\w{1,20}[\s\x1f]{0,2}(?==))?(?P<sign>:=|=>|[:=](?!=)|>|)[\s\x1f]{0,4}"
    r"(?:[bBrRuUfF]{0,2}(?P<quote>['\"])(?P<quoted>[^'\"\s]{6,500})(?P=quote)|"
    r"(?P<bare>[A-Za-z0-9+/_~.-]{8,500}={0,2})(?=[\s\x1f,;'\"&<`])|"
    r"(?P<line>(?<==)[^\s\x1f'\"`]{6,500})(?=[\s\x1f'\"`]))"
)
_NAMES = {  # the mark that is looked for; what goes on after it; the name as a pattern
    b"pass": (b"wpWP", r"pass(?:w(?:or)?d|phrase)?"),
    b"pwd": (b"", r"pwd"),
    b"secret": (b"sS-", r"secrets?(?:[ _-]?(?:access[ _-]?)?key(?:[ _-]?base)?)?"),
    b"token": (b"", r"token"),
    b"key": (b"", r"key"),
    b"credential": (b"sS", r"credentials?"),
}
_ENDS_NAME = b"'\">] \t\r\n\x1f:=_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMED = tuple(
    (mark, _ENDS_NAME + more, re.compile(rf"(?i:(?P<name>{name}))(?:[A-Z0-9_]{{1,24}}(?==))?{_VALUE}".encode()))
    for mark, (more, name) in _NAMES.items()
)
_KEYS = (b"api", b"access", b"private", b"auth", b"encryption", b"signing", b"account", b"master")
_BEFORE = 24  # so much before a name says whose name it is
_OPTION = re.compile(rb"--[a-z0-9-]*\Z")  # of a command line, whose value needs no sign
_AWS_SECRET = re.compile(r"[A-Za-z0-9/+]{40}")
_AZURE_KEY = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
_APART = "\n" * 9  # more than any pattern goes on over: what one text ends with is no name of what the next begins with
_REPEATED_FROM, _REPEATED_TO, _REMEMBERED = 400, 32_000, 64  # how long a text is that is worth remembering; how many
_clear: dict[str, None] = {}
_lock = threading.Lock()
_SURE = 16  # a bare value this long that mixes letters and digits is no word
_MOST_DIFFERENT = 3  # lower, upper, digit, other: a shorter bare word of fewer kinds is a name, not a value


def find_secret(text: str) -> str | None:
    """Return the name of the first rule that finds a secret in the text, or None. Never returns the secret."""
    data = b"\n%b\n" % text.encode("utf-8", "surrogatepass")
    if b"\\" in data or b"\x1b" in data:
        data = _undone(data)
    lowered = data.lower()
    return _token(data) or _phrase(data, lowered) or _url_password(data) or _named_value(data, lowered)


def find_secret_in(texts: Iterable[str]) -> str | None:
    """Return the name of a rule that finds a secret in any of the texts; what was looked at just before is known."""
    unknown: list[str] = []
    worth_knowing: list[str] = []
    for text in texts:
        if not _REPEATED_FROM <= len(text) <= _REPEATED_TO:
            unknown.append(text)
        elif not _is_clear(text):
            worth_knowing.append(text)
    rule = find_secret(_APART.join([*unknown, *worth_knowing]))  # one search is cheaper than one for each
    if rule is None:
        _remember(worth_knowing)
    return rule


def _is_clear(text: str) -> bool:
    """Tell whether no secret was found in the text lately: an agent sends what was said before with each call."""
    if text not in _clear:
        return False
    with _lock:
        _clear.pop(text, None)
        _clear[text] = None  # the latest stands last
    return True


def _remember(texts: Iterable[str]) -> None:
    with _lock:
        _clear.update(dict.fromkeys(texts))
        while len(_clear) > _REMEMBERED:
            del _clear[next(iter(_clear))]


def _undone(data: bytes) -> bytes:
    if rb"\u00" in data or rb"\x" in data:
        data = _NUMBERED.sub(lambda found: bytes([int(found[1], 16)]), data)
    for escape in _LINES:
        data = data.replace(escape, _BREAK)
    data = data.replace(b"\\", b"")
    return _COLOURS.sub(b" ", data) if b"\x1b" in data else data


def _token(data: bytes) -> str | None:
    runs = data.translate(_CLASSES)
    start = runs.find(_SHORTEST_RUN)
    if start >= 0 and b"hooks" in data and (found := _WEBHOOKS.search(data)):
        return f"{(found[1] or found[2]).decode()}-webhook"
    while start >= 0:
        end = runs.find(b" ", start)
        at = _begin_of_token(data, start, end)
        if at is not None:
            return next(rule.name for rule in _TOKENS if re.compile(rule.pattern.encode()).match(data, at))
        start = runs.find(_SHORTEST_RUN, end)
    return None


def _begin_of_token(data: bytes, start: int, end: int) -> int | None:
    """Return where a token begins in a run of its characters: at the run's beginning, or after a hyphen in it."""
    before = data[start - 1]
    if _AT_RUN.match(data, start) or (before in _BEHIND and _BEHIND_RUN.match(data, start)):
        return start
    if before == _PERCENT and _ESCAPED.match(data, start) and _AT_RUN.match(data, start + 2):
        return start + 2
    if data.find(b"-", start, end) >= 0 and (found := _IN_RUN.search(data, start, end + _BEYOND)):
        return found.start() + 1
    return None


def _phrase(data: bytes, lowered: bytes) -> str | None:
    for mark, patterns in _PHRASES.items():
        if mark in lowered:
            found = next((name for pattern, name in patterns if pattern.search(data)), None)
            if found is not None:
                return found
    return None


def _url_password(data: bytes) -> str | None:
    at = data.find(b"://") if b"@" in data else -1
    while at >= 0:
        found = _CREDENTIALS.match(data, at + 3)
        if found and not _PLACEHOLDER.search(_text(found[1])):
            return "url-password"
        at = data.find(b"://", at + 3)
    return None


def _named_value(data: bytes, lowered: bytes) -> str | None:
    for mark, follows, pattern in _NAMED:
        at = lowered.find(mark)
        while at >= 0:
            if data[at + len(mark)] in follows and (found := pattern.match(data, at)):
                rule = _rule_of(found, lowered[max(at - _BEFORE, 0) : at])
                if rule is not None:
                    return rule
            at = lowered.find(mark, at + len(mark))
    return None


def _rule_of(found: re.Match[bytes], before: bytes) -> str | None:
    """Return the rule under which a value next to a name is a secret, or None when it is code or stands for one."""
    if found["name"].lower() == b"key" and not before.rstrip(b"_- ").endswith(_KEYS):
        return None
    if not found["sign"] and not (found["space"].isspace() and _OPTION.search(before)):
        return None
    name, value = _text(found["name"]), _text(found["quoted"] or found["bare"] or found["line"])
    if name.lower().startswith("secret") and _AWS_SECRET.fullmatch(value) and _kinds(value) >= _MOST_DIFFERENT:
        return "aws-secret-key"
    if before.endswith((b"account", b"sharedaccess")) and _AZURE_KEY.fullmatch(value):
        return "azure-key"
    if _PLACEHOLDER.search(value) or value.isdigit() or value.startswith(("/", "./", "~/", "http:", "https:")):
        return None
    if found["quoted"] or (found["sign"] == b"=" and not found["space"] and name.isupper()):  # or as in `.env`
        secret = _is_mixed(value) and (name.lower().startswith("p") or any(c.isdigit() for c in value))
        secret = secret and bool(found["quoted"] or not _is_path(value))
    else:
        secret = found["bare"] is not None and _is_bare(value)
    return "named-value" if secret else None


def _is_mixed(value: str) -> bool:
    return _kinds(value) > 1  # words have one kind


def _is_bare(value: str) -> bool:
    return _is_mixed(value) and any(c.isdigit() for c in value) and not _is_path(value)


def _is_path(value: str) -> bool:
    """Tell whether a bare value is an attribute path: `self.tokens2.Next`."""
    parts = value.rstrip("=").split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def _kinds(value: str) -> int:
    letters = any(c.islower() for c in value) + any(c.isupper() for c in value)
    return letters + any(c.isdigit() for c in value) + any(not c.isalnum() for c in value)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
