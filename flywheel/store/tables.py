"""Every table of the store. Tables hold; the types in `core` validate."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from flywheel.store import evidence_tables, join_tables, mark_tables, nearness_tables, suite_tables  # noqa: F401 - their tables belong to the same schema
from flywheel.store.columns import AUTO as _AUTO
from flywheel.store.columns import Utc  # noqa: F401 - known by this place, too
from flywheel.store.columns import json_column as _json
from flywheel.store.columns import seq as _seq
from flywheel.store.columns import when as _when


class LedgerRow(SQLModel, table=True):
    """An event. `key` makes an event happen at most once."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_line_kind", "line", "kind"), Index("ledger_subject", "subject"), _AUTO)
    seq: int | None = _seq()
    at: datetime = _when()
    kind: str = Field(index=True)
    line: str = ""
    subject: str = ""
    cause: int | None = Field(default=None, sa_type=BigInteger)
    key: str | None = Field(default=None, unique=True)
    body: dict[str, Any] = _json()


class OutcomeRow(SQLModel, table=True):
    """An outcome; `considered` turns false again when its label changes; `gone` says the source has it no more."""

    __tablename__ = "outcomes"
    __table_args__ = (
        Index("outcomes_task", "source", "task"),
        Index(
            "outcomes_waiting",
            "line",
            "seq",
            sqlite_where=text("considered = 0"),
            postgresql_where=text("NOT considered"),
        ),
        Index("outcomes_line", "line", "at"),
        Index("outcomes_prompt", "line", "prompt_key", "label"),
        Index(
            "outcomes_chain",
            "chain",
            "line",
            "label",
            sqlite_where=text("chain <> ''"),
            postgresql_where=text("chain <> ''"),
        ),
        _AUTO,
    )
    seq: int | None = _seq()
    key: str = Field(unique=True)
    source: str
    task: str
    session: str
    repo: str
    call_type: str
    at: datetime = _when()
    model: str
    line: str | None = None
    label: str
    confidence: float
    prompt_key: str
    revision: int = 1
    considered: bool = False
    chain: str = ""
    gone: bool = False
    body: dict[str, Any] = _json()


class PendingTaskRow(SQLModel, table=True):
    """A task of a source that has not ended yet; `first` is the row of its first call there."""

    __tablename__ = "pending_tasks"
    __table_args__ = (UniqueConstraint("source", "task"), Index("pending_tasks_order", "source", "seq"), _AUTO)
    seq: int | None = _seq()
    source: str
    task: str
    first: int = Field(sa_type=BigInteger)


class ExampleRow(SQLModel, table=True):
    """An example of the pool. Accumulated, never replaced; withdrawn ones stay, marked."""

    __tablename__ = "examples"
    __table_args__ = (Index("examples_line", "line", "seq"), Index("examples_prompt", "line", "prompt_key"), _AUTO)
    seq: int | None = _seq()
    id: str = Field(unique=True)
    line: str
    outcome: str = Field(index=True)
    category: str
    at: datetime = _when()
    prompt_key: str
    withdrawn: bool = False
    body: dict[str, Any] = _json()


class QuarantineRow(SQLModel, table=True):
    """What could not be taken, by name; never with the content that was refused."""

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("source", "row"), _AUTO)
    seq: int | None = _seq()
    source: str
    row: str
    rule: str
    reason: str
    at: datetime = _when()


class CursorRow(SQLModel, table=True):
    """How far a source was read; moves in the transaction that stores what was read."""

    __tablename__ = "cursors"
    source: str = Field(primary_key=True)
    body: dict[str, Any] = _json()


class CounterRow(SQLModel, table=True):
    """A count kept up in the transaction that changes it, so that nobody has to count."""

    __tablename__ = "counters"
    scope: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    value: int = 0


class DatasetRow(SQLModel, table=True):
    """A frozen dataset; `watermark` is the last example it could have held."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("line", "number"),)
    hash: str = Field(primary_key=True)
    line: str
    number: int
    watermark: int = Field(sa_type=BigInteger)
    seq: int = Field(sa_type=BigInteger)
    body: dict[str, Any] = _json()


class DatasetExampleRow(SQLModel, table=True):
    """Which example stands in which part of which dataset."""

    __tablename__ = "dataset_examples"
    __table_args__ = (Index("dataset_examples_example", "example"),)
    dataset: str = Field(primary_key=True)
    example: str = Field(primary_key=True)
    part: str


class SuiteRow(SQLModel, table=True):
    """A frozen suite; one live suite a line."""

    __tablename__ = "suites"
    __table_args__ = (
        Index("suites_live", "line", unique=True, sqlite_where=text("live = 1"), postgresql_where=text("live")),
    )
    hash: str = Field(primary_key=True)
    line: str
    dataset: str
    problems: int
    groups: int
    live: bool = True
    seq: int = Field(sa_type=BigInteger)


class SuitePromptRow(SQLModel, table=True):
    """A question that stands in a suite and therefore in no dataset."""

    __tablename__ = "suite_prompts"
    __table_args__ = (Index("suite_prompts_line", "line", "prompt_key"),)
    suite: str = Field(primary_key=True)
    prompt_key: str = Field(primary_key=True)
    line: str


class BaseRow(SQLModel, table=True):
    """The pinned fingerprint of a base model."""

    __tablename__ = "bases"
    name: str = Field(primary_key=True)
    path: str
    fingerprint: str
    seq: int = Field(sa_type=BigInteger)


class BasePartRow(SQLModel, table=True):
    """The fingerprint of one part of a pinned base: its weights, its tokenizer, how it is quantised, the rest."""

    __tablename__ = "base_parts"
    base: str = Field(primary_key=True)
    part: str = Field(primary_key=True)
    fingerprint: str


class RunRow(SQLModel, table=True):
    """A training run."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_line", "line", "started_at"),)
    id: str = Field(primary_key=True)
    line: str
    dataset: str = Field(index=True)
    state: str
    started_at: datetime = _when()
    finished_at: datetime | None = _when(default=None)
    spec: dict[str, Any] = _json()
    result: dict[str, Any] = _json()
    error: str = ""
    seq: int = Field(sa_type=BigInteger)


