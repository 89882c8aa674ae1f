"""Invoices in the ledger's database, and what the ledger has to set beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, case, func, or_, select

from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.sums import in_month
from services.cost_alerts.adapters.tables import BASIS, CHARGE, INVOICE, PERIOD_CHARGE, READING, WORD
from services.cost_alerts.domain.closing import month_number, month_of
from services.cost_alerts.domain.invoices import (
    INVOICED,
    Charges,
    LedgerMonth,
    Reconciliation,
    Unpriced,
    of_month,
    reconcile,
)
from services.cost_alerts.domain.view import View
from services.shared.events.usage import Invoice
from services.shared.periods import HELSINKI, Month, day_start, helsinki_day
from services.shared.store import Store, Transaction
from services.shared.store.tables import instant, micros

_COLUMNS = ("vendor", "invoice_id", "revision", "month", "body", "recorded_at")
_UTC = ZoneInfo("UTC")
_DAY = timedelta(days=1)


class SqlInvoices:
    """See `InvoiceBook`."""

    def add(self, tx: Transaction, invoices: Sequence[tuple[Invoice, int]]) -> None:
        rows = [
            (
                one.vendor,
                one.invoice_id,
                one.revision,
                month_number(Month.parse(one.month)),
                one.model_dump_json(),
                recorded_at,
            )
            for one, recorded_at in invoices
        ]
        tx.bulk_insert(INVOICE, _COLUMNS, rows, ignore_conflicts=True)

    def revisions(self, tx: Transaction, vendor: str, invoice_id: str) -> Sequence[Invoice]:
        query = select(INVOICE.c.body).where(INVOICE.c.vendor == vendor, INVOICE.c.invoice_id == invoice_id)
        found = tx.connection.execute(query.order_by(INVOICE.c.revision))
        return [Invoice.model_validate_json(body) for (body,) in found]


def invoices_about(connection: Connection, vendor: str, month: Month) -> Sequence[tuple[Invoice, datetime]]:
    """Every revision of a vendor's invoices that are, or once were, of this month, as they were recorded.

    `of_month` tells which of those recorded by a moment stand.
    """
    here = select(INVOICE.c.invoice_id).where(INVOICE.c.vendor == vendor, INVOICE.c.month == month_number(month))
    query = select(INVOICE.c.body, INVOICE.c.recorded_at).where(
        INVOICE.c.vendor == vendor, INVOICE.c.invoice_id.in_(here)
    )
    rows = connection.execute(query.order_by(INVOICE.c.recorded_at, INVOICE.c.invoice_id, INVOICE.c.revision))
    return [(Invoice.model_validate_json(row.body), instant(row.recorded_at)) for row in rows]


class InvoiceQueries:
    """Sets invoices beside the ledger; thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def reconciliations(self, month: Month | None = None) -> Sequence[Reconciliation]:
        """Every vendor and month (or one month) that has an invoice, by month and vendor, in one consistent view."""
        with self._store.reading() as connection:
            book = load_book(connection)
            view = book.view(book.newest)
            return [
                found
                for number, vendor in _months(connection, month)
                if (found := reconciliation_of(connection, view, vendor, month_of(number))) is not None
            ]


def _months(connection: Connection, month: Month | None) -> Sequence[tuple[int, str]]:
    query = select(INVOICE.c.month, INVOICE.c.vendor).distinct().order_by(INVOICE.c.month, INVOICE.c.vendor)
    if month is not None:
        query = query.where(INVOICE.c.month == month_number(month))
    return [(row.month, row.vendor) for row in connection.execute(query)]


def reconciliation_of(connection: Connection, view: View, vendor: str, month: Month) -> Reconciliation | None:
    """None when no invoice of the month stands: a revision moved it to another one."""
    invoices = of_month((one for one, _ in invoices_about(connection, vendor, month)), month)
    if not invoices:
        return None
    ledger = _Month(connection, view, month, _systems(connection, view, vendor, invoices)).ledger(invoices)
    return reconcile(vendor, month, invoices, ledger, view.exchange)


