"""What `flywheel init` has found on a machine, and what a person may say about it. Pure."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from flywheel.core.frozen import Frozen

ServerKind = Literal["vllm", "llama-server", "ollama", "openai"]


class FoundSource(Frozen):
    """An agent's record. `languages` are those its work is about, with the `good` outcomes in each, which may teach.

    One that is not `there` yet is where a program of this machine will begin one; with no `outcomes` nobody counted.
    """

    kind: str
    path: Path
    version: str = ""
    there: bool = True
    outcomes: int | None = None
    good: int = 0
    whole: bool = True
    languages: dict[str, int] = Field(default_factory=dict)


class PassedOver(Frozen):
    """Something that looks like an agent's record and is none that can be watched."""

    path: Path
    problem: str
    mend: str = ""


class FoundModel(Frozen):
    """A base model: what the server calls it, and where its bytes are, where that is known."""

    served_as: str
    path: Path | None = None
    parameters_billion: float | None = None


class FoundServer(Frozen):
    """A model server that answers on this machine; `loads` tells whether adapters are loaded while it runs."""

    url: str
    kind: ServerKind
    version: str = ""
    models: tuple[FoundModel, ...] = ()
    loads: bool | None = None


class FoundGpu(Frozen):
    """A GPU."""

    name: str
    memory_gib: float = 0.0


class Findings(Frozen):
    """Everything that was found; `folders` are models on the disk that no server has named.

    `silent` are servers that a person named and that do not answer; `trains` tells whether the environment that trains
    was built.
    """

    sources: tuple[FoundSource, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    servers: tuple[FoundServer, ...] = ()
    folders: tuple[FoundModel, ...] = ()
    gpus: tuple[FoundGpu, ...] = ()
    silent: tuple[str, ...] = ()
    trains: bool = True


class Places(Frozen):
    """Where the settings and what they name are to lie."""

    config: Path
    policies: Path
    home: Path
