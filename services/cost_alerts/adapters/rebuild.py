"""Throw the ledger away so that it can be folded from the bus again; what was told to the world stays known."""

from sqlalchemy import Table, delete, update

from services.cost_alerts.adapters import tables
from services.cost_alerts.adapters.restatements import NOT_BEGUN
from services.cost_alerts.adapters.tables import METADATA, RESTATEMENT
from services.cost_alerts.adapters.tables import READING_CONFLICT as CONFLICT
from services.shared.store import Store, Transaction
from services.shared.store.tables import common_tables

KEPT = ("word", "profile", "basis")
"""Only names: other processes may remember their numbers."""

_TOLD = (
    "crossing",
    "receding",
    "alert",
    "acknowledged",
    "forecast",
    "forecast_test",
    "reading_conflict",
    "restatement",
    "posting",
    "use_case_cost",
    "charge_sent",
    "outbox",
    "register_state",
    "store_info",
    "consumer_position",
    "rebuild_horizon",
)


def forget_ledger(store: Store, groups: tuple[str, ...]) -> None:
    """Empty the ledger and put its consumers back to the start of the bus, in one transaction.

    What was told stays (crossings, alerts, conflicts, restatements), and messages that wait: nothing is told again.
    """
    with store.transaction() as tx:
        for table in METADATA.sorted_tables:
            if table.name not in {*KEPT, *_TOLD}:
                _empty(tx, table)
        tx.connection.execute(delete(CONFLICT).where(CONFLICT.c.told == 0))
        tx.connection.execute(update(CONFLICT).values(recorded_at=None))
        tx.connection.execute(delete(RESTATEMENT).where(RESTATEMENT.c.announced == 0))
        tx.connection.execute(update(RESTATEMENT).values(since=NOT_BEGUN, done_to=0, last=0, readings=0, finished=0))
        tx.connection.execute(update(tables.REGISTER_STATE).values(version=0, closings=0))
        _back_to_the_start(tx, groups)


def _empty(tx: Transaction, table: Table) -> None:
    tx.connection.execute(delete(table))


def _back_to_the_start(tx: Transaction, groups: tuple[str, ...]) -> None:
    common = common_tables(METADATA)
    position, info = common.consumer_position, common.store_info
    tx.connection.execute(delete(position).where(position.c.consumer_group.in_(groups)))
    tx.connection.execute(delete(common.rebuild_horizon))
    # Whoever opens the ledger next sees anew what it must catch up with, and decides nothing before.
    tx.connection.execute(delete(info).where(info.c.name.startswith("rebuild horizon")))
