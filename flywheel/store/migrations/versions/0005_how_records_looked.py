"""How each record of a source looked when it was last read."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table('source_marks',
    sa.Column('source', sa.String(), nullable=False),
    sa.Column('record', sa.String(), nullable=False),
    sa.Column('root', sa.String(), nullable=False),
    sa.Column('mark', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('source', 'record'))


def downgrade() -> None:
    """Take back."""
    op.drop_table('source_marks')