def _systems(connection: Connection, view: View, vendor: str, invoices: Iterable[Invoice]) -> Mapping[int, str]:
    """The vendor's systems in the register and those that its invoices name: number of the word → id."""
    names = {system.id for system in view.systems.values() if system.vendor == vendor}
    names |= {line.system for one in invoices for line in one.lines}
    return {row.id: row.text for row in connection.execute(select(WORD).where(WORD.c.text.in_(names)))}


class _Group(NamedTuple):
    """Charges that are priced alike, added up."""

    system: str
    sku: str
    meter: str
    currency: str
    reason: str | None
    estimated: int
    per_unit: str | None
    list_per_unit: str | None
    without_euro: int
    nano: int
    eur_nano: int
    list_nano: int
    charges: int

    def as_charges(self, sign: int = 1) -> Charges:
        return Charges(
            self.system, self.sku, self.currency, sign * self.nano, sign * self._at_list(), sign * self.eur_nano
        )

    def _at_list(self) -> int:
        """What a price per unit made, at its list price; `list_nano` where the agreement told it."""
        if self.per_unit is None or self.list_per_unit is None or not Fraction(self.per_unit):
            return self.list_nano
        return round(self.nano * Fraction(self.list_per_unit) / Fraction(self.per_unit))


class _Month:
    """A month of some systems, asked for group by group."""

    def __init__(self, connection: Connection, view: View, month: Month, systems: Mapping[int, str]) -> None:
        self._connection = connection
        self._view = view
        self._month = month
        self._systems = systems
        self._here = (in_month(BASIS.c.day, month), BASIS.c.system.in_(list(systems)))

    def ledger(self, invoices: Sequence[Invoice]) -> LedgerMonth:
        groups = [*self._of_readings(), *self._of_periods(BASIS.c.meter != self._invoiced)]
        priced = [one for one in groups if not one.without_euro]
        return LedgerMonth(
            [one.as_charges() for one in priced],
            list(self._edges()),
            list(self._late(day_start(max(one.issued_on for one in invoices) + _DAY))),
            _counted(one for one in groups if one.without_euro),
            sum(one.eur_nano for one in priced if one.estimated),
            sum(one.eur_nano for one in self._of_periods(BASIS.c.meter == self._invoiced)),
        )

    @property
    def _invoiced(self) -> Any:  # noqa: ANN401  # a subquery
        return func.coalesce(select(WORD.c.id).where(WORD.c.text == INVOICED).scalar_subquery(), -1)

    def _of_readings(self) -> list[_Group]:
        return self._groups(_of_readings(in_month(READING.c.day, self._month), _current(CHARGE)).where(*self._here))

    def _of_periods(self, which: ColumnElement[bool]) -> list[_Group]:
        columns = PERIOD_CHARGE.c
        at_list = case((columns.nano != 0, func.coalesce(columns.list_nano, columns.nano)), else_=0)
        query = _grouped(_by_basis(columns, at_list).where(_current(PERIOD_CHARGE)))
        return self._groups(query.where(*self._here, which))

    def _edges(self) -> Iterator[Charges]:
        """What lies in the month of the vendor's zone and not in the Helsinki month, and the other way round."""
        for number, system in self._systems.items():
            zone = self._zone(system)
            for sign, ends in ((-1, self._month.first_day), (1, self._month.next.first_day)):
                there, here = day_start(ends, zone), day_start(ends, HELSINKI)
                turned = sign if here < there else -sign
                yield from self._between(number, min(here, there), max(here, there), turned)

    def _between(self, system: int, start: datetime, end: datetime, sign: int) -> Iterator[Charges]:
        if start == end:
            return
        days = READING.c.day.between(helsinki_day(start).toordinal(), helsinki_day(end).toordinal())
        within = (READING.c.starts_at >= micros(start), READING.c.starts_at < micros(end))
        query = _of_readings(days, *within, _current(CHARGE)).where(BASIS.c.system == system)
        yield from _priced(self._groups(query), sign)

    def _zone(self, system: str) -> ZoneInfo:
        """The time zone in which the vendor counts its months: the contract's, else UTC."""
        contracts = self._view.contracts.at(system, self._month.period.start)
        return ZoneInfo(contracts[0].fact.time_zone) if contracts else _UTC

    def _late(self, issued: datetime) -> Iterator[Charges]:
        """Away with what was recorded from `issued` on; back with what stood in its place before."""
        moment = micros(issued)
        of_late = (in_month(READING.c.day, self._month), READING.c.recorded_at >= moment)
        before = (
            CHARGE.c.recorded_at < moment,
            or_(CHARGE.c.superseded_at.is_(None), CHARGE.c.superseded_at >= moment),
        )
        for sign, stands in ((-1, (_current(CHARGE),)), (1, before)):
            yield from _priced(self._groups(_of_readings(*of_late, *stands).where(*self._here)), sign)

    def _groups(self, query: Select[Any]) -> list[_Group]:
        return [_group(row) for row in self._connection.execute(query)]


