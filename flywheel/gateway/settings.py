"""What an operator may set about the gateway. Read once at start."""

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.core.routing import Alias, Arm, ModelName, Origins, Routing

_MIB = 1024 * 1024


def _checked_host(host: str) -> str:
    if _is_loopback(host):
        return host
    message = f"the gateway asks for no key, so that it listens on this machine only, not on {host!r}"
    raise SettingsError(message, "set its host to 127.0.0.1")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class GatewaySettings(Frozen):
    """Where the gateway listens, whom it asks before the daemon has spoken, and its bounds."""

    home: Path
    host: Annotated[str, AfterValidator(_checked_host)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8711
    upstreams: Origins = ("http://127.0.0.1:8000",)
    base_model: Annotated[str, StringConstraints(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    lines: tuple[ModelName, ...] = ()
    body_limit: Annotated[int, Field(gt=0)] = 32 * _MIB
    capture: bool = True
    capture_limit: Annotated[int, Field(gt=0)] = 4096 * _MIB
    connect_timeout: Annotated[float, Field(gt=0)] = 5.0
    drain_seconds: Annotated[float, Field(ge=0)] = 30.0

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
