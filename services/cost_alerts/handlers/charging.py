"""From a reading to its charges, along the register versions; prices are made ready once per use, not per row."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from services.cost_alerts.domain.pricing import TOO_LARGE, Amounts, Line, is_possible
from services.cost_alerts.domain.timeline import Stretch, timeline
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.ports import Basis, ChargeRow, ReadingRow, Sums, Work
from services.shared.store.tables import instant, micros

PURPOSES = ("billing", "attribution", "telemetry")
FINALITIES = ("estimate", "provisional", "final")
BILLING = PURPOSES.index("billing")
FINAL = FINALITIES.index("final")

MOST_CACHED = 100_000
"""Uses whose prices are kept ready in memory; then the memory is emptied and fills again."""

NO_LEAD, PRICED, UNPRICED = range(3)
"""`lead` of a charge: not the one that counts its reading, counts it as priced, counts it as unpriced."""


class Ready(NamedTuple):
    """A line ready to charge with: its amounts for a quantity, its basis number, whether it lacks a price."""

    amounts: Callable[[Decimal], Amounts]
    basis: int
    is_unpriced: bool
    of_reading: bool


class ReadyStretch(NamedTuple):
    """A stretch of a timeline with numbers; `since` in microseconds, 0 for the first."""

    since: int
    lines: tuple[Ready, ...]
    of_reading: bool


class Charged(NamedTuple):
    """What became of a reading: its charges, and what the current ones add to the rollups, by basis number."""

    rows: list[ChargeRow]
    current: list[tuple[int, Sums]]


def makes_charges(row: ReadingRow) -> bool:
    """Whether a revision is paid: not taken back, and not merely told of."""
    return row.purpose == BILLING and not row.retracted


class Charger:
    """Makes charges of readings. Keeps prices ready until the register or the numbering changes; one thread only."""

    def __init__(self) -> None:
        self._made_for: tuple[object, int] | None = None
        self._ready: dict[tuple[object, ...], tuple[ReadyStretch, ...]] = {}

    def begin(self, work: Work) -> None:
        """Forget what was made ready for another register version, or under numbers that were rolled back."""
        made_for = (work.book, work.generation)
        if self._made_for != made_for or len(self._ready) > MOST_CACHED:
            self._made_for = made_for
            self._ready = {}

    def first(
        self, work: Work, row: ReadingRow, profile: Profile, start: datetime, quantities: Sequence[Decimal]
    ) -> Charged:
        """The charges of a new revision: at the register of its recorded time, and as each later version changed them.

        `row.pricing` is the version number of the first.
        """
        since = work.book.version_at(instant(row.recorded_at))
        stretches = self._stretches(work, row, profile, start, since)
        return self._charge(work, row, stretches, quantities, row.recorded_at)

    def next(self, work: Work, row: ReadingRow, profile: Profile, recorded_at: int) -> Charged:
        """The charges that versions after `row.register_version` put in the place of the present ones, if any.

        `row.pricing` is the version number of the present ones, `recorded_at` their recorded time.
        """
        stretches = self._stretches(work, row, profile, instant(row.starts_at), row.register_version)[1:]
        upcoming = row._replace(pricing=row.pricing + 1)
        return self._charge(work, upcoming, stretches, quantities_of(row), recorded_at)

    def _stretches(
        self, work: Work, row: ReadingRow, profile: Profile, start: datetime, version: int
    ) -> tuple[ReadyStretch, ...]:
        key = (row.profile, row.day, work.book.segment(start), row.finality != FINAL, row.cost_currency, version)
        found = self._ready.get(key)
        if found is None:
            use = Use(profile, start, date.fromordinal(row.day), row.cost_currency)
            made = timeline(work.book, use, version)
            estimated = row.finality != FINAL
            found = tuple(_ready(work, use, stretch, estimated=estimated) for stretch in made)
            self._ready[key] = found
        return found

    def _charge(
        self,
        work: Work,
        row: ReadingRow,
        stretches: Sequence[ReadyStretch],
        quantities: Sequence[Decimal],
        at_least: int,
    ) -> Charged:
        rows: list[ChargeRow] = []
        current: list[tuple[int, Sums]] = []
        last = len(stretches) - 1
        for index, stretch in enumerate(stretches):
            recorded_at = max(stretch.since, at_least)
            until = None if index == last else max(stretches[index + 1].since, at_least)
            of_lines = (Decimal(row.cost or 0),) if stretch.of_reading else quantities
            made = [_priced(work, line, quantity) for line, quantity in zip(stretch.lines, of_lines, strict=True)]
            lead = UNPRICED if any(is_unpriced for _, _, _, is_unpriced in made) else PRICED
            for basis, nano, eur_nano, _ in made:
                rows.append(ChargeRow(row.number, row.pricing + index, basis, nano, eur_nano, recorded_at, until, lead))
                if until is None:
                    current.append((basis, sums_of(nano, eur_nano, lead)))
                lead = NO_LEAD
        return Charged(rows, current)


def quantities_of(row: ReadingRow) -> tuple[Decimal, ...]:
    """The quantities of a stored reading, in the order of its profile's meters."""
    return tuple(map(Decimal, row.quantities.split()))


