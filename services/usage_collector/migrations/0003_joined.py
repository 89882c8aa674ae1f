"""Which pseudonyms turned out to be one person is remembered."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "person_joined",
        sa.Column("old", sa.Text(), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("old"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("person_joined_new", "person_joined", ["new"])
