"""Which readings an agreement charges, how each counts in it, and who used how much in a cycle."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Cycle, Metered
from services.cost_alerts.domain.agreements.split import Used
from services.cost_alerts.domain.covering import Covering, coverings
from services.cost_alerts.domain.pricing import Line, rounded_up
from services.cost_alerts.domain.rating import charged_meters, is_reported, unit_line
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.domain.view import View

_QUARTER = 15
"""Minutes. Every midnight of every zone since 2000 falls on a quarter: uses of one quarter are charged alike."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an agreement charges of a reading: one meter, or its reported cost.

    `quantity` is as metered, `counted` the same in what the agreement counts. `reading` names the reading itself;
    `use`, of which it is one, begins at its quarter of an hour.
    """

    reading: Use
    use: Use
    meter: str
    covering: Covering
    quantity: Decimal
    counted: Fraction
    estimated: bool


Worth = tuple[Profile, Fraction | None, Fraction]
"""Whose use, its list price in 10⁻⁹ euro (None: not known), and its quantity."""


@dataclass(slots=True)
class Reader:
    """Asks a register version once for all readings that are charged alike: of one profile and quarter of an hour."""

    view: View
    _coverings: dict[Use, tuple[tuple[int, str, Covering], ...]] = field(default_factory=dict)
    _lines: dict[tuple[Use, str], Line] = field(default_factory=dict)

    def under(self, view: View) -> "Reader":
        """This one, or one of another register version."""
        return self if self.view is view else Reader(view)

    def drawn(self, key: str, cycle: Cycle, metered: Iterable[Metered]) -> Iterator[Drawn]:
        """What the agreement of this key charges of the readings that begin in the cycle, in their order."""
        for reading, use in _within(cycle, metered):
            for position, meter, found in self._covered(use):
                quantity = _quantity(reading, position, of_reading=found.of_reading)
                if found.agreement == key and quantity:
                    counted = found.counted(quantity)
                    yield Drawn(reading.use, use, meter, found, quantity, counted, reading.estimated)

    def line(self, use: Use, meter: str) -> Line:
        """How a meter is priced by the unit, as if nothing were prepaid."""
        key = (use, meter)
        if key not in self._lines:
            self._lines[key] = unit_line(self.view, use, meter)
        return self._lines[key]

    def used(self, cycle: Cycle, metered: Iterable[Metered], sku: str) -> Used:
        """Who used how much of a SKU in a cycle; of the whole system, where none of the SKU was used."""
        found = list(_within(cycle, metered))
        of_sku = [one for one in found if one[1].profile.sku == sku]
        return weighed(worth for reading, use in of_sku or found for worth in self._worths(reading, use))

    def worth(self, drawn: Drawn) -> Worth:
        """What a drawn quantity counts for when a cost is parted by use."""
        return (drawn.use.profile, self._value(drawn.use, drawn.meter, drawn.quantity), drawn.counted)

    def _worths(self, reading: Metered, use: Use) -> Iterator[Worth]:
        of_reading = is_reported(self.view, use)
        for position, meter in enumerate(charged_meters(self.view, use)):
            quantity = _quantity(reading, position, of_reading=of_reading)
            if quantity:
                yield (use.profile, self._value(use, meter, quantity), Fraction(quantity))

    def _value(self, use: Use, meter: str, quantity: Decimal) -> Fraction | None:
        """The list price in 10⁻⁹ euro; of a reported cost, that cost."""
        line = self.line(use, meter)
        price = line.nano_per_unit if line.of_reading else line.list_per_unit
        if price is None or line.rate is None:
            return None
        return rounded_up(quantity, line.round_to) * price / Fraction(line.rate)

    def _covered(self, use: Use) -> tuple[tuple[int, str, Covering], ...]:
        if use not in self._coverings:
            meters = charged_meters(self.view, use)
            found = ((position, meters[position], one) for position, one in coverings(self.view, use))
            self._coverings[use] = tuple(found)
        return self._coverings[use]


def _within(cycle: Cycle, metered: Iterable[Metered]) -> Iterator[tuple[Metered, Use]]:
    """The readings that begin in a cycle, each with its use as of the quarter of an hour that it begins in."""
    for reading in metered:
        start = reading.use.start
        if cycle.starts <= start < cycle.ends:
            quarter = start.replace(minute=start.minute // _QUARTER * _QUARTER, second=0, microsecond=0)
            yield reading, reading.use if quarter == start else replace(reading.use, start=quarter)


def _quantity(reading: Metered, position: int, *, of_reading: bool) -> Decimal:
    return reading.cost or Decimal(0) if of_reading else reading.quantities[position]


def weighed(worths: Iterable[Worth]) -> Used:
    """Use by profile: by list price where all of it has one, else by quantity."""
    by_value: dict[Profile, Fraction] = defaultdict(Fraction)
    by_quantity: dict[Profile, Fraction] = defaultdict(Fraction)
    priced = True
    for profile, value, quantity in worths:
        priced = priced and value is not None
        by_value[profile] += value or 0
        by_quantity[profile] += quantity
    return by_value if priced and any(value > 0 for value in by_value.values()) else by_quantity
