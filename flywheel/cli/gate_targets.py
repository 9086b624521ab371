"""What `flywheel gate` measures: which folder, against which base, on which server. Bad folders are refused here."""

import asyncio
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import Field
from sqlmodel import Session

from flywheel.core.errors import CorruptError, MisuseError, PermanentError, UnavailableError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.training import Base
from flywheel.daemon.bases import known_bases
from flywheel.daemon.settings import Settings
from flywheel.proc.files import file_hash
from flywheel.proc.loras import CONFIG, WEIGHTS
from flywheel.proc.tokens import read_token
from flywheel.serve.foreigners import based_on, inspect_alone, inspect_foreigner
from flywheel.serve.inspections import MANIFEST, Demands
from flywheel.serve.servers import Server
from flywheel.store.prunings import refuse_pruned
from flywheel.store.runs import adapter_by_name, pinned_base, pinned_parts
from flywheel.store.stores import Store, open_store
from flywheel.train.fingerprints import prints

LARGEST_RANK = 512  # what any server could be started for, where nothing says how this one was
INSPECTION_SECONDS = 120
_SERVER_AND_BASE = "name both: `flywheel gate PATH --server URL --base NAME`"


class Asked(Frozen):
    """What a person named: an adapter or its folder, and as much of the rest as they liked."""

    what: str
    base: str = ""
    server: str = ""
    line: str = ""


class Target(Frozen):
    """An adapter and whom it is compared with: `digest` is the hash of its weights and configuration."""

    name: str
    folder: Path
    digest: str
    base: Base
    server: str
    rank: int = LARGEST_RANK
    line: str = ""
    token: str = Field(default="", repr=False)


@contextmanager
def store_of(settings: Settings) -> Iterator[Store | None]:
    """Give the store, or nothing where there is none: foreign adapters need none."""
    path = Path(settings.store_url.removeprefix("sqlite:///"))
    with ExitStack() as stack:
        missing = settings.store_url.startswith("sqlite:///") and not path.exists()
        yield None if missing else stack.enter_context(open_store(settings.store_url))


def find_target(settings: Settings, store: Store | None, asked: Asked, line_base: str = "") -> Target:
    """Return what is to be measured; whatever is missing or ambiguous is said with the option that mends it."""
    name, folder, line, own_base = _adapter(settings, store, asked)
    base = _base(settings, asked, own_base or line_base, folder)
    server = _server(settings, asked, base)
    rank = next((one.max_lora_rank for one in settings.servers if one.url == server), LARGEST_RANK)
    known = server in {one.url for one in settings.servers} and "servers" in settings.model_fields_set
    if not base.path:
        base = base.model_copy(update={"path": asyncio.run(_path_of(server, base.served_as))})
    return Target(
        name=name, folder=folder, digest=_digest(folder), base=base, server=server,
        rank=rank if known else LARGEST_RANK, line=asked.line or line,
        token=read_token(settings.home) if known else "",
    )  # fmt: skip


def check(target: Target, store: Store | None) -> None:
    """Refuse an adapter that is not whole, not sound, or not of this base; the server never sees such a one."""
    demands = None
    if Path(target.base.path, "config.json").is_file():
        pins: tuple[str | None, dict[str, str]] = (None, {})
        if store is not None:
            with store.read() as session:
                pins = _pins(session, target.base.name)
        demands = _demands(target, *pins)
    with _within(INSPECTION_SECONDS, target.name):
        if demands is not None:
            wrong = inspect_foreigner(target.folder, demands).wrong
        else:
            wrong = inspect_alone(target.folder, target.rank)
    if wrong is not None:
        raise PermanentError(f"{target.name} cannot be measured on base {target.base.name!r}: {wrong}")


def stage(target: Target, place: Path) -> Target:
    """Return the target with its folder where a server may read it and nobody changes it while it is measured.

    An adapter that was made elsewhere is copied, its weights and its configuration only: other files of its folder
    (optimizers, training arguments) are no part of it. One that was published is whole as it lies.
    """
    if (target.folder / MANIFEST).is_file():
        return target
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for name in (CONFIG, WEIGHTS):
            shutil.copyfile(target.folder / name, place / name)
    except OSError as error:
        raise PermanentError(f"{target.name} cannot be copied: {error.strerror or error}") from error
    return target.model_copy(update={"folder": place})


