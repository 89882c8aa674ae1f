"""A real Prometheus scrapes the demo city, has its past, and every panel of the boards has something to show of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from services.shared.periods import day_start, helsinki_day
from tests.contract.prometheus_city import until
from tests.contract.test_prometheus_scrape import BOARDS, PANELS, asked, names
from tests.end_to_end.demo import start
from tests.end_to_end.program import Program, free_port
from tests.servers.prometheus import PrometheusServer, Promtool

DAYS = 70
"""Of the city's history: two weeks more than a forecast of use asks for."""
PAST_DAYS = 40
TOO_YOUNG = {"valvomo_forecast_error_ratio", "valvomo_forecast_coverage_ratio"}
"""A test of the forecast needs months that are over, and 56 days before each."""
NEVER_SO_FAR = {"valvomo_source_errors_total", "valvomo_dead_letters_total", "valvomo_scrape_errors_total"}
"""Counters that begin with the first mishap."""
NOT_HERE = {
    "valvomo_log_anchor_timestamp_seconds",
    "valvomo_log_anchor_problem",
    "valvomo_log_rewritable",
    "valvomo_incident_due_timestamp_seconds",
}
"""A demo has no anchors outside, no PostgreSQL, and no incident that somebody has still to be told of."""
NOT_SO_LONG = {"valvomo_restated_eur"}
"""What is counted from the first of the month on."""
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class City:
    """A demo that runs."""

    address: str
    data_dir: Path


@pytest.fixture(scope="module")
def demo_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder, port = tmp_path_factory.mktemp("boards"), free_port()
    child = start(folder, "--days", str(DAYS), VALVOMO_PORT=str(port))
    try:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        told = next((line for line in lines if "stories" in line or "anomaly" in line or "invoice" in line), None)
        assert told is not None, f"the demo ended: {child.communicate()[1][-2000:]}"
        yield City(f"http://127.0.0.1:{port}", folder / "demo")
    finally:
        child.terminate()
        child.communicate(timeout=PATIENCE_SECONDS)


@pytest.fixture
def server(
    demo_city: City, prometheus_server: Callable[[str], PrometheusServer], promtool: Promtool, tmp_path: Path
) -> Iterator[PrometheusServer]:
    target = demo_city.address.removeprefix("http://")
    scrape = {"job_name": "valvomo", "static_configs": [{"targets": [target]}]}
    made = prometheus_server(yaml.safe_dump({"global": {"scrape_interval": "2s"}, "scrape_configs": [scrape]}))
    past = tmp_path / "past.txt"
    Program(demo_city.data_dir).command("metrics", "backfill", "--days", str(PAST_DAYS), "--output", str(past))
    promtool.create_blocks(past, made.data)
    with made:
        until("it was scraped twice", lambda: bool(made.query("rate(valvomo_events_total[5m])")))
        yield made


def test_every_panel_shows_something_of_the_demo_city(server: PrometheusServer) -> None:
    empty = {title for title, expression in PANELS if not server.query(asked(expression))}
    excused = {title for title, expression in PANELS if names(expression) & (TOO_YOUNG | NEVER_SO_FAR | NOT_HERE)}
    assert empty - excused == set()


def test_every_risk_has_moved_through_the_past_days(server: PrometheusServer) -> None:
    """The figures that can be known afterwards, at the end of each day but those at the edges."""
    last = day_start(helsinki_day(datetime.now(UTC))) - timedelta(seconds=1)
    for metric in (
        "valvomo_variable_cost_ratio",
        "valvomo_vendor_concentration_hhi",
        "valvomo_fx_exposure_eur",
        "valvomo_model_dependence_ratio",
        "valvomo_price_model_ratio",
        "valvomo_jurisdiction_ratio",
        "valvomo_processing_region_ratio",
        "valvomo_pool_credits_remaining",
        "valvomo_unpriced_ratio",
        "valvomo_cost_month_to_date_eur",
        "valvomo_budget_used_ratio",
    ):
        first = last - (PAST_DAYS - 1) * timedelta(days=1)
        found = server.range(f"last_over_time({metric}[26h])", first, last, timedelta(days=1))
        assert max((len(series["values"]) for series in found), default=0) >= PAST_DAYS - 2, metric


def test_the_boards_have_a_panel_for_every_metric_of_a_risk(demo_city: City) -> None:
    shown = {name for board in BOARDS for panel in board["panels"] for target in panel.get("targets", ())
             for name in names(target["expr"])}  # fmt: skip
    page = httpx.get(f"{demo_city.address}/metrics", timeout=30).text
    risks = {line.split()[2] for line in page.splitlines() if line.startswith("# HELP valvomo_")}
    assert {name for name in risks if name.endswith(("_exposure_eur", "_hhi", "_dependence_ratio"))} <= shown


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_the_page_of_what_is_to_come_shows_every_part_of_the_demo_city(demo_city: City, language: str) -> None:
    page = httpx.get(f"{demo_city.address}/foresight", params={"lang": language}, timeout=30).raise_for_status().text
    parts = [part.partition("</section>")[0] for part in page.split("<section ")[1:]]
    assert [part.partition('"')[2].partition('"')[0] for part in parts] == [
        "month", "budgets", "plans", "risks", "alerts", "value", "trust",
    ]  # fmt: skip
    assert all(part.count("<tr") > 1 for part in parts[:-1])  # a test of the forecast needs months that are over
    assert "Microsoft 365 Copilot" in parts[5]
