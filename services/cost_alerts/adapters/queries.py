"""What pages, metrics and reports ask of the ledger. Every question is one consistent view that waits for no writer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, func, select

from services.cost_alerts.adapters.budgets import budget_states
from services.cost_alerts.adapters.periods import pending
from services.cost_alerts.adapters.rates import rate_ages
from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.restatements import progress, readings_left
from services.cost_alerts.adapters.sums import in_month, month_sums, rollup_sums
from services.cost_alerts.adapters.tables import (
    BASIS,
    CHARGE,
    CROSSING,
    FINDING,
    READING,
    READING_CONFLICT,
    REGISTER_STATE,
    RESTATED,
    ROLLUP,
    SEAT_COUNT,
    SEAT_HOLDING,
    WORD,
)
from services.cost_alerts.domain.agreements.seating import ACTIVE_WITHIN, METER
from services.cost_alerts.domain.budgets.state import BudgetState
from services.cost_alerts.domain.report import Basis, By, Report, Sum, report
from services.cost_alerts.domain.view import Book, View
from services.shared.events.outcomes import Crossing
from services.shared.events.register import UNALLOCATED
from services.shared.periods import Month
from services.shared.privacy import FEWEST_PERSONS
from services.shared.store import Store
from services.shared.store.tables import instant


class Spent(NamedTuple):
    """Part of a month: what a unit's use of a system cost, 10⁻⁹ euro, and how many readings that is."""

    unit: str
    system: str
    eur_nano: int
    readings: int
    unpriced: int


class Unpriced(NamedTuple):
    """Billing readings of a system over all time, and those of them with a meter that has no price."""

    system: str
    readings: int
    unpriced: int


class Reason(NamedTuple):
    """Why charges have no price: how many, since which day."""

    system: str
    sku: str
    meter: str
    reason: str
    charges: int
    first_day: date


@dataclass(frozen=True, slots=True)
class SeatState:
    """A SKU's seats on the latest observed day.

    `active`: used within 28 days; None when nobody tells, or when so few hold a seat that it would tell of each.
    `month_nano`: what all its seats cost in the month asked for, 10⁻⁹ euro.
    """

    system: str
    sku: str
    observed_on: date
    purchased: int
    assigned: int
    active: int | None
    month_nano: int

    @property
    def idle_nano(self) -> int:
        """The part of the month's cost that seats without an active holder take, as seats stand now."""
        if self.active is None or not self.purchased:
            return 0
        return self.month_nano * max(0, self.purchased - self.active) // self.purchased


class OpenFinding(NamedTuple):
    """A finding that awaits somebody."""

    finding_id: str
    kind: str
    unit: str
    system: str
    output_id: str
    opened_at: datetime


class Decided(NamedTuple):
    """A crossing and when it was decided."""

    alert_id: str
    crossing: Crossing
    decided_at: datetime


