"""What serving looks at: what each server holds, what each line should have, what was published, who drains."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from flywheel.core.contests import Contest
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.core.releases import Release
from flywheel.core.serving import Loaded, ModelServer, Published, ServedModel
from flywheel.core.training import Base
from flywheel.serve.sharing import GpuView

#: `resting`: asleep, or stopped by us; what it held is taken at its last word until it is woken.
Health = Literal["answers", "slow", "down", "wrong", "resting"]


class ServerView(Frozen):
    """A server now, what it was known to hold warmed up, and whether the ledger calls it failed."""

    server: ModelServer
    health: Health
    reason: str = ""
    asleep: bool = False
    can_sleep: bool = False
    models: tuple[ServedModel, ...] = ()
    loaded: tuple[Loaded, ...] = ()
    called_failed: bool = False
    cause: int | None = None

    @property
    def url(self) -> str:
        """Return the server's address."""
        return self.server.url

    @property
    def names(self) -> frozenset[str]:
        """Return everything it lists."""
        return frozenset(model.name for model in self.models)

    def root_of(self, name: str) -> str | None:
        """Return where a listed adapter was loaded from."""
        return next((model.root for model in self.models if model.name == name), None)

    def is_warm(self, name: str, path: str) -> bool:
        """Tell whether an adapter was loaded from this path and had answered, when last looked at."""
        return any(entry.name == name and entry.path == path for entry in self.loaded)


class LineView(Frozen):
    """A line, its base, its releases, where their adapters lie, and the contest that two of them are in."""

    line: Line
    base: Base | None
    releases: tuple[Release, ...] = ()
    paths: dict[str, str] = Field(default_factory=dict)
    contest: Contest | None = None


class GatewayView(Frozen):
    """What the gateway has in force, and the requests on their way by model.

    `at_servers` counts every call on its way to a server, `overdue` those that were held too long and have no fallback;
    a gateway from before there were holds tells neither.
    """

    version: int
    in_flight: dict[str, int] = Field(default_factory=dict)
    at_servers: int | None = None
    overdue: int = 0
    quiet_seconds: float | None = None


class Situation(Frozen):
    """Everything the reconciler depends on."""

    now: datetime
    lines: tuple[LineView, ...]
    servers: tuple[ServerView, ...]
    published: Published | None = None
    file_is_published: bool = False
    gateway: GatewayView | None = None
    gpu: GpuView = GpuView()
    grace_seconds: float = 30.0
