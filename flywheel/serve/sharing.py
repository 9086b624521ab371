"""How one GPU is shared between serving and training: the terms an operator set, and what is seen of both. Pure."""

from pydantic import Field

from flywheel.core.frozen import Frozen
from flywheel.core.routing import Fallback, Hold
from flywheel.core.turns import Sharing, Turn


class Terms(Frozen):
    """What an operator set about sharing."""

    sharing: Sharing = "none"
    hold_seconds: float = 30.0
    hold_calls: int = 64
    fallback: Fallback | None = None
    drain_seconds: float = 60.0
    rest_seconds: float = 600.0
    start_seconds: float = 600.0
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()

    @property
    def takes_turns(self) -> bool:
        """Tell whether serving and training have the GPU in turns."""
        return self.sharing in {"sleep", "stop"}

    def hold(self, run: str) -> Hold:
        """Return what the gateway is told while a run has the GPU."""
        return Hold(run=run, seconds=self.hold_seconds, calls=self.hold_calls, fallback=self.fallback)


class Trainee(Frozen):
    """A training run that is not done."""

    run: str
    line: str
    cause: int | None = None


class GpuView(Frozen):
    """The shared GPU now: whose turn it is, who wants it, who is at work on it."""

    terms: Terms = Terms()
    turn: Turn = Turn()
    trainees: tuple[Trainee, ...] = ()
    at_work: tuple[str, ...] = ()
    measuring: bool = False
    in_idle_window: bool = True
    settle_seconds: float = Field(default=30.0, ge=0)

    @property
    def wanted(self) -> bool:
        """Tell whether a training run wants a turn."""
        return self.terms.takes_turns and bool(self.trainees)