class LedgerQueries:
    """Reads the ledger; thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._book: Book | None = None

    def report(
        self, month: Month, *, by: By = "unit", basis: Basis = "booked", as_known_on: date | None = None
    ) -> Report:
        """A month's cost. `as_known_on`: only what was recorded by the end of that Helsinki day counts."""
        with self._store.reading() as connection:
            grouped = "system" if by == "vendor" else by
            sums = month_sums(connection, month, grouped, as_known_on, basis)
            if by == "vendor":
                sums = self._by_vendor(connection, sums)
        return report(month, by, basis, as_known_on, sums)

    def view(self) -> View:
        """The newest register: units with their names, budgets, systems."""
        with self._store.reading() as connection:
            return self._view(connection)

    def month_costs(self, month: Month) -> Sequence[Spent]:
        """Cost of a month by unit and system."""
        unit, system = WORD.alias("unit_word"), WORD.alias("system_word")
        query = (
            select(unit.c.text, system.c.text, *rollup_sums("eur_nano", "readings", "unpriced"))
            .join(unit, unit.c.id == ROLLUP.c.unit)
            .join(system, system.c.id == ROLLUP.c.system)
            .where(in_month(ROLLUP.c.day, month))
            .group_by(unit.c.text, system.c.text)
            .having(func.sum(ROLLUP.c.charges) != 0)
            .order_by(unit.c.text, system.c.text)
        )
        with self._store.reading() as connection:
            return [Spent(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in connection.execute(query)]

    def daily_costs(self, month: Month) -> Mapping[str, Mapping[date, int]]:
        """Unit → day → 10⁻⁹ euro, of one month: what an outlook is made from."""
        query = (
            select(WORD.c.text, ROLLUP.c.day, func.sum(ROLLUP.c.eur_nano))
            .join(WORD, WORD.c.id == ROLLUP.c.unit)
            .where(in_month(ROLLUP.c.day, month))
            .group_by(WORD.c.text, ROLLUP.c.day)
        )
        found: dict[str, dict[date, int]] = {}
        with self._store.reading() as connection:
            for unit, day, nano in connection.execute(query):
                found.setdefault(unit, {})[date.fromordinal(day)] = int(nano)
        return found

    def unallocated(self, month: Month) -> Mapping[str, int]:
        """System → 10⁻⁹ euro of a month that no unit owns."""
        return {spent.system: spent.eur_nano for spent in self.month_costs(month) if spent.unit == UNALLOCATED}

    def budgets(self, today: date) -> Sequence[BudgetState]:
        """Every budget of the newest register with its figures as on a Helsinki day, by id."""
        with self._store.reading() as connection:
            return budget_states(connection, self._view(connection), today)

    def crossings(self) -> Sequence[Decided]:
        """Every crossing that was told, newest first."""
        query = select(CROSSING).order_by(CROSSING.c.decided_at.desc(), CROSSING.c.id)
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [Decided(row.id, Crossing.model_validate_json(row.body), instant(row.decided_at)) for row in rows]

    def unpriced(self) -> Sequence[Unpriced]:
        """Billing readings and unpriced ones, by system."""
        query = (
            select(WORD.c.text, *rollup_sums("readings", "unpriced"))
            .join(WORD, WORD.c.id == ROLLUP.c.system)
            .group_by(WORD.c.text)
            .order_by(WORD.c.text)
        )
        with self._store.reading() as connection:
            return [
                Unpriced(system, int(readings), int(unpriced))
                for system, readings, unpriced in connection.execute(query)
            ]

    def unpriced_reasons(self) -> Sequence[Reason]:
        """Why current charges have no price, most charges first."""
        system, sku, meter = (WORD.alias(f"{name}_word") for name in ("system", "sku", "meter"))
        count = func.count()
        query = (
            select(system.c.text, sku.c.text, meter.c.text, BASIS.c.reason, count, func.min(BASIS.c.day))
            .select_from(CHARGE)
            .join(BASIS, BASIS.c.id == CHARGE.c.basis)
            .join(system, system.c.id == BASIS.c.system)
            .join(sku, sku.c.id == BASIS.c.sku)
            .join(meter, meter.c.id == BASIS.c.meter)
            .where(BASIS.c.reason.is_not(None), CHARGE.c.superseded_at.is_(None))
            .group_by(system.c.text, sku.c.text, meter.c.text, BASIS.c.reason)
            .order_by(count.desc(), system.c.text, sku.c.text, meter.c.text)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [Reason(row[0], row[1], row[2], row[3], int(row[4]), date.fromordinal(row[5])) for row in rows]

    def seats(self, month: Month) -> Sequence[SeatState]:
        """Seats of every SKU on its latest observed day, and their cost in `month`."""
        with self._store.reading() as connection:
            newest = {(row.system, row.sku): row for row in connection.execute(_latest_counts())}
            return [_seat_state(connection, row, month) for row in newest.values()]

    def restated(self, month: Month) -> Mapping[str, int]:
        """Unit → absolute change, 10⁻⁹ euro, that register versions made to a month's charges afterwards."""
        change = func.sum(func.abs(RESTATED.c.after_nano - RESTATED.c.before_nano))
        query = select(WORD.c.text, change).join(WORD, WORD.c.id == RESTATED.c.unit).group_by(WORD.c.text)
        with self._store.reading() as connection:
            found = connection.execute(query.where(in_month(RESTATED.c.day, month)))
            return {unit: int(nano) for unit, nano in found}

    def restatement_pending(self) -> int:
        """Readings that a restatement has still to look at, at most."""
        with self._store.reading() as connection:
            return readings_left(connection)

    def restatement_progress(self) -> float:
        """How much of the restatement under way is done, from 0 to 1; 1 when none is."""
        with self._store.reading() as connection:
            return progress(connection)

    def rate_ages(self, today: date) -> Mapping[str, float]:
        """Currency of recent charges → days since its newest rate; infinite when it never had one."""
        with self._store.reading() as connection:
            return rate_ages(connection, self._view(connection).exchange, today)

    def work_pending(self) -> int:
        """What the ledger has still to do beyond the bus: readings to look at again, cycles to charge again."""
        with self._store.reading() as connection:
            return pending(connection) + readings_left(connection)

    def periods_pending(self) -> int:
        """How many notes about cycles of agreements wait to be followed."""
        with self._store.reading() as connection:
            return pending(connection)

    def findings_open(self) -> Sequence[OpenFinding]:
        """Findings that were opened and not closed, by unit, oldest first."""
        columns = (FINDING.c.id, FINDING.c.kind, FINDING.c.unit, FINDING.c.system, FINDING.c.output_id)
        query = (
            select(*columns, FINDING.c.opened_at)
            .where(FINDING.c.closed_at.is_(None), FINDING.c.opened_at.is_not(None))
            .order_by(FINDING.c.unit, FINDING.c.opened_at, FINDING.c.id)
        )
        with self._store.reading() as connection:
            return [OpenFinding(*row[:5], instant(row.opened_at)) for row in connection.execute(query)]

    def counts(self) -> Mapping[str, int]:
        """How many readings, current charges and conflicts there are."""
        with self._store.reading() as connection:
            charges = connection.execute(select(func.sum(ROLLUP.c.charges))).scalar()
            return {
                "readings": connection.execute(select(func.count()).select_from(READING)).scalar_one(),
                "charges": int(charges or 0),
                "conflicts": connection.execute(select(func.count(READING_CONFLICT.c.recorded_at))).scalar_one(),
            }

    def total_by_unit(self) -> Mapping[str, int]:
        """Unit → 10⁻⁹ euro of all time."""
        query = select(WORD.c.text, func.sum(ROLLUP.c.eur_nano)).join(WORD, WORD.c.id == ROLLUP.c.unit)
        with self._store.reading() as connection:
            found = connection.execute(query.group_by(WORD.c.text).order_by(WORD.c.text))
            return {unit: int(nano) for unit, nano in found}

    def _view(self, connection: Connection) -> View:
        version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
        book = self._book
        if book is None or book.newest != version:
            book = self._book = load_book(connection)
        return book.view(book.newest)

    def _by_vendor(self, connection: Connection, sums: Iterable[Sum]) -> list[Sum]:
        systems = self._view(connection).systems
        names = {system: known.vendor for system, known in systems.items()}
        return [part._replace(name=names.get(part.name, part.name)) for part in sums]


def _latest_counts() -> Select[Any]:
    """The revisions of the latest observed day of every SKU, the highest last."""
    latest = (
        select(SEAT_COUNT.c.system, SEAT_COUNT.c.sku, func.max(SEAT_COUNT.c.observed_on).label("day"))
        .group_by(SEAT_COUNT.c.system, SEAT_COUNT.c.sku)
        .subquery("latest")
    )
    here = and_(
        SEAT_COUNT.c.system == latest.c.system,
        SEAT_COUNT.c.sku == latest.c.sku,
        SEAT_COUNT.c.observed_on == latest.c.day,
    )
    order = (SEAT_COUNT.c.system, SEAT_COUNT.c.sku, SEAT_COUNT.c.revision)
    return select(SEAT_COUNT).join(latest, here).order_by(*order)


def _seat_state(connection: Connection, row: Any, month: Month) -> SeatState:  # noqa: ANN401  # of `_latest_counts`
    day = date.fromordinal(row.observed_on)
    holders, active = _holders(connection, row.system, row.sku, day)
    cost = _seat_cost(connection, row.system, row.sku, month)
    told_active = active if holders else row.active
    if (holders or row.assigned) < FEWEST_PERSONS:
        told_active = None
    return SeatState(row.system, row.sku, day, row.purchased, row.assigned, told_active, cost)


def _holders(connection: Connection, system: str, sku: str, day: date) -> tuple[int, int]:
    """How many persons hold a seat on `day`, and how many of them used it within 28 days."""
    columns = SEAT_HOLDING.c
    query = select(columns.person, columns.assigned_on, columns.released_on, columns.last_active_on)
    here = (columns.system == system, columns.sku == sku)
    newest = {
        (row.person, row.assigned_on): row for row in connection.execute(query.where(*here).order_by(columns.revision))
    }
    today, since = day.toordinal(), (day - ACTIVE_WITHIN).toordinal()
    held = [
        row
        for row in newest.values()
        if row.assigned_on <= today and (row.released_on is None or today < row.released_on)
    ]
    active = {row.person for row in held if row.last_active_on is not None and row.last_active_on > since}
    return len({row.person for row in held}), len(active)


def _seat_cost(connection: Connection, system: str, sku: str, month: Month) -> int:
    words = {name: WORD.alias(f"{name}_word") for name in ("system", "sku", "meter")}
    query = select(func.sum(ROLLUP.c.eur_nano))
    for name, text in (("system", system), ("sku", sku), ("meter", METER)):
        query = query.join(words[name], and_(words[name].c.id == ROLLUP.c[name], words[name].c.text == text))
    return int(connection.execute(query.where(in_month(ROLLUP.c.day, month))).scalar() or 0)
