"""What a person may ask for on the dashboard: a closed registry, each with the words that say what will happen."""

from collections.abc import Mapping
from types import MappingProxyType

from flywheel.core.frozen import Frozen
from flywheel.core.releases import Release, ReleaseState
from flywheel.core.requests import RequestKind

_LIVING = frozenset({ReleaseState.REGISTERED, ReleaseState.SHADOW, ReleaseState.CANARY})


class Deed(Frozen):
    """One thing to ask for: its request, its words, what it is asked of and in which states."""

    kind: RequestKind
    word: str
    button: str
    promise: str
    of: str = "adapter"
    states: frozenset[ReleaseState] = frozenset()
    overrides: bool = False

    def fits(self, release: Release) -> bool:
        """Tell whether it makes sense to ask this of an adapter as it stands."""
        return release.state in self.states and not (self.kind == "approve" and release.approved)


#: By the word in its address.
DEEDS: Mapping[str, Deed] = MappingProxyType({
    "approve": Deed(
        kind="approve", word="Approve", button="Approve it",
        promise="The first promotion of a line needs a person's word. You say that you looked, and that it may answer "
                "everybody once its canary is good enough.",
        states=_LIVING,
    ),
    "promote": Deed(
        kind="promote", word="Promote", button="Ask to promote it",
        promise="It becomes the one that answers, if it passed its gate and no guardrail objects. What answered before "
                "stays loadable. With an override it starts as a canary on your word, whatever its gate said.",
        states=_LIVING | {ReleaseState.SUPERSEDED, ReleaseState.ROLLED_BACK, ReleaseState.REJECTED}, overrides=True,
    ),
    "roll-back": Deed(
        kind="roll_back", word="Roll back", button="Take it back",
        promise="It stops answering at once. The one before it, or the base model, answers again; it does not come "
                "back by itself.",
        states=frozenset({ReleaseState.SHADOW, ReleaseState.CANARY, ReleaseState.ACTIVE}),
    ),
    "pause": Deed(
        kind="pause", word="Pause", button="Pause the line", of="line",
        promise="No run, measurement, canary or promotion of this line begins until somebody lets it go on. What is "
                "under way goes on, outcomes are gathered, and an adapter that does harm is still taken back.",
    ),
    "resume": Deed(
        kind="resume", word="Resume", button="Let it go on", of="line",
        promise="The line goes on where it was.",
    ),
})  # fmt: skip
