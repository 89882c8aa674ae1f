"""Charges in full, one by one: with their reading or agreement, their quantities and list price.

For exports and readers outside; streamed, so that a million of them need no more memory than a thousand.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from services.cost_alerts.adapters.closing import load_closings
from services.cost_alerts.adapters.tables import (
    BASIS,
    CHARGE,
    PERIOD_CHARGE,
    PROFILE,
    READING,
    READING_HISTORY,
    REGISTER_FACT,
    WORD,
)
from services.cost_alerts.domain.closing import Booking, Closings, month_number
from services.cost_alerts.domain.report import Basis as ReportBasis
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.handlers.publishing import Detail
from services.cost_alerts.ports.ledger import Basis
from services.shared.events.prices import Tariff
from services.shared.periods import Month, day_start
from services.shared.store import chunks
from services.shared.store.tables import micros

AT_ONCE = 2_000
_WORDS = ("unit", "system", "sku", "meter", "cost_centre", "project")
_MOST_CACHED = 50_000
_CHARGE = ("version", "nano", "eur_nano", "recorded_at", "superseded_at", "lead")
_READING = ("number", "source", "reading_id", "revision", "starts_at", "ends_at", "quantities")
_REVISION = ("number", "revision", "recorded_at", "starts_at", "ends_at", "quantities")
_PERIOD = ("agreement", "cycle", "recorded_at", "superseded_at", "quantity", "nano", "eur_nano", "list_nano")


class Wanted(NamedTuple):
    """Which charges make up a month: those that these books take, as known before an instant (None: now)."""

    month: Month
    bookings: Sequence[Booking]
    before: int | None

    @classmethod
    def of(cls, connection: Connection, month: Month, basis: ReportBasis, before: int | None) -> "Wanted":
        closings = load_closings(connection) if basis == "booked" else Closings({})
        if before is not None:
            closings = Closings({one: at for one, at in closings.cut_offs.items() if at < before})
        return cls(month, closings.bookings(month_number(month)), before)

    def condition(self, recorded_at: ColumnElement[int], superseded_at: ColumnElement[Any]) -> ColumnElement[bool]:
        """At least the charges that count; `sign` has the last word."""
        return or_(*(self._near(one, recorded_at, superseded_at) for one in self.bookings))

    def _near(
        self, booking: Booking, recorded_at: ColumnElement[int], superseded_at: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        days = BASIS.c.day.between(booking.first_day, booking.last_day)
        if booking.above is not None:
            return and_(days, or_(recorded_at > booking.above, superseded_at > booking.above))
        until = min((one for one in (booking.up_to, _before(self.before)) if one is not None), default=None)
        if until is None:
            return and_(days, superseded_at.is_(None))
        return and_(days, recorded_at <= until, or_(superseded_at.is_(None), superseded_at > until))

    def sign(self, day: int, recorded_at: int, superseded_at: int | None) -> int:
        """1: the books take it; -1: they lose it; 0: neither, or both."""
        ended = superseded_at is not None and self._takes(day, superseded_at)
        return int(self._takes(day, recorded_at)) - int(ended)

    def _takes(self, day: int, moment: int) -> bool:
        if self.before is not None and moment >= self.before:
            return False
        return any(
            one.first_day <= day <= one.last_day
            and (one.above is None or moment > one.above)
            and (one.up_to is None or moment <= one.up_to)
            for one in self.bookings
        )


def _before(instant: int | None) -> int | None:
    return None if instant is None else instant - 1


class Details:
    """Reads charges in full over one connection, which stays open while they are read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._words: dict[int, str] = {row.id: row.text for row in connection.execute(select(WORD.c.id, WORD.c.text))}
        self._tariffs = load_tariffs(connection)
        self._bases: dict[int, Basis] = {}

    def tariff(self, basis: Basis) -> Tariff | None:
        """The tariff that a charge was priced by."""
        return self._tariffs.get((basis.tariff or "", basis.tariff_version or 0))

    def of_readings(self, wanted: Wanted) -> Iterator[Detail]:
        """A month's charges of readings, by reading."""
        here = wanted.condition(CHARGE.c.recorded_at, CHARGE.c.superseded_at)
        return _signed(wanted, self._readings(_reading_charges().where(here)))

    def of_periods(self, wanted: Wanted) -> Iterator[Detail]:
        """A month's charges by the period, by agreement, cycle and day."""
        here = wanted.condition(PERIOD_CHARGE.c.recorded_at, PERIOD_CHARGE.c.superseded_at)
        return _signed(wanted, self._periods(_period_charges().where(here)))

    def of_numbers(self, numbers: Collection[int]) -> Iterator[Detail]:
        """Every charge of these readings that ever was."""
        for some in chunks(sorted(numbers), AT_ONCE):
            yield from self._readings(_reading_charges().where(CHARGE.c.reading.in_(some)))

    def of_cycle(self, agreement: str, cycle: int) -> Iterator[Detail]:
        """The current charges of a cycle."""
        here = (PERIOD_CHARGE.c.agreement == agreement, PERIOD_CHARGE.c.cycle == cycle)
        yield from self._periods(_period_charges().where(*here, PERIOD_CHARGE.c.superseded_at.is_(None)))

    def _readings(self, query: Select[Any]) -> Iterator[Detail]:
        rows = iter(self._connection.execute(query, execution_options={"yield_per": AT_ONCE}))
        while some := list(islice(rows, AT_ONCE)):
            earlier = self._earlier({row.number for row in some if row.recorded_at < row.reading_recorded_at})
            for row in some:
                yield self._of_reading(row, earlier.get(row.number, ()))

    def _of_reading(self, row: Any, earlier: Sequence[Any]) -> Detail:  # noqa: ANN401  # rows of the queries below
        told, profile = row, row.body
        if row.recorded_at < row.reading_recorded_at:  # of a revision that was replaced
            stood = [one for one in earlier if one.recorded_at <= row.recorded_at]
            if stood:
                told = max(stood, key=lambda one: one.revision)
                profile = told.body
        basis, profile = self._basis(row), _profile(profile)
        quantity = _quantity(profile, told.quantities, basis.meter)
        tariff = self.tariff(basis)
        priced = None if quantity is None else rounded_up(quantity, tariff)
        return Detail(
            number=row.number,
            source=self._words[row.source],
            reading_id=row.reading_id,
            revision=told.revision,
            profile=profile,
            agreement=None,
            cycle=None,
            starts_at=told.starts_at,
            ends_at=told.ends_at,
            quantity=quantity,
            priced_quantity=priced,
            nano=row.nano,
            eur_nano=row.eur_nano,
            list_nano=_list_nano(basis, priced),
            recorded_at=row.recorded_at,
            superseded_at=row.superseded_at,
            lead=row.lead,
            basis=basis,
        )

    def _periods(self, query: Select[Any]) -> Iterator[Detail]:
        for row in self._connection.execute(query, execution_options={"yield_per": AT_ONCE}):
            basis, quantity = self._basis(row), Decimal(row.quantity)
            day = date.fromordinal(basis.day)
            yield Detail(
                number=None,
                source=None,
                reading_id=None,
                revision=0,
                profile=None,
                agreement=row.agreement,
                cycle=row.cycle,
                starts_at=micros(day_start(day)),
                ends_at=micros(day_start(date.fromordinal(basis.day + 1))),
                quantity=quantity,
                priced_quantity=quantity,
                nano=row.nano,
                eur_nano=row.eur_nano,
                list_nano=row.list_nano,
                recorded_at=row.recorded_at,
                superseded_at=row.superseded_at,
                lead=0,
                basis=basis,
            )

    def _basis(self, row: Any) -> Basis:  # noqa: ANN401
        found = self._bases.get(row.basis_id)
        if found is None:
            if len(self._bases) > _MOST_CACHED:
                self._bases.clear()
            words = self._words
            values = {name: getattr(row, f"basis_{name}") for name in Basis._fields}
            values.update({name: words[values[name]] for name in _WORDS})
            found = self._bases[row.basis_id] = Basis(**values)
        return found

    def _earlier(self, numbers: Collection[int]) -> Mapping[int, Sequence[Any]]:
        """Replaced revisions of these readings."""
        found: dict[int, list[Any]] = {}
        columns = [READING_HISTORY.c[name] for name in _REVISION]
        for some in chunks(sorted(numbers), AT_ONCE):
            query = select(*columns, PROFILE.c.body).join(PROFILE, PROFILE.c.id == READING_HISTORY.c.profile)
            for row in self._connection.execute(query.where(READING_HISTORY.c.number.in_(some))):
                found.setdefault(row.number, []).append(row)
        return found


