"""Legal holds: placed and released by events, so that the log itself says who wanted what kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from services.audit_log.adapters.tables import head, hold
from services.audit_log.domain.retention import Held
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import message_of
from services.shared.errors import ConfigurationError
from services.shared.events.log import Hold, HoldRelease, LogHoldPlaced, LogHoldReleased
from services.shared.store import Transaction


def place_hold(tx: Transaction, wanted: Hold, now: datetime) -> None:
    """Hold entries from this transaction on; its entry follows by the outbox.

    Raises:
        ConfigurationError: the id is taken, also when that hold was released.
    """
    lock_log(tx)
    if tx.connection.execute(select(hold.c.hold_id).where(hold.c.hold_id == wanted.hold)).first():
        raise ConfigurationError(f"a hold {wanted.hold} was placed before; expected an id that was never used")
    tx.connection.execute(insert(hold).values(_row(wanted)))
    tx.send([message_of(about_log(LogHoldPlaced, wanted, now, wanted.hold))])


def release_hold(tx: Transaction, wanted: HoldRelease, now: datetime) -> None:
    """Tell the log that a hold ends; it ends when its entry is there.

    Raises:
        ConfigurationError: there is no such hold, its entry is not in the log yet, or it was released.
    """
    found = tx.connection.execute(select(hold).where(hold.c.hold_id == wanted.hold)).first()
    if found is None or found.released_seq is not None:
        known = "was released before" if found else "is unknown"
        raise ConfigurationError(f"the hold {wanted.hold} {known}; `valvomo audit hold list` names those that stand")
    if found.placed_seq is None:
        raise ConfigurationError(f"the hold {wanted.hold} is not in the log yet; try again when the log has caught up")
    tx.send([message_of(about_log(LogHoldReleased, wanted, now, wanted.hold))])


def list_holds(connection: Connection) -> Sequence[Row[Any]]:
    """All holds, by their id."""
    return connection.execute(select(hold).order_by(hold.c.hold_id)).all()


def standing_holds(connection: Connection) -> list[Held]:
    """Holds that were not released, also those whose entry is still on its way."""
    query = select(hold.c.hold_id, hold.c.first_seq, hold.c.last_seq).where(hold.c.released_seq.is_(None))
    return [Held(*row) for row in connection.execute(query.order_by(hold.c.hold_id))]


def fold_hold(tx: Transaction, index: int, event: LogHoldPlaced | LogHoldReleased) -> None:
    """What entry `index` says about a hold. The first entry of its kind stands."""
    same = hold.c.hold_id == event.data.hold
    if isinstance(event, LogHoldReleased):
        standing = same & hold.c.placed_seq.is_not(None) & hold.c.released_seq.is_(None)
        tx.connection.execute(update(hold).where(standing).values(released_seq=index))
        return
    row = _row(event.data) | {"placed_seq": index}
    known = tx.connection.execute(select(hold.c.placed_seq).where(same)).first()
    if known is None:
        tx.connection.execute(insert(hold).values(row))
    elif known.placed_seq is None:
        tx.connection.execute(update(hold).where(same).values(row))


def clear_holds(tx: Transaction) -> None:
    """Forget the holds that the log tells of; those still on their way to it stay."""
    tx.connection.execute(delete(hold).where(hold.c.placed_seq.is_not(None)))


def lock_log(tx: Transaction) -> int:
    """Nobody appends, prunes or places a hold until this transaction ends; how many entries there are."""
    return int(tx.connection.execute(select(head.c.size).with_for_update()).scalar_one())


def lock_everything(tx: Transaction) -> None:
    """As `lock_log`, and nobody judges cases either, or reads them to do so."""
    lock_log(tx)
    if tx.dialect == "postgresql":  # on SQLite nobody else writes anyway
        tx.connection.execute(text("LOCK TABLE case_file IN ACCESS EXCLUSIVE MODE"))


def _row(wanted: Hold) -> dict[str, Any]:
    document = wanted.model_dump_json()
    return {"hold_id": wanted.hold, "first_seq": wanted.first, "last_seq": wanted.last, "document": document}
