"""Settings: one TOML file, overridden by the environment, refused when anything in it is unknown."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariableError

from flywheel.bootstrap.teachers import Teacher, check_staff
from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.core.routing import ModelName, Origin
from flywheel.core.traces import TelemetrySection
from flywheel.core.training import Base
from flywheel.core.turns import Sharing
from flywheel.daemon.keep_settings import KeepSection
from flywheel.daemon.notification_settings import NotifySettings
from flywheel.daemon.web_settings import WebSection
from flywheel.sources.settings import BOOTSTRAP, SOURCES, SourceSettings
from flywheel.train.preflights import FINDINGS

PLACES = ("~/.config/flywheel/flywheel.toml", "/etc/flywheel/flywheel.toml")


class BaseModelSettings(Frozen):
    """One base model: where it lies, what the server calls it, which bytes it must be."""

    path: Path
    served_as: str
    fingerprint: str | None = None
    revision: str = ""
    parameters_billion: float | None = Field(default=None, gt=0)
    server: Origin | None = None


class ServerSettings(Frozen):
    """One model server and how many adapters it was started for."""

    url: Origin = "http://127.0.0.1:8000"
    max_loras: int = Field(default=2, ge=1)
    max_cpu_loras: int = Field(default=4, ge=1)
    max_lora_rank: int = Field(default=16, ge=1)


class GatewaySection(Frozen):
    """The door the agent talks to."""

    host: str = "127.0.0.1"
    port: int = Field(default=8711, ge=0, le=65535)
    capture: bool = True
    capture_mib: int = Field(default=4096, ge=1)
    capture_days: float = Field(default=90, gt=0, le=36500)
    body_limit_mib: int = Field(default=32, ge=1)
    header_limit_kib: int = Field(default=64, ge=1)
    socket: Path | None = None
    socket_group: str | None = None
    requests_at_once: int = Field(default=1024, ge=1)
    requests_at_once_per_key: int = Field(default=0, ge=0)
    mirrors_at_once: int = Field(default=4, ge=0)
    mirrors_below: int = Field(default=32, ge=0)
    check_seconds: float = Field(default=5, gt=0)
    connect_timeout: float = Field(default=5, gt=0)
    drain_seconds: float = Field(default=30, ge=0)
    handover_seconds: float = Field(default=600, ge=0)

    @field_validator("socket")
    @classmethod
    def _at_home(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None


class DaemonSection(Frozen):
    """How the daemon spends its time."""

    poll_seconds: float = Field(default=0.5, gt=0.01, le=60)
    look_seconds: float = Field(default=60, gt=0)
    full_look: str = "17 3 * * *"
    idle_window: str | None = Field(default=None, pattern=r"^\d\d:\d\d-\d\d:\d\d$")
    job_lease_seconds: float = Field(default=60, ge=5)
    job_hours: float = Field(default=24, gt=0)
    job_attempts: int = Field(default=5, ge=1)
    nice: int = Field(default=10, ge=0, le=19)
    stuck_hours: float = Field(default=48, gt=0)
    failing_minutes: float = Field(default=10, gt=0)


class PreflightSection(Frozen):
    """What the check before a run only tells, and what it stops the run for."""

    observe: tuple[str, ...] = ()

    @field_validator("observe")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FINDINGS:
                near = difflib.get_close_matches(name, FINDINGS, n=1)
                msg = f"no finding is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                raise ValueError(msg)
        return names


class ExportSection(Frozen):
    """What exports lean on beside the train environment."""

    llama_cpp: Path | None = None


class LlamaSection(Frozen):
    """The door in front of a llama-server, where vLLM cannot run: how that is started, and where both listen."""

    base: str
    command: tuple[str, ...] = Field(min_length=1)
    restart: tuple[str, ...] = Field(min_length=1)
    url: Origin = "http://127.0.0.1:8080"
    host: str = "127.0.0.1"
    port: int = Field(default=8002, ge=0, le=65535)
    convert: tuple[str, ...] = ()
    start_seconds: float = Field(default=120, gt=0)
    drain_seconds: float = Field(default=60, gt=0)


class GpuSection(Frozen):
    """How serving and training share one GPU."""

    sharing: Sharing = "none"
    unit: str | None = None
    unit_of: Literal["system", "user"] = "system"
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    start_seconds: float = Field(default=600, gt=0)
    hold_seconds: float = Field(default=30, ge=0)
    hold_calls: int = Field(default=64, ge=1)
    fallback_url: Origin | None = None
    fallback_model: ModelName | None = None
    drain_seconds: float = Field(default=60, gt=0)
    rest_minutes: float = Field(default=10, ge=0)
    share: float = Field(default=0.4, gt=0, lt=1)
    learn_idle_hours: bool = True

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.unit and (self.stop or self.start):
            msg = "name a unit, or the commands stop and start, not both"
            raise ValueError(msg)
        if bool(self.stop) != bool(self.start):
            msg = "stop and start are given together"
            raise ValueError(msg)
        if self.sharing == "stop" and not (self.unit or self.stop):
            msg = 'sharing = "stop" needs a unit, or the commands stop and start'
            raise ValueError(msg)
        if bool(self.fallback_url) != bool(self.fallback_model):
            msg = "fallback_url and fallback_model are given together"
            raise ValueError(msg)
        return self

    @property
    def takes_turns(self) -> bool:
        """Tell whether serving and training have the GPU in turns."""
        return self.sharing in {"sleep", "stop"}

    def command(self, verb: Literal["stop", "start"]) -> tuple[str, ...]:
        """Return the command line that stops or starts the model server; empty where none is set."""
        if self.unit:
            return ("systemctl", *(("--user",) if self.unit_of == "user" else ()), verb, self.unit)
        return self.stop if verb == "stop" else self.start


class ExecutorSection(Frozen):
    """The boxes that model-written programs run in."""

    socket: Path | None = None
    group: str | None = None
    workers: int = Field(default=2, ge=1, le=64)
    seconds: float = Field(default=60, gt=0, le=300)
    memory_mib: int = Field(default=1024, ge=16)
    containment: Literal["bubblewrap", "landlock"] = "bubblewrap"

    @field_validator("socket")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None


class Settings(BaseSettings):
    """Everything a machine's operator decides, beside the policies."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="FLYWHEEL_", env_nested_delimiter="__")

    home: Path = Path("~/.local/share/flywheel")
    lines: tuple[str, ...] = ()
    store: str | None = None
    policies: Path | None = None
    bases: dict[str, BaseModelSettings] = Field(default_factory=dict)
    sources: tuple[SourceSettings, ...] = ()
    teachers: tuple[Teacher, ...] = ()
    servers: tuple[ServerSettings, ...] = Field(default=(ServerSettings(),), min_length=1)
    train_python: Path | None = None
    gateway: GatewaySection = GatewaySection()
    gpu: GpuSection = GpuSection()
    preflight: PreflightSection = PreflightSection()
    export: ExportSection = ExportSection()
    llama: LlamaSection | None = None
    daemon: DaemonSection = DaemonSection()
    executor: ExecutorSection = ExecutorSection()
    notify: tuple[NotifySettings, ...] = ()
    web: WebSection = WebSection()
    keep: KeepSection = KeepSection()
    telemetry: TelemetrySection = TelemetrySection()

    @field_validator("home", "policies", "train_python")
    @classmethod
    def _expanded(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None

    @field_validator("sources", mode="before")
    @classmethod
    def _homes(cls, sources: Any) -> Any:
        return [_at_home(source) for source in sources] if isinstance(sources, list | tuple) else sources

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for what, named in (("sources", self.sources), ("notifications", self.notify)):
            names = [one.name for one in named]
            if len(set(names)) != len(names):
                msg = f"two {what} have the same name"
                raise ValueError(msg)
        if BOOTSTRAP in {source.name for source in self.sources}:
            msg = f"{BOOTSTRAP!r} is what a cold start made: give the source another name"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _teachers_have_their_places(self) -> Self:
        check_staff(self.teachers)
        return self

    @model_validator(mode="after")
    def _fallback_is_elsewhere(self) -> Self:
        if self.gpu.fallback_url in {server.url for server in self.servers}:
            msg = f"gpu.fallback_url {self.gpu.fallback_url} is a server that rests while training has the GPU"
            raise ValueError(msg)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        return env_settings, init_settings

    @property
    def store_url(self) -> str:
        """Return the store's URL."""
        return self.store or f"sqlite:///{self.home / 'flywheel.db'}"

    def base_models(self) -> dict[str, Base]:
        """Return the bases as the rooms know them."""
        return {
            name: Base(
                name=name,
                path=str(base.path.expanduser().absolute()),
                served_as=base.served_as,
                fingerprint=base.fingerprint,
                parameters=base.parameters_billion,
                revision=base.revision,
                server=base.server,
            )
            for name, base in self.bases.items()
        }


def _at_home(source: Any) -> Any:
    if not isinstance(source, dict):
        return source
    places = {name: str(Path(source[name]).expanduser()) for name in ("path", "curated")
              if isinstance(source.get(name), str)}  # fmt: skip
    return {"kind": "generic", **source, **places}


def find_settings(explicit: Path | None = None) -> Path | None:
    """Return the settings file to use: the one named, else the first that exists."""
    named = explicit or (Path(os.environ["FLYWHEEL_CONFIG"]) if os.environ.get("FLYWHEEL_CONFIG") else None)
    if named is not None:
        return named
    return next((path for place in PLACES if (path := Path(place).expanduser()).is_file()), None)


def load_settings(path: Path | None) -> Settings:
    """Return the settings of a file and the environment; every mistake is one line with its mend."""
    values = _read(path) if path is not None else {}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(f"{path or 'the environment'}: {_first(error)}", "see docs/settings.md") from error
    except UnreadableVariableError as error:
        reason = str(error).partition(" from source")[0]
        raise SettingsError(f"the environment: {reason}", "lists and tables are written there as JSON") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no settings file {path}", "name one with --config, or let `flywheel init` write it"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", "it must be a readable UTF-8 TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "mend that line") from error


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    kinds = {kind.model_fields["kind"].default for kind in SOURCES} if found["loc"][:1] == ("sources",) else set()
    where = ".".join(str(part) for part in found["loc"] if part not in kinds) or "settings"
    if found["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(found["loc"][-1]), _known_words(), n=1)
        return f"unknown setting {where!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    return f"{where}: {found['msg'].removeprefix('Value error, ')}"


def _known_words() -> list[str]:
    sections: tuple[type[BaseModel], ...] = (
        Settings,
        BaseModelSettings,
        *SOURCES,
        ServerSettings,
        Teacher,
        GatewaySection,
        GpuSection,
        PreflightSection,
        ExportSection,
        LlamaSection,
        DaemonSection,
        ExecutorSection,
        NotifySettings,
        WebSection,
        KeepSection,
        TelemetrySection,
    )
    return [name for section in sections for name in section.model_fields]