class AdapterRow(SQLModel, table=True):
    """A published adapter. Numbers are never reused; `pruned_at` says since when its folder is gone."""

    __tablename__ = "adapters"
    __table_args__ = (UniqueConstraint("line", "number"),)
    name: str = Field(primary_key=True)
    line: str
    number: int
    hash: str = Field(index=True)
    run: str = Field(unique=True)
    path: str
    seq: int = Field(sa_type=BigInteger)
    body: dict[str, Any] = _json()
    pruned_at: datetime | None = _when(default=None)


class ReportRow(SQLModel, table=True):
    """A judged measurement; its alpha is spent for good."""

    __tablename__ = "reports"
    __table_args__ = (UniqueConstraint("adapter", "suite"),)
    id: str = Field(primary_key=True)
    line: str = Field(index=True)
    adapter: str = Field(index=True)
    suite: str = Field(index=True)
    verdict: str
    alpha_spent: float
    at: datetime = _when()
    seq: int = Field(sa_type=BigInteger)
    body: dict[str, Any] = _json()


class ReleaseRow(SQLModel, table=True):
    """An adapter's place in front of the agent. Exactly one active, at most one canary a line."""

    __tablename__ = "releases"
    __table_args__ = (
        Index(
            "releases_active",
            "line",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        Index(
            "releases_canary",
            "line",
            unique=True,
            sqlite_where=text("state = 'canary'"),
            postgresql_where=text("state = 'canary'"),
        ),
        UniqueConstraint("line", "number"),
    )
    name: str = Field(primary_key=True)
    line: str
    number: int
    adapter: str
    state: str
    share: float = 0.0
    overridden: bool = False
    approved: bool = False
    changed_at: datetime = _when()
    canary_since: datetime | None = _when(default=None)
    seq: int = Field(sa_type=BigInteger)


class AttributionRow(SQLModel, table=True):
    """A gateway call: who asked, which adapter answered, on which arm, how it ended and what it cost, where known."""

    __tablename__ = "attributions"
    __table_args__ = (
        Index("attributions_task", "task"),
        Index("attributions_line", "line", "seq"),
        Index("attributions_name", "name", "at"),
        _AUTO,
    )
    seq: int | None = _seq()
    call: str = Field(unique=True)
    line: str
    name: str
    arm: str
    task: str
    session: str
    at: datetime = _when()
    status: int | None = None
    complete: bool | None = None
    fallback: bool | None = None
    latency_ms: float | None = None
    first_token_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class LoadedRow(SQLModel, table=True):
    """What a model server held, warmed up, when it was last looked at."""

    __tablename__ = "loaded"
    server: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    path: str
    warmed_at: datetime = _when()


class RoutingRow(SQLModel, table=True):
    """What was published to the gateway, by version."""

    __tablename__ = "routings"
    version: int = Field(primary_key=True)
    at: datetime = _when()
    body: dict[str, Any] = _json()


class JobRow(SQLModel, table=True):
    """Long work with its lease and fencing token."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_open", "kind", "state"),
        Index("jobs_unhandled", "kind", sqlite_where=text("handled = 0"), postgresql_where=text("NOT handled")),
    )
    id: str = Field(primary_key=True)
    kind: str
    line: str
    subject: str
    state: str
    token: int = 0
    lease_until: datetime | None = _when(default=None)
    pid: int | None = None
    pid_started: float | None = None
    attempts: int = 0
    folder: str = ""
    cause: int | None = Field(default=None, sa_type=BigInteger)
    handled: bool = False
    error: str = ""
    spec: dict[str, Any] = _json()
    progress: dict[str, Any] = _json()


class RequestRow(SQLModel, table=True):
    """What a person asked for."""

    __tablename__ = "requests"
    __table_args__ = (Index("requests_open", "state", "at"),)
    id: str = Field(primary_key=True)
    kind: str
    line: str
    subject: str
    reason: str = ""
    override: bool = False
    by: str = ""
    at: datetime = _when()
    state: str = "open"
    answer: str = ""
    cause: int | None = Field(default=None, sa_type=BigInteger)
    body: dict[str, Any] = _json()


class DecisionRow(SQLModel, table=True):
    """The last judgement on each intent, so that an unchanged one is not written again."""

    __tablename__ = "decisions"
    intent: str = Field(primary_key=True)
    digest: str
    seq: int = Field(sa_type=BigInteger)
    attempts: int = 0
    failure: str = ""
    not_before: datetime | None = _when(default=None)


class ScheduleRow(SQLModel, table=True):
    """A schedule's firing, once by key."""

    __tablename__ = "schedules"
    key: str = Field(primary_key=True)
    at: datetime = _when()
