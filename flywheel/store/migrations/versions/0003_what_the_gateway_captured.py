"""What the gateway captured: calls by which outcomes find their exact prompt."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def _create_captured_calls() -> None:
    op.create_table('captured_calls',
    sa.Column('seq', _SEQ, autoincrement=True, nullable=False),
    sa.Column('call', sa.String(), nullable=False),
    sa.Column('session', sa.String(), nullable=False),
    sa.Column('task', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answer', sa.String(), nullable=False),
    sa.Column('question', sa.String(), nullable=False),
    sa.Column('outcome', sa.String(), nullable=True),
    sa.Column('rule', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('call'),
    sa.UniqueConstraint('outcome'),
    sqlite_autoincrement=True)
    op.create_index('captured_calls_answer', 'captured_calls', ['answer', 'at'], unique=False)
    op.create_index(op.f('ix_captured_calls_session'), 'captured_calls', ['session'], unique=False)


def _create_unjoined_outcomes() -> None:
    op.create_table('unjoined_outcomes',
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('session', sa.String(), nullable=False),
    sa.Column('answer', sa.String(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key'))
    op.create_index(op.f('ix_unjoined_outcomes_answer'), 'unjoined_outcomes', ['answer'], unique=False)
    op.create_index(op.f('ix_unjoined_outcomes_at'), 'unjoined_outcomes', ['at'], unique=False)
    op.create_index(op.f('ix_unjoined_outcomes_session'), 'unjoined_outcomes', ['session'], unique=False)


def upgrade() -> None:
    """Apply."""
    _create_captured_calls()
    _create_unjoined_outcomes()


def downgrade() -> None:
    """Take back."""
    op.drop_table('unjoined_outcomes')
    op.drop_table('captured_calls')
