"""Which readings an agreement charges, how each counts in it, and who used how much in a cycle."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Cycle, Metered
from services.cost_alerts.domain.agreements.split import Payers, Used
from services.cost_alerts.domain.allocation import NOBODY, Owner
from services.cost_alerts.domain.covering import Covering, coverings
from services.cost_alerts.domain.pricing import Line, rounded_up
from services.cost_alerts.domain.rating import WHOLE_READING, charged_meters, is_reported, unit_line
from services.cost_alerts.domain.use import Profile, Sizes, Use
from services.cost_alerts.domain.view import View

_ONE = Fraction(1)
_NONE = (Fraction(0), Fraction(0))


class Kind:
    """Uses that a register version charges alike, but for who pays: of one day, between two changes of a price.

    `use` is one of them, by nobody in particular. `covered`: the meters that agreements charge, with their positions.
    """

    __slots__ = ("_lines", "_values", "covered", "is_reported", "meters", "use", "view")

    def __init__(self, view: View, use: Use) -> None:
        self.view = view
        self.use = use
        self.meters = charged_meters(view, use)
        self.is_reported = is_reported(view, use)
        self.covered: Sequence[tuple[int, str, Covering]] = [
            (position, self.meters[position], found) for position, found in coverings(view, use)
        ]
        self._lines: dict[str, Line] = {}
        self._values: dict[str, Fraction | None] = {}

    @property
    def day(self) -> date:
        return self.use.day

    def blank(self) -> Line:
        """A line without a price, by nobody yet."""
        vat_rate = self.view.contracts.vat_rate(self.use.profile.system, self.use.start)
        return Line(WHOLE_READING, "Usage", NOBODY, vat_rate=vat_rate)

    def line(self, meter: str) -> Line:
        """How a meter is priced by the unit, as if nothing were prepaid; by nobody yet."""
        if meter not in self._lines:
            self._lines[meter] = unit_line(self.view, self.use, meter, self.blank())
        return self._lines[meter]

    def value(self, meter: str, quantity: Decimal) -> Fraction | None:
        """The list price of a quantity in 10⁻⁹ euro; of a reported cost, that cost. None where it is not known."""
        if meter not in self._values:
            line = self.line(meter)
            price = line.nano_per_unit if line.of_reading else line.list_per_unit
            self._values[meter] = None if price is None or line.rate is None else price / Fraction(line.rate)
        price = self._values[meter]
        return None if price is None else rounded_up(quantity, self._lines[meter].round_to) * price


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an agreement charges of a reading: one meter, or its reported cost.

    `quantity` is as metered, `counted` the same in what the agreement counts.
    """

    reading: Metered
    kind: Kind
    owner: Owner
    meter: str
    covering: Covering
    quantity: Decimal
    counted: Fraction

    @property
    def start(self) -> datetime:
        return self.reading.use.start


Worth = tuple[Profile, Fraction | None, Fraction]
"""Whose use, its list price in 10⁻⁹ euro (None: not known), and its quantity."""

_Name = tuple[Profile, date, int, str | None, Sizes]
"""What names a kind: the use by nobody, day, segment of the prices, currency of the reported cost, sizes."""


@dataclass(slots=True)
class Reader:
    """Asks a register version once for all readings of a system that are charged alike."""

    payers: Payers
    _edges: dict[str, list[datetime]] = field(default_factory=dict)
    _by_nobody: dict[Profile, Profile] = field(default_factory=dict)
    _kinds: dict[_Name, Kind] = field(default_factory=dict)

    @property
    def view(self) -> View:
        return self.payers.view

    def under(self, view: View) -> "Reader":
        """This one, or one of another register version."""
        return self if self.view is view else Reader(Payers(view))

    def drawn(self, key: str, cycle: Cycle, metered: Iterable[Metered]) -> Iterator[Drawn]:
        """What the agreement of this key charges of the readings that begin in the cycle, in their order."""
        for reading, kind in self._within(cycle, metered):
            for position, meter, found in kind.covered:
                quantity = _quantity(reading, position, of_reading=found.of_reading)
                if found.agreement == key and quantity:
                    owner = self.payers.of(reading.use.profile, kind.day)
                    yield Drawn(reading, kind, owner, meter, found, quantity, _counted(found, quantity))

    def used(self, cycle: Cycle, metered: Iterable[Metered], sku: str) -> Used:
        """Who used how much of a SKU in a cycle; of the whole system, where none of the SKU was used."""
        found = list(self._within(cycle, metered))
        of_sku = [one for one in found if one[1].use.profile.sku == sku]
        return weighed(worth for reading, kind in of_sku or found for worth in _worths(reading, kind))

    def _within(self, cycle: Cycle, metered: Iterable[Metered]) -> Iterator[tuple[Metered, Kind]]:
        for reading in metered:
            if cycle.starts <= reading.use.start < cycle.ends:
                yield reading, self._kind(reading.use)

    def _kind(self, use: Use) -> Kind:
        nobody = self._by_nobody.get(use.profile)
        if nobody is None:
            nobody = replace(use.profile, person=None, account=None, tags=(), environment="")
            nobody = self._by_nobody[use.profile] = self._by_nobody.setdefault(nobody, nobody)
        segment = bisect_right(self._edges_of(nobody.system), use.start)
        name = (nobody, use.day, segment, use.reported_currency, use.sizes)
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = Kind(self.view, replace(use, profile=nobody))
        return kind

    def _edges_of(self, system: str) -> list[datetime]:
        """The instants at which prices of a system may change."""
        found = self._edges.get(system)
        if found is None:
            edges = {*self.view.tariffs.edges(system), *self.view.contracts.edges(system)}
            found = self._edges[system] = sorted(edges)
        return found


def worth(drawn: Drawn) -> Worth:
    """What a drawn quantity counts for when a cost is parted by use."""
    return (drawn.reading.use.profile, drawn.kind.value(drawn.meter, drawn.quantity), drawn.counted)


def _worths(reading: Metered, kind: Kind) -> Iterator[Worth]:
    for position, meter in enumerate(kind.meters):
        quantity = _quantity(reading, position, of_reading=kind.is_reported)
        if quantity:
            yield (reading.use.profile, kind.value(meter, quantity), Fraction(quantity))


def _quantity(reading: Metered, position: int, *, of_reading: bool) -> Decimal:
    return reading.cost or Decimal(0) if of_reading else reading.quantities[position]


def _counted(found: Covering, quantity: Decimal) -> Fraction:
    if found.round_to is None and found.per_unit == _ONE:
        return Fraction(quantity)
    return found.counted(quantity)


def added(worths: Iterable[Worth]) -> Sequence[Worth]:
    """One for each profile; its list price is not known where that of any of its use is not."""
    found: dict[Profile, tuple[Fraction | None, Fraction]] = {}
    for profile, value, quantity in worths:
        others, much = found.get(profile, _NONE)
        found[profile] = (None if others is None or value is None else others + value, much + quantity)
    return [(profile, *sums) for profile, sums in found.items()]


def weighed(worths: Iterable[Worth]) -> Used:
    """Use by profile: by list price where all of it has one, else by quantity."""
    by_value: dict[Profile, Fraction] = defaultdict(Fraction)
    by_quantity: dict[Profile, Fraction] = defaultdict(Fraction)
    priced = True
    for profile, value, quantity in worths:
        by_quantity[profile] += quantity
        if value is None:
            priced = False
        elif priced:
            by_value[profile] += value
    return by_value if priced and any(value > 0 for value in by_value.values()) else by_quantity
