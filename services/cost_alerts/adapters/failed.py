"""Messages to people that were given up: what operations see of them, and how they are tried again."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from services.cost_alerts.adapters.tables import METADATA
from services.shared.store import Transaction
from services.shared.store.tables import common_tables

BUS = "bus"
_OUTBOX = common_tables(METADATA).outbox
_GIVEN_UP = (_OUTBOX.c.given_up_reason.is_not(None), _OUTBOX.c.sent_at.is_(None), _OUTBOX.c.destination != BUS)


class Failed(NamedTuple):
    """A message that is tried no more. `recipient`: a role; neither addresses nor the message's text are told."""

    message_id: str
    destination: str
    recipient: str
    attempts: int
    reason: str


def failed(connection: Connection) -> Sequence[Failed]:
    """All of them, in the order in which they were made."""
    columns = (_OUTBOX.c[name] for name in ("message_id", "destination", "recipient", "attempts", "given_up_reason"))
    rows = connection.execute(select(*columns).where(*_GIVEN_UP).order_by(_OUTBOX.c.sequence))
    return [Failed(row[0], row[1], row[2] or "", row[3], row[4]) for row in rows]


def try_again(tx: Transaction, message_ids: Collection[str], now: datetime) -> int:
    """Put them back among what waits, as if they had never been tried; how many were found."""
    chosen = (*_GIVEN_UP, _OUTBOX.c.message_id.in_(list(message_ids)))
    change = update(_OUTBOX).where(*chosen).values(given_up_reason=None, attempts=0, next_try_at=now)
    return tx.connection.execute(change).rowcount
