"""Charges by the period, closed months, cost centres and VAT. The ledger is folded anew from the events.

What the tables of 0001 say of charges lacks what is now told of each, so everything that the bus can tell again is
dropped and the consumers begin at its start, as after a rebuild. What was told to the world stays.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_STRICT: dict[str, Any] = {"sqlite_strict": True}
_KEYED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}
_SUMS = ("eur_nano", "nano", "charges", "readings", "unpriced")
_PLACE = ("day", "unit", "system", "sku", "meter", "category", "currency", "estimated", "cost_centre", "project")
_ROLLUP_KEY = (*_PLACE, "vat_rate", "shard")

_DROPPED = ("basis", "rollup", "register_state", "register_version", "seat_dirty", "seat_charge")
_EMPTIED = (
    "reading",
    "reading_name",
    "reading_name_recent",
    "reading_history",
    "charge",
    "budget_use",
    "register_fact",
    "register_staged",
    "restated",
    "seat_count",
    "seat_holding",
    "finding",
    "consumer_position",
    "rebuild_horizon",
)
_NOT_BEGUN = -1


def upgrade() -> None:
    for table in _DROPPED:
        op.drop_table(table)
    for table in _EMPTIED:
        op.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names
    _keep_what_was_told()
    _create_basis()
    _create_sums("rollup")
    _create_sums("adjustment", _int("booked_in"))
    _create_register()
    _create_periods()
    _create_books()
    op.create_index("reading_day", "reading", ["day", "profile"])
    op.create_index("reading_history_day", "reading_history", ["day", "profile"])
    op.execute("INSERT INTO register_state (id, version, closings) VALUES (1, 0, 0)")


def _keep_what_was_told() -> None:
    """What the world knows of is not told again: conflicts, restatements; crossings and messages stay as they are."""
    op.execute("DELETE FROM reading_conflict WHERE told = 0")
    op.execute("UPDATE reading_conflict SET recorded_at = NULL")
    op.execute("DELETE FROM restatement WHERE announced = 0")
    op.execute(f"UPDATE restatement SET since = {_NOT_BEGUN}, done_to = 0, last = 0, readings = 0, finished = 0")  # noqa: S608
    op.execute("DELETE FROM store_info WHERE name LIKE 'rebuild horizon%'")


def _create_basis() -> None:
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
        _big("cost_centre"),
        _big("project"),
        _text("vat_rate"),
        _text("list_per_unit", null=True),
        _text("credit_tariff", null=True),
        _int("credit_tariff_version", null=True),
        _text("agreement", null=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        **_STRICT,
    )


def _create_sums(name: str, *before: sa.Column[Any]) -> None:
    texts, small = {"category", "currency", "vat_rate"}, {"estimated"}
    whole = {"day", "shard"}
    key = [
        _text(one) if one in texts else _small(one) if one in small else _int(one) if one in whole else _big(one)
        for one in _ROLLUP_KEY
    ]
    names = [column.name for column in before] + list(_ROLLUP_KEY)
    op.create_table(name, *before, *key, *map(_big, _SUMS), sa.PrimaryKeyConstraint(*names), **_KEYED)


def _create_register() -> None:
    op.create_table(
        "register_state", _int("id"), _int("version"), _int("closings"), sa.PrimaryKeyConstraint("id"), **_STRICT
    )
    op.create_table(
        "register_version",
        _int("version"),
        _big("published_at"),
        _text("author", null=True),
        _text("approver", null=True),
        _text("reason", null=True),
        sa.PrimaryKeyConstraint("version"),
        **_STRICT,
    )


def _create_periods() -> None:
    op.create_table("day", _int("day"), _big("recorded_at"), sa.PrimaryKeyConstraint("day"), **_KEYED)
    op.create_table(
        "invoice",
        _text("vendor"),
        _text("invoice_id"),
        _int("revision"),
        _int("month"),
        _text("body"),
        _big("recorded_at"),
        sa.PrimaryKeyConstraint("vendor", "invoice_id", "revision"),
        **_KEYED,
    )
    op.create_table(
        "period_dirty",
        _number("id"),
        _text("about"),
        _text("system"),
        _int("first_day"),
        _int("last_day"),
        _big("recorded_from"),
        sa.PrimaryKeyConstraint("id"),
        **_STRICT,
    )
    op.create_table(
        "period_charge",
        _text("agreement"),
        _big("cycle"),
        _int("day"),
        _big("recorded_at"),
        _big("basis"),
        _text("quantity"),
        _big("nano", null=True),
        _big("eur_nano", null=True),
        _big("list_nano", null=True),
        _big("superseded_at", null=True),
        sa.PrimaryKeyConstraint("agreement", "cycle", "day", "recorded_at", "basis"),
        **_KEYED,
    )


def _create_books() -> None:
    op.create_table(
        "closing",
        _int("month"),
        _big("cut_off"),
        _text("closed_by", null=True),
        sa.PrimaryKeyConstraint("month"),
        **_KEYED,
    )
    op.create_table(
        "charge_unsent",
        _number("id"),
        _big("reading", null=True),
        _text("agreement", null=True),
        _big("cycle", null=True),
        sa.PrimaryKeyConstraint("id"),
        **_STRICT,
    )
    op.create_table(
        "charge_sent",
        _text("agreement"),
        _big("cycle"),
        _text("charge_id"),
        _big("version"),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("agreement", "cycle", "charge_id"),
        **_KEYED,
    )
    op.create_table(
        "posting",
        _text("batch"),
        _int("part"),
        _int("month"),
        _int("number"),
        _text("body"),
        _big("made_at"),
        sa.PrimaryKeyConstraint("batch", "part"),
        **_KEYED,
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
