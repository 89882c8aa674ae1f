"""What Prometheus is told of the ledger: true figures, bounded labels, and no failed scrape when a store is busy."""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from services.cost_alerts.adapters.metrics import LedgerMetrics
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.domain.outlook import at_this_pace
from services.shared import metrics
from services.shared.bus.memory import MemoryBus
from services.shared.errors import TransientError
from services.shared.periods import Month
from tests.contract.ledger_world import BASE, World, budget, make_world, rate, reading, seat, seat_count, tariff
from tests.servers.prometheus import Promtool

OCTOBER = Month(2026, 10)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, lambda clock: MemoryBus(clock, partitions=2))
    yield made
    made.close()


def scraped(world: World) -> Mapping[str, float]:
    """`name{labels}` → value, as a scrape shows it."""
    registry = CollectorRegistry()
    registry.register(LedgerMetrics(LedgerQueries(world.service.store), world.clock))
    return samples(registry)


def samples(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def fed(world: World) -> World:
    """3.60 euro each for kymp, kymp and nobody; one model without a tariff; 10 seats, of which 5 are held."""
    copilot = tariff(
        "seats", "31.00", id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR"
    )
    world.register(
        *BASE, copilot, budget("kymp-2026", "kymp", "9.00"), budget("kymp-2025", "kymp", "9.00", period=2025)
    )
    world.publish(
        reading("a"),
        reading("b", start=datetime(2026, 10, 4, 8, 0, tzinfo=UTC)),
        reading("c", account="unknown"),
        reading("d", sku="claude-new"),
        seat_count(date(2026, 10, 9), 10, assigned=5),
        *(seat(f"p-000{n}", date(2026, 10, 1), last_active_on=date(2026, 10, 8 if n < 3 else 1)) for n in range(5)),
    )
    world.clock.set(datetime(2026, 10, 11, 9, 0, tzinfo=UTC))
    world.settle()
    return world


def test_a_scrape_shows_the_ledger(world: World) -> None:
    found = scraped(fed(world))
    expected = {
        'valvomo_cost_month_to_date_eur{system="claude-api",unit="kymp"}': 7.2,
        'valvomo_cost_month_to_date_eur{system="claude-api",unit="unallocated"}': 3.6,
        'valvomo_unallocated_eur{system="claude-api"}': 3.6,
        'valvomo_run_rate_month_end_eur{unit="kymp"}': 22.32,
        'valvomo_budget_eur{budget="kymp-2026",unit="kymp"}': 9.0,
        'valvomo_budget_used_ratio{budget="kymp-2026",unit="kymp"}': 0.8,
        'valvomo_unpriced_readings{system="claude-api"}': 1.0,
        'valvomo_unpriced_ratio{system="claude-api"}': 0.25,
        'valvomo_seats{state="purchased",system="copilot"}': 10.0,
        'valvomo_seats{state="assigned",system="copilot"}': 5.0,
        'valvomo_seats{state="active",system="copilot"}': 5.0,
        'valvomo_idle_seat_cost_eur{system="copilot"}': 5.0,
        "valvomo_restatement_pending_readings": 0.0,
        "valvomo_restatement_progress_ratio": 1.0,
        'valvomo_fx_age_seconds{currency="USD"}': 11 * 86_400.0,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_budgets_of_other_years_are_not_shown(world: World) -> None:
    assert not any("kymp-2025" in name for name in scraped(fed(world)))


def test_another_process_shows_the_same(world: World) -> None:
    before = scraped(fed(world))
    world.restart()
    assert scraped(world) == before


def test_an_empty_ledger_shows_nothing_but_that_it_has_no_work(world: World) -> None:
    assert scraped(world) == {"valvomo_restatement_pending_readings": 0.0, "valvomo_restatement_progress_ratio": 1.0}


def test_a_currency_that_never_had_a_rate_is_infinitely_old(world: World) -> None:
    world.register(*BASE, tariff("input_tokens", "3.00", currency="SEK"), without=[rate(date(2026, 9, 30), "1.25")])
    world.publish(reading("a", start=datetime(2026, 9, 30, 9, tzinfo=UTC)))
    world.settle()
    assert scraped(world)['valvomo_fx_age_seconds{currency="SEK"}'] == math.inf


def test_only_metrics_that_are_registered_with_their_labels(world: World) -> None:
    fed(world)
    labels = {metric.name: set(metric.labels) for metric in metrics.ALL}
    for family in LedgerMetrics(LedgerQueries(world.service.store), world.clock).collect():
        for sample in family.samples:
            assert set(sample.labels) == labels[sample.name]


def test_promtool_finds_no_fault_in_the_page(world: World, promtool: Promtool) -> None:
    registry = CollectorRegistry()
    collector = LedgerMetrics(LedgerQueries(fed(world).service.store), world.clock)
    registry.register(metrics.Guarded("cost_alerts", collector, registry))
    metrics.OutboxMetrics.watch(registry, "cost_alerts", world.service.store.pending_counts, ("mail",))
    promtool.check_metrics(generate_latest(registry).decode())


class Busy(Collector):
    """A collector whose store is away."""

    def __init__(self) -> None:
        self.fault: Exception | None = TransientError("the database is locked")

    def describe(self) -> Iterable[Family]:
        return [metrics.family(metrics.LOG_SIZE)]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self.fault:
            raise self.fault
        yield metrics.filled(metrics.LOG_SIZE, [((), 7.0)])


def test_a_busy_store_leaves_its_values_out_and_is_counted() -> None:
    registry, busy = CollectorRegistry(), Busy()
    registry.register(metrics.Guarded("audit_log", busy, registry))
    metrics.gauge(metrics.CONSUMER_STOPPED, registry).labels("g").set(0)
    first = samples(registry)
    assert 'valvomo_consumer_stopped{group="g"}' in first
    assert "valvomo_log_size" not in first
    assert samples(registry)['valvomo_scrape_errors_total{service="audit_log"}'] >= 1
    busy.fault = None
    assert samples(registry)["valvomo_log_size"] == 7.0


def test_a_fault_of_ours_is_not_hidden() -> None:
    registry, busy = CollectorRegistry(), Busy()
    busy.fault = ZeroDivisionError()
    registry.register(metrics.Guarded("audit_log", busy, registry))
    with pytest.raises(ZeroDivisionError):
        generate_latest(registry)


def test_outboxes_of_all_services_stand_side_by_side() -> None:
    registry = CollectorRegistry()
    metrics.OutboxMetrics.watch(registry, "cost_alerts", lambda: {("mail", "waiting"): 2}, ("bus", "mail"))
    metrics.OutboxMetrics.watch(registry, "audit_log", lambda: {("bus", "given_up"): 1})
    found = samples(registry)
    assert found['valvomo_outbox_pending{destination="mail",service="cost_alerts"}'] == 2
    assert found['valvomo_outbox_pending{destination="bus",service="cost_alerts"}'] == 0
    assert found['valvomo_outbox_given_up{destination="bus",service="audit_log"}'] == 1
    assert found['valvomo_outbox_given_up{destination="mail",service="cost_alerts"}'] == 0


@pytest.mark.parametrize(
    ("today", "costs", "expected"),
    [
        pytest.param(date(2026, 10, 1), {1: 500}, None, id="no completed day"),
        pytest.param(date(2026, 11, 1), {1: 500}, None, id="the month is over"),
        pytest.param(date(2026, 9, 30), {1: 500}, None, id="the month has not begun"),
        pytest.param(date(2026, 10, 11), {1: 1000}, 3100, id="ten days of thirty-one"),
        pytest.param(date(2026, 10, 11), {1: 1000, 11: 60}, 3100, id="today is not over"),
        pytest.param(date(2026, 10, 11), {1: 1000, 11: 500}, 3500, id="today has cost more than a day of this pace"),
        pytest.param(date(2026, 10, 31), {1: 300}, 310, id="the last day"),
        pytest.param(date(2026, 10, 11), {}, 0, id="nothing yet"),
    ],
)
def test_the_outlook_is_a_plain_sum(today: date, costs: dict[int, int], expected: int | None) -> None:
    days = {date(2026, 10, day): nano for day, nano in costs.items()}
    assert at_this_pace(OCTOBER, days, today) == expected


@given(
    some.dictionaries(some.integers(1, 31), some.integers(0, 10**15)),
    some.integers(2, 31),
)
def test_an_outlook_is_never_below_what_has_cost_already(costs: dict[int, int], today: int) -> None:
    days = {date(2026, 10, day): nano for day, nano in costs.items() if day <= today}
    outlook = at_this_pace(OCTOBER, days, date(2026, 10, today))
    assert outlook is not None
    assert outlook >= sum(days.values())


def test_a_gauge_is_the_nearest_float() -> None:
    from services.cost_alerts.adapters.metrics import euro

    assert euro(7_234_567_891_234) == float(Decimal("7234.567891234"))
