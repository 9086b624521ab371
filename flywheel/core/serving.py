"""What stands behind the gateway: model servers, what they hold, and what was published. Pure."""

from datetime import datetime

from pydantic import Field, field_validator

from flywheel.core.frozen import Frozen
from flywheel.core.routing import Routing


class ModelServer(Frozen):
    """One model server and how many adapters it was started for."""

    url: str
    max_loras: int = Field(default=2, ge=1)
    max_cpu_loras: int = Field(default=4, ge=1)
    max_lora_rank: int = Field(default=16, ge=1)

    @field_validator("url")
    @classmethod
    def _origin(cls, url: str) -> str:
        return url.rstrip("/")


class ServedModel(Frozen):
    """One entry of a server's list; an adapter has a parent and was loaded from `root`."""

    name: str
    root: str | None = None
    parent: str | None = None


class Loaded(Frozen):
    """An adapter that a server held and that had answered a request."""

    server: str
    name: str
    path: str
    warmed_at: datetime


class Published(Frozen):
    """A routing and when it was decided."""

    routing: Routing
    at: datetime
