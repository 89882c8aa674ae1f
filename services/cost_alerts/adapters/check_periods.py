"""Whether every cycle is charged as its agreement says: each is reckoned again from what is known now, and compared."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, and_, func, not_, select

from services.cost_alerts.adapters.invoices import invoices_about
from services.cost_alerts.adapters.seats import seen
from services.cost_alerts.adapters.tables import (
    BASIS,
    CHARGE,
    DAY,
    INVOICE,
    PERIOD_CHARGE,
    PERIOD_DIRTY,
    PROFILE,
    READING,
    SEAT_COUNT,
    WORD,
)
from services.cost_alerts.domain.agreements.agreement import Agreement, Cycle, Known, Metered, Part, Spent
from services.cost_alerts.domain.agreements.seating import Observed
from services.cost_alerts.domain.agreements.seats import Seats
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.closing import month_of
from services.cost_alerts.domain.invoices import of_month
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book
from services.cost_alerts.handlers.charging import BILLING, FINAL
from services.cost_alerts.handlers.cycles import NEVER, kind_of
from services.cost_alerts.handlers.shelf import all_agreements
from services.shared.periods import Month, helsinki_day
from services.shared.store.tables import instant, micros

Charged = Mapping[tuple[str, int], Mapping[tuple[int, str, str, str], tuple[int, int, int]]]
"""(Agreement, cycle) → (day, SKU, unit, category) → 10⁻⁹ of currencies, 10⁻⁹ euro, unpriced parts, added up."""

_INSTANT = timedelta(microseconds=1)
_LATER = instant(2**52)
"""After everything that was recorded."""

_COMPARED = {"minimum": ("minimum", "invoice"), "invoice": ("invoice",)}


def wrong_cycles(connection: Connection, book: Book) -> Iterator[str]:
    """The cycles that are charged otherwise; systems that the worker has still to look at are left out."""
    waiting = set(connection.execute(select(PERIOD_DIRTY.c.system).distinct()).scalars())
    observed = set(connection.execute(select(SEAT_COUNT.c.system).distinct()).scalars())
    for system in sorted((book.systems() | observed) - waiting if "*" not in waiting else ()):
        found, expected = _charged(connection, system), _System(connection, book, system).charged()
        for agreement, cycle in sorted({*found, *expected}):
            if found.get((agreement, cycle)) != expected.get((agreement, cycle)):
                yield f"{agreement} from {helsinki_day(instant(cycle))}"


def _charged(connection: Connection, system: str) -> Charged:
    """What stands in the ledger."""
    columns = PERIOD_CHARGE.c
    sku, unit, its = (WORD.alias(name) for name in ("sku", "unit", "its"))
    names = (columns.agreement, columns.cycle, columns.day, sku.c.text, unit.c.text, BASIS.c.category)
    query = (
        select(*names, columns.nano, columns.eur_nano)
        .join(BASIS, BASIS.c.id == columns.basis)
        .join(its, and_(its.c.id == BASIS.c.system, its.c.text == system))
        .join(sku, sku.c.id == BASIS.c.sku)
        .join(unit, unit.c.id == BASIS.c.unit)
        .where(columns.superseded_at.is_(None))
    )
    found: dict[tuple[str, int], dict[tuple[int, str, str, str], list[int]]] = defaultdict(lambda: defaultdict(_nought))
    for agreement, cycle, *place, nano, eur_nano in connection.execute(query):
        _add(found[agreement, cycle][tuple(place)], nano, eur_nano)
    return _plain(found)


class _System:
    """A system as everything that is known now says, under the newest register."""

    def __init__(self, connection: Connection, book: Book, system: str) -> None:
        self._connection = connection
        self._system = system
        self._view = book.view(book.newest)
        self._metered = _metered(connection, book, system)
        begun = connection.execute(select(func.max(DAY.c.day)).where(DAY.c.recorded_at > 0)).scalar()
        self._today = NEVER if begun is None else date.fromordinal(begun)
        self._seats = {
            sku: Observed.at(_LATER, one.counts, one.holdings) for sku, one in seen(connection, system).items()
        }

    def charged(self) -> Charged:
        found: dict[tuple[str, int], dict[tuple[int, str, str, str], list[int]]] = {}
        for agreement in all_agreements(self._view, self._system, tuple(self._seats)):
            for cycle in self._cycles(agreement):
                sums: dict[tuple[int, str, str, str], list[int]] = defaultdict(_nought)
                for part in agreement.parts(self._view, cycle, self._known(agreement, cycle)):
                    _add(sums[_place(part)], *part.amounts)
                if sums:
                    found[agreement.key, micros(cycle.starts)] = sums
        return _plain(found)

    def _cycles(self, agreement: Agreement) -> Sequence[Cycle]:
        """Every cycle that can have charges."""
        if isinstance(agreement, Seats):
            counted = self._seats[agreement.product.sku].counts
            return list(agreement.cycles(min(counted), max(counted))) if counted else []
        days = [one.use.day for one in self._metered]
        if kind_of(agreement.key) == "invoice":
            months = self._connection.execute(select(INVOICE.c.month).distinct()).scalars()
            days += [month_of(number).first_day for number in months]
        first = min(days, default=self._today)
        if kind_of(agreement.key) in {"pool", "fee", "capacity", "minimum"}:
            first = date.min
        return list(agreement.cycles(first, max([*days, self._today])))

    def _known(self, agreement: Agreement, cycle: Cycle) -> Known:
        kind, first = kind_of(agreement.key), helsinki_day(cycle.starts)
        if kind == "seats":
            return Known(self._today, (), self._seats)
        here = [one for one in self._metered if cycle.starts <= one.use.start < cycle.ends]
        if kind not in _COMPARED:
            return Known(self._today, here, self._seats)
        vendor = agreement.key.removeprefix("invoice:").removesuffix(f"/{self._system}")
        month = Month.of(first)
        invoices = of_month([invoice for invoice, _ in invoices_about(self._connection, vendor, month)], month)
        spent = _spent(self._connection, self._system, cycle, _COMPARED[kind])
        return Known(self._today, here, self._seats, invoices, spent)


def _metered(connection: Connection, book: Book, system: str) -> list[Metered]:
    """Every paid reading of a system, by start, source and reading id."""
    source, its = WORD.alias("source"), WORD.alias("its")
    query = (
        select(READING, PROFILE.c.body, source.c.text.label("source_text"))
        .join(PROFILE, PROFILE.c.id == READING.c.profile)
        .join(its, and_(its.c.id == PROFILE.c.system, its.c.text == system))
        .join(source, source.c.id == READING.c.source)
        .where(READING.c.purpose == BILLING, READING.c.retracted == 0)
    )
    rows = sorted(connection.execute(query), key=lambda row: (row.starts_at, row.source_text, row.reading_id))
    return [_as_metered(book, row) for row in rows]


def _as_metered(book: Book, row: Any) -> Metered:  # noqa: ANN401  # of `_metered`
    quantities = tuple(map(Decimal, row.quantities.split()))
    use = book.use(Profile.from_text(row.body), instant(row.starts_at), quantities, row.cost_currency)
    cost = None if row.cost is None else Decimal(row.cost)
    return Metered(use, quantities, cost, row.finality != FINAL)


def _spent(connection: Connection, system: str, cycle: Cycle, without: Sequence[str]) -> list[Spent]:
    """What else stands on the days of a cycle."""
    first, last = helsinki_day(cycle.starts).toordinal(), helsinki_day(cycle.ends - _INSTANT).toordinal()
    unit, centre, project, its = (WORD.alias(name) for name in ("unit", "centre", "project", "its"))
    owner = (unit.c.text, BASIS.c.rule, centre.c.text, project.c.text)
    columns = (BASIS.c.day, *owner, BASIS.c.estimated, BASIS.c.currency)
    found = []
    for table in (CHARGE, PERIOD_CHARGE):
        others = [] if table is CHARGE else [not_(PERIOD_CHARGE.c.agreement.like(f"{kind}:%")) for kind in without]
        query = (
            select(*columns, table.c.eur_nano, table.c.nano)
            .select_from(table)
            .join(BASIS, BASIS.c.id == table.c.basis)
            .join(unit, unit.c.id == BASIS.c.unit)
            .join(centre, centre.c.id == BASIS.c.cost_centre)
            .join(project, project.c.id == BASIS.c.project)
            .join(its, and_(its.c.id == BASIS.c.system, its.c.text == system))
            .where(BASIS.c.day.between(first, last), table.c.superseded_at.is_(None), *others)
        )
        for day, *names, estimated, currency, eur, nano in connection.execute(query):
            spent_on = date.fromordinal(day)
            found.append(Spent(spent_on, Owner(*names), system, eur or 0, bool(estimated), currency, nano or 0))
    return found


def _place(part: Part) -> tuple[int, str, str, str]:
    return (part.day.toordinal(), part.sku, part.line.owner.unit, part.line.category)


def _nought() -> list[int]:
    return [0, 0, 0]


def _add(sums: list[int], nano: int | None, eur_nano: int | None) -> None:
    for index, value in enumerate((nano or 0, eur_nano or 0, int(eur_nano is None))):
        sums[index] += value


_Sums = Mapping[tuple[str, int], Mapping[tuple[int, str, str, str], list[int]]]


def _plain(found: _Sums) -> Charged:
    return {
        cycle: {place: (sums[0], sums[1], sums[2]) for place, sums in places.items()} for cycle, places in found.items()
    }
