"""What was decided and told, in SQL: crossings, findings, and what counts towards each budget."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, delete, func, select, update

from services.cost_alerts.adapters.tables import (
    BUDGET_USE,
    CROSSING,
    FINDING,
    REGISTER_STATE,
    ROLLUP,
    WORD,
)
from services.cost_alerts.domain.budgets.crossing import Known, budgets_of, crossing_id, threshold_text
from services.cost_alerts.domain.view import Book
from services.shared.events.outcomes import Crossing, Finding, FindingClosing
from services.shared.store import Transaction
from services.shared.store.tables import micros

_CROSSING = ("id", "budget", "period", "threshold", "epoch", "measure", "body", "decided_at")


class SqlBudgets:
    """See `Crossings` and `BudgetUse`."""

    def state(self, connection: Connection) -> object:
        version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
        return (version, sorted(self._used(connection).items()))

    def known(self, tx: Transaction) -> Sequence[Known]:
        query = select(CROSSING.c.budget, CROSSING.c.period, CROSSING.c.threshold, CROSSING.c.epoch)
        return [
            Known(row.budget, row.period, Decimal(row.threshold), row.epoch) for row in tx.connection.execute(query)
        ]

    def keep(self, tx: Transaction, crossings: Sequence[tuple[Crossing, int]]) -> None:
        rows = [
            (
                crossing_id(one),
                one.budget,
                one.period,
                threshold_text(one.threshold),
                one.epoch,
                one.measure,
                one.model_dump_json(),
                at,
            )
            for one, at in crossings
        ]
        tx.bulk_insert(CROSSING, _CROSSING, rows, ignore_conflicts=True)

    def used(self, tx: Transaction) -> Mapping[str, int]:
        return self._used(tx.connection)

    def recount(self, tx: Transaction, book: Book) -> None:
        tx.connection.execute(delete(BUDGET_USE))
        rows = [(budget, 0, nano) for budget, nano in budget_use(tx.connection, book).items()]
        tx.bulk_insert(BUDGET_USE, ("budget", "shard", "eur_nano"), rows)

    def _used(self, connection: Connection) -> dict[str, int]:
        query = select(BUDGET_USE.c.budget, func.sum(BUDGET_USE.c.eur_nano)).group_by(BUDGET_USE.c.budget)
        return {budget: int(nano) for budget, nano in connection.execute(query)}


def budget_use(connection: Connection, book: Book) -> Mapping[str, int]:
    """Budget id → 10⁻⁹ euro, added up from the rollups as the newest register has units and budgets."""
    view = book.view(book.newest)
    query = select(WORD.c.text, ROLLUP.c.day, func.sum(ROLLUP.c.eur_nano)).join(WORD, WORD.c.id == ROLLUP.c.unit)
    used: dict[str, int] = defaultdict(int)
    for unit, day, nano in connection.execute(query.group_by(WORD.c.text, ROLLUP.c.day)):
        for budget in budgets_of(view.budgets, view.units, unit, date.fromordinal(day)):
            used[budget] += int(nano)
    return used


class SqlFindings:
    """See `Findings`."""

    def opened(self, tx: Transaction, findings: Sequence[Finding]) -> None:
        rows = [
            (one.finding_id, one.kind, one.system, one.unit, one.output_id, micros(one.detected_at)) for one in findings
        ]
        tx.bulk_insert(FINDING, ("id", "kind", "system", "unit", "output_id", "opened_at"), rows, ignore_conflicts=True)
        for one in findings:
            values = {"kind": one.kind, "system": one.system, "unit": one.unit, "opened_at": micros(one.detected_at)}
            tx.connection.execute(update(FINDING).where(FINDING.c.id == one.finding_id).values(**values))

    def closed(self, tx: Transaction, closings: Sequence[FindingClosing]) -> None:
        rows = [(one.finding_id, one.output_id, micros(one.closed_at)) for one in closings]
        tx.bulk_insert(FINDING, ("id", "output_id", "closed_at"), rows, ignore_conflicts=True)
        for one in closings:
            here = (FINDING.c.id == one.finding_id, FINDING.c.closed_at.is_(None))
            tx.connection.execute(update(FINDING).where(*here).values(closed_at=micros(one.closed_at)))
