"""The whole look of `flywheel init` at a machine: records, model servers, models, GPUs. Writes nothing."""

import os
import pwd
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from flywheel.cli.init_findings import Findings, FoundModel, FoundSource, PassedOver
from flywheel.cli.init_models import hub_cache, look_for_folders, look_for_gpus, size_of, usual_folders, where
from flywheel.cli.init_places import Place, opencode_places, planned_opencode, roots, searched, usual_places
from flywheel.cli.init_servers import look_for_servers, origin, usual_urls
from flywheel.cli.init_sources import counted, look_at
from flywheel.core.errors import MisuseError
from flywheel.core.frozen import Frozen
from flywheel.proc.environments import environment


class Wanted(Frozen):
    """What a person says about where to look; without a word, the usual places."""

    look: tuple[Path, ...] = ()
    servers: tuple[str, ...] = ()
    base: Path | None = None


def findings_of(wanted: Wanted) -> Findings:
    """Return what is there."""
    home, variables = person_home(os.environ), dict(os.environ)
    cache = hub_cache(variables, home)
    sources, passed = _sources(wanted.look, home)
    named = [origin(url) for url in wanted.servers]
    servers = look_for_servers(named or usual_urls(variables), cache)
    served = {model.path for server in servers for model in server.models}
    folders = [_named(wanted.base)] if wanted.base else look_for_folders(cache, usual_folders(home))
    return Findings(
        sources=tuple(counted(sources)),
        passed_over=tuple(passed),
        servers=tuple(servers),
        folders=tuple(model for model in folders if model.path not in served),
        gpus=tuple(look_for_gpus()),
        silent=tuple(url for url in named if url not in {server.url for server in servers}),
        trains=environment("train").whole,
    )


def person_home(variables: Mapping[str, str]) -> Path:
    """Return the home of the person at the terminal, also where they type it with sudo."""
    name = variables.get("SUDO_USER", "")
    if os.geteuid() == 0 and name:
        with suppress(KeyError):
            return Path(pwd.getpwnam(name).pw_dir)
    return Path.home()


def _sources(look: Sequence[Path], home: Path) -> tuple[list[FoundSource], list[PassedOver]]:
    sources, passed = look_at(_places(look, home))
    planned = planned_opencode(os.environ, home)
    if planned is not None and not planned.exists() and not any(one.kind == "opencode" for one in sources):
        passed = [one for one in passed if one.path != planned]
        sources.append(FoundSource(kind="opencode", path=planned, there=False))
    return sources, passed


def _places(look: Iterable[Path], home: Path) -> Iterator[Place]:
    yield from opencode_places(os.environ, home)
    yield from usual_places(home)
    named = [path.expanduser().absolute() for path in look]
    for path in named:
        if not path.is_dir():
            yield Place(path, sure=True)
    folders = [(path, _DEEP) for path in named if path.is_dir()]
    yield from searched(folders if named else roots(home, Path.cwd()))


_DEEP = 3  # folders below one that a person names


def _named(path: Path) -> FoundModel:
    folder = path.expanduser().absolute()
    if where(str(folder), Path()) is None:
        raise MisuseError(f"there is no model in {folder}", "name the folder that holds config.json and safetensors")
    return FoundModel(served_as=folder.name, path=folder, parameters_billion=size_of(folder))
