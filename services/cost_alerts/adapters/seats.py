"""Seats in SQL: observations as they came, and marks for the days that they say something new of."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from services.cost_alerts.adapters.tables import PERIOD_DIRTY, SEAT_COUNT, SEAT_HOLDING
from services.cost_alerts.domain.agreements.seating import Count, Holding
from services.cost_alerts.ports.ledger import Mark
from services.cost_alerts.ports.periods import Seen
from services.shared.events.usage import SeatCount, SeatHolding
from services.shared.store import Transaction
from services.shared.store.tables import instant

LAST = date.max.toordinal()

_ABOUT = "seats"
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


class SqlSeats:
    """See `Observations`."""

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
        days = [(one.system, one.observed_on.toordinal(), at) for one, at in counts]
        marks = {Mark(_ABOUT, system, day, day, at) for system, day, at in days}
        marks |= set(self._add_holdings(tx, holdings))
        tx.bulk_insert(PERIOD_DIRTY, Mark._fields, sorted(marks))

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
                marks.append(Mark(_ABOUT, one.system, max(first, change[0]), change[1], at))
        tx.bulk_insert(SEAT_HOLDING, _HOLDING, rows, ignore_conflicts=True)
        return marks


def seen(connection: Connection, system: str) -> Mapping[str, Seen]:
    """Everything observed of a system's seats, by SKU."""
    skus = connection.execute(select(SEAT_COUNT.c.sku).where(SEAT_COUNT.c.system == system).distinct()).scalars()
    return {sku: Seen(_counts(connection, system, sku), _holdings(connection, system, sku)) for sku in sorted(skus)}


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


def _counts(connection: Connection, system: str, sku: str) -> list[Count]:
    query = select(SEAT_COUNT).where(SEAT_COUNT.c.system == system, SEAT_COUNT.c.sku == sku)
    return [
        Count(date.fromordinal(row.observed_on), row.revision, row.purchased, instant(row.recorded_at))
        for row in connection.execute(query)
    ]


def _holdings(connection: Connection, system: str, sku: str) -> list[Holding]:
    """The revisions that began a holding or moved its end; the others only tell of its use."""
    here = and_(SEAT_HOLDING.c.system == system, SEAT_HOLDING.c.sku == sku)
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
