"""What a use of AI costs, as bands that may be told to anybody; pure: sums in, bands out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import NamedTuple

from services.cost_alerts.domain.units import Units
from services.shared.events.outcomes import CostBand, UseCaseCost
from services.shared.events.register import UseCase
from services.shared.periods import Month

MONTHS = 12
"""So many whole months are summed, the last one that is over among them."""

_NANO = 1_000_000_000
_EDGES: tuple[tuple[int, CostBand], ...] = (
    (1_000, "under_1000"),
    (10_000, "under_10000"),
    (50_000, "under_50000"),
    (250_000, "under_250000"),
)
"""Euro, exclusive."""


class ProjectSum(NamedTuple):
    """What carries a project costs so much (10⁻⁹ euro); `unpriced`: readings among it that have no price yet."""

    project: str
    eur_nano: int
    unpriced: int


class UnitSum(NamedTuple):
    """What a unit paid for a system on a day, likewise."""

    day: date
    unit: str
    system: str
    eur_nano: int
    unpriced: int


@dataclass(slots=True)
class Sum:
    """10⁻⁹ euro, and how many readings are not in them because they have no price."""

    eur_nano: int = 0
    unpriced: int = 0

    def add(self, eur_nano: int, unpriced: int) -> None:
        self.eur_nano += eur_nano
        self.unpriced += unpriced


def whole_months(today: date) -> tuple[date, date]:
    """The first and the last day (inclusive) of the twelve months that were over when `today` began."""
    month = Month.of(today)
    first = month
    for _ in range(MONTHS):
        first = first.previous
    return first.first_day, date.fromordinal(month.first_day.toordinal() - 1)


def band_of(eur_nano: int) -> CostBand:
    """The band of an amount in 10⁻⁹ euro; each edge belongs to the band above. Nothing, or a credit, is `none`."""
    if eur_nano <= 0:
        return "none"
    return next((band for euro, band in _EDGES if eur_nano < euro * _NANO), "over_250000")


def bands_of(
    uses: Sequence[UseCase], units: Units, by_project: Iterable[ProjectSum], by_unit: Iterable[UnitSum]
) -> Mapping[str, CostBand]:
    """Use case → band, of those whose whole cost is known: what has no price yet is not told as if it were nothing.

    With a project, a use costs what carries it; without one, what its unit and those below pay for its systems.
    """
    projects: dict[str, Sum] = defaultdict(Sum)
    for project, eur_nano, unpriced in by_project:
        projects[project].add(eur_nano, unpriced)
    paid = _paid(units, by_unit)
    sums = {one.id: _sum_of(one, projects, paid) for one in uses}
    return {name: band_of(found.eur_nano) for name, found in sums.items() if not found.unpriced}


def to_tell(
    bands: Mapping[str, CostBand], before: Mapping[str, CostBand], told: Mapping[str, CostBand], today: date
) -> Sequence[UseCaseCost]:
    """What changed since it was `told`, where two looks in a row (`before`, `bands`) agree."""
    return [
        UseCaseCost(use_case=name, as_of=today, band=band)
        for name, band in sorted(bands.items())
        if before.get(name) == band != told.get(name)
    ]


def _paid(units: Units, by_unit: Iterable[UnitSum]) -> Mapping[tuple[str, str], Sum]:
    """(unit, system) → what it and the units below paid, each day by the units as they were then."""

    @cache
    def above(unit: str, day: date) -> Sequence[str]:
        return units.with_ancestors(unit, day)

    paid: dict[tuple[str, str], Sum] = defaultdict(Sum)
    for day, unit, system, eur_nano, unpriced in by_unit:
        for one in above(unit, day):
            paid[one, system].add(eur_nano, unpriced)
    return paid


def _sum_of(use: UseCase, projects: Mapping[str, Sum], paid: Mapping[tuple[str, str], Sum]) -> Sum:
    total = Sum()
    keys = dict.fromkeys(use.systems)
    parts = [projects.get(use.project)] if use.project else [paid.get((use.unit, system)) for system in keys]
    for part in parts:
        if part is not None:
            total.add(part.eur_nano, part.unpriced)
    return total
