"""What an operator may set about the gateway. Read once at start."""

import ipaddress
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.core.routing import Alias, Arm, ModelName, Origins, Routing
from flywheel.core.traces import TelemetrySection
from flywheel.gateway.keys import gateway_key_file

_MIB = 1024 * 1024


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can knock at an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class GatewaySettings(Frozen):
    """Where the gateway listens, whom it asks before the daemon has spoken, and its bounds.

    Without a host it listens at the socket alone; of requests at once per key 0 means as many as there are in all.
    """

    home: Path
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8711
    socket: Path | None = None
    socket_group: str | None = None
    upstreams: Origins = ("http://127.0.0.1:8000",)
    base_model: Annotated[str, StringConstraints(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    lines: tuple[ModelName, ...] = ()
    body_limit: Annotated[int, Field(gt=0)] = 32 * _MIB
    header_limit: Annotated[int, Field(ge=1024)] = 65536
    requests_at_once: Annotated[int, Field(ge=1)] = 1024
    requests_at_once_per_key: Annotated[int, Field(ge=0)] = 0
    mirrors_at_once: Annotated[int, Field(ge=0)] = 4
    mirrors_below: Annotated[int, Field(ge=0)] = 32
    check_seconds: Annotated[float, Field(gt=0)] = 5.0
    capture: bool = True
    capture_limit: Annotated[int, Field(gt=0)] = 4096 * _MIB
    capture_days: Annotated[float, Field(gt=0, le=36500)] = 90.0
    connect_timeout: Annotated[float, Field(gt=0)] = 5.0
    telemetry: TelemetrySection = TelemetrySection()
    drain_seconds: Annotated[float, Field(ge=0)] = 30.0
    handover_seconds: Annotated[float, Field(ge=0)] = 600.0

    @model_validator(mode="after")
    def _listens_somewhere(self) -> Self:
        if not self.host and self.socket is None:
            raise SettingsError("the gateway listens nowhere", "give it a host or a socket")
        return self

    @property
    def is_exposed(self) -> bool:
        """Tell whether it listens where others than this machine can knock."""
        return bool(self.host) and not is_loopback(self.host)

    @property
    def key_file(self) -> Path:
        """Return the file of the keys."""
        return gateway_key_file(self.home)

    @property
    def routing_file(self) -> Path:
        """Return the file in which the daemon tells the routing."""
        return self.home / "routing.json"

    @property
    def capture_file(self) -> Path:
        """Return the database that the calls are written to."""
        return self.home / "capture.db"

    def first_routing(self) -> Routing:
        """Return what applies until the daemon has written a routing: these upstreams, the base for every line."""
        base = Alias(arms=(Arm(model=self.base_model, share=1.0, role="active"),)) if self.base_model else None
        aliases = dict.fromkeys(self.lines, base) if base else {}
        return Routing(version=0, upstreams=self.upstreams, base_model=self.base_model, aliases=aliases)