def _signed(wanted: Wanted, details: Iterable[Detail]) -> Iterator[Detail]:
    """Those that count for a month, with the sign that they count by."""
    for detail in details:
        sign = wanted.sign(detail.basis.day, detail.recorded_at, detail.superseded_at)
        if sign:
            yield detail if sign > 0 else detail._replace(sign=sign)


def load_tariffs(connection: Connection) -> Mapping[tuple[str, int], Tariff]:
    """Every tariff that ever stood, by its id and the register version it came with."""
    columns = (REGISTER_FACT.c.since, REGISTER_FACT.c.body)
    rows = connection.execute(select(*columns).where(REGISTER_FACT.c.kind == Tariff.__name__))
    tariffs = ((row.since, Tariff.model_validate_json(row.body)) for row in rows)
    return {(tariff.id, since): tariff for since, tariff in tariffs}


def rounded_up(quantity: Decimal, tariff: Tariff | None) -> Decimal:
    """What is paid for a metered quantity: whole multiples where the tariff rounds each reading up."""
    rounding = None if tariff is None else tariff.round_up
    if rounding is None or rounding.per != "reading":
        return quantity
    multiples = -(-Fraction(quantity) // Fraction(rounding.to))
    return rounding.to * multiples


def _list_nano(basis: Basis, quantity: Decimal | None) -> int | None:
    """The list price of a quantity, 10⁻⁹ of the pricing currency, rounded once, half-even."""
    if basis.list_per_unit is None or quantity is None or basis.reason is not None:
        return None
    return round(Fraction(basis.list_per_unit) * Fraction(quantity))


@lru_cache(maxsize=10_000)
def _profile(body: str) -> Profile:
    return Profile.from_text(body)


def _quantity(profile: Profile, quantities: str, meter: str) -> Decimal | None:
    if meter not in profile.meters:
        return None
    return Decimal(quantities.split()[profile.meters.index(meter)])


def _basis_columns() -> list[ColumnElement[Any]]:
    return [BASIS.c.id.label("basis_id"), *(BASIS.c[name].label(f"basis_{name}") for name in Basis._fields)]


def _reading_charges() -> Select[Any]:
    charge = [CHARGE.c[name] for name in _CHARGE]
    reading = [READING.c[name] for name in _READING]
    recorded = READING.c.recorded_at.label("reading_recorded_at")
    return (
        select(*charge, *reading, recorded, PROFILE.c.body, *_basis_columns())
        .select_from(CHARGE)
        .join(BASIS, BASIS.c.id == CHARGE.c.basis)
        .join(READING, READING.c.number == CHARGE.c.reading)
        .join(PROFILE, PROFILE.c.id == READING.c.profile)
        .order_by(CHARGE.c.reading, CHARGE.c.version, CHARGE.c.basis)
    )


def _period_charges() -> Select[Any]:
    period, key = [PERIOD_CHARGE.c[name] for name in _PERIOD], PERIOD_CHARGE.c
    return (
        select(*period, *_basis_columns())
        .select_from(PERIOD_CHARGE)
        .join(BASIS, BASIS.c.id == key.basis)
        .order_by(key.agreement, key.cycle, key.day, key.recorded_at, key.basis)
    )