def sums_of(nano: int | None, eur_nano: int | None, lead: int) -> Sums:
    """What a current charge adds to a rollup."""
    return Sums(eur_nano or 0, nano or 0, 1, int(lead != NO_LEAD), int(lead == UNPRICED))


def basis_of(work: Work, line: Line, use: Use, version: int, *, estimated: bool) -> int:
    """The number of what the charges of a line have in common."""
    return work.basis(
        Basis(
            use.day.toordinal(),
            line.owner.unit,
            use.profile.system,
            use.profile.sku,
            line.meter,
            line.category,
            int(estimated),
            line.currency or "",
            version,
            line.owner.rule,
            line.tariff,
            line.tariff_version,
            None if line.nano_per_unit is None else str(line.nano_per_unit),
            None if line.rate is None else str(line.rate),
            None if line.rate_day is None else line.rate_day.toordinal(),
            line.reason,
        )
    )


def _ready(work: Work, use: Use, stretch: Stretch, *, estimated: bool) -> ReadyStretch:
    lines = tuple(
        Ready(
            pricer.amounts,
            basis_of(work, pricer.line, use, stretch.version, estimated=estimated),
            pricer.line.reason is not None,
            pricer.line.of_reading,
        )
        for pricer in stretch.pricers
    )
    since = 0 if stretch.since is None else micros(stretch.since)
    return ReadyStretch(since, lines, stretch.pricers[0].line.of_reading)


def _priced(work: Work, line: Ready, quantity: Decimal) -> tuple[int, int | None, int | None, bool]:
    """(basis number, 10⁻⁹ of the pricing currency, 10⁻⁹ euro, whether that is no price) of one meter."""
    nano, eur_nano = amounts = line.amounts(quantity)
    if line.is_unpriced:
        return _without_price(work, line, quantity, nano)
    if not is_possible(amounts):
        return _variant(work, line.basis, TOO_LARGE), None, None, True
    return line.basis, nano, eur_nano, False


def _without_price(
    work: Work, line: Ready, quantity: Decimal, nano: int | None
) -> tuple[int, int | None, int | None, bool]:
    if not quantity and not line.of_reading:  # none consumed costs nothing, whatever its price may be
        return _variant(work, line.basis, None), 0, 0, False
    if not is_possible(Amounts(nano, None)):
        return _variant(work, line.basis, TOO_LARGE), None, None, True
    return line.basis, nano, None, True


def _variant(work: Work, basis: int, reason: str | None) -> int:
    """The same basis with another answer to whether there is a price, and no amount in any currency."""
    return work.basis(work.basis_of(basis)._replace(reason=reason, currency=""))
