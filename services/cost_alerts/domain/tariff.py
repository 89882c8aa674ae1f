"""Which published price holds for a use. Nothing is guessed: no tariff, or two that fit alike, is an answer too."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from services.shared.events.prices import MONTHLY, PER_SEAT, Tariff
from services.shared.periods import day_start

ANY_SKU = "*"
NO_TARIFF = "no tariff"
AMBIGUOUS = "ambiguous tariffs"


@dataclass(frozen=True, slots=True)
class DatedTariff:
    """A tariff with its validity as instants (UTC), its conditions, and the register version it came with."""

    id: str
    version: int
    fact: Tariff
    starts: datetime
    ends: datetime | None
    conditions: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, tariff: Tariff, version: int) -> "DatedTariff":
        zone = ZoneInfo(tariff.time_zone)
        ends = None if tariff.valid_to is None else day_start(tariff.valid_to, zone)
        return cls(tariff.id, version, tariff, day_start(tariff.valid_from, zone), ends, frozenset(tariff.when.items()))

    def holds_at(self, moment: datetime) -> bool:
        return self.starts <= moment and (self.ends is None or moment < self.ends)

    @property
    def is_by_month(self) -> bool:
        """Whether the cost of a reading depends on the other readings of its month."""
        rounding = self.fact.round_up
        return self.fact.model in MONTHLY or (rounding is not None and rounding.per == "month")

    @property
    def round_to(self) -> Decimal | None:
        """What the quantity of each reading is rounded up to whole multiples of."""
        rounding = self.fact.round_up
        return None if rounding is None or rounding.per == "month" else rounding.to

    def price_at(self, size: Decimal) -> Fraction:
        """The price of one unit, before multipliers, of a request of `size`; a tier ends at its edge, inclusive."""
        fact = self.fact
        if fact.price is not None:
            return Fraction(fact.price) / Fraction(fact.per)
        tier = next(tier for tier in fact.tiers if tier.up_to is None or size <= tier.up_to)
        return Fraction(tier.price) / Fraction(fact.per)

    def factor(self, dimensions: Mapping[str, str]) -> Fraction | str:
        """What the price is multiplied by, or in a few words why that is not known."""
        factor, missing = Fraction(1), []
        for name, factors in self.fact.multipliers.items():
            found = factors.get(dimensions.get(name, ""))
            if found is None:
                missing.append(name)
            else:
                factor *= Fraction(found)
        return f"no factor for its {', '.join(sorted(missing))}" if missing else factor


class TariffBook:
    """All tariffs of one register version."""

    def __init__(self, tariffs: Iterable[tuple[int, Tariff]]) -> None:
        """Sort tariffs for asking; each comes with the register version that brought it."""
        self._metered: dict[tuple[str, str], list[DatedTariff]] = defaultdict(list)
        self._per_seat: dict[str, list[DatedTariff]] = defaultdict(list)
        for version, tariff in tariffs:
            dated = DatedTariff.of(tariff, version)
            if tariff.model in PER_SEAT:
                self._per_seat[tariff.system].append(dated)
            else:
                self._metered[tariff.system, tariff.meter].append(dated)

    def metered(
        self, system: str, sku: str, meter: str, dimensions: Mapping[str, str], moment: datetime
    ) -> DatedTariff | str:
        """The tariff of one meter at `moment`, or in a few words why there is none.

        Of the tariffs in force, those that name the SKU go before those for every SKU. Conditions must all fit the
        reading's dimensions; when several tariffs fit, the one whose conditions include those of all others decides.
        """
        in_force = [tariff for tariff in self._metered.get((system, meter), ()) if tariff.holds_at(moment)]
        named = _of_sku(in_force, sku)
        return _fitting(named, dimensions) if named else NO_TARIFF

    def of_meter(self, system: str, meter: str) -> Iterator[DatedTariff]:
        """The tariffs of one meter, those of seats with it, in force now or not, whatever their SKU and conditions."""
        yield from self._metered.get((system, meter), ())
        yield from (tariff for tariff in self._per_seat.get(system, ()) if tariff.fact.meter == meter)

    def by_month(self, system: str) -> Iterator[DatedTariff]:
        """The tariffs of a system, in force now or not, whose price depends on the other readings of the month."""
        for (of_system, _), tariffs in self._metered.items():
            if of_system == system:
                yield from (tariff for tariff in tariffs if tariff.is_by_month)

    def edges(self, system: str) -> Iterator[datetime]:
        """The instants at which a metered tariff of a system begins or ends."""
        for (of_system, _), tariffs in self._metered.items():
            if of_system == system:
                yield from (edge for one in tariffs for edge in (one.starts, one.ends) if edge is not None)

    def first_days(self, system: str) -> Iterator[date]:
        """The days from which on the tariffs of a system hold, those of seats with them."""
        metered = (one for (of_system, _), found in self._metered.items() if of_system == system for one in found)
        yield from (one.fact.valid_from for one in (*metered, *self._per_seat.get(system, ())))

    def per_seat(self, system: str, sku: str, day: date) -> DatedTariff | str:
        """The price of a seat, per month or year, on `day` of the tariff's own time zone, or why there is none."""
        named = _of_sku([tariff for tariff in self._per_seat.get(system, ()) if tariff.fact.holds_on(day)], sku)
        if not named:
            return NO_TARIFF
        return named[0] if len(named) == 1 else AMBIGUOUS


def _of_sku(tariffs: Sequence[DatedTariff], sku: str) -> Sequence[DatedTariff]:
    return [one for one in tariffs if one.fact.sku == sku] or [one for one in tariffs if one.fact.sku == ANY_SKU]


def _fitting(tariffs: Sequence[DatedTariff], dimensions: Mapping[str, str]) -> DatedTariff | str:
    said = dimensions.items()
    fitting = [tariff for tariff in tariffs if tariff.conditions <= said]
    if not fitting:
        asked = sorted({name for tariff in tariffs for name, _ in tariff.conditions})
        return f"no tariff for its {', '.join(asked)}"
    widest = max(fitting, key=lambda tariff: len(tariff.conditions))
    rivals = [tariff for tariff in fitting if tariff is not widest and not tariff.conditions < widest.conditions]
    return AMBIGUOUS if rivals else widest
