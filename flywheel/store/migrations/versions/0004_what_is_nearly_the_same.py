"""What is nearly the same: sketches of questions and answers, and the pairs that were found."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _create_questions() -> None:
    op.create_table(
        "question_sketches",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("key", _NUMBER, nullable=False),
        sa.Column("words", sa.Integer(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("key"),
    )
    op.create_table(
        "question_bands",
        sa.Column("band", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("question", _NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("band", "question"),
        sqlite_with_rowid=False,
    )


def _create_answers() -> None:
    op.create_table(
        "answer_sketches",
        sa.Column("example", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("question", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Integer(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("example"),
    )
    op.create_index("answer_sketches_question", "answer_sketches", ["question", "line", "example"], unique=False)


def _create_near(name: str) -> None:
    op.create_table(
        name,
        sa.Column("newer", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("older", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("newer", "older"),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{name}_older", name, ["older"], unique=False)


def upgrade() -> None:
    """Apply."""
    _create_questions()
    _create_answers()
    _create_near("near_questions")
    _create_near("near_examples")


def downgrade() -> None:
    """Take back."""
    for name in ("near_examples", "near_questions", "answer_sketches", "question_bands", "question_sketches"):
        op.drop_table(name)
