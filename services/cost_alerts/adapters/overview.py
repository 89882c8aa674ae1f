"""What only the page asks: which products lack a price in a month, and what became of each alert's messages."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import func, select

from services.cost_alerts.adapters.tables import METADATA, ROLLUP, WORD
from services.shared.periods import Month
from services.shared.store import Store
from services.shared.store.tables import common_tables

SendingState = Literal["sent", "waiting", "given_up"]


class UnpricedUse(NamedTuple):
    """Readings of a month with a meter that has no price."""

    system: str
    sku: str
    readings: int


def unpriced_use(store: Store, month: Month) -> Sequence[UnpricedUse]:
    """What lacks a price in a month, most readings first. Read from the rollups: as quick in a large ledger."""
    system, sku = WORD.alias("system_word"), WORD.alias("sku_word")
    readings = func.sum(ROLLUP.c.unpriced)
    query = (
        select(system.c.text, sku.c.text, readings)
        .join(system, system.c.id == ROLLUP.c.system)
        .join(sku, sku.c.id == ROLLUP.c.sku)
        .where(ROLLUP.c.day >= month.first_day.toordinal(), ROLLUP.c.day < month.next.first_day.toordinal())
        .group_by(system.c.text, sku.c.text)
        .having(readings > 0)
        .order_by(readings.desc(), system.c.text, sku.c.text)
    )
    with store.reading() as connection:
        return [UnpricedUse(row[0], row[1], int(row[2])) for row in connection.execute(query)]


def sendings(store: Store) -> Mapping[str, SendingState]:
    """Message id → what became of it, of every mail and webhook."""
    outbox = common_tables(METADATA).outbox.c
    query = select(outbox.message_id, outbox.sent_at, outbox.given_up_reason)
    with store.reading() as connection:
        rows = connection.execute(query.where(outbox.destination.in_(("mail", "webhook")))).all()
    return {row.message_id: _state(sent=row.sent_at is not None, lost=row.given_up_reason is not None) for row in rows}


def _state(*, sent: bool, lost: bool) -> SendingState:
    if sent:
        return "sent"
    return "given_up" if lost else "waiting"
