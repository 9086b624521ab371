"""What rollout looks at: each line's releases, verdicts, canary results and what people asked for."""

from datetime import datetime

from pydantic import Field

from flywheel.core.contests import Contest
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line, RolloutPlan
from flywheel.core.releases import Release, ReleaseState
from flywheel.core.requests import Request
from flywheel.rollout.canaries import Result
from flywheel.rollout.guards import TaskCalls
from flywheel.rollout.shadows import Likeness

NO_VERDICT = "none"


class Newcomer(Frozen):
    """A published adapter that has no release yet."""

    name: str
    seq: int


class Standing(Frozen):
    """A release, the verdict on it, why no model server takes it, if none does, and what its shadow came to."""

    release: Release
    verdict: str = NO_VERDICT
    verdict_sentence: str = ""
    verdict_seq: int | None = None
    refusal: str = ""
    refusal_seq: int | None = None
    shadow: str = ""
    shadow_sentence: str = ""
    shadow_seq: int | None = None

    @property
    def name(self) -> str:
        """Return the served name."""
        return self.release.name

    @property
    def state(self) -> ReleaseState:
        """Return where the release stands."""
        return self.release.state

    @property
    def passed(self) -> bool:
        """Tell whether the newest verdict on this very adapter is a pass."""
        return self.verdict == "pass"


class LineSituation(Frozen):
    """Everything that the next step of a line's rollout depends on."""

    line: Line
    rollout: RolloutPlan | None
    newcomers: tuple[Newcomer, ...] = ()
    standings: tuple[Standing, ...] = ()
    results: tuple[Result, ...] = ()
    calls: tuple[TaskCalls, ...] = ()
    likenesses: tuple[Likeness, ...] = ()
    contest: Contest | None = None
    requests: tuple[Request, ...] = ()
    facts: dict[str, Value] = Field(default_factory=dict)

    def standing(self, name: str) -> Standing | None:
        """Return the release of a name."""
        return next((standing for standing in self.standings if standing.name == name), None)

    def in_state(self, state: ReleaseState) -> Standing | None:
        """Return the first release in a state."""
        return next((standing for standing in self.standings if standing.state is state), None)


def contest_facts(here: LineSituation, standings: tuple[Standing, Standing], request: Request) -> dict[str, Value]:
    """Return the readings that the start of a contest is judged by: the worse of both verdicts."""
    unproven = next((one for one in standings if not one.passed), standings[0])
    asked = {"release.approved": True, "release.overridden": request.override}
    return {**here.facts, "gate.verdict": unproven.verdict, **asked}


class Situation(Frozen):
    """All lines, and the requests that belong to none of them."""

    now: datetime
    lines: tuple[LineSituation, ...]
    strays: tuple[Request, ...] = ()


def facts_of(here: LineSituation, standing: Standing, request: Request | None = None) -> dict[str, Value]:
    """Return the readings that a step of a release is judged by. Who asks for a promotion also approves of it."""
    asked = request is not None and request.kind == "promote"
    return {
        **here.facts,
        "gate.verdict": standing.verdict,
        "release.approved": standing.release.approved or asked,
        "release.overridden": standing.release.overridden or (asked and request is not None and request.override),
    }
