"""Every metric: name, help, labels. Nothing else in the program names one.

Money is a gauge in euro read from the ledger when Prometheus asks, so that a restart shows the same numbers; gauges
are floats and for eyes only, budgets read the store. Labels are bounded by the register: never a person or an output.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from services.shared.errors import PlatformError


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric's name, help text and label names."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"


COST_MONTH_TO_DATE = Metric(
    "valvomo_cost_month_to_date_eur", "Cost of the current Helsinki month so far, net, in euro", ("unit", "system")
)
RUN_RATE_MONTH_END = Metric(
    "valvomo_run_rate_month_end_eur",
    "Month to date carried on at its own daily pace to the month's end, in euro; not a forecast",
    ("unit",),
)
BUDGET = Metric("valvomo_budget_eur", "Budget of its whole period, in euro", ("budget", "unit"))
BUDGET_USED_RATIO = Metric(
    "valvomo_budget_used_ratio", "Share of the budget that is used: 1 is all of it", ("budget", "unit")
)
BUDGET_COMMITTED = Metric(
    "valvomo_budget_committed_eur",
    "What contracts in force still demand of the budget until they or its year end, in euro",
    ("budget", "unit"),
)
BUDGET_PLANNED = Metric(
    "valvomo_budget_planned_to_date_eur",
    "What is planned to be used of the budget by today, in euro",
    ("budget", "unit"),
)
BUDGET_FORECAST_RATIO = Metric(
    "valvomo_budget_forecast_ratio",
    "Forecast of the year as a share of the budget: low and high are its 80 % limits",
    ("budget", "unit", "limit"),
)
FORECAST_MONTH_END = Metric(
    "valvomo_forecast_month_end_eur",
    "Forecast of the month's whole cost with 80 % limits, in euro; of a unit with its children, without unit of all",
    ("unit", "limit"),
)
FORECAST_YEAR_END = Metric(
    "valvomo_forecast_year_end_eur",
    "Forecast of the calendar year's cost with 80 % limits, in euro; of a unit with its children, without unit of all",
    ("unit", "limit"),
)
FORECAST_MADE = Metric("valvomo_forecast_made_timestamp_seconds", "Beginning of the day of the newest forecasts")
FORECAST_ERROR = Metric(
    "valvomo_forecast_error_ratio",
    "Back-test: mean absolute error of a month's total forecast on a day of it (all: on any), as a share of the total",
    ("unit", "day_of_month"),
)
FORECAST_COVERAGE = Metric(
    "valvomo_forecast_coverage_ratio",
    "Back-test: share of the months' totals that lay between the 80 % limits",
    ("unit", "day_of_month"),
)
VARIABLE_COST = Metric(
    "valvomo_variable_cost_ratio",
    "Share of the last 28 days' cost that use alone decides: consumption without capacity",
)
COST_YEAR_AHEAD = Metric("valvomo_cost_year_ahead_eur", "Cost of 365 days at the pace of the last 28, in euro")
FX_EXPOSURE = Metric(
    "valvomo_fx_exposure_eur",
    "Part of the cost of 365 days that is priced in a currency other than the euro",
    ("currency",),
)
VENDOR_COST = Metric("valvomo_vendor_cost_ratio", "Share of a vendor in the cost of the last 365 days", ("vendor",))
VENDOR_CONCENTRATION = Metric(
    "valvomo_vendor_concentration_hhi", "Sum of the vendors' squared shares: 1 when one vendor has all"
)
MODEL_DEPENDENCE = Metric(
    "valvomo_model_dependence_ratio",
    "Share of a vendor's dearest model in all that was paid by the token within 28 days",
    ("vendor",),
)
PRICE_MODEL = Metric(
    "valvomo_price_model_ratio",
    "Share of a price model in the euro, and in the use, of the last 365 days",
    ("model", "of"),
)
JURISDICTION = Metric(
    "valvomo_jurisdiction_ratio",
    "Share of vendors under a country's law in the euro, and in the use, of the last 365 days",
    ("jurisdiction", "of"),
)
PROCESSING_REGION = Metric(
    "valvomo_processing_region_ratio",
    "Share of what was processed in a region in the euro, and in the use, of the last 365 days",
    ("region", "of"),
)
PRICE_CHANGE_EXPOSURE = Metric(
    "valvomo_price_change_exposure_eur",
    "What dearer prices would add within 365 days, in euro: announced ones, or ten per cent on all of a vendor's",
    ("vendor", "kind"),
)
POOL_REMAINING = Metric(
    "valvomo_pool_credits_remaining",
    "What is left of a prepaid pool in its present cycle, in what it counts",
    ("system", "pool"),
)
POOL_SIZE = Metric(
    "valvomo_pool_credits_size", "What a prepaid pool held as its present cycle began", ("system", "pool")
)
POOL_EXHAUSTION = Metric(
    "valvomo_pool_exhaustion_timestamp_seconds",
    "End of the day on which a pool will be dry: low is the earliest, high the latest; absent where it lasts",
    ("system", "pool", "limit"),
)
POOL_CYCLE_END = Metric("valvomo_pool_cycle_end_timestamp_seconds", "End of a pool's present cycle", ("system", "pool"))
POOL_OVERAGE = Metric(
    "valvomo_pool_overage_eur",
    "What use beyond a pool will still cost in its present cycle, in euro, with 80 % limits",
    ("system", "pool", "limit"),
)
IDLE_SEAT_EXPOSURE = Metric(
    "valvomo_idle_seat_exposure_eur",
    "Idle seats in euro: exposed to the contract's end, of that reassignable, reducible in a year after",
    ("system", "part"),
)
CONTRACT_DEADLINE = Metric(
    "valvomo_contract_deadline_timestamp_seconds",
    "When a contract ends, and when notice must be given at the latest",
    ("contract", "system", "kind"),
)
RISKS = Metric("valvomo_risks", "Risks by how they stand to their limit: fine, near, over, unknown", ("risk", "state"))
RISKS_MADE = Metric("valvomo_risks_timestamp_seconds", "When the figures of the risks were read from the ledger")
UNPRICED_READINGS = Metric(
    "valvomo_unpriced_readings", "Billing readings with a meter that no tariff prices", ("system",)
)
UNPRICED_RATIO = Metric("valvomo_unpriced_ratio", "Share of billing readings that are unpriced", ("system",))
UNALLOCATED = Metric("valvomo_unallocated_eur", "Cost of the current month that no unit owns, in euro", ("system",))
SEATS = Metric("valvomo_seats", "Seats by state: purchased, assigned, active", ("system", "state"))
IDLE_SEAT_COST = Metric(
    "valvomo_idle_seat_cost_eur",
    "Month's cost of seats that are assigned and not active, or not assigned, in euro",
    ("system",),
)
RESTATED = Metric(
    "valvomo_restated_eur", "Absolute change that corrections made to the current month, in euro", ("unit",)
)
RESTATEMENT_PENDING = Metric(
    "valvomo_restatement_pending_readings", "Readings that still carry a price older than the newest register version"
)
RESTATEMENT_PROGRESS = Metric(
    "valvomo_restatement_progress_ratio", "How much of the restatement under way is done; 1 when none is"
)
FX_AGE = Metric(
    "valvomo_fx_age_seconds", "Age of the newest exchange rate of a currency that is charged in", ("currency",)
)
ALERTS_OPEN = Metric(
    "valvomo_alerts_open", "Conditions that were told to people and still hold, by kind", ("kind", "severity")
)
ALERTS_UNACKNOWLEDGED = Metric(
    "valvomo_alerts_unacknowledged", "Open alerts that no role has acknowledged yet: nobody has said that it acts"
)
OUTBOX_PENDING = Metric(
    "valvomo_outbox_pending", "Messages that wait to be sent, by destination", ("service", "destination")
)
OUTBOX_GIVEN_UP = Metric(
    "valvomo_outbox_given_up", "Messages that were never delivered and are tried no more", ("service", "destination")
)
OUTPUTS = Metric("valvomo_outputs", "AI outputs by review state", ("system", "state"))
FINDINGS_OPEN = Metric("valvomo_findings_open", "Open findings by kind", ("unit", "kind"))
REVIEW_RATIO = Metric(
    "valvomo_review_ratio", "Reviewed outputs among those whose review is required and due", ("system",)
)
USE_CASE_REVIEW_RATIO = Metric(
    "valvomo_use_case_review_ratio",
    "Reviewed outputs among those whose review is required and due, of a use case in the register",
    ("use_case", "unit"),
)
REVIEWS_WAITING = Metric("valvomo_reviews_waiting", "Outputs that a person must still review", ("unit", "risk_class"))
REVIEW_OVERDUE = Metric(
    "valvomo_review_oldest_due_seconds",
    "How long ago the review fell due that has waited longest; below 0: none is due yet",
    ("unit",),
)
REVIEW_JUDGING_LAG = Metric(
    "valvomo_review_judging_lag_seconds", "How long an output whose time has come waits to be judged; 0: none does"
)
FINDINGS_OLDEST = Metric("valvomo_findings_oldest_open_seconds", "Age of the oldest open finding of a kind", ("kind",))
INCIDENTS_OPEN = Metric("valvomo_incidents_open", "Incidents that are not closed, by kind", ("kind",))
INCIDENT_DUE = Metric(
    "valvomo_incident_due_timestamp_seconds",
    "By when the next report of an open incident must be made (Article 73): the earliest of its kind",
    ("kind", "whom"),
)
SOURCE_LAST_SUCCESS = Metric(
    "valvomo_source_last_success_timestamp_seconds", "When a source was last read without error", ("source",)
)
SOURCE_DATA_AGE = Metric(
    "valvomo_source_data_age_seconds", "Age of the newest complete period of a source", ("source",)
)
COLLECTION_GAP = Metric(
    "valvomo_collection_gap_days", "Days that are missing in a source's complete periods", ("source",)
)
SOURCE_ERRORS = Metric("valvomo_source_errors_total", "Failed polls by kind of error", ("source", "kind"), "counter")
INTAKE_EVENTS = Metric(
    "valvomo_intake_events_total", "Events that came over HTTP, by answer: accepted, refused", ("answer",), "counter"
)
DEAD_LETTERS = Metric(
    "valvomo_dead_letters_total", "Records set aside because no retry can help", ("group",), "counter"
)
EVENTS = Metric("valvomo_events_total", "Records handled and committed", ("topic", "group"), "counter")
CONSUMER_LAG = Metric("valvomo_consumer_lag", "Records between a consumer's position and the end", ("topic", "group"))
CONSUMER_STOPPED = Metric("valvomo_consumer_stopped", "1 when a consumer stopped and needs a person", ("group",))
SCRAPE_ERRORS = Metric(
    "valvomo_scrape_errors_total", "Scrapes in which a service's store could not be read", ("service",), "counter"
)
LOG_SIZE = Metric("valvomo_log_size", "Entries in the audit log")
LOG_REWRITABLE = Metric(
    "valvomo_log_rewritable", "PostgreSQL: 1 where the program's own role could undo what guards the log, 0 where not"
)
LOG_CHECKPOINT_TIME = Metric("valvomo_log_checkpoint_timestamp_seconds", "When the newest checkpoint was signed")
LOG_ANCHOR_TIME = Metric(
    "valvomo_log_anchor_timestamp_seconds", "When an anchor last got a checkpoint; 0: never", ("anchor",)
)
LOG_ANCHOR_PROBLEM = Metric(
    "valvomo_log_anchor_problem", "0: the anchor takes checkpoints, 1: it is away, 2: it refuses the log", ("anchor",)
)

ALL: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))


def family(metric: Metric) -> GaugeMetricFamily:
    """An empty family to add samples to, for collectors that read the store at scrape time."""
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def filled(metric: Metric, samples: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    """A family with its samples: (label values in the metric's order, value)."""
    made = family(metric)
    for labels, value in samples:
        made.add_metric(labels, value)
    return made


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """A counter on the registry that was passed in."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the time of each counter's first sample would double the series
    return Counter(metric.name.removesuffix("_total"), metric.help, metric.labels, registry=registry)


def gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    """A gauge on the registry that was passed in."""
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)


class Guarded(Collector):
    """A collector that reads a store, and cannot fail the whole scrape when that store is busy or away.

    Its values are then absent, which an alert can see, and the failure is counted.
    """

    _errors: ClassVar[WeakKeyDictionary[CollectorRegistry, Counter]] = WeakKeyDictionary()

    def __init__(self, service: str, collector: Collector, registry: CollectorRegistry) -> None:
        if registry not in self._errors:
            self._errors[registry] = counter(SCRAPE_ERRORS, registry)
        self._failed = self._errors[registry].labels(service)
        self._collector = collector

    def describe(self) -> Iterable[Family]:
        """Names without reading: registering must not touch the store."""
        described: Iterable[Family] = self._collector.describe()  # type: ignore[attr-defined]  # ours have it
        return described

    def collect(self) -> Iterable[Family]:
        try:
            return list(self._collector.collect())
        except PlatformError:
            self._failed.inc()
            return []


OutboxCounts = Mapping[tuple[str, str], int]
"""(destination, `waiting` or `given_up`) → messages, as `Store.pending_counts` tells."""


class OutboxMetrics(Collector):
    """What waits in the outboxes of a process: one pair of gauges per registry, whichever services it runs."""

    _made: ClassVar[WeakKeyDictionary[CollectorRegistry, "OutboxMetrics"]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._services: dict[str, tuple[Callable[[], OutboxCounts], frozenset[str]]] = {}

    @classmethod
    def watch(
        cls,
        registry: CollectorRegistry,
        service: str,
        counts: Callable[[], OutboxCounts],
        destinations: Iterable[str] = ("bus",),
    ) -> None:
        """Show a service's outbox on `registry`; `destinations` are shown also while nothing waits for them."""
        if registry not in cls._made:
            cls._made[registry] = cls()
            registry.register(Guarded("outbox", cls._made[registry], registry))
        cls._made[registry].add(service, counts, destinations)

    def add(self, service: str, counts: Callable[[], OutboxCounts], destinations: Iterable[str]) -> None:
        self._services[service] = (counts, frozenset(destinations))

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(family, (OUTBOX_PENDING, OUTBOX_GIVEN_UP))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found = {name: (counts(), usual) for name, (counts, usual) in self._services.items()}
        for metric, state in ((OUTBOX_PENDING, "waiting"), (OUTBOX_GIVEN_UP, "given_up")):
            yield filled(
                metric,
                [
                    ((service, destination), float(counts.get((destination, state), 0)))
                    for service, (counts, usual) in found.items()
                    for destination in sorted(usual | {to for to, _ in counts})
                ],
            )
