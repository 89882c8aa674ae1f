"""Conflicts in SQL: found by the readings, told by the teller, known again from the outcomes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from services.cost_alerts.adapters.tables import READING_CONFLICT as CONFLICT
from services.cost_alerts.handlers.outgoing import conflict_id
from services.cost_alerts.ports.ledger import ConflictRow
from services.shared.store import Transaction

_COLUMNS = ("id", "source", "reading_id", "revision", "recorded_at", "told")
_MOST = 1_000
_WAITING: ColumnElement[bool] = and_(CONFLICT.c.told == 0, CONFLICT.c.recorded_at.is_not(None))


def keep_conflict(tx: Transaction, conflict: ConflictRow, *, told: bool) -> None:
    """Keep a conflict; one that is known keeps its time, and once told stays told."""
    name = conflict_id(conflict.source, conflict.reading_id, conflict.revision)
    recorded_at = None if told else conflict.recorded_at
    row = (name, conflict.source, conflict.reading_id, conflict.revision, recorded_at, int(told))
    if tx.bulk_insert(CONFLICT, _COLUMNS, [row], ignore_conflicts=True):
        return
    change: dict[str, Any] = {"told": 1} if told else {"recorded_at": conflict.recorded_at}
    unset = CONFLICT.c.told == 0 if told else CONFLICT.c.recorded_at.is_(None)
    tx.connection.execute(update(CONFLICT).where(CONFLICT.c.id == name, unset).values(**change))


class SqlConflicts:
    """See `Conflicts`."""

    def anything_to_tell(self, connection: Connection) -> bool:
        return connection.execute(select(CONFLICT.c.id).where(_WAITING).limit(1)).first() is not None

    def to_tell(self, tx: Transaction) -> Sequence[ConflictRow]:
        columns = [CONFLICT.c[name] for name in ConflictRow._fields]
        query = select(*columns).where(_WAITING).order_by(CONFLICT.c.id).limit(_MOST)
        return [ConflictRow(*row) for row in tx.connection.execute(query)]

    def told(self, tx: Transaction, conflicts: Sequence[ConflictRow]) -> None:
        for conflict in conflicts:
            keep_conflict(tx, conflict, told=True)
