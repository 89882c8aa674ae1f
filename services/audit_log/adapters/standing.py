"""How the log stands: how long it is, how far it is signed, searched and kept elsewhere."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.indexing import indexed_size
from services.audit_log.adapters.tables import anchor_state, receipt
from services.shared.tlog.checkpoint import parse_checkpoint
from services.shared.tlog.note import parse_note


class Standing(NamedTuple):
    """Numbers of entries, and moments (UTC); None: nothing was signed, nothing was kept.

    `anchors`: places elsewhere that are in use; `anchors_well`: those of them that took the newest try.
    """

    size: int
    indexed: int
    signed: int | None
    signed_at: datetime | None
    anchors: int
    anchors_well: int
    anchored_at: datetime | None


def read_standing(connection: Connection) -> Standing:
    """How the log stands now."""
    newest = newest_checkpoint(connection)
    anchors = connection.execute(select(anchor_state.c.anchor, anchor_state.c.failures, anchor_state.c.refusal)).all()
    kept = [moment for row in anchors if (moment := _newest_receipt(connection, row.anchor))]
    return Standing(
        read_frontier(connection).size,
        indexed_size(connection),
        parse_checkpoint(parse_note(newest[0]).text).size if newest else None,
        newest[1] if newest else None,
        len(anchors),
        sum(not row.failures and not row.refusal for row in anchors),
        max(kept, default=None),
    )


def _newest_receipt(connection: Connection, anchor: str) -> datetime | None:
    query = select(receipt.c.anchored_at).where(receipt.c.anchor == anchor).order_by(receipt.c.size.desc()).limit(1)
    return connection.execute(query).scalar()
