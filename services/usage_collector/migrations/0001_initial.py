"""The collector's first tables: people, what was told, where sources stand."""

import sqlalchemy as sa
from alembic import op

from services.shared.store.common_0001 import create_common_tables

revision = "0001"
down_revision = None

_SMALL = {"sqlite_strict": True, "sqlite_with_rowid": False}


def upgrade() -> None:
    create_common_tables(op)  # type: ignore[arg-type]  # a module that stands for an object
    op.create_table(
        "person", _text("pseudonym"), _blob("sealed_identity"), sa.PrimaryKeyConstraint("pseudonym"), **_SMALL
    )
    op.create_table("person_link", _blob("digest"), _text("pseudonym"), sa.PrimaryKeyConstraint("digest"), **_SMALL)
    op.create_table("key_check", _text("name"), _blob("digest"), sa.PrimaryKeyConstraint("name"), **_SMALL)
    op.create_table(
        "told",
        _text("source"),
        _text("kind"),
        _text("id"),
        _big("starts_at"),
        _big("revision"),
        _text("digest"),
        _flag("open"),
        _text("body"),
        sa.PrimaryKeyConstraint("source", "kind", "id"),
        **_SMALL,
    )
    op.create_index("told_by_time", "told", ["source", "kind", "starts_at"])
    op.create_table(
        "source",
        _text("name"),
        _big("version"),
        _text("cursor"),
        _big("read_to"),
        _big("succeeded_at"),
        sa.PrimaryKeyConstraint("name"),
        **_SMALL,
    )
    op.create_table(
        "source_day",
        _text("source"),
        _text("day"),
        _flag("complete"),
        sa.PrimaryKeyConstraint("source", "day"),
        **_SMALL,
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)
