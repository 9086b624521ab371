"""Finding secrets in text before it is stored: a closed table of named rules, without guessing by entropy. Pure.

A rule's marks are plain substrings, one of which must be there before its pattern is tried: almost all text is
cleared by substring searches alone.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Rule(NamedTuple):
    """A kind of secret: its name, the substrings that announce it (lower case), and the pattern that decides."""

    name: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(name: str, marks: str, pattern: str) -> Rule:
    return Rule(name, tuple(marks.split()), re.compile(pattern))


_B = r"(?<![A-Za-z0-9_])"  # no longer word begins before it
_E = r"(?![A-Za-z0-9_])"

RULES: tuple[Rule, ...] = (
    _rule("private-key", "private", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    _rule("aws-access-key", "akia asia abia acca", _B + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}" + _E),
    _rule("google-api-key", "aiza", _B + r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    _rule("google-oauth", "gocspx- ya29.", _B + r"(?:GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,})"),
    _rule("azure-key", "accountkey= sharedaccesskey=", r"(?:Account|SharedAccess)Key=[A-Za-z0-9+/]{40,}={0,2}"),
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", _B + r"gh[pousr]_[A-Za-z0-9]{36,}"),
    _rule("github-fine-grained-token", "github_pat_", _B + r"github_pat_[A-Za-z0-9_]{50,}"),
    _rule("gitlab-token", "glpat- gldt- glrt-", _B + r"gl(?:pat|dt|rt)-[\w-]{20,}"),
    _rule("slack-token", "xox", _B + r"xox[abeoprs]-[0-9A-Za-z-]{10,}"),
    _rule("slack-app-token", "xapp-", _B + r"xapp-\d-[0-9A-Za-z-]{20,}"),
    _rule("slack-webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows)/T\w{5,}/\w{5,}/\w{16,}"),
    _rule("discord-webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/\d{15,}/[\w-]{50,}"),
    _rule("stripe-key", "sk_live_ sk_test_ rk_live_ rk_test_", _B + r"[sr]k_(?:live|test)_[0-9A-Za-z]{16,}"),
    _rule("stripe-webhook", "whsec_", _B + r"whsec_[0-9A-Za-z+/=]{24,}"),
    _rule("anthropic-key", "sk-ant-", _B + r"sk-ant-[\w-]{20,}"),
    _rule(
        "openai-key",
        "sk-",
        r"(?<![\w-])sk-(?:(?:proj|svcacct|admin|or-v1)-[\w-]{20,}|(?=[A-Za-z]*\d)[A-Za-z0-9]{32,})",
    ),
    _rule("huggingface-token", "hf_", _B + r"hf_[A-Za-z0-9]{30,}" + _E),
    _rule("npm-token", "npm_", _B + r"npm_[A-Za-z0-9]{36}" + _E),
    _rule("pypi-token", "pypi-", _B + r"pypi-[\w-]{50,}"),
    _rule("sendgrid-key", "sg.", _B + r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    _rule("twilio-key", "sk ac", _B + r"(?:SK|AC)[0-9a-f]{32}" + _E),
    _rule("mailgun-key", "key-", _B + r"key-[0-9a-f]{32}" + _E),
    _rule("telegram-token", ":aa", r"(?<!\d)\d{8,10}:AA[\w-]{33}(?![\w-])"),
    _rule("digitalocean-token", "_v1_", _B + r"do[opr]_v1_[0-9a-f]{64}"),
    _rule("shopify-token", "shp", _B + r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _rule("databricks-token", "dapi", _B + r"dapi[0-9a-f]{32}"),
    _rule("vault-token", "hvs. hvb.", _B + r"hv[sb]\.[\w-]{24,}"),
    _rule("grafana-token", "glsa_ glc_", _B + r"(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,})"),
    _rule("linear-token", "lin_api_", _B + r"lin_api_[A-Za-z0-9]{32,}"),
    _rule("age-key", "age-secret-key-", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    _rule("jwt", "eyj", _B + r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}"),
    _rule("authorization-header", "authorization", r"(?i)authorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer|token)\s+"
          r"(?=[\w+/=.~-]*\d)[\w+/=.~-]{16,}"),
)  # fmt: skip

_MARKED = tuple((mark, rule) for rule in RULES for mark in rule.marks)

_PLACEHOLDER = re.compile(
    r"(?i)example|sample|dummy|change_?-?me|place_?holder|redacted|your|insert|replace|fake|xxx|\*\*\*|\.\.\.|"
    r"^(?:password|passwd|secret|token|pass|user|none|null|true|false|undefined|test\w*|foo\w*|bar\w*|p|pw|pwd)$|"
    r"[<>{}$%()\[\]]|os\.environ|getenv|process\.env"
)
_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{0,200}:([^\s/@\"'<>]{3,200})@[\w.\[-]")
_NAMED = re.compile(
    r"(?i)(?P<name>passw(?:or)?d|passphrase|secret(?:[_-]?(?:access[_-]?)?key)?|token|(?:api|access|private|auth|"
    r"encryption)[_-]?key|credentials?)['\"]?\s{0,4}(?::=|=>|[:=](?!=))\s{0,4}"
    r"(?:(?P<quote>['\"])(?P<quoted>[^'\"\s]{8,500})(?P=quote)|(?P<bare>[A-Za-z0-9+/_~.-]{8,500}={0,2})(?=[\s,;'\"]|$))"
)
_NAMED_MARKS = (
    "passw",
    "passphrase",
    "secret",
    "token",
    "api",
    "access",
    "private",
    "auth",
    "encryption",
    "credential",
)
_MOST_DIFFERENT = 3  # lower, upper, digit, other: a bare word of fewer kinds is a name, not a value


def find_secret(text: str) -> str | None:
    """Return the name of the first rule that finds a secret in the text, or None. Never returns the secret."""
    lowered = text.lower()
    for rule in [rule for mark, rule in _MARKED if mark in lowered]:
        if rule.pattern.search(text):
            return rule.name
    if "://" in lowered and _has_url_password(text):
        return "url-password"
    if any(mark in lowered for mark in _NAMED_MARKS) and _has_named_value(text):
        return "named-value"
    return None


def find_secret_in(texts: Iterable[str]) -> str | None:
    """Return the name of a rule that finds a secret in any of the texts; they are looked at in one go."""
    return find_secret("\n".join(texts))


def _has_url_password(text: str) -> bool:
    return any(not _PLACEHOLDER.search(match[1]) for match in _URL.finditer(text))


def _has_named_value(text: str) -> bool:
    return any(_is_value(match) for match in _NAMED.finditer(text))


def _is_value(match: re.Match[str]) -> bool:
    """Tell a secret from code: a quoted literal with a digit (any, after a password's name), a bare one as in .env."""
    quoted, bare = match["quoted"], match["bare"]
    value = quoted or bare
    if _PLACEHOLDER.search(value) or value.isdigit():
        return False
    if quoted:
        is_password = "pass" in match["name"].lower()
        return _kinds(value) >= 2 and (is_password or any(c.isdigit() for c in value))  # noqa: PLR2004 - words have one kind
    return _kinds(value) >= _MOST_DIFFERENT and not _is_code(value)


def _kinds(value: str) -> int:
    letters = any(c.islower() for c in value) + any(c.isupper() for c in value)
    return letters + any(c.isdigit() for c in value) + any(not c.isalnum() for c in value)


def _is_code(value: str) -> bool:
    """Tell whether a bare value is an attribute path or a name: `self.tokens2.Next`, `MAX_TOKENS_V2`."""
    parts = value.rstrip("=").split(".")
    return not any(c.isdigit() for c in value) or (len(parts) > 1 and all(part.isidentifier() for part in parts))