def _group(row: Any) -> _Group:  # noqa: ANN401  # a row of `_grouped`
    *names, without_euro, nano, eur_nano, list_nano, charges = row
    return _Group(*names, *(int(one or 0) for one in (without_euro, nano, eur_nano, list_nano, charges)))


def _priced(groups: Iterable[_Group], sign: int) -> Iterator[Charges]:
    return (one.as_charges(sign) for one in groups if not one.without_euro)


def _current(table: Any) -> ColumnElement[bool]:  # noqa: ANN401  # CHARGE or PERIOD_CHARGE
    current: ColumnElement[bool] = table.c.superseded_at.is_(None)
    return current


def _of_readings(*which: ColumnElement[bool]) -> Select[Any]:
    """Charges of readings; found by the readings' days, which are indexed."""
    source = READING.join(CHARGE, CHARGE.c.reading == READING.c.number)
    return _grouped(_by_basis(CHARGE.c, CHARGE.c.nano).select_from(source).where(*which))


def _by_basis(columns: Any, at_list: ColumnElement[Any]) -> Select[Any]:  # noqa: ANN401  # of CHARGE or PERIOD_CHARGE
    """Sums by basis: a number, much quicker to group by than what it stands for."""
    without_euro = case((columns.eur_nano.is_(None), 1), else_=0).label("without_euro")
    return select(
        columns.basis,
        without_euro,
        func.sum(columns.nano).label("nano"),
        func.sum(columns.eur_nano).label("eur_nano"),
        func.sum(at_list).label("list_nano"),
        func.count().label("charges"),
    ).group_by(columns.basis, without_euro)


def _grouped(by_basis: Select[Any]) -> Select[Any]:
    found = by_basis.subquery("found")
    system, sku, meter = (WORD.alias(f"{name}_word") for name in ("system", "sku", "meter"))
    names = (
        system.c.text,
        sku.c.text,
        meter.c.text,
        BASIS.c.currency,
        BASIS.c.reason,
        BASIS.c.estimated,
        BASIS.c.nano_per_unit,
        BASIS.c.list_per_unit,
        found.c.without_euro,
    )
    return (
        select(*names, *(func.sum(found.c[name]) for name in ("nano", "eur_nano", "list_nano", "charges")))
        .select_from(found)
        .join(BASIS, BASIS.c.id == found.c.basis)
        .join(system, system.c.id == BASIS.c.system)
        .join(sku, sku.c.id == BASIS.c.sku)
        .join(meter, meter.c.id == BASIS.c.meter)
        .group_by(*names)
    )


def _counted(groups: Iterable[_Group]) -> list[Unpriced]:
    """How many charges lack a price, by what and why."""
    counts: dict[tuple[str, str, str, str], int] = {}
    for one in groups:
        key = (one.system, one.sku, one.meter, one.reason or "")
        counts[key] = counts.get(key, 0) + one.charges
    return [Unpriced(*key, count) for key, count in sorted(counts.items())]
