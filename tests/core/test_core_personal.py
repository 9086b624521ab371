"""Personal data is named, what only looks like it is left alone, and nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.core.personal import redact

PERSONAL = {
    "write to jane.doe+news@mail.acme-corp.com today": ("write to [email] today", "email"),
    "call +49 170 1234567, please": ("call [phone], please", "phone"),
    "or (415) 867-5309.": ("or [phone].", "phone"),
    "pay to DE89 3704 0044 0532 0130 00 soon": ("pay to [iban] soon", "iban"),
    "iban=GB82WEST12345698765432;": ("iban=[iban];", "iban"),
    "card 4111 1111 1111 1111 expires": ("card [credit-card] expires", "credit-card"),
    "amex 378282246310005": ("amex [credit-card]", "credit-card"),
}
ORDINARY = [
    "git@github.com:org/repo.git",
    "someone@users.noreply.github.com and user@example.org",
    "import numpy@1.26 and package@version",
    "@pytest.fixture\ndef value(): return a @ b.c",
    "1234567890123456 and 4111 1111 1111 1112",
    "DE89 3704 0044 0532 0130 01",
    "2026-01-01 10:00:00.123456 and 192.168.100.200 and 1.234.5678",
    "x = +1 + 2 - 3; sha 0123456789abcdef0123456789abcdef01234567",
    "0.4111111111111111 and v4111.1111.1111.1111",
]


@pytest.mark.parametrize("text", PERSONAL)
def test_what_is_personal_is_named(text):
    """Each kind is replaced by its name and counted once."""
    wanted, kind = PERSONAL[text]
    assert redact(text) == (wanted, {kind: 1})


@pytest.mark.parametrize("text", ORDINARY)
def test_what_only_looks_like_it_stays(text):
    """Addresses of nobody, numbers without their check digits, versions, dates and hashes are no one's."""
    assert redact(text) == (text, {})


@given(st.text(max_size=200))
def test_nothing_else_is_touched(text):
    """Where nothing was found the text is as it was, and what was redacted once holds nothing more."""
    redacted, counts = redact(text)
    assert counts or redacted == text
    assert redact(redacted)[0] == redacted


@given(st.integers(10**14, 10**15 - 1))
def test_one_digit_in_ten_makes_a_card(number):
    """Of the ten numbers that differ in their last digit alone, exactly one is a card's."""
    begun = f"4{number}"
    hits = [digit for digit in range(10) if redact(f"{begun[:15]}{digit}")[1]]
    assert len(hits) == 1
