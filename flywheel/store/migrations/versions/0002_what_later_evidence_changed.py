"""What later evidence changed: pairs, superseded examples, what was forgotten."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def _create_pairs() -> None:
    op.create_table('pairs',
    sa.Column('seq', _SEQ, autoincrement=True, nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('root', sa.String(), nullable=False),
    sa.Column('chosen', sa.String(), nullable=False),
    sa.Column('rejected', sa.String(), nullable=False),
    sa.Column('prompt_key', sa.String(), nullable=False),
    sa.Column('chosen_prompt_key', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('withdrawn', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('id'),
    sqlite_autoincrement=True)
    op.create_index('pairs_root', 'pairs', ['line', 'root'], unique=False)
    op.create_index('pairs_line', 'pairs', ['line', 'seq'], unique=False)
    op.create_index(op.f('ix_pairs_chosen'), 'pairs', ['chosen'], unique=False)
    op.create_index(op.f('ix_pairs_rejected'), 'pairs', ['rejected'], unique=False)


def _create_supersessions() -> None:
    op.create_table('supersessions',
    sa.Column('seq', _SEQ, autoincrement=True, nullable=False),
    sa.Column('example', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('label', sa.String(), nullable=False),
    sa.Column('reason', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('event', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('example', 'outcome', 'revision'),
    sqlite_autoincrement=True)
    op.create_index('supersessions_line', 'supersessions', ['line', 'seq'], unique=False)


def _create_departures() -> None:
    op.create_table('departures',
    sa.Column('seq', _SEQ, autoincrement=True, nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('line', 'outcome'),
    sqlite_autoincrement=True)


def _create_forgotten() -> None:
    op.create_table('forgotten',
    sa.Column('hash', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('request', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('hash'))
    op.create_index(op.f('ix_forgotten_request'), 'forgotten', ['request'], unique=False)


def _create_purges() -> None:
    op.create_table('purges',
    sa.Column('hash', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('request', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('hash'))


def upgrade() -> None:
    """Apply."""
    _create_pairs()
    _create_supersessions()
    _create_departures()
    _create_forgotten()
    _create_purges()
    op.drop_index('outcomes_prompt', 'outcomes')
    op.create_index('outcomes_prompt', 'outcomes', ['line', 'prompt_key', 'label'], unique=False)
    op.drop_index('outcomes_chain', 'outcomes')
    op.create_index('outcomes_chain', 'outcomes', ['chain', 'line', 'label'], unique=False, sqlite_where=sa.text("chain <> ''"), postgresql_where=sa.text("chain <> ''"))


def downgrade() -> None:
    """Take back."""
    op.drop_index('outcomes_chain', 'outcomes')
    op.create_index('outcomes_chain', 'outcomes', ['chain'], unique=False, sqlite_where=sa.text("chain <> ''"), postgresql_where=sa.text("chain <> ''"))
    op.drop_index('outcomes_prompt', 'outcomes')
    op.create_index('outcomes_prompt', 'outcomes', ['line', 'prompt_key'], unique=False)
    op.drop_table('purges')
    op.drop_table('forgotten')
    op.drop_table('departures')
    op.drop_table('supersessions')
    op.drop_table('pairs')
