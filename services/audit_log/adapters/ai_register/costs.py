"""What uses of AI cost a year, in the bands that the ledger tells."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from services.audit_log.adapters.tables import use_case_cost
from services.shared.events.outcomes import CostBand, UseCaseCosted
from services.shared.store import Transaction


class ToldCost(NamedTuple):
    """A band, and the day (YYYY-MM-DD) since when it is known."""

    band: CostBand
    as_of: str


def fold_cost(tx: Transaction, _index: int, event: UseCaseCosted) -> None:
    """Keep the newest band of a use case: the one that the log has last."""
    row = {"use_case": event.data.use_case, "band": event.data.band, "as_of": event.data.as_of.isoformat()}
    insert = sqlite.insert(use_case_cost) if tx.dialect == "sqlite" else postgresql.insert(use_case_cost)
    changed = {name: insert.excluded[name] for name in ("band", "as_of")}
    tx.connection.execute(insert.values(row).on_conflict_do_update(index_elements=["use_case"], set_=changed))


def read_costs(connection: Connection) -> Mapping[str, ToldCost]:
    """Use case → its newest band."""
    return {row.use_case: ToldCost(row.band, row.as_of) for row in connection.execute(select(use_case_cost))}
