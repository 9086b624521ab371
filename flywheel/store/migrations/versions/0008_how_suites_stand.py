"""How suites stand, and sketches of what they ask."""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table('suite_standings',
    sa.Column('suite', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('origin', sa.String(), nullable=False),
    sa.Column('due', sa.Boolean(), nullable=False),
    sa.Column('retired', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('suite'))
    op.create_table('suite_sketches',
    sa.Column('suite', sa.String(), nullable=False),
    sa.Column('prompt_key', sa.String(), nullable=False),
    sa.Column('scheme', sa.String(), nullable=False),
    sa.Column('words', sa.Integer(), nullable=False),
    sa.Column('hashes', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('suite', 'prompt_key'))


def downgrade() -> None:
    """Take back."""
    op.drop_table('suite_sketches')
    op.drop_table('suite_standings')
