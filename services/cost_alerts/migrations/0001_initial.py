"""The ledger's first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from services.shared.store.common_0001 import create_common_tables
from services.shared.store.names import create_name_index_0001

revision = "0001"
down_revision = None

_STRICT: dict[str, Any] = {"sqlite_strict": True}
_KEYED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}


def upgrade() -> None:
    create_common_tables(op)  # type: ignore[arg-type]  # Alembic's module stands for its object
    create_name_index_0001(op, "reading_name")  # type: ignore[arg-type]
    _create_dictionaries()
    _create_readings()
    _create_charges()
    _create_register()
    _create_restatements()
    _create_seats()
    _create_decisions()
    op.execute("INSERT INTO register_state (id, version) VALUES (1, 0)")


def _create_dictionaries() -> None:
    op.create_table(
        "word", _number("id"), _text("text"), sa.PrimaryKeyConstraint("id"), sa.UniqueConstraint("text"), **_STRICT
    )
    op.create_table(
        "profile",
        _number("id"),
        _blob("digest"),
        _big("system"),
        _text("body"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        **_STRICT,
    )
    op.create_table(
        "basis",
        _number("id"),
        _blob("digest"),
        _int("day"),
        _big("unit"),
        _big("system"),
        _big("sku"),
        _big("meter"),
        _text("category"),
        _small("estimated"),
        _text("currency"),
        _int("register_version"),
        _text("rule", null=True),
        _text("tariff", null=True),
        _int("tariff_version", null=True),
        _text("nano_per_unit", null=True),
        _text("rate", null=True),
        _int("rate_day", null=True),
        _text("reason", null=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        **_STRICT,
    )


def _create_readings() -> None:
    op.create_table(
        "reading",
        _number("number"),
        _big("source"),
        _text("reading_id"),
        _int("revision"),
        _big("recorded_at"),
        _big("starts_at"),
        _big("ends_at"),
        _int("day"),
        _big("profile"),
        _text("quantities"),
        _text("cost", null=True),
        _text("cost_currency", null=True),
        _small("finality"),
        _small("purpose"),
        _small("retracted"),
        _int("pricing"),
        _int("register_version"),
        sa.PrimaryKeyConstraint("number"),
        **_STRICT,
    )
    op.create_table(
        "reading_history",
        _big("number"),
        _int("revision"),
        _big("recorded_at"),
        _big("starts_at"),
        _big("ends_at"),
        _int("day"),
        _big("profile"),
        _text("quantities"),
        _text("cost", null=True),
        _text("cost_currency", null=True),
        _small("finality"),
        _small("purpose"),
        _small("retracted"),
        sa.PrimaryKeyConstraint("number", "revision"),
        **_KEYED,
    )
    op.create_table(
        "reading_conflict",
        _text("id"),
        _text("source"),
        _text("reading_id"),
        _int("revision"),
        _big("recorded_at", null=True),
        _small("told"),
        sa.PrimaryKeyConstraint("id"),
        **_KEYED,
    )


def _create_charges() -> None:
    op.create_table(
        "charge",
        _big("reading"),
        _int("version"),
        _big("basis"),
        _big("nano", null=True),
        _big("eur_nano", null=True),
        _big("recorded_at"),
        _big("superseded_at", null=True),
        _small("lead"),
        sa.PrimaryKeyConstraint("reading", "version", "basis"),
        **_KEYED,
    )
    op.create_table(
        "rollup",
        _int("day"),
        _big("unit"),
        _big("system"),
        _big("sku"),
        _big("meter"),
        _text("category"),
        _text("currency"),
        _small("estimated"),
        _int("shard"),
        _big("eur_nano"),
        _big("nano"),
        _big("charges"),
        _big("readings"),
        _big("unpriced"),
        sa.PrimaryKeyConstraint("day", "unit", "system", "sku", "meter", "category", "currency", "estimated", "shard"),
        **_KEYED,
    )
    op.create_table(
        "budget_use",
        _text("budget"),
        _int("shard"),
        _big("eur_nano"),
        sa.PrimaryKeyConstraint("budget", "shard"),
        **_KEYED,
    )


def _create_register() -> None:
    op.create_table("register_state", _int("id"), _int("version"), sa.PrimaryKeyConstraint("id"), **_STRICT)
    op.create_table(
        "register_version", _int("version"), _big("published_at"), sa.PrimaryKeyConstraint("version"), **_STRICT
    )
    op.create_table(
        "register_fact",
        _text("kind"),
        _text("fact_id"),
        _int("since"),
        _int("until", null=True),
        _text("body"),
        sa.PrimaryKeyConstraint("kind", "fact_id", "since"),
        **_KEYED,
    )
    op.create_table(
        "register_staged",
        _text("kind"),
        _text("fact_id"),
        _text("body", null=True),
        sa.PrimaryKeyConstraint("kind", "fact_id"),
        **_KEYED,
    )


def _create_restatements() -> None:
    op.create_table(
        "restatement",
        _int("version"),
        _int("since"),
        _big("done_to"),
        _big("last"),
        _big("readings"),
        _small("finished"),
        _small("announced"),
        sa.PrimaryKeyConstraint("version"),
        **_STRICT,
    )
    op.create_table(
        "restated",
        _int("version"),
        _big("unit"),
        _int("day"),
        _big("before_nano"),
        _big("after_nano"),
        sa.PrimaryKeyConstraint("version", "unit", "day"),
        **_KEYED,
    )


def _create_seats() -> None:
    op.create_table(
        "seat_count",
        _text("system"),
        _text("sku"),
        _int("observed_on"),
        _int("revision"),
        _big("purchased"),
        _big("assigned"),
        _big("active", null=True),
        _big("recorded_at"),
        sa.PrimaryKeyConstraint("system", "sku", "observed_on", "revision"),
        **_KEYED,
    )
    op.create_table(
        "seat_holding",
        _text("system"),
        _text("sku"),
        _text("person"),
        _int("assigned_on"),
        _int("revision"),
        _int("released_on", null=True),
        _int("last_active_on", null=True),
        _big("recorded_at"),
        sa.PrimaryKeyConstraint("system", "sku", "person", "assigned_on", "revision"),
        **_KEYED,
    )
    op.create_table(
        "seat_dirty",
        _number("id"),
        _text("system"),
        _text("sku"),
        _int("first_day"),
        _int("last_day"),
        sa.PrimaryKeyConstraint("id"),
        **_STRICT,
    )
    op.create_table(
        "seat_charge",
        _text("system"),
        _text("sku"),
        _int("day"),
        _big("recorded_at"),
        _big("basis"),
        _big("seats"),
        _big("nano", null=True),
        _big("eur_nano", null=True),
        _big("superseded_at", null=True),
        sa.PrimaryKeyConstraint("system", "sku", "day", "recorded_at", "basis"),
        **_KEYED,
    )


def _create_decisions() -> None:
    op.create_table(
        "crossing",
        _text("id"),
        _text("budget"),
        _int("period"),
        _text("threshold"),
        _int("epoch"),
        _text("body"),
        _big("decided_at"),
        sa.PrimaryKeyConstraint("id"),
        **_KEYED,
    )
    op.create_table(
        "finding",
        _text("id"),
        _text("kind", null=True),
        _text("system", null=True),
        _text("unit", null=True),
        _text("output_id"),
        _big("opened_at", null=True),
        _big("closed_at", null=True),
        sa.PrimaryKeyConstraint("id"),
        **_KEYED,
    )
    op.create_index(
        "finding_open",
        "finding",
        ["unit"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null, autoincrement=False)


def _int(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=null, autoincrement=False)


def _small(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.SmallInteger(), nullable=null, autoincrement=False)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null, autoincrement=False)


def _blob(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=null, autoincrement=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), sa.Identity(always=False), nullable=False)
