"""Persons get a key id, by which an erasure is told, and what was erased is remembered."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SMALL = {"sqlite_strict": True, "sqlite_with_rowid": False}
_PERSON = sa.table("person", sa.column("pseudonym"), sa.column("key_id"), sa.column("sealed_identity"))
_OLD = sa.table("person", sa.column("pseudonym"), sa.column("sealed_identity"))


def upgrade() -> None:
    rows = op.get_bind().execute(sa.select(_OLD)).all()
    op.drop_table("person")
    op.create_table(
        "person",
        _text("pseudonym"),
        _text("key_id"),
        sa.Column("sealed_identity", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("pseudonym"),
        **_SMALL,
    )
    op.bulk_insert(
        _PERSON,
        [
            {"pseudonym": row.pseudonym, "key_id": f"k-{secrets.token_hex(10)}", "sealed_identity": row.sealed_identity}
            for row in rows
        ],
    )
    op.create_table(
        "erasure",
        _text("key_id"),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
        **_SMALL,
    )
    op.create_index("person_link_pseudonym", "person_link", ["pseudonym"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)
