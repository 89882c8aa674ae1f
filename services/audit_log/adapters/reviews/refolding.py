"""Projections that a newer program has changed are made again from the entries, before it begins to work."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.holds import lock_everything
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import refold
from services.audit_log.handlers import rebuild
from services.shared.errors import ConfigurationError
from services.shared.store import Store, Transaction


def refold_if_needed(store: Store, now: datetime) -> bool:
    """Make the projections again where a migration asked for it, whole or not at all; whether it was so."""
    with store.reading() as connection:
        if not _waits(connection):
            return False
    with store.transaction() as tx:
        lock_everything(tx)
        if note_folded(tx):
            rebuild(SqlEntryLog(), SqlCaseFiles(), tx, now)
    return True


def note_folded(tx: Transaction) -> bool:
    """Say that they are made again in this transaction; whether a migration had asked for it."""
    return bool(tx.connection.execute(delete(refold)).rowcount)


def refuse_unfolded(connection: Connection) -> None:
    """To be asked before projections are compared with the log.

    Raises:
        ConfigurationError: they still have to be made again.
    """
    if _waits(connection):
        raise ConfigurationError(
            "this program is newer than the one that last worked here, and what is derived from the log is still to be "
            "made again, so there is nothing to compare: start the program once, or run `valvomo audit rebuild`"
        )


def _waits(connection: Connection) -> bool:
    return connection.execute(select(refold)).first() is not None
