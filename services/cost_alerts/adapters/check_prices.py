"""Whether every reading is charged as the register prices it: each one is priced again, the slow way, and compared."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, select

from services.cost_alerts.adapters.check_periods import wrong_cycles
from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.restatements import readings_left
from services.cost_alerts.adapters.tables import (
    BASIS,
    CHARGE,
    PROFILE,
    READING,
    WORD,
)
from services.cost_alerts.domain.covering import lines
from services.cost_alerts.domain.pricing import Amounts, Pricer, is_possible
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.domain.view import Book
from services.shared.store import Store
from services.shared.store.tables import instant

_AT_ONCE = 5_000
_MOST_REMEMBERED = 100_000


class Charge(NamedTuple):
    """What a current charge says, of one meter of a reading. Money in 10⁻⁹ units."""

    day: int
    meter: str
    unit: str
    nano: int | None
    eur_nano: int | None


def check_prices(store: Store) -> Sequence[str]:
    """What does not hold, a sentence each. Prices every paid reading and every cycle of agreements again."""
    with store.reading() as connection:
        book = load_book(connection)
        wrong, cycles = list(_wrong(connection, book)), list(wrong_cycles(connection, book))
    told = []
    if wrong:
        told.append(f"{len(wrong)} readings are not charged as the register prices them, the first is {wrong[0]}")
    if cycles:
        told.append(f"{len(cycles)} cycles are not charged as their agreements say, the first is {cycles[0]}")
    return [f"{sentence}: run valvomo ledger rebuild" for sentence in told]


def _wrong(connection: Connection, book: Book) -> Iterator[str]:
    """The readings that are charged otherwise."""
    prices = _Prices(connection, book)
    words = {row.id: row.text for row in connection.execute(select(WORD))}
    rows = connection.execute(_charged_readings().execution_options(yield_per=_AT_ONCE))
    for _, charges in groupby(rows, key=lambda row: row.number):
        found = list(charges)
        if prices.expected(found[0]) != sorted(_charge(row, words) for row in found):
            yield found[0].reading_id


def _charged_readings() -> Select[Any]:
    """Paid readings, each with its current charges; by number."""
    columns = [READING.c[name] for name in ("number", "reading_id", "starts_at", "day", "profile", "quantities")]
    told = [READING.c[name] for name in ("cost", "cost_currency", "register_version")]
    of_basis = [BASIS.c[name].label(f"basis_{name}") for name in ("day", "meter", "unit")]
    return (
        select(*columns, *told, *of_basis, CHARGE.c.nano, CHARGE.c.eur_nano)
        .outerjoin(CHARGE, and_(CHARGE.c.reading == READING.c.number, CHARGE.c.superseded_at.is_(None)))
        .outerjoin(BASIS, BASIS.c.id == CHARGE.c.basis)
        .where(READING.c.purpose == 0, READING.c.retracted == 0)
        .order_by(READING.c.number)
    )


def _charge(row: Any, words: dict[int, str]) -> Charge:  # noqa: ANN401  # of `_charged_readings`
    return Charge(
        row.basis_day or 0, words.get(row.basis_meter, ""), words.get(row.basis_unit, ""), row.nano, row.eur_nano
    )


class _Prices:
    """Prices readings by the newest register; while a restatement is under way, by the one they were priced by."""

    def __init__(self, connection: Connection, book: Book) -> None:
        self._book = book
        self._newest = None if readings_left(connection) else book.newest
        rows = connection.execute(select(PROFILE.c.id, PROFILE.c.body))
        self._profiles = {row.id: Profile.from_text(row.body) for row in rows}
        self._ready: dict[tuple[Any, ...], Sequence[Pricer]] = {}

    def expected(self, row: Any) -> list[Charge]:  # noqa: ANN401  # of `_charged_readings`
        """The charges that a reading should have."""
        quantities = [Decimal(one) for one in row.quantities.split()]
        made = []
        for at, pricer in enumerate(self._pricers(row, quantities)):
            line = pricer.line
            quantity = Decimal(row.cost or 0) if line.of_reading else quantities[at]
            made.append(Charge(row.day, line.meter, line.owner.unit, *_amounts(pricer, quantity)))
        return sorted(made)

    def _pricers(self, row: Any, quantities: Sequence[Decimal]) -> Sequence[Pricer]:  # noqa: ANN401
        start, profile = instant(row.starts_at), self._profiles[row.profile]
        sizes = self._book.sizes(profile, quantities)
        version = row.register_version if self._newest is None else self._newest
        key = (row.profile, row.day, self._book.segment(start), row.cost_currency, sizes, version)
        if key not in self._ready:
            if len(self._ready) > _MOST_REMEMBERED:
                self._ready = {}
            use = Use(profile, start, date.fromordinal(row.day), row.cost_currency, sizes)
            self._ready[key] = [Pricer(line) for line in lines(self._book.view(version), use)]
        return self._ready[key]


def _amounts(pricer: Pricer, quantity: Decimal) -> Amounts:
    line, amounts = pricer.line, pricer.amounts(quantity)
    if line.reason is None and is_possible(amounts):
        return amounts
    if not quantity and not line.of_reading:
        return (0, 0)  # none of it was used: free, whatever the price
    return (amounts[0], None) if is_possible(amounts) else (None, None)
