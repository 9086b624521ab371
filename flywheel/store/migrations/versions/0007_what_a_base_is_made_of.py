"""What a pinned base is made of: a fingerprint for each part of it."""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table('base_parts',
    sa.Column('base', sa.String(), nullable=False),
    sa.Column('part', sa.String(), nullable=False),
    sa.Column('fingerprint', sa.String(), nullable=False),
    sa.PrimaryKeyConstraint('base', 'part'))


def downgrade() -> None:
    """Take back."""
    op.drop_table('base_parts')
