"""Legal holds, and the one way by which old entries may go: below what a row of `pruning` says, never otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_STRICT = {"sqlite_strict": True}


def upgrade() -> None:
    op.create_table(
        "pruning",
        _big("before"),
        _big("pruned_at"),
        _big("export_size"),
        _text("export_root"),
        sa.PrimaryKeyConstraint("before"),
        **_STRICT,
    )
    op.create_table(
        "hold",
        _text("hold_id"),
        _big("first_seq"),
        sa.Column("last_seq", sa.BigInteger()),
        _text("document"),
        sa.Column("placed_seq", sa.BigInteger()),
        sa.Column("released_seq", sa.BigInteger()),
        sa.PrimaryKeyConstraint("hold_id"),
        **_STRICT,
    )
    for statement in _postgres_guards() if op.get_context().dialect.name == "postgresql" else _sqlite_guards():
        op.execute(statement)


_UNPRUNED = "OLD.seq >= (SELECT coalesce(max(before), 0) FROM pruning)"


def _sqlite_guards() -> list[str]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'rows of pruning are never changed'); END"
    refuse_entry = "BEGIN SELECT RAISE(ABORT, 'rows of entry are never changed'); END"
    taken = "NEW.before <= (SELECT max(before) FROM pruning)"
    return [
        f"CREATE TRIGGER pruning_no_update BEFORE UPDATE ON pruning {refuse}",
        f"CREATE TRIGGER pruning_no_delete BEFORE DELETE ON pruning {refuse}",
        f"CREATE TRIGGER pruning_no_replace BEFORE INSERT ON pruning WHEN {taken} {refuse}",
        "DROP TRIGGER entry_no_delete",
        f"CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry WHEN {_UNPRUNED} {refuse_entry}",
    ]


def _postgres_guards() -> list[str]:
    raising = "RAISE EXCEPTION 'rows of entry are never changed'"
    body = f"$$ BEGIN IF {_UNPRUNED} THEN {raising}; END IF; RETURN OLD; END $$"
    refuse = "EXECUTE FUNCTION refuse_change()"
    return [
        f"CREATE TRIGGER pruning_no_change BEFORE UPDATE OR DELETE ON pruning FOR EACH ROW {refuse}",
        f"CREATE TRIGGER pruning_no_truncate BEFORE TRUNCATE ON pruning {refuse}",
        "ALTER TABLE pruning ENABLE ALWAYS TRIGGER pruning_no_change",
        "ALTER TABLE pruning ENABLE ALWAYS TRIGGER pruning_no_truncate",
        "REVOKE UPDATE, DELETE, TRUNCATE ON pruning FROM CURRENT_USER",
        f"CREATE FUNCTION refuse_unpruned() RETURNS trigger LANGUAGE plpgsql AS {body}",
        "DROP TRIGGER entry_no_change ON entry",
        f"CREATE TRIGGER entry_no_change BEFORE UPDATE ON entry FOR EACH ROW {refuse}",
        "CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry FOR EACH ROW EXECUTE FUNCTION refuse_unpruned()",
        "ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_no_change",
        "ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_no_delete",
    ]


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)
