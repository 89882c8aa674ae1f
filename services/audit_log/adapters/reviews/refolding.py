"""Projections that a newer program has changed are made again from the entries, before it begins to work."""

from datetime import datetime

from sqlalchemy import delete, select

from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.holds import lock_everything
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import refold
from services.audit_log.handlers import rebuild
from services.shared.store import Store


def refold_if_needed(store: Store, now: datetime) -> bool:
    """Make the projections again where a migration asked for it, whole or not at all; whether it was so."""
    with store.reading() as connection:
        if connection.execute(select(refold)).first() is None:
            return False
    with store.transaction() as tx:
        lock_everything(tx)
        if tx.connection.execute(delete(refold)).rowcount:
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, now)
    return True
