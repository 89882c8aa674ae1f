"""`valvomo risks` and `valvomo metrics backfill`, and the text that Prometheus takes in."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from services.cost_alerts.adapters.metrics.openmetrics import TimedMetrics
from services.cost_alerts.adapters.metrics.risks import MOST_REGIONS, structure_samples
from services.cost_alerts.cli import app
from services.cost_alerts.domain.risks.risk import LIMITS
from services.cost_alerts.domain.risks.spending import Amount, Kind
from services.cost_alerts.domain.risks.structure import structure
from services.cost_alerts.domain.view import Book
from services.shared import metrics
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock
from tests.contract.ledger_world import BASE, World, make_world, reading

MOMENT = datetime(2026, 10, 19, 20, 59, 59, tzinfo=UTC)
NOW = MOMENT + timedelta(hours=12)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sets up the logs of its process; the tests after it are in the same."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger in the form that the commands open, with use on the day before yesterday."""
    for command in ("metrics", "risks"):
        monkeypatch.setattr(f"services.cost_alerts.cli.{command}.SystemClock", lambda: SteppedClock(NOW))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    world.clock.set(NOW)
    world.register(*BASE)
    world.publish(reading("a", start=NOW - timedelta(days=2)))
    world.settle()
    yield world
    world.close()
    world.bus.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def parsed(text: str) -> list[Family]:
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # of the library


def test_risks_are_told_with_what_can_be_done_and_the_exit_code_says_that_one_is_over(world: World) -> None:
    found = run("risks")
    assert found.exit_code == 1
    assert "vendor_concentration: Try a second vendor" in found.output
    assert "unknown" in found.output


def test_programs_get_exact_figures(world: World) -> None:
    found = run("risks", "--json")
    risks = {one["risk"]: one for one in json.loads(found.output)["risks"]}
    assert found.exit_code == 1
    assert risks.keys() <= LIMITS.keys()
    assert (risks["vendor_concentration"]["figure"], risks["vendor_concentration"]["state"]) == ("1", "over")
    assert (risks["forecast_error"]["figure"], risks["forecast_error"]["state"]) == (None, "unknown")


def test_an_empty_ledger_is_over_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    assert run("risks").exit_code == 0


def test_the_past_is_written_for_prometheus(world: World, tmp_path: Path) -> None:
    found = run("metrics", "backfill", "--days", "3", "--output", str(tmp_path / "past.txt"))
    assert found.exit_code == 0
    assert "series over 3 days" in found.output
    families = {one.name: one for one in parsed((tmp_path / "past.txt").read_text())}
    hhi = families[metrics.VENDOR_CONCENTRATION.name]
    assert [sample.value for sample in hhi.samples] == [1.0]
    assert families[metrics.COST_MONTH_TO_DATE.name].samples[-1].value == 3.6


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(world: World, tmp_path: Path) -> None:
    found = run("metrics", "backfill", "--days", "1", "--output", str(tmp_path / "nowhere/past.txt"))
    assert found.exit_code == 1
    assert "name one with --output" in found.output


@given(some.dictionaries(some.text(max_size=8), some.floats(allow_nan=False), min_size=1, max_size=5))
def test_what_is_written_is_read_back(regions: dict[str, float]) -> None:
    timed = TimedMetrics()
    samples = [((region, "euro"), value) for region, value in regions.items()]
    for number in range(2):
        family = metrics.filled(metrics.PROCESSING_REGION, samples)
        timed.add(MOMENT + timedelta(days=number), [family])
    [read] = parsed("".join(timed.lines()))
    found = {(one.labels.get("region", ""), float(str(one.timestamp)), one.value) for one in read.samples}
    moments = [(MOMENT + timedelta(days=number)).timestamp() for number in range(2)]
    assert found == {(region, moment, value) for region, value in regions.items() for moment in moments}
    assert (timed.series, timed.points) == (len(regions), 2 * len(regions))


def test_of_very_many_regions_the_smallest_are_one() -> None:
    """A vendor names its regions as it likes, so nothing in the register bounds them."""
    spent = {Kind("bot", "x", "requests", "Usage", "EUR"): Amount(10**12, 10**6)}
    regions = {"bot": {f"region-{number}": 1_000 - number for number in range(50)}}
    found = structure(Book({}, []).view(0), spent, spent, 28, regions)
    shown = dict(structure_samples(found))[metrics.PROCESSING_REGION]
    euros = {labels[0]: value for labels, value in shown if labels[1] == "euro"}
    assert len(euros) == MOST_REGIONS + 1
    assert "other" in euros
    assert sum(euros.values()) == pytest.approx(1)
