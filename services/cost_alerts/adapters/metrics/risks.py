"""The risks as gauges: figures that a worker has read, shown with the time at which it did."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.cost_alerts.adapters.metrics.numbers import euro
from services.cost_alerts.adapters.risks.watching import RiskFigures, RiskWatch
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.cost_alerts.domain.risks.assess import PriceRise
from services.cost_alerts.domain.risks.deadlines import Deadline
from services.cost_alerts.domain.risks.risk import LIMITS, STATES, Risk
from services.cost_alerts.domain.risks.seats import IdleSeats
from services.cost_alerts.domain.risks.structure import Shares, Structure
from services.shared import metrics
from services.shared.metrics import Metric
from services.shared.periods import day_start

SHOWN = (
    metrics.VARIABLE_COST,
    metrics.COST_YEAR_AHEAD,
    metrics.FX_EXPOSURE,
    metrics.VENDOR_COST,
    metrics.VENDOR_CONCENTRATION,
    metrics.MODEL_DEPENDENCE,
    metrics.PRICE_MODEL,
    metrics.JURISDICTION,
    metrics.PROCESSING_REGION,
    metrics.PRICE_CHANGE_EXPOSURE,
    metrics.POOL_REMAINING,
    metrics.POOL_SIZE,
    metrics.POOL_EXHAUSTION,
    metrics.POOL_CYCLE_END,
    metrics.POOL_OVERAGE,
    metrics.IDLE_SEAT_EXPOSURE,
    metrics.CONTRACT_DEADLINE,
    metrics.RISKS,
    metrics.RISKS_MADE,
)

OTHER = "other"
MOST_REGIONS = 20
"""A vendor names its regions as it likes: of more than these the smallest are shown as `other`."""

Samples = Iterable[tuple[tuple[str, ...], float]]


class RiskMetrics(Collector):
    """What a scrape shows of the risks; nothing until they were read once."""

    def __init__(self, watch: RiskWatch) -> None:
        self._watch = watch

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(metrics.family, SHOWN)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = self._watch.newest
        samples = {} if found is None else dict(risk_samples(found))
        return (metrics.filled(metric, samples.get(metric, ())) for metric in SHOWN)


def risk_samples(found: RiskFigures) -> Iterator[tuple[Metric, Samples]]:
    """Each metric with what it shows."""
    yield from structure_samples(found.facts.structure)
    yield metrics.PRICE_CHANGE_EXPOSURE, list(_rises(found.facts.rises))
    yield from _pools(found.pools)
    yield metrics.IDLE_SEAT_EXPOSURE, _idle(found.facts.idle)
    yield metrics.CONTRACT_DEADLINE, deadline_samples(found.facts.deadlines)
    yield metrics.RISKS, risk_counts(found.risks)
    yield metrics.RISKS_MADE, [((), found.made_at.timestamp())]


def structure_samples(found: Structure) -> Iterator[tuple[Metric, Samples]]:
    """Of the risks in what was bought from whom; absent where nothing was spent."""
    yield metrics.VARIABLE_COST, _one(found.variable)
    yield metrics.COST_YEAR_AHEAD, [((), euro(found.pace_nano))]
    yield metrics.FX_EXPOSURE, [((currency,), euro(nano)) for currency, nano in found.fx_nano.items()]
    yield metrics.VENDOR_COST, _by_name(found.vendors)
    yield metrics.VENDOR_CONCENTRATION, _one(found.concentration)
    yield metrics.MODEL_DEPENDENCE, _by_name(found.dependence)
    yield metrics.PRICE_MODEL, _shares(found.price_models)
    yield metrics.JURISDICTION, _shares(found.jurisdictions)
    yield metrics.PROCESSING_REGION, _shares(Shares(_fewer(found.regions.euro), _fewer(found.regions.use)))


def deadline_samples(found: Iterable[Deadline]) -> Samples:
    """Ends of contracts and days of notice, as instants."""
    return [((one.contract, one.system, one.kind), one.at.timestamp()) for one in found]


def risk_counts(risks: Iterable[Risk]) -> Samples:
    """How many of each risk stand how to their limit; none is told as 0, so that a board need not guess it."""
    counted = Counter((one.name, one.state) for one in risks)
    return [((name, state), float(counted[name, state])) for name in LIMITS for state in STATES]


def _one(figure: Fraction | None) -> Samples:
    return [] if figure is None else [((), float(figure))]


def _by_name(shares: Mapping[str, Fraction]) -> Samples:
    return [((name,), float(share)) for name, share in shares.items()]


def _shares(found: Shares) -> Samples:
    return [
        ((name, of), float(share))
        for of, shares in (("euro", found.euro), ("use", found.use))
        for name, share in shares.items()
    ]


def _fewer(shares: Mapping[str, Fraction]) -> Mapping[str, Fraction]:
    """The largest parts; the rest as one."""
    named = list(shares.items())
    rest = sum((share for _, share in named[MOST_REGIONS:]), Fraction(0))
    return {**dict(named[:MOST_REGIONS]), **({OTHER: rest} if rest else {})}


def _rises(found: Mapping[str, PriceRise]) -> Iterator[tuple[tuple[str, ...], float]]:
    for vendor, rise in found.items():
        yield (vendor, "announced"), euro(rise.announced_nano)
        yield (vendor, "ten_percent"), euro(rise.ten_percent_nano)


def _pools(found: Sequence[PoolOutlook]) -> Iterator[tuple[Metric, Samples]]:
    named = [((one.system, one.key.removeprefix("pool:")), one) for one in found]
    yield metrics.POOL_REMAINING, [(labels, float(one.left)) for labels, one in named]
    yield metrics.POOL_SIZE, [(labels, float(one.size)) for labels, one in named]
    yield metrics.POOL_CYCLE_END, [(labels, _end_of(one.last_day)) for labels, one in named]
    yield (
        metrics.POOL_EXHAUSTION,
        [
            ((*labels, limit), _end_of(day))
            for labels, one in named
            for limit, day in (("low", one.dry_low), ("mid", one.dry_mid), ("high", one.dry_high))
            if day is not None
        ],
    )
    yield (
        metrics.POOL_OVERAGE,
        [
            ((*labels, limit), euro(nano))
            for labels, one in named
            for limit, nano in (
                ("low", one.overage_low_nano),
                ("mid", one.overage_mid_nano),
                ("high", one.overage_high_nano),
            )
            if nano is not None
        ],
    )


def _end_of(day: date) -> float:
    return day_start(day + timedelta(days=1)).timestamp()


def _idle(found: Iterable[IdleSeats]) -> Samples:
    """By system; a SKU without a price leaves its figure out of the sum, as it does everywhere."""
    sums: dict[tuple[str, ...], int] = {}
    for one in found:
        for part, nano in (
            ("exposed", one.exposed_nano),
            ("reassignable", one.reassignable_nano),
            ("reducible", one.reducible_nano),
        ):
            if nano is not None:
                sums[one.system, part] = sums.get((one.system, part), 0) + nano
    return [(labels, euro(nano)) for labels, nano in sorted(sums.items())]
