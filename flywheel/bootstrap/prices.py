"""What is paid for: whole numbers of a 10⁻¹² of the currency, so that sums are exact. Pure.

A price is for a million tokens with at most six decimals: one token then costs a whole number of picos.
"""

from decimal import ROUND_UP, Decimal

PICOS = 10**12
_TOKENS = 10**6
_SHOWN = Decimal("0.0001")


def picos(amount: Decimal) -> int:
    """Return an amount of the currency in picos."""
    return int(amount * PICOS)


def picos_a_token(price: Decimal) -> int:
    """Return what one token costs at a price for a million."""
    return picos(price) // _TOKENS


def told(amount: int) -> str:
    """Return an amount for people to read: four decimals, a fraction of the last counted as a whole."""
    return f"{(Decimal(amount) / PICOS).quantize(_SHOWN, ROUND_UP):f}"
