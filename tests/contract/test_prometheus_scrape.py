"""A real Prometheus scrapes the running program and has its past; every panel and every rule can be asked of it."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.cli.metrics import collected
from services.embedded import Program
from services.shared.metrics import ALL
from services.shared.store.open import open_store
from tests.contract.prometheus_city import TODAY, city, page, until
from tests.servers.prometheus import PrometheusServer, Promtool

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/valvomo.rules.yml"
FILES = ("valvomo", "valvomo-risks", "valvomo-governance")
BOARDS = [json.loads((ROOT / f"dashboards/{name}.json").read_text()) for name in FILES]
PANELS: list[tuple[str, str]] = [
    (panel["title"], target["expr"])
    for board in BOARDS
    for panel in board["panels"]
    for target in panel.get("targets", ())
]
RULE_EXPRESSIONS = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
UNSEEN = {
    "valvomo_source_last_success_timestamp_seconds",
    "valvomo_source_data_age_seconds",
    "valvomo_collection_gap_days",
    "valvomo_source_errors_total",
    "valvomo_review_ratio",
    "valvomo_outputs",
    "valvomo_findings_open",
    "valvomo_findings_oldest_open_seconds",
    "valvomo_use_case_review_ratio",
    "valvomo_reviews_waiting",
    "valvomo_review_oldest_due_seconds",
    "valvomo_incidents_open",
    "valvomo_incident_due_timestamp_seconds",
    "valvomo_log_anchor_timestamp_seconds",
    "valvomo_log_anchor_problem",
    "valvomo_log_rewritable",
}
"""Nothing of these kinds has happened in this little city: no vendor is polled, no output made."""
BY_THE_CLOCK = {"valvomo_contract_deadline_timestamp_seconds"}
"""The city stands in October 2026, Prometheus in its own time: what lies ahead there may lie behind here."""
UNKNOWN_AFTERWARDS = UNSEEN | {
    "valvomo_consumer_lag",
    "valvomo_consumer_stopped",
    "valvomo_events_total",
    "valvomo_dead_letters_total",
    "valvomo_intake_events_total",
    "valvomo_outbox_given_up",
    "valvomo_outbox_pending",
    "valvomo_restatement_pending_readings",
    "valvomo_restatement_progress_ratio",
    "valvomo_restated_eur",
    "valvomo_scrape_errors_total",
    "valvomo_log_size",
    "valvomo_log_checkpoint_timestamp_seconds",
    "valvomo_review_judging_lag_seconds",
    "valvomo_fx_age_seconds",
    "valvomo_alerts_open",
    "valvomo_alerts_unacknowledged",
    "valvomo_risks",
    "valvomo_risks_timestamp_seconds",
    "valvomo_price_change_exposure_eur",
    "valvomo_idle_seat_exposure_eur",
    "valvomo_pool_exhaustion_timestamp_seconds",
    "valvomo_pool_overage_eur",
    "valvomo_forecast_made_timestamp_seconds",
    "valvomo_forecast_month_end_eur",
    "valvomo_forecast_year_end_eur",
    "valvomo_budget_forecast_ratio",
    "valvomo_budget_committed_eur",
}
"""What the ledger cannot tell of a day past: only a running program knew it, or nobody had forecast on that day."""
MONTHLY = {"valvomo_forecast_error_ratio", "valvomo_forecast_coverage_ratio"}
"""A test of September is known from the first of October on."""
DAYS = 40
YESTERDAY = datetime(2026, 10, 19, 21, 0, tzinfo=UTC)
"""The end of the last day that was written afterwards, in Helsinki."""
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with city(tmp_path_factory.mktemp("city")) as made:
        yield made


@pytest.fixture
def server(
    program: Program, prometheus_server: Callable[[str], PrometheusServer], promtool: Promtool, tmp_path: Path
) -> Iterator[PrometheusServer]:
    """A Prometheus that was given the city's past, and scrapes the city."""
    made = prometheus_server(configuration(program, tmp_path))
    past = tmp_path / "past.txt"
    past.write_text("".join(past_of(program)))
    promtool.create_blocks(past, made.data)
    with made:
        until("it was scraped twice", lambda: bool(made.query("rate(valvomo_events_total[5m])")))
        yield made


