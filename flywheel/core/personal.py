"""Finding what belongs to a person in text, and putting its name in its place: `[email]`, `[phone]`, … Pure.

Off unless a source asks for it (`scan_personal`): an agent's work is full of addresses that belong to nobody, and what
is redacted is missing from what is learned. Numbers count only when their own check digits agree.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class _Kind(NamedTuple):
    """A kind of personal data: its name, how it looks, and what tells it from what only looks like it."""

    name: str
    pattern: re.Pattern[str]
    is_one: Callable[[str], bool]


_NOBODY = re.compile(r"(?i)^git@|no-?reply|@(?:[\w.-]+\.)?(?:example|test|localhost|invalid)\b")
_CARD_LENGTHS = MappingProxyType({"2": {16}, "3": {15}, "4": {13, 16, 19}, "5": {16}, "6": {16, 17, 18, 19}})
_SHORTEST_PHONE, _LONGEST_PHONE = 8, 15
_LETTERS = MappingProxyType({chr(ord("A") + n): str(10 + n) for n in range(26)})


def redact(text: str) -> tuple[str, Mapping[str, int]]:
    """Return the text with what is personal named instead, and how much of each kind there was."""
    counts: Counter[str] = Counter()
    for kind in _KINDS:
        text = kind.pattern.sub(lambda found, kind=kind: _named(found[0], kind, counts), text)  # type: ignore[misc]
    return text, dict(counts)


def _named(found: str, kind: _Kind, counts: Counter[str]) -> str:
    if not kind.is_one(found):
        return found
    counts[kind.name] += 1
    return f"[{kind.name}]"


def _is_somebody(address: str) -> bool:
    return _NOBODY.search(address) is None


def _is_iban(text: str) -> bool:
    """Tell whether a number of an account has the remainder that it must have."""
    packed = text.replace(" ", "")
    turned = packed[4:] + packed[:4]
    return int("".join(_LETTERS.get(letter, letter) for letter in turned)) % 97 == 1


def _is_card(text: str) -> bool:
    """Tell whether a card's digits are as many as its issuer's, sum up as they must (Luhn), and are not all alike."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    if len(digits) not in _CARD_LENGTHS[text[0]]:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004 - its double has two digits
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_phone(text: str) -> bool:
    return _SHORTEST_PHONE <= sum(letter.isdigit() for letter in text) <= _LONGEST_PHONE


_IBAN = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
_CARD = r"(?<![\w.-])(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|3[47]\d\d|6(?:011|5\d\d))(?:[ -]?\d){9,15}(?![\w-]|\.\d)"
_ABROAD = r"(?<![\w+])\+\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}(?!\w)"
_AT_HOME = r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\w-]|\.\d)"
_EMAIL = r"(?<![\w.+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w-])"
_KINDS = (
    _Kind("iban", re.compile(_IBAN, re.ASCII), _is_iban),
    _Kind("credit-card", re.compile(_CARD, re.ASCII), _is_card),
    _Kind("phone", re.compile(f"{_ABROAD}|{_AT_HOME}", re.ASCII), _is_phone),
    _Kind("email", re.compile(_EMAIL, re.ASCII), _is_somebody),
)
