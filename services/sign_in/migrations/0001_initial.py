"""Accounts, sessions, failed attempts."""

import sqlalchemy as sa
from alembic import op

from services.shared.store.common_0001 import create_common_tables

revision = "0001"
down_revision = None

_SMALL = {"sqlite_strict": True, "sqlite_with_rowid": False}


def upgrade() -> None:
    create_common_tables(op)  # type: ignore[arg-type]  # a module that stands for an object
    op.create_table(
        "account",
        _text("person"),
        sa.Column("password", sa.Text()),
        sa.Column("one_time_until", sa.BigInteger()),
        _text("held"),
        sa.Column("disabled_at", sa.BigInteger()),
        _big("made_at"),
        _big("changed_at"),
        _blob("seal"),
        sa.PrimaryKeyConstraint("person"),
        **_SMALL,
    )
    op.create_table(
        "session",
        _blob("digest"),
        _text("person"),
        _text("how"),
        _big("made_at"),
        _big("seen_at"),
        _big("expires_at"),
        _text("form_token"),
        _blob("seal"),
        sa.PrimaryKeyConstraint("digest"),
        **_SMALL,
    )
    op.create_index("session_person", "session", ["person"])
    op.create_table(
        "attempt",
        _blob("whose"),
        _big("failures"),
        _big("until"),
        _big("last_at"),
        sa.PrimaryKeyConstraint("whose"),
        **_SMALL,
    )
    op.create_table("key_check", _text("name"), _blob("digest"), sa.PrimaryKeyConstraint("name"), **_SMALL)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)
