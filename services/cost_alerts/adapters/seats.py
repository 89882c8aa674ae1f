"""Seats in SQL: observations as they came, days to charge again, and the charges of each day with their history."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, select

from services.cost_alerts.adapters.tables import SEAT_CHARGE, SEAT_COUNT, SEAT_DIRTY, SEAT_HOLDING
from services.cost_alerts.domain.seats import Count, Holding, Product
from services.cost_alerts.domain.view import Scope
from services.cost_alerts.ports import SeatRow
from services.shared.events.usage import SeatCount, SeatHolding
from services.shared.store import Transaction
from services.shared.store.tables import instant

LAST = date.max.toordinal()

_DIRTY = ("system", "sku", "first_day", "last_day")
_COUNT = ("system", "sku", "observed_on", "revision", "purchased", "assigned", "active", "recorded_at")
_HOLDING = (
    "system",
    "sku",
    "person",
    "assigned_on",
    "revision",
    "released_on",
    "last_active_on",
    "recorded_at",
)

Mark = tuple[str, str, int, int]


class SqlSeats:
    """See `SeatBook`."""

    def add(
        self, tx: Transaction, counts: Sequence[tuple[SeatCount, int]], holdings: Sequence[tuple[SeatHolding, int]]
    ) -> None:
        rows = [
            (
                one.system,
                one.sku,
                one.observed_on.toordinal(),
                one.revision,
                one.purchased,
                one.assigned,
                one.active,
                at,
            )
            for one, at in counts
        ]
        tx.bulk_insert(SEAT_COUNT, _COUNT, rows, ignore_conflicts=True)
        marks = [(one.system, one.sku, one.observed_on.toordinal(), one.observed_on.toordinal()) for one, _ in counts]
        marks += self._add_holdings(tx, holdings)
        tx.bulk_insert(SEAT_DIRTY, _DIRTY, sorted(set(marks)))

    def _add_holdings(self, tx: Transaction, holdings: Sequence[tuple[SeatHolding, int]]) -> list[Mark]:
        """Keep holdings; marks for the days that a new one, or another end of a known one, touches."""
        marks = []
        known = _Ends(tx.connection)
        rows = []
        for one, at in holdings:
            released = None if one.released_on is None else one.released_on.toordinal()
            used = None if one.last_active_on is None else one.last_active_on.toordinal()
            first = one.assigned_on.toordinal()
            rows.append((one.system, one.sku, one.person, first, one.revision, released, used, at))
            change = known.change(one, released)
            if change is not None:
                marks.append((one.system, one.sku, max(first, change[0]), change[1]))
        tx.bulk_insert(SEAT_HOLDING, _HOLDING, rows, ignore_conflicts=True)
        return marks

    def has_dirty(self, connection: Connection) -> bool:
        return connection.execute(select(SEAT_DIRTY.c.id).limit(1)).first() is not None

    def next_dirty(self, tx: Transaction) -> Product | None:
        query = select(SEAT_DIRTY.c.system, SEAT_DIRTY.c.sku).order_by(SEAT_DIRTY.c.id).limit(1)
        row = tx.connection.execute(query).first()
        return None if row is None else Product(row.system, row.sku)

    def observed(self, tx: Transaction, product: Product) -> tuple[Sequence[Count], Sequence[Holding]]:
        return observed(tx.connection, product)

    def take_marks(self, tx: Transaction, product: Product) -> Sequence[tuple[date, date]]:
        columns = (SEAT_DIRTY.c.id, SEAT_DIRTY.c.first_day, SEAT_DIRTY.c.last_day)
        here = and_(SEAT_DIRTY.c.system == product.system, SEAT_DIRTY.c.sku == product.sku)
        marks = tx.connection.execute(select(*columns).where(here)).all()
        for mark in marks:
            tx.connection.execute(delete(SEAT_DIRTY).where(SEAT_DIRTY.c.id == mark.id))
        return [(date.fromordinal(mark.first_day), date.fromordinal(mark.last_day)) for mark in marks]

    def put_back(self, tx: Transaction, product: Product, days: Sequence[date]) -> None:
        left = [(*product, first, last) for first, last in _runs(day.toordinal() for day in days)]
        tx.bulk_insert(SEAT_DIRTY, _DIRTY, left)

    def charges(self, tx: Transaction, product: Product, day: date) -> Sequence[SeatRow]:
        columns = [SEAT_CHARGE.c[name] for name in SeatRow._fields]
        return [SeatRow(*row) for row in tx.connection.execute(select(*columns).where(_of_day(product, day)))]

    def replace(self, tx: Transaction, product: Product, day: date, rows: Sequence[SeatRow]) -> None:
        tx.connection.execute(delete(SEAT_CHARGE).where(_of_day(product, day)))
        columns = ("system", "sku", "day", *SeatRow._fields)
        tx.bulk_insert(SEAT_CHARGE, columns, [(*product, day.toordinal(), *row) for row in rows])

    def mark(self, tx: Transaction, scopes: Sequence[Scope]) -> None:
        products = tx.connection.execute(select(SEAT_COUNT.c.system, SEAT_COUNT.c.sku).distinct()).all()
        marks = {
            (row.system, row.sku, scope.first.toordinal(), scope.last.toordinal())
            for row in products
            for scope in scopes
            if scope.system in {None, row.system}
        }
        tx.bulk_insert(SEAT_DIRTY, _DIRTY, sorted(marks))


class _Ends:
    """The end of each holding as its highest revision so far tells it; follows a batch that is not yet written."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str, str, int], tuple[int, int | None]] = {}

    def change(self, one: SeatHolding, released: int | None) -> tuple[int, int] | None:
        """First and last day that this revision changes; None when it changes none."""
        key = (one.system, one.sku, one.person, one.assigned_on.toordinal())
        before = self._known.get(key) or self._stored(key)
        if before is not None and before[0] >= one.revision:
            return None
        self._known[key] = (one.revision, released)
        if before is None:
            return (key[3], LAST if released is None else released)
        if before[1] == released:
            return None
        ends = [LAST if end is None else end for end in (before[1], released)]
        return (min(ends), max(ends))

    def _stored(self, key: tuple[str, str, str, int]) -> tuple[int, int | None] | None:
        columns = SEAT_HOLDING.c
        here = and_(
            columns.system == key[0], columns.sku == key[1], columns.person == key[2], columns.assigned_on == key[3]
        )
        query = select(columns.revision, columns.released_on).where(here).order_by(columns.revision.desc()).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else (row.revision, row.released_on)


