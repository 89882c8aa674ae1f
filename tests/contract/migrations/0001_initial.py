"""The common tables and the samples."""

import sqlalchemy as sa
from alembic import op

from services.shared.store.common_0001 import create_common_tables
from services.shared.store.names import create_name_index_0001

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)  # type: ignore[arg-type]  # Alembic's module stands for its Operations
    op.create_table(
        "sample",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text()),
        sa.Column("flag", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("number"),
        sa.CheckConstraint("number >= 0", name="sample_number"),
        sqlite_strict=True,
    )
    create_name_index_0001(op, "seen_name")  # type: ignore[arg-type]  # likewise
    op.create_table(
        "tally",
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "unit"),
        sqlite_strict=True,
    )
