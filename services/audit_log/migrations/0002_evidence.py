"""Receipts of anchors, how the anchors do, and what queries find entries by."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_STRICT = {"sqlite_strict": True}


def upgrade() -> None:
    op.create_table(
        "receipt",
        _text("anchor"),
        _big("size"),
        _text("kind"),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        _big("anchored_at"),
        sa.PrimaryKeyConstraint("anchor", "size"),
        **_STRICT,
    )
    op.create_table(
        "anchor_state",
        _text("anchor"),
        _big("size"),
        _big("tried_at"),
        sa.Column("failures", sa.Integer(), nullable=False),
        _text("refusal"),
        _text("problem"),
        sa.PrimaryKeyConstraint("anchor"),
        **_STRICT,
    )
    op.create_table(
        "facet",
        _big("key"),
        _big("seq"),
        sa.PrimaryKeyConstraint("key", "seq"),
        sqlite_with_rowid=False,
        **_STRICT,
    )
    op.create_table(
        "time_block",
        _big("block"),
        _big("first_time"),
        _big("last_time"),
        sa.PrimaryKeyConstraint("block"),
        **_STRICT,
    )
    op.create_table("event_source", _text("source"), sa.PrimaryKeyConstraint("source"), **_STRICT)
    op.create_table(
        "indexed",
        sa.Column("id", sa.SmallInteger(), nullable=False, autoincrement=False),
        _big("size"),
        sa.PrimaryKeyConstraint("id"),
        **_STRICT,
    )
    op.execute("INSERT INTO indexed (id, size) VALUES (1, 0)")
    for statement in _postgres_guards() if op.get_context().dialect.name == "postgresql" else _sqlite_guards():
        op.execute(statement)


def _sqlite_guards() -> list[str]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'rows of receipt are never changed'); END"
    taken = "EXISTS (SELECT 1 FROM receipt WHERE anchor = NEW.anchor AND size = NEW.size)"
    return [
        f"CREATE TRIGGER receipt_no_update BEFORE UPDATE ON receipt {refuse}",
        f"CREATE TRIGGER receipt_no_delete BEFORE DELETE ON receipt {refuse}",
        f"CREATE TRIGGER receipt_no_replace BEFORE INSERT ON receipt WHEN {taken} {refuse}",
    ]


def _postgres_guards() -> list[str]:
    refuse = "EXECUTE FUNCTION refuse_change()"
    return [
        f"CREATE TRIGGER receipt_no_change BEFORE UPDATE OR DELETE ON receipt FOR EACH ROW {refuse}",
        f"CREATE TRIGGER receipt_no_truncate BEFORE TRUNCATE ON receipt {refuse}",
        "ALTER TABLE receipt ENABLE ALWAYS TRIGGER receipt_no_change",
        "ALTER TABLE receipt ENABLE ALWAYS TRIGGER receipt_no_truncate",
        "REVOKE UPDATE, DELETE, TRUNCATE ON receipt FROM CURRENT_USER",
    ]


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)