def _adapter(settings: Settings, store: Store | None, asked: Asked) -> tuple[str, Path, str, str]:
    """Return an adapter's name, folder, line and base; the last two are empty for one made elsewhere."""
    path = Path(asked.what).expanduser()
    if path.is_dir():
        return path.resolve().name, path.resolve(), "", ""
    if path.exists():
        raise MisuseError(f"{asked.what} is no folder", "name the folder that holds adapter_config.json")
    found = None
    if store is not None:
        with store.read() as session:
            found = adapter_by_name(session, asked.what)
    if found is None:
        raise MisuseError(
            f"there is no folder and no adapter {asked.what!r}", "see `flywheel adapters list`, or name a folder"
        )
    refuse_pruned(found)
    folder = (settings.home / "adapters").absolute() / found.path
    return found.name, folder, found.line, found.manifest.base_name


def _base(settings: Settings, asked: Asked, own: str, folder: Path) -> Base:
    bases = known_bases(settings)
    if asked.base:
        named = bases.get(asked.base) or next((one for one in bases.values() if one.served_as == asked.base), None)
        if named is None and not asked.server:
            told = f"bases: {', '.join(sorted(bases)) or 'none'}; or name its server, too, with --server URL"
            raise MisuseError(f"{asked.base!r} is not a base of the settings", told)
        return named or Base(name=asked.base, path="", served_as=asked.base)
    if own in bases:
        return bases[own]
    said = based_on(folder)
    fitting = [one for one in bases.values() if said and Path(one.path).resolve() == Path(said).expanduser().resolve()]
    if len(fitting or bases) == 1:
        return fitting[0] if fitting else next(iter(bases.values()))
    if not bases:
        raise MisuseError("the settings name no base model", _SERVER_AND_BASE)
    raise MisuseError("it does not say which base it is for", f"name it with --base: {', '.join(sorted(bases))}")


def _server(settings: Settings, asked: Asked, base: Base) -> str:
    if asked.server:
        return asked.server.rstrip("/").removesuffix("/v1")
    if base.server:
        return base.server.rstrip("/")
    if "servers" not in settings.model_fields_set:
        raise MisuseError("the settings name no model server", _SERVER_AND_BASE)
    return settings.servers[0].url


async def _path_of(url: str, served_as: str) -> str:
    """Return where a server says that its base lies; empty when it does not serve it from a folder."""
    async with Server(url) as server:
        models = {model.name: model for model in await server.models()}
    if served_as not in models:
        raise MisuseError(f"{url} serves no base {served_as!r}", f"it serves: {', '.join(sorted(models)) or 'nothing'}")
    return models[served_as].root or ""


def _pins(session: Session, base: str) -> tuple[str | None, dict[str, str]]:
    return pinned_base(session, base), pinned_parts(session, base)


def _demands(target: Target, pinned: str | None, parts: Mapping[str, str]) -> Demands:
    """Return what the adapter must meet; a base never pinned is read only where the adapter knows its bytes."""
    if pinned is None and (target.folder / MANIFEST).is_file():
        found = prints(Path(target.base.path))
        pinned, parts = found.whole, found.parts
    return Demands(base=target.base, pinned=pinned or "", largest_rank=target.rank, parts=dict(parts))


def _digest(folder: Path) -> str:
    """Return the hash of what a server loads of a folder."""
    try:
        hashes = [file_hash(folder / name) for name in (CONFIG, WEIGHTS) if (folder / name).is_file()]
    except OSError as error:
        raise CorruptError(f"{folder.name} cannot be read: {error.strerror}") from error
    if len(hashes) < 2:  # noqa: PLR2004 - weights and configuration
        raise CorruptError(f"{folder.name} is no adapter: it needs {CONFIG} and {WEIGHTS}", "name a PEFT folder")
    return content_hash(hashes)


@contextmanager
def _within(seconds: int, name: str) -> Iterator[None]:
    """Bound the look at foreign files: a pattern in a configuration may take for ever to match."""

    def late(*_: object) -> None:
        raise UnavailableError(f"{name} could not be looked through within {seconds} s", "mend its adapter_config.json")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
