"""What was decided and told, in SQL: crossings, restatements, findings, and what counts towards each budget."""

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
    RESTATED,
    RESTATEMENT,
    ROLLUP,
    WORD,
)
from services.cost_alerts.domain.budget import Known, budgets_of, crossing_id, threshold_text
from services.cost_alerts.domain.view import Book
from services.cost_alerts.ports import Walk
from services.shared.events.outcomes import Crossing, Finding, FindingClosing
from services.shared.store import Transaction
from services.shared.store.tables import micros

_CROSSING = ("id", "budget", "period", "threshold", "epoch", "body", "decided_at")


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


class SqlRestatements:
    """See `Restatements`."""

    def has_work(self, connection: Connection) -> bool:
        version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
        return version > _newest_walk(connection) or _unfinished(connection) is not None

    def unfinished(self, tx: Transaction) -> Walk | None:
        return _unfinished(tx.connection)

    def newest(self, tx: Transaction) -> int:
        return _newest_walk(tx.connection)

    def begin(self, tx: Transaction, walk: Walk) -> None:
        columns = ("version", "since", "done_to", "last", "readings", "finished", "announced")
        row = (walk.version, walk.since, walk.done_to, walk.last, walk.readings, int(walk.finished), 0)
        tx.bulk_insert(RESTATEMENT, columns, [row], ignore_conflicts=True)
        change = update(RESTATEMENT).where(RESTATEMENT.c.version == walk.version)
        tx.connection.execute(change.values(since=walk.since, last=walk.last, finished=0))

    def save(self, tx: Transaction, walk: Walk, changed: Mapping[tuple[str, int], tuple[int, int]]) -> None:
        change = update(RESTATEMENT).where(RESTATEMENT.c.version == walk.version)
        values = {"done_to": walk.done_to, "readings": walk.readings, "finished": int(walk.finished)}
        tx.connection.execute(change.values(**values))
        words = {row.text: row.id for row in tx.connection.execute(select(WORD.c.text, WORD.c.id))} if changed else {}
        rows = [(walk.version, words[unit], day, *amounts) for (unit, day), amounts in changed.items()]
        tx.bulk_add(RESTATED, ("version", "unit", "day"), ("before_nano", "after_nano"), rows)

    def changed(self, tx: Transaction, version: int) -> Mapping[str, tuple[int, int]]:
        sums = (func.sum(RESTATED.c.before_nano), func.sum(RESTATED.c.after_nano))
        query = select(WORD.c.text, *sums).join(WORD, WORD.c.id == RESTATED.c.unit)
        found = tx.connection.execute(query.where(RESTATED.c.version == version).group_by(WORD.c.text))
        return {unit: (int(before), int(after)) for unit, before, after in found}

    def note_announced(self, tx: Transaction, version: int) -> None:
        columns = ("version", "since", "done_to", "last", "readings", "finished", "announced")
        row = (version, NOT_BEGUN, 0, 0, 0, 0, 1)
        if tx.bulk_insert(RESTATEMENT, columns, [row], ignore_conflicts=True) == 0:
            tx.connection.execute(update(RESTATEMENT).where(RESTATEMENT.c.version == version).values(announced=1))

    def is_announced(self, tx: Transaction, version: int) -> bool:
        query = select(RESTATEMENT.c.announced).where(RESTATEMENT.c.version == version)
        return bool(tx.connection.execute(query).scalar())


NOT_BEGUN = -1
"""`since` of a walk that an earlier life of this ledger announced and this one has not begun."""


def _newest_walk(connection: Connection) -> int:
    query = select(func.max(RESTATEMENT.c.version)).where(RESTATEMENT.c.since != NOT_BEGUN)
    return int(connection.execute(query).scalar() or 0)


def _unfinished(connection: Connection) -> Walk | None:
    table = RESTATEMENT.c
    columns = (table.version, table.since, table.done_to, table.last, table.readings)
    query = select(*columns).where(table.finished == 0, table.since != NOT_BEGUN).order_by(table.version).limit(1)
    row = connection.execute(query).first()
    return None if row is None else Walk(*row, finished=False)


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
