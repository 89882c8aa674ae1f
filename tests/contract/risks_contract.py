"""Risks on every store: figures worked out by hand, and a past that is what a scrape of that day had shown."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.core import Metric as Family

from services.cost_alerts.adapters.metrics import ForecastMetrics, LedgerMetrics, RiskMetrics
from services.cost_alerts.adapters.metrics.past import past_metrics
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.risks import RiskWatch, read_risks
from services.cost_alerts.domain.risks.risk import LIMITS
from services.shared import metrics
from tests.contract.ledger_world import World, reading
from tests.contract.prometheus_city import REGISTER, TODAY, use

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]

LAST_SECOND = datetime(2026, 10, 19, 20, 59, 59, tzinfo=UTC)
EURO = 10**9


def samples(families: Iterable[Family]) -> Samples:
    found = [sample for family in families for sample in family.samples]
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for one in found}


def lived(world: World) -> World:
    """The city at the end of the nineteenth of October; each test leaves it as it was."""
    world.clock.set(LAST_SECOND)
    world.register(*REGISTER)
    world.publish(*use())
    world.settle()
    world.begin_day()
    world.service.forecaster.make(date(2026, 10, 19))
    return world


class RisksContract:
    """A store's tests have a fixture `world`, `lived` once for all of them."""

    def test_figures_are_those_worked_out_by_hand(self, world: World) -> None:
        found = read_risks(world.service.store, LAST_SECOND)
        structure = found.facts.structure
        assert structure.fx_nano == {"USD": 365 * 3_600_000_000}
        assert set(structure.vendors) == {"anthropic", "microsoft"}
        assert structure.dependence == {"anthropic": 1}
        assert structure.regions.euro.keys() == {"unknown", "eu"}
        [idle] = found.facts.idle
        # 13 days of October, November and 30 days of December at 31 euro a month; 3 seats, nobody has joined.
        assert idle.exposed_nano == pytest.approx(3 * (13 + 31 + 30) * EURO, abs=1)
        assert (idle.idle, idle.until, idle.reassignable_nano) == (3, date(2026, 12, 31), 0)
        deadlines = {(one.contract, one.kind): one.day for one in found.facts.deadlines}
        assert deadlines == {("ea", "notice"): date(2026, 12, 1), ("ea", "end"): date(2026, 12, 31)}
        states = {one.name: one.state for one in found.risks}
        assert states.keys() <= LIMITS.keys()
        assert (states["vendor_concentration"], states["idle_seats"], states["variable_share"]) == (
            "over", "over", "fine",
        )  # fmt: skip

    def test_the_past_is_what_a_scrape_of_its_last_second_had_shown(self, world: World) -> None:
        store = world.service.store
        watch = RiskWatch(store, world.clock)
        watch.step()
        shown = samples(
            family
            for one in (
                LedgerMetrics(LedgerQueries(store), world.clock),
                ForecastMetrics(store, world.clock),
                RiskMetrics(watch),
            )
            for family in one.collect()
        )
        [(moment, families)] = past_metrics(store, TODAY, 1)
        told = samples(families)
        assert moment == LAST_SECOND
        assert {name for name, _ in told} >= {
            metrics.COST_MONTH_TO_DATE.name, metrics.BUDGET_USED_RATIO.name, metrics.POOL_REMAINING.name,
            metrics.VENDOR_CONCENTRATION.name, metrics.FORECAST_MONTH_END.name, metrics.SEATS.name,
        }  # fmt: skip
        differing = {key: (value, shown.get(key)) for key, value in told.items() if shown.get(key) != value}
        assert {key: pair for key, pair in differing.items() if pair[1] != pytest.approx(pair[0], rel=1e-12)} == {}

    def test_each_past_day_knows_only_the_days_before_it(self, world: World) -> None:
        days = [samples(families) for _, families in past_metrics(world.service.store, TODAY, 30)]
        cost = [one[metrics.COST_MONTH_TO_DATE.name, (("system", "copilot"), ("unit", "kymp"))] for one in days]
        assert cost[11:] == pytest.approx([10.0 * day for day in range(1, 20)])
        left = [one[metrics.POOL_REMAINING.name, (("pool", "studio-2026/pack"), ("system", "studio"))] for one in days]
        assert left[11:] == [620 - 30 * day for day in range(19)]

    def test_the_watch_reads_again_when_there_is_news_and_not_before(self, world: World) -> None:
        watch = RiskWatch(world.service.store, world.clock)
        assert watch.newest is None
        watch.step()
        first = watch.newest
        watch.step()
        assert watch.newest is first
        world.publish(reading("news", start=LAST_SECOND - timedelta(days=1), account="wrk-sote"))
        world.settle()
        watch.step()
        assert watch.newest is not first
        world.publish(reading("news", 1, start=LAST_SECOND - timedelta(days=1), retracted=True))
        world.settle()

    def test_scripts_are_told_every_risk_with_its_limit(self, world: World) -> None:
        app = FastAPI()
        app.include_router(world.service.router)
        document = TestClient(app).get("/api/v1/risks").raise_for_status().json()
        [found] = [one for one in document["risks"] if one["risk"] == "idle_seats"]
        assert found.pop("what_to_do").endswith(".")
        assert {**found, "eur": None} == {
            "risk": "idle_seats", "about": "copilot/M365", "measure": "ratio", "figure": "0.3", "near": "0.1",
            "limit": "0.2", "state": "over", "eur": None,
        }  # fmt: skip
        assert found["eur"].startswith(("221.99", "222"))
        assert document["idle_seats"][0]["until"] == "2026-12-31"
