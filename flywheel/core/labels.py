"""What evidence supports. Pure.

Two promises: more negative evidence never makes a label better, and without positive evidence nothing is positive.
"""

from collections.abc import Sequence

from flywheel.core.outcomes import Label, Labelled, Signal

_DECIDES = 0.5  # evidence at least this strong settles a label; weaker evidence only lowers the confidence


def judge(signals: Sequence[Signal]) -> Labelled:
    """Weigh signals: a strong negative one decides; otherwise a positive one does, weakened by what speaks against."""
    against = max((signal.strength for signal in signals if signal.points < 0), default=0.0)
    in_favour = max((signal.strength for signal in signals if signal.points > 0), default=0.0)
    if against >= _DECIDES:
        return Labelled(label=Label.NEGATIVE, confidence=against, signals=tuple(signals))
    confidence = in_favour * (1 - against)
    if confidence >= _DECIDES:
        return Labelled(label=Label.POSITIVE, confidence=confidence, signals=tuple(signals))
    return Labelled(label=Label.UNKNOWN, confidence=0.0, signals=tuple(signals))
