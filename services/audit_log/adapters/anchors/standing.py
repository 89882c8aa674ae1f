"""How the anchors are doing, in the log's database: receipts for good, and the newest try of each."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from services.audit_log.adapters.tables import anchor_state, checkpoint, receipt
from services.audit_log.domain.anchoring import Standing
from services.shared.store import Transaction


class Receipt(NamedTuple):
    """What an anchor gave for the checkpoint over `size` entries."""

    anchor: str
    kind: str
    size: int
    receipt: bytes
    anchored_at: datetime


def read_standing(connection: Connection, anchor: str) -> Standing:
    """How an anchor is doing; nothing is known of one that was never asked."""
    newest = connection.execute(
        select(receipt.c.size, receipt.c.anchored_at)
        .where(receipt.c.anchor == anchor)
        .order_by(receipt.c.size.desc())
        .limit(1)
    ).first()
    size, anchored_at = (newest.size, newest.anchored_at) if newest else (None, None)
    tried = connection.execute(select(anchor_state).where(anchor_state.c.anchor == anchor)).first()
    if tried is None:
        return Standing(size, anchored_at, anchored_at)
    return Standing(size, anchored_at, tried.tried_at, tried.failures, tried.refusal, tried.problem)


def first_signed_at(connection: Connection) -> datetime | None:
    """When there was first something to anchor."""
    query = select(checkpoint.c.signed_at).order_by(checkpoint.c.size).limit(1)
    oldest: datetime | None = connection.execute(query).scalar()
    return oldest


def save_receipt(tx: Transaction, found: Receipt) -> None:
    """Keep what an anchor gave, and that all is well with it."""
    tx.connection.execute(insert(receipt).values(found._asdict()))
    save_try(tx, found.anchor, found.size, Standing(tried_at=found.anchored_at))


def save_try(tx: Transaction, anchor: str, size: int, standing: Standing) -> None:
    """Keep how the newest try ended."""
    values = {
        "size": size,
        "tried_at": standing.tried_at,
        "failures": standing.failures,
        "refusal": standing.refusal,
        "problem": standing.problem,
    }
    query = update(anchor_state).where(anchor_state.c.anchor == anchor).values(values)
    if not tx.connection.execute(query).rowcount:
        tx.connection.execute(insert(anchor_state).values(anchor=anchor, **values))
