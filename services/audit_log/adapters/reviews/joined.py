"""Names that the log says became one: of persons, and of matters. Older entries keep the names they have."""

from typing import Literal

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from services.audit_log.adapters.tables import joined
from services.shared.events.governance import CaseMerged, PseudonymsJoined
from services.shared.store import Transaction

Kind = Literal["person", "case"]


def fold_joining(tx: Transaction, index: int, event: PseudonymsJoined | CaseMerged) -> None:
    """The first word on an old name stands."""
    kind: Kind = "person" if isinstance(event, PseudonymsJoined) else "case"
    row = {"kind": kind, "old": event.data.old, "new": event.data.new, "seq": index}
    insert = sqlite.insert(joined) if tx.dialect == "sqlite" else postgresql.insert(joined)
    tx.connection.execute(insert.values(row).on_conflict_do_nothing())


def read_joined(connection: Connection, kind: Kind) -> dict[str, str]:
    """Old name → new name."""
    query = select(joined.c.old, joined.c.new).where(joined.c.kind == kind)
    return {row.old: row.new for row in connection.execute(query)}
