"""The log's first tables, and the triggers that turn an accident into an error.

None of this binds who owns the database; that is what checkpoints outside it are for.
"""

import sqlalchemy as sa
from alembic import op

from services.shared.store.common_0001 import create_common_tables
from services.shared.store.names import create_name_index_0001

revision = "0001"
down_revision = None

_STRICT = {"sqlite_strict": True}
_APPEND_ONLY = ("entry", "tile", "checkpoint", "conflict")
_TAKEN = {
    "entry": "NEW.seq <> (SELECT coalesce(max(seq), -1) + 1 FROM entry) OR EXISTS (SELECT 1 FROM entry "
    "WHERE source_ref = NEW.source_ref AND source_offset = NEW.source_offset)",
    "tile": "EXISTS (SELECT 1 FROM tile WHERE level = NEW.level AND number = NEW.number)",
    "checkpoint": "NEW.size <= (SELECT max(size) FROM checkpoint)",
    "conflict": "EXISTS (SELECT 1 FROM conflict WHERE seq = NEW.seq)",
}


def upgrade() -> None:
    create_common_tables(op)  # type: ignore[arg-type]  # Alembic's module stands for its object
    _create_log()
    _create_projections()
    op.execute("INSERT INTO head (id, size, edge) VALUES (1, 0, '')" if _postgres() else _EMPTY_HEAD)
    for statement in _postgres_guards() if _postgres() else _sqlite_guards():
        op.execute(statement)


_EMPTY_HEAD = "INSERT INTO head (id, size, edge) VALUES (1, 0, x'')"


def _create_log() -> None:
    op.create_table(
        "head", _key("id", sa.SmallInteger()), _big("size"), _blob("edge"), sa.PrimaryKeyConstraint("id"), **_STRICT
    )
    op.create_table(
        "source_partition",
        _key("ref", sa.Integer()),
        _text("cluster"),
        _text("topic"),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("ref"),
        sa.UniqueConstraint("cluster", "topic", "partition"),
        **_STRICT,
    )
    op.create_table(
        "entry",
        _key("seq", sa.BigInteger()),
        sa.Column("source_ref", sa.Integer(), nullable=False),
        _big("source_offset"),
        _blob("body"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("source_ref", "source_offset"),
        **_STRICT,
    )
    create_name_index_0001(op, "entry_name")  # type: ignore[arg-type]  # likewise
    op.create_table(
        "conflict", _key("seq", sa.BigInteger()), _big("first_seq"), sa.PrimaryKeyConstraint("seq"), **_STRICT
    )
    op.create_index("conflict_first", "conflict", ["first_seq"])
    op.create_table(
        "tile",
        _key("level", sa.SmallInteger()),
        _key("number", sa.BigInteger()),
        _blob("hashes"),
        sa.PrimaryKeyConstraint("level", "number"),
        **_STRICT,
    )
    op.create_table(
        "checkpoint",
        _key("size", sa.BigInteger()),
        _blob("note"),
        _big("signed_at"),
        sa.PrimaryKeyConstraint("size"),
        **_STRICT,
    )


def _create_projections() -> None:
    op.create_table(
        "case_file",
        *(_text(name) for name in ("output_id", "document", "state", "system", "unit")),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("next_look", sa.BigInteger()),
        sa.PrimaryKeyConstraint("output_id"),
        **_STRICT,
    )
    op.create_index("case_file_next_look", "case_file", ["next_look"])
    op.create_index("case_file_state", "case_file", ["state", "system"])
    op.create_table(
        "finding",
        *(_text(name) for name in ("finding_id", "output_id", "kind", "unit")),
        _big("opened_seq"),
        sa.Column("closed_seq", sa.BigInteger()),
        _text("opened"),
        sa.Column("closed", sa.Text()),
        sa.PrimaryKeyConstraint("finding_id"),
        **_STRICT,
    )
    op.create_index("finding_output", "finding", ["output_id"])
    op.create_table(
        "register_staged",
        _key("version", sa.Integer()),
        _text("kind"),
        _text("fact_id"),
        sa.Column("document", sa.Text()),
        sa.PrimaryKeyConstraint("version", "kind", "fact_id"),
        **_STRICT,
    )
    op.create_table(
        "register_fact",
        _text("kind"),
        _text("fact_id"),
        _text("document"),
        sa.PrimaryKeyConstraint("kind", "fact_id"),
        **_STRICT,
    )
    op.create_table(
        "decision", _text("message_id"), _big("decided_at"), sa.PrimaryKeyConstraint("message_id"), **_STRICT
    )


def _sqlite_guards() -> list[str]:
    made = []
    for table in _APPEND_ONLY:
        refuse = f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are never changed'); END"
        made += [
            f"CREATE TRIGGER {table}_no_{what.lower()} BEFORE {what} ON {table} {refuse}"
            for what in ("UPDATE", "DELETE")
        ]
        # INSERT OR REPLACE removes the old row without a DELETE trigger: so a taken place is refused before.
        made.append(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {_TAKEN[table]} {refuse}")
    return made


def _postgres_guards() -> list[str]:
    raising = "$$ BEGIN RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME; END $$"
    made = [f"CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS {raising}"]
    refuse = "EXECUTE FUNCTION refuse_change()"
    for table in _APPEND_ONLY:
        made += [
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {refuse}",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} {refuse}",
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change",
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate",
            f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM CURRENT_USER",
        ]
    return made


def _postgres() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _key(name: str, kind: sa.types.TypeEngine[int]) -> sa.Column[int]:
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)