def observed(connection: Connection, product: Product) -> tuple[Sequence[Count], Sequence[Holding]]:
    """Everything observed of a SKU."""
    return _counts(connection, product), _holdings(connection, product)


def _counts(connection: Connection, product: Product) -> list[Count]:
    query = select(SEAT_COUNT).where(SEAT_COUNT.c.system == product.system, SEAT_COUNT.c.sku == product.sku)
    return [
        Count(date.fromordinal(row.observed_on), row.revision, row.purchased, instant(row.recorded_at))
        for row in connection.execute(query)
    ]


def _holdings(connection: Connection, product: Product) -> list[Holding]:
    """The revisions that began a holding or moved its end; the others only tell of its use."""
    here = and_(SEAT_HOLDING.c.system == product.system, SEAT_HOLDING.c.sku == product.sku)
    order = (SEAT_HOLDING.c.person, SEAT_HOLDING.c.assigned_on, SEAT_HOLDING.c.recorded_at, SEAT_HOLDING.c.revision)
    found: list[Holding] = []
    for _, rows in groupby(connection.execute(select(SEAT_HOLDING).where(here).order_by(*order)), key=itemgetter(2, 3)):
        highest, ends = -1, None
        for row in rows:
            if row.revision > highest and (highest < 0 or row.released_on != ends):
                found.append(_holding(row))
            if row.revision > highest:
                highest, ends = row.revision, row.released_on
    return found


def _holding(row: Row[Any]) -> Holding:
    released = None if row.released_on is None else date.fromordinal(row.released_on)
    assigned = date.fromordinal(row.assigned_on)
    return Holding(row.person, assigned, row.revision, released, instant(row.recorded_at))


def _runs(days: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted days as runs of consecutive ones: first and last, inclusive."""
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][1] + 1:
            runs[-1][1] = day
        else:
            runs.append([day, day])
    return [(first, last) for first, last in runs]


def _of_day(product: Product, day: date) -> ColumnElement[bool]:
    columns = SEAT_CHARGE.c
    return and_(columns.system == product.system, columns.sku == product.sku, columns.day == day.toordinal())
