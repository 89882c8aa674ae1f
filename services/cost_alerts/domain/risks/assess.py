"""All risks with their figures, from what the ledger, the register and the forecasts say on one day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from services.cost_alerts.domain.risks.deadlines import Deadline
from services.cost_alerts.domain.risks.risk import Risk
from services.cost_alerts.domain.risks.seats import IdleSeats, SeatStock
from services.cost_alerts.domain.risks.spending import UNKNOWN
from services.cost_alerts.domain.risks.structure import Structure

_TEN_PERCENT = Fraction(1, 10)
_DAY = timedelta(days=1)

EUROPE = frozenset({
    "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE",
    "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
})  # fmt: skip
"""The European Union, the European Economic Area and Switzerland, ISO 3166-1: countries with like rules on data."""


@dataclass(frozen=True, slots=True)
class PriceRise:
    """What dearer prices of a vendor would cost in the next 365 days, 10⁻⁹ euro: announced ones; ten per cent."""

    announced_nano: int
    ten_percent_nano: int


@dataclass(frozen=True, slots=True)
class Health:
    """How whole the figures of the present month are, 10⁻⁹ euro; how many readings have no price."""

    month_nano: int
    unallocated_nano: int
    restated_nano: int
    readings: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class DryPool:
    """A pool and how many days of its cycle it will probably be dry: 0 when it lasts; None: nobody can say."""

    name: str
    dry_days: int | None
    overage_nano: int | None


@dataclass(frozen=True, slots=True)
class Trust:
    """What the back-test of the forecasts said last: absolute error of a month's total, and coverage of its limits."""

    error: Fraction | None
    coverage: Fraction | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the risks of a day are made from."""

    now: datetime
    structure: Structure
    stocks: Sequence[SeatStock]
    idle: Sequence[IdleSeats]
    deadlines: Sequence[Deadline]
    rises: Mapping[str, PriceRise]
    pools: Sequence[DryPool]
    health: Health
    trust: Trust


def assess(facts: Facts) -> Sequence[Risk]:
    """Every risk, in the order of the README; those about several things once for each."""
    return [
        *_of_structure(facts.structure),
        *_of_prices(facts.rises),
        *_of_pools(facts.pools),
        *_of_seats(facts.stocks, facts.idle),
        *_of_health(facts.health),
        Risk("forecast_error", "", facts.trust.error),
        Risk("forecast_coverage", "", facts.trust.coverage),
        *(
            Risk("contract_end", f"{one.contract} {one.kind}", Fraction((one.at - facts.now) // _DAY))
            for one in facts.deadlines
        ),
    ]


def _of_structure(found: Structure) -> Iterator[Risk]:
    yield Risk("variable_share", "", found.variable)
    for currency, nano in found.fx_nano.items():
        yield Risk("fx_exposure", currency, _part(nano * _TEN_PERCENT, found.pace_nano), nano // 10)
    yield Risk("vendor_concentration", "", found.concentration)
    for vendor, share in found.dependence.items():
        yield Risk("model_dependence", vendor, share)
    for model, share in _largest(found.price_models.euro):
        yield Risk("price_model", model, share)
    foreign = {country: share for country, share in found.jurisdictions.euro.items() if country not in EUROPE}
    for country, share in _largest(foreign):
        yield Risk("jurisdiction", country, share)
    regions = found.regions.euro
    yield Risk("region_unknown", "", regions.get(UNKNOWN, Fraction(0)) if regions else None)


def _largest(shares: Mapping[str, Fraction]) -> Sequence[tuple[str, Fraction]]:
    """The first of parts that fall; none of none."""
    return list(shares.items())[:1]


def _of_prices(rises: Mapping[str, PriceRise]) -> Iterator[Risk]:
    """Beside what all vendors cost in the next 365 days at present prices, which is ten times ten per cent of it."""
    year = 10 * sum(one.ten_percent_nano for one in rises.values())
    for vendor, rise in sorted(rises.items()):
        yield Risk("announced_prices", vendor, _part(Fraction(rise.announced_nano), year), rise.announced_nano)
        yield Risk("ten_percent_rise", vendor, _part(Fraction(rise.ten_percent_nano), year), rise.ten_percent_nano)


def _of_pools(pools: Sequence[DryPool]) -> Iterator[Risk]:
    for pool in pools:
        days = None if pool.dry_days is None else Fraction(pool.dry_days)
        yield Risk("pool_exhaustion", pool.name, days, pool.overage_nano)


def _of_seats(stocks: Sequence[SeatStock], idle: Sequence[IdleSeats]) -> Iterator[Risk]:
    exposed = {(one.system, one.sku): one.exposed_nano for one in idle}
    for stock in stocks:
        share = None if stock.idle is None else _part(Fraction(stock.idle), stock.purchased)
        yield Risk("idle_seats", f"{stock.system}/{stock.sku}", share, exposed.get((stock.system, stock.sku)))


def _of_health(health: Health) -> Iterator[Risk]:
    yield Risk("unpriced", "", _part(Fraction(health.unpriced), health.readings))
    for name, nano in (("unallocated", health.unallocated_nano), ("restated", health.restated_nano)):
        yield Risk(name, "", _part(Fraction(nano), health.month_nano), nano)  # type: ignore[arg-type]  # two of the names


def _part(part: Fraction, whole: int) -> Fraction | None:
    return part / whole if whole > 0 else None
