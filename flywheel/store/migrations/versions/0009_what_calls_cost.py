"""What gateway calls ended with and cost, and which adapters' folders are gone."""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

# Nothing is known of the calls from before: every column may be empty.
_OF_CALLS = {
    'status': sa.Integer(),
    'complete': sa.Boolean(),
    'fallback': sa.Boolean(),
    'latency_ms': sa.Float(),
    'first_token_ms': sa.Float(),
    'prompt_tokens': sa.Integer(),
    'completion_tokens': sa.Integer(),
}


def upgrade() -> None:
    """Apply."""
    for name, kind in _OF_CALLS.items():
        op.add_column('attributions', sa.Column(name, kind, nullable=True))
    op.create_index('attributions_name', 'attributions', ['name', 'at'], unique=False)
    op.add_column('adapters', sa.Column('pruned_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column('adapters', 'pruned_at')
    op.drop_index('attributions_name', 'attributions')
    for name in reversed(_OF_CALLS):
        op.drop_column('attributions', name)
