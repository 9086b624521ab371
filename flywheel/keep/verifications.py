"""Looks whether a home is whole: hashes every file again that bears a hash, and follows every name of the store."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sqlmodel import Session

from flywheel.core.errors import FlywheelError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.keep.inventories import MANIFEST, items_of, place_of
from flywheel.keep.shelves import Shelf, look_through
from flywheel.keep.snapshots import BESIDE, STORE
from flywheel.proc.files import file_hash
from flywheel.store.copies import faults
from flywheel.store.holdings import Holding, holdings
from flywheel.store.integrity import faults_of
from flywheel.store.stores import Store

_WHOLE_STORE = "stop flywheel and restore the home from a backup: `flywheel restore BACKUP --force`"
_MENDS = {
    "capture.db": "move it away: the gateway makes another; its calls are lost",
    "bootstrap.db": "restore it from a backup, or move it away and make anew what lay there: `flywheel bootstrap`",
    "teachers.db": "restore it from a backup: it holds what was paid, and the answers",
}
Told = Callable[[str], None]


class Finding(Frozen):
    """Something damaged, and how it is mended."""

    what: str
    place: str
    fault: str
    mend: str


class Verified(Frozen):
    """What was looked at, by kind, and what is damaged."""

    looked_at: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Tell whether nothing is damaged."""
        return not self.findings


def verify(home: Path, store: Store, told: Told = lambda _: None) -> Verified:
    """Look at everything; `told` hears what is looked at."""
    looked: dict[str, int] = {}
    findings: list[Finding] = []
    for name in (STORE, *BESIDE):
        told(name)
        findings += _of_database(_database(store, home) if name == STORE else home / name, looked)
    with store.read() as session:
        told("the ledger and what it speaks of")
        findings += [_of_store(fault.sentence) for fault in faults_of(session)]
        found = holdings(session)
    for one in found:
        if one.kind != "work":
            told(f"{one.kind} {one.name[:24]}")
            looked[one.kind] = looked.get(one.kind, 0) + 1
            findings += _again(_of_holding(one, home), one, store)
    return Verified(looked_at=looked, findings=tuple(findings))


def verify_backup(shelf: Shelf, told: Told = lambda _: None) -> Verified:
    """Read every backup of a shelf through; what is damaged is told with the backups that need it."""
    findings, seen, broken = [], set[str](), set[str]()
    for name in shelf.ids():
        told(f"backup {name}")
        try:
            snapshot = shelf.snapshot(name)
            broken |= set(look_through(snapshot.parts - seen, shelf))  # each part once, however many need it
        except FlywheelError as error:
            findings.append(Finding(what=f"backup {name}", place=name, fault=error.message, mend=error.mend))
            continue
        seen |= snapshot.parts
        bad = broken & snapshot.parts
        hurt = [file.path for file in snapshot.files if not bad.isdisjoint(file.parts)]
        fault = f"{len(bad)} parts are missing or damaged; with them {', '.join(hurt[:3])}"
        mend = "back up again: a part that the home still has is written anew; else use another backup"
        findings += [Finding(what=f"backup {name}", place=name, fault=fault, mend=mend)] if bad else []
    return Verified(looked_at={"backup": len(shelf.ids())}, findings=tuple(findings))


def _database(store: Store, home: Path) -> Path:
    """Return the file of the store; one that is not SQLite has none, and looks after itself."""
    url = store.engine.url
    return Path(str(url.database)) if store.engine.dialect.name == "sqlite" else home / "flywheel.db"


def _of_database(path: Path, looked: dict[str, int]) -> Iterator[Finding]:
    if not path.exists():
        return
    looked["database"] = looked.get("database", 0) + 1
    for fault in faults(path):
        yield Finding(what="database", place=path.name, fault=fault, mend=_MENDS.get(path.name, _WHOLE_STORE))


def _of_store(sentence: str) -> Finding:
    return Finding(what="store", place="flywheel.db", fault=sentence, mend=_WHOLE_STORE)


def _again(findings: Iterable[Finding], one: Holding, store: Store) -> Iterator[Finding]:
    """Yield what is wrong with a holding, unless it was deleted, in order, since the store was read."""
    found = list(findings)
    if found:
        with store.read() as session:
            yield from found if _still(session, one) else ()


def _still(session: Session, one: Holding) -> bool:
    return any((other.kind, other.name) == (one.kind, one.name) for other in holdings(session))


def _of_holding(one: Holding, home: Path) -> Iterator[Finding]:
    place = place_of(one, home)
    mend = f"`flywheel restore BACKUP --only {place}`"
    if one.kind == "report":
        if not (home / place).is_file():
            yield Finding(what="report", place=place, fault="it is missing", mend=f"{mend}, or do without the page")
        return
    for item in items_of(one, home):
        fault = _wrong(item.source, item.sha256)
        if fault:
            yield Finding(what=f"{one.kind} {_short(one)}", place=item.path, fault=fault, mend=mend)
    if one.kind == "adapter" and one.files and content_hash(one.files) != one.hash:
        yield _of_store(f"the files recorded of {one.name} are not those of its hash")
    if one.kind == "suite" and not items_of(one, home)[0].sha256:
        yield Finding(what=f"suite {_short(one)}", place=f"{place}/{MANIFEST}", fault="it cannot be read", mend=mend)


def _wrong(path: Path, digest: str) -> str:
    try:
        found = file_hash(path)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return "its bytes are not what was frozen" if digest not in {"", found} else ""


def _short(one: Holding) -> str:
    return one.name if one.kind == "adapter" else one.name[:8]
