"""Where serving works: adapters, servers, the gateway and its file."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flywheel.core.serving import ModelServer
from flywheel.serve.servers import LOOK_SECONDS, WORK_SECONDS, Server
from flywheel.serve.sharing import Terms


@dataclass(frozen=True)
class Site:
    """The places of one machine, and how long each is waited for."""

    adapters: Path
    servers: tuple[ModelServer, ...]
    routing_file: Path
    gateway: str | None = None
    grace_seconds: float = 30.0  # without a gateway to ask: how long a request may still be on its way
    look_seconds: float = LOOK_SECONDS
    work_seconds: float = WORK_SECONDS
    gpu: Terms = field(default_factory=Terms)
    is_idle: Callable[[], bool] = lambda: True
    gateway_key: Callable[[], str] = str  # the daemon's own key, where the gateway asks for keys
    token: Callable[[], str] = str  # what opens a server's lock-down, read when it is needed

    def client(self, url: str) -> Server:
        """Return a client of one server."""
        return Server(url, self.look_seconds, self.work_seconds, self.token())

    def server(self, url: str) -> ModelServer | None:
        """Return the server of an address, when it is still in the settings."""
        return next((server for server in self.servers if server.url == url), None)

    def folder(self, path: str) -> Path:
        """Return an adapter's folder, absolute: a server takes a relative name for one to download."""
        return self.adapters.absolute() / path
