"""Whether the store holds together: a ledger without holes, causes before effects, names that lead somewhere."""

from typing import NamedTuple

from sqlalchemy import text
from sqlmodel import Session

_SHOWN = 3


class Fault(NamedTuple):
    """Something that cannot be as it is; `rows` rows are like the ones named."""

    what: str
    rows: int
    examples: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Return it in words."""
        more = ", …" if self.rows > len(self.examples) else ""
        return f"{self.what}: {self.rows} ({', '.join(self.examples)}{more})"


class _Tie(NamedTuple):
    """A name in one table that has to be there in another."""

    table: str
    column: str
    name: str
    target: str
    key: str
    where: str = ""


_TOLD = tuple(
    _Tie(table, "seq", name, "ledger", "seq")
    for table, name in {
        "datasets": "hash", "suites": "hash", "bases": "name", "runs": "id", "adapters": "name", "reports": "id",
        "releases": "name",
    }.items()
)  # fmt: skip
_TIES = (
    *_TOLD,
    _Tie("ledger", "cause", "seq", "ledger", "seq", "cause IS NOT NULL"),
    _Tie("runs", "dataset", "id", "datasets", "hash"),
    _Tie("adapters", "run", "name", "runs", "id"),
    _Tie("releases", "name", "name", "adapters", "name"),
    _Tie("reports", "suite", "id", "suites", "hash"),
    _Tie("reports", "adapter", "id", "adapters", "hash"),
    _Tie("suite_prompts", "suite", "suite", "suites", "hash"),
    _Tie("dataset_examples", "dataset", "dataset", "datasets", "hash"),
    _Tie("dataset_examples", "example", "example", "examples", "id", "part IN ('train', 'valid', 'test')"),
    _Tie("examples", "outcome", "id", "outcomes", "key", "outcome <> '' AND NOT withdrawn"),
)
_COUNTED = {
    "examples counted and examples there are": (
        "SELECT c.scope FROM counters c WHERE c.name = 'examples' AND c.scope LIKE 'line:%' AND c.value <> "
        "(SELECT COUNT(*) FROM examples e WHERE 'line:' || e.line = c.scope AND NOT e.withdrawn)"
    ),
}


def faults_of(session: Session) -> list[Fault]:
    """Return whatever contradicts itself in the store, as one moment shows it."""
    found = [_missing(session, tie) for tie in _TIES]
    if session.get_bind().dialect.name == "sqlite":
        found.append(_rows(session, "events missing in the ledger after", _HOLES))  # PostgreSQL's numbers have holes
    found.append(_rows(session, "events that come before their cause", _EARLY))
    found += [_rows(session, f"lines where the number of {what} differ", query) for what, query in _COUNTED.items()]
    return [fault for fault in found if fault is not None]


_HOLES = (
    "SELECT l.seq FROM ledger l WHERE l.seq < (SELECT MAX(seq) FROM ledger) "
    "AND NOT EXISTS (SELECT 1 FROM ledger n WHERE n.seq = l.seq + 1)"
)
_EARLY = "SELECT seq FROM ledger WHERE cause >= seq"


def _missing(session: Session, tie: _Tie) -> Fault | None:
    """Find rows whose name leads nowhere. The words of the query are this module's own."""
    where = f"AND {tie.where} " if tie.where else ""
    query = (
        f"SELECT t.{tie.name} FROM {tie.table} t WHERE NOT EXISTS "  # noqa: S608
        f"(SELECT 1 FROM {tie.target} o WHERE o.{tie.key} = t.{tie.column}) {where}"
    )
    target = "event" if tie.target == "ledger" else f"row of {tie.target}"
    return _rows(session, f"rows of {tie.table} whose {tie.column} is no {target}", query)


def _rows(session: Session, what: str, query: str) -> Fault | None:
    count = session.execute(text(f"SELECT COUNT(*) FROM ({query}) AS found")).scalar_one()  # noqa: S608
    if not count:
        return None
    examples = session.execute(text(f"{query} LIMIT {_SHOWN}")).scalars().all()
    return Fault(what, int(count), tuple(str(one) for one in examples))
