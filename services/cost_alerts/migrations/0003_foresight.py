"""Budgets with amendments, forecasts, alerts. The ledger is folded anew from the events.

The register's kinds that the ledger did not keep before (use cases, for one) stand on the bus only, so the consumers
begin at its start, as after a rebuild. What was told to the world stays.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_KEYED: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}
_EMPTIED = (
    "reading",
    "reading_name",
    "reading_name_recent",
    "reading_history",
    "charge",
    "rollup",
    "adjustment",
    "budget_use",
    "register_version",
    "register_fact",
    "register_staged",
    "restated",
    "seat_count",
    "seat_holding",
    "day",
    "invoice",
    "closing",
    "period_dirty",
    "period_charge",
    "charge_unsent",
    "finding",
    "consumer_position",
    "rebuild_horizon",
)
_NOT_BEGUN = -1


def upgrade() -> None:
    for table in _EMPTIED:
        op.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names
    op.execute("UPDATE register_state SET version = 0, closings = 0")
    _keep_what_was_told()
    _create_decisions()
    _create_forecasts()


def _keep_what_was_told() -> None:
    """What the world knows of is not told again: conflicts, restatements; crossings and messages stay as they are."""
    op.execute("DELETE FROM reading_conflict WHERE told = 0")
    op.execute("UPDATE reading_conflict SET recorded_at = NULL")
    op.execute("DELETE FROM restatement WHERE announced = 0")
    op.execute(f"UPDATE restatement SET since = {_NOT_BEGUN}, done_to = 0, last = 0, readings = 0, finished = 0")  # noqa: S608
    op.execute("DELETE FROM store_info WHERE name LIKE 'rebuild horizon%'")


def _create_decisions() -> None:
    op.rename_table("crossing", "crossing_before")
    op.create_table(
        "crossing",
        _text("id"),
        _text("budget"),
        _int("period"),
        _text("threshold"),
        _int("epoch"),
        _text("measure"),
        _text("body"),
        _big("decided_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("crossing_key")),
        **_KEYED,
    )
    op.execute(
        "INSERT INTO crossing (id, budget, period, threshold, epoch, measure, body, decided_at) "
        "SELECT id, budget, period, threshold, epoch, 'used', body, decided_at FROM crossing_before"
    )
    op.drop_table("crossing_before")
    op.create_table(
        "receding",
        _text("budget"),
        _int("period"),
        _int("epoch"),
        _text("body"),
        _big("decided_at"),
        sa.PrimaryKeyConstraint("budget", "period", "epoch"),
        **_KEYED,
    )
    op.create_table(
        "alert",
        _text("id"),
        _text("body", null=True),
        _big("raised_at", null=True),
        _big("resolved_at", null=True),
        sa.PrimaryKeyConstraint("id"),
        **_KEYED,
    )
    is_open = sa.text("resolved_at IS NULL")
    op.create_index("alert_open", "alert", ["raised_at"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "acknowledged",
        _text("alert"),
        _text("role"),
        _text("via"),
        _big("at"),
        sa.PrimaryKeyConstraint("alert"),
        **_KEYED,
    )
    op.create_table(
        "collected",
        _text("name"),
        _int("told_on"),
        _text("source"),
        sa.PrimaryKeyConstraint("name", "told_on"),
        **_KEYED,
    )


def _create_forecasts() -> None:
    op.create_table(
        "forecast",
        _int("made_on"),
        _text("level"),
        _text("name"),
        _int("first_day"),
        _int("last_day"),
        _text("body"),
        sa.PrimaryKeyConstraint("made_on", "level", "name", "first_day", "last_day"),
        **_KEYED,
    )
    op.create_table(
        "forecast_test",
        _int("month"),
        _text("level"),
        _text("name"),
        _text("body"),
        sa.PrimaryKeyConstraint("month", "level", "name"),
        **_KEYED,
    )


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _int(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False, autoincrement=False)


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null, autoincrement=False)
