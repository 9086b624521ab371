"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def _create_adapters() -> None:
    op.create_table('adapters',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('hash', sa.String(), nullable=False),
    sa.Column('run', sa.String(), nullable=False),
    sa.Column('path', sa.String(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('name'),
    sa.UniqueConstraint('line', 'number'),
    sa.UniqueConstraint('run'))
    with op.batch_alter_table('adapters', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_adapters_hash'), ['hash'], unique=False)


def _create_attributions() -> None:
    op.create_table('attributions',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('call', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('arm', sa.String(), nullable=False),
    sa.Column('task', sa.String(), nullable=False),
    sa.Column('session', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('call'),
    sqlite_autoincrement=True)
    with op.batch_alter_table('attributions', schema=None) as batch_op:
        batch_op.create_index('attributions_line', ['line', 'seq'], unique=False)
        batch_op.create_index('attributions_task', ['task'], unique=False)


def _create_bases() -> None:
    op.create_table('bases',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('path', sa.String(), nullable=False),
    sa.Column('fingerprint', sa.String(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name'))


def _create_counters() -> None:
    op.create_table('counters',
    sa.Column('scope', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('value', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('scope', 'name'))


def _create_cursors() -> None:
    op.create_table('cursors',
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('source'))


def _create_dataset_examples() -> None:
    op.create_table('dataset_examples',
    sa.Column('dataset', sa.String(), nullable=False),
    sa.Column('example', sa.String(), nullable=False),
    sa.Column('part', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('dataset', 'example'))
    with op.batch_alter_table('dataset_examples', schema=None) as batch_op:
        batch_op.create_index('dataset_examples_example', ['example'], unique=False)


def _create_datasets() -> None:
    op.create_table('datasets',
    sa.Column('hash', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('watermark', sa.BigInteger(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('hash'),
    sa.UniqueConstraint('line', 'number'))


def _create_decisions() -> None:
    op.create_table('decisions',
    sa.Column('intent', sa.String(), nullable=False),
    sa.Column('digest', sa.String(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('failure', sa.String(), nullable=False),
    sa.Column('not_before', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('intent'))


def _create_examples() -> None:
    op.create_table('examples',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('category', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('prompt_key', sa.String(), nullable=False),
    sa.Column('withdrawn', sa.Boolean(), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('id'),
    sqlite_autoincrement=True)
    with op.batch_alter_table('examples', schema=None) as batch_op:
        batch_op.create_index('examples_line', ['line', 'seq'], unique=False)
        batch_op.create_index('examples_prompt', ['line', 'prompt_key'], unique=False)
        batch_op.create_index(batch_op.f('ix_examples_outcome'), ['outcome'], unique=False)


def _create_jobs() -> None:
    op.create_table('jobs',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('token', sa.Integer(), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('pid', sa.Integer(), nullable=True),
    sa.Column('pid_started', sa.Float(), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('folder', sa.String(), nullable=False),
    sa.Column('cause', sa.BigInteger(), nullable=True),
    sa.Column('handled', sa.Boolean(), nullable=False),
    sa.Column('error', sa.String(), nullable=False),
    sa.Column('spec', sa.JSON(), nullable=False),
    sa.Column('progress', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id'))
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('jobs_open', ['kind', 'state'], unique=False)
        batch_op.create_index('jobs_unhandled', ['kind'], unique=False, sqlite_where=sa.text('handled = 0'), postgresql_where=sa.text('NOT handled'))


def _create_ledger() -> None:
    op.create_table('ledger',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('cause', sa.BigInteger(), nullable=True),
    sa.Column('key', sa.String(), nullable=True),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('key'),
    sqlite_autoincrement=True)
    with op.batch_alter_table('ledger', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_ledger_kind'), ['kind'], unique=False)
        batch_op.create_index('ledger_line_kind', ['line', 'kind'], unique=False)
        batch_op.create_index('ledger_subject', ['subject'], unique=False)


def _create_loaded() -> None:
    op.create_table('loaded',
    sa.Column('server', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('path', sa.String(), nullable=False),
    sa.Column('warmed_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('server', 'name'))


def _create_outcomes() -> None:
    op.create_table('outcomes',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('task', sa.String(), nullable=False),
    sa.Column('session', sa.String(), nullable=False),
    sa.Column('repo', sa.String(), nullable=False),
    sa.Column('call_type', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=True),
    sa.Column('label', sa.String(), nullable=False),
    sa.Column('confidence', sa.Float(), nullable=False),
    sa.Column('prompt_key', sa.String(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('considered', sa.Boolean(), nullable=False),
    sa.Column('chain', sa.String(), nullable=False),
    sa.Column('gone', sa.Boolean(), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('key'),
    sqlite_autoincrement=True)
    with op.batch_alter_table('outcomes', schema=None) as batch_op:
        batch_op.create_index('outcomes_chain', ['chain'], unique=False, sqlite_where=sa.text("chain <> ''"), postgresql_where=sa.text("chain <> ''"))
        batch_op.create_index('outcomes_line', ['line', 'at'], unique=False)
        batch_op.create_index('outcomes_prompt', ['line', 'prompt_key'], unique=False)
        batch_op.create_index('outcomes_task', ['source', 'task'], unique=False)
        batch_op.create_index('outcomes_waiting', ['line', 'seq'], unique=False, sqlite_where=sa.text('considered = 0'), postgresql_where=sa.text('NOT considered'))


def _create_pending_tasks() -> None:
    op.create_table('pending_tasks',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('task', sa.String(), nullable=False),
    sa.Column('first', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('source', 'task'),
    sqlite_autoincrement=True)
    with op.batch_alter_table('pending_tasks', schema=None) as batch_op:
        batch_op.create_index('pending_tasks_order', ['source', 'seq'], unique=False)


def _create_quarantine() -> None:
    op.create_table('quarantine',
    sa.Column('seq', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('row', sa.String(), nullable=False),
    sa.Column('rule', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('source', 'row'),
    sqlite_autoincrement=True)


def _create_releases() -> None:
    op.create_table('releases',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('adapter', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('share', sa.Float(), nullable=False),
    sa.Column('overridden', sa.Boolean(), nullable=False),
    sa.Column('approved', sa.Boolean(), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('canary_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name'),
    sa.UniqueConstraint('line', 'number'))
    with op.batch_alter_table('releases', schema=None) as batch_op:
        batch_op.create_index('releases_active', ['line'], unique=True, sqlite_where=sa.text("state = 'active'"), postgresql_where=sa.text("state = 'active'"))
        batch_op.create_index('releases_canary', ['line'], unique=True, sqlite_where=sa.text("state = 'canary'"), postgresql_where=sa.text("state = 'canary'"))


def _create_reports() -> None:
    op.create_table('reports',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('adapter', sa.String(), nullable=False),
    sa.Column('suite', sa.String(), nullable=False),
    sa.Column('verdict', sa.String(), nullable=False),
    sa.Column('alpha_spent', sa.Float(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('adapter', 'suite'))
    with op.batch_alter_table('reports', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_reports_adapter'), ['adapter'], unique=False)
        batch_op.create_index(batch_op.f('ix_reports_line'), ['line'], unique=False)
        batch_op.create_index(batch_op.f('ix_reports_suite'), ['suite'], unique=False)


def _create_requests() -> None:
    op.create_table('requests',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('override', sa.Boolean(), nullable=False),
    sa.Column('by', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('answer', sa.String(), nullable=False),
    sa.Column('cause', sa.BigInteger(), nullable=True),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id'))
    with op.batch_alter_table('requests', schema=None) as batch_op:
        batch_op.create_index('requests_open', ['state', 'at'], unique=False)


def _create_routings() -> None:
    op.create_table('routings',
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('body', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('version'))


def _create_runs() -> None:
    op.create_table('runs',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('dataset', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('spec', sa.JSON(), nullable=False),
    sa.Column('result', sa.JSON(), nullable=False),
    sa.Column('error', sa.String(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id'))
    with op.batch_alter_table('runs', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_runs_dataset'), ['dataset'], unique=False)
        batch_op.create_index('runs_line', ['line', 'started_at'], unique=False)


def _create_schedules() -> None:
    op.create_table('schedules',
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key'))


def _create_suite_prompts() -> None:
    op.create_table('suite_prompts',
    sa.Column('suite', sa.String(), nullable=False),
    sa.Column('prompt_key', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('suite', 'prompt_key'))
    with op.batch_alter_table('suite_prompts', schema=None) as batch_op:
        batch_op.create_index('suite_prompts_line', ['line', 'prompt_key'], unique=False)


def _create_suites() -> None:
    op.create_table('suites',
    sa.Column('hash', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('dataset', sa.String(), nullable=False),
    sa.Column('problems', sa.Integer(), nullable=False),
    sa.Column('groups', sa.Integer(), nullable=False),
    sa.Column('live', sa.Boolean(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('hash'))
    with op.batch_alter_table('suites', schema=None) as batch_op:
        batch_op.create_index('suites_live', ['line'], unique=True, sqlite_where=sa.text('live = 1'), postgresql_where=sa.text('live'))


def upgrade() -> None:
    """Apply."""
    _create_adapters()
    _create_attributions()
    _create_bases()
    _create_counters()
    _create_cursors()
    _create_dataset_examples()
    _create_datasets()
    _create_decisions()
    _create_examples()
    _create_jobs()
    _create_ledger()
    _create_loaded()
    _create_outcomes()
    _create_pending_tasks()
    _create_quarantine()
    _create_releases()
    _create_reports()
    _create_requests()
    _create_routings()
    _create_runs()
    _create_schedules()
    _create_suite_prompts()
    _create_suites()


def downgrade() -> None:
    """Take back."""
    op.drop_table("suites")
    op.drop_table("suite_prompts")
    op.drop_table("schedules")
    op.drop_table("runs")
    op.drop_table("routings")
    op.drop_table("requests")
    op.drop_table("reports")
    op.drop_table("releases")
    op.drop_table("quarantine")
    op.drop_table("pending_tasks")
    op.drop_table("outcomes")
    op.drop_table("loaded")
    op.drop_table("ledger")
    op.drop_table("jobs")
    op.drop_table("examples")
    op.drop_table("decisions")
    op.drop_table("datasets")
    op.drop_table("dataset_examples")
    op.drop_table("cursors")
    op.drop_table("counters")
    op.drop_table("bases")
    op.drop_table("attributions")
    op.drop_table("adapters")
