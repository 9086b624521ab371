"""The answers that are surely bad, kept in step from now on; those that were considered before are looked at again."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    """Apply."""
    op.create_table('judgements',
    sa.Column('seq', _SEQ, autoincrement=True, nullable=False),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('line', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('seq'),
    sa.UniqueConstraint('outcome'),
    sqlite_autoincrement=True)
    op.create_index('judgements_line', 'judgements', ['line', 'seq'])
    op.execute("UPDATE outcomes SET considered = false WHERE label = 'negative' AND line IS NOT NULL")


def downgrade() -> None:
    """Take back."""
    op.drop_table('judgements')
