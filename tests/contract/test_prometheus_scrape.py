"""A real Prometheus scrapes the running program; every panel of the board and every rule can be asked of it."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import yaml

from services.embedded import Program
from services.shared.clock import SteppedClock
from services.shared.events import encode
from services.shared.events.envelope import Event
from services.shared.metrics import ALL
from services.shared.settings import Settings
from tests.contract.ledger_world import BASE, World, budget, reading, seat_count
from tests.servers.prometheus import PrometheusServer

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/valvomo.rules.yml"
BOARD = json.loads((ROOT / "dashboards/valvomo.json").read_text())
PATIENCE_SECONDS = 90.0

EXPRESSIONS = [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())]
RULE_EXPRESSIONS = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
UNSEEN = {
    "valvomo_source_last_success_timestamp_seconds",
    "valvomo_source_data_age_seconds",
    "valvomo_collection_gap_days",
    "valvomo_source_errors_total",
    "valvomo_idle_seat_cost_eur",
    "valvomo_restated_eur",
    "valvomo_review_ratio",
    "valvomo_outputs",
    "valvomo_findings_open",
}
"""Nothing of these kinds has happened in this little city: no vendor is polled, nothing corrected, no output made."""


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s until {what}"
        time.sleep(0.1)


@contextmanager
def small_city(folder: Path) -> Iterator[Program]:
    """The whole embedded program with some use in it, caught up."""
    clock = SteppedClock(datetime(2026, 10, 20, 9, 0, tzinfo=UTC))
    settings = Settings(data_dir=folder, port=0)
    with Program.build(settings, clock=clock) as program:
        world = World(program.bus, settings, clock)  # for its words: the program's own ledger does the work
        world.register(*BASE, budget("kymp-2026", "kymp", "9.00"))
        world.publish(seat_count(date(2026, 10, 9), 10))  # what a source tells; applications send readings
        for event in (reading("a"), reading("b")):
            send(program, event)
        until("it has caught up", lambda: bool(httpx.get(f"{program.address}/api/v1/status").json()["caught_up"]))
        yield program


def send(program: Program, event: Event) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    httpx.post(f"{program.address}/v1/events", content=encode(event), headers=headers).raise_for_status()


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


def test_a_real_prometheus_reads_the_program_and_answers_every_panel_and_rule(
    prometheus_server: Callable[[str], PrometheusServer], tmp_path: Path
) -> None:
    with small_city(tmp_path / "city") as program, prometheus_server(configuration(program, tmp_path)) as server:
        until("it was scraped twice", lambda: bool(server.query("rate(valvomo_events_total[5m])")))
        assert value(server, 'up{job="valvomo"}') == 1

        for expression in [*EXPRESSIONS, *RULE_EXPRESSIONS]:
            server.query(asked(expression))  # raises where Prometheus cannot read it
        silent = {expression for expression in EXPRESSIONS if not server.query(asked(expression))}
        assert all(UNSEEN & set(re.findall(r"valvomo_[a-z_]+", expression)) for expression in silent), silent

        assert value(server, 'sum(max by (unit, system) (valvomo_cost_month_to_date_eur{unit="kymp"}))') == 7.2
        assert value(server, "max(valvomo_budget_used_ratio)") == 0.8
        until("the rules were judged", lambda: "BudgetNearlyUsed" in pending_alerts(server))


def test_only_known_metrics_with_known_labels_are_shown(tmp_path: Path) -> None:
    labels = {metric.name: set(metric.labels) for metric in ALL}
    with small_city(tmp_path) as program:
        page = httpx.get(f"{program.address}/metrics").text
    for name, found in re.findall(r"^(valvomo_\w+)(?:\{(.*)\})? ", page, re.MULTILINE):
        assert {pair.partition("=")[0] for pair in found.split(",") if pair} == labels[name]
    shown = set(re.findall(r"^# HELP (valvomo_\w+)", page, re.MULTILINE))
    assert shown == set(labels), "every metric is made by somebody"


def value(server: PrometheusServer, expression: str) -> float:
    [found] = server.query(expression) or [{"value": (0, "nan")}]
    return float(found["value"][1])


def pending_alerts(server: PrometheusServer) -> set[str]:
    answer = httpx.get(f"{server.url}/api/v1/alerts").raise_for_status().json()
    return {alert["labels"]["alertname"] for alert in answer["data"]["alerts"]}