def past_of(program: Program) -> Iterator[str]:
    store = open_store(program.settings, "ledger", METADATA)
    try:
        yield from collected(store, TODAY, DAYS).lines()
    finally:
        store.close()


def configuration(program: Program, folder: Path) -> str:
    """Scrape the program every second, judging the rules as they are."""
    shutil.copy(RULES, folder)
    target = program.address.removeprefix("http://")
    scrape = {"job_name": "valvomo", "static_configs": [{"targets": [target]}]}
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return yaml.safe_dump({"global": every, "rule_files": [RULES.name], "scrape_configs": [scrape]})


def asked(expression: str) -> str:
    """A panel's query with everything chosen."""
    for name, value in {"$__rate_interval": "5m", "$unit": ".+", "$system": ".+"}.items():
        expression = expression.replace(name, value)
    return expression


def names(expression: str) -> set[str]:
    return set(re.findall(r"valvomo_[a-z_]+", expression))


def silent(answers: Callable[[str], list[Any]], excused: set[str]) -> list[str]:
    """Panels without an answer of which every metric should have been there."""
    return [title for title, expression in PANELS if not answers(asked(expression)) and not names(expression) & excused]


def test_a_real_prometheus_reads_the_program_and_its_past_and_answers_every_panel_and_rule(
    server: PrometheusServer,
) -> None:
    assert value(server.query('up{job="valvomo"}')) == 1
    for expression in RULE_EXPRESSIONS:
        server.query(expression)  # raises where Prometheus cannot read it
    assert silent(server.query, UNSEEN | BY_THE_CLOCK) == []
    assert value(server.query(f"max({CLAUDE})")) == pytest.approx(KNOWN[CLAUDE])
    until("the rules were judged", lambda: "VendorConcentrated" in pending_alerts(server))

    assert silent(lambda expression: server.query(expression, YESTERDAY), UNKNOWN_AFTERWARDS) == []
    assert silent(lambda expression: moved(server, expression), UNKNOWN_AFTERWARDS | MONTHLY) == []
    for metric, expected in KNOWN.items():
        assert value(server.query(f"max(last_over_time({metric}[26h]))", YESTERDAY)) == pytest.approx(expected), metric


CLAUDE = 'valvomo_cost_month_to_date_eur{system="claude-api", unit="kymp"}'
KNOWN = {
    CLAUDE: 13 * 3.60,
    'valvomo_unallocated_eur{system="claude-api"}': 6 * 3.60,
    "valvomo_fx_exposure_eur": 365 * 3.60,
    "valvomo_model_dependence_ratio": 1,
    "valvomo_pool_credits_remaining": 620 - 18 * 30,
    "valvomo_pool_credits_size": 620,
    'valvomo_seats{state="active"}': 7,
    "valvomo_idle_seat_cost_eur": 19 * 3,
    'valvomo_budget_eur{budget="kymp-2026"}': 9000,
}
"""What was on the nineteenth of October, by hand: 3.60 euro a day, every third for nobody; three seats idle."""


def moved(server: PrometheusServer, expression: str) -> list[Any]:
    """The series of a query that have a point on nearly every day of the past, as a panel draws them."""
    found = server.range(expression, YESTERDAY - (DAYS - 1) * DAY, YESTERDAY, DAY)
    return [series for series in found if len(series["values"]) >= DAYS - 2]


def test_only_known_metrics_with_known_labels_are_shown(program: Program) -> None:
    labels = {metric.name: set(metric.labels) for metric in ALL}
    text = page(program)
    for name, found in re.findall(r"^(valvomo_\w+)(?:\{(.*)\})? ", text, re.MULTILINE):
        assert {pair.partition("=")[0] for pair in re.findall(r'\w+="[^"]*"', found)} == labels[name]
    shown = set(re.findall(r"^# HELP (valvomo_\w+)", text, re.MULTILINE))
    assert shown == set(labels), "every metric is made by somebody"


def value(found: list[Any]) -> float:
    [one] = found
    return float(one["value"][1])


def pending_alerts(server: PrometheusServer) -> set[str]:
    answer = httpx.get(f"{server.url}/api/v1/alerts").raise_for_status().json()
    return {alert["labels"]["alertname"] for alert in answer["data"]["alerts"]}
