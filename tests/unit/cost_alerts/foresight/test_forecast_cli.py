"""`valvomo forecast`: tables for people, JSON for programs, sentences for what cannot be known."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from services.cost_alerts.cli import app, forecast
from services.cost_alerts.domain.foresight.pools import PoolOutlook
from services.cost_alerts.handlers.forecasting import Forecaster
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError
from services.shared.events.plans import PlannedChange
from tests.contract.ledger_world import BASE, SYSTEM, World, budget, make_world, rate, reading
from tests.contract.pages_contract import STUDIO_FACTS, drawn

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Fourteen weeks of use on working days, a pool that began this month, and a plan."""
    folder = tmp_path_factory.mktemp("ledger")
    world = make_world(folder, lambda clock: SqliteBus(folder / BUS_FILE, clock, 2))
    plan = PlannedChange.model_validate(
        {"id": "up", "kind": "rollout", "system": SYSTEM, "valid_from": date(2026, 12, 1), "factor": "2", "source": "x"}
    )
    world.register(*BASE, rate(date(2026, 1, 2), "1.25"), budget("kymp-2026", "kymp", "900"), *STUDIO_FACTS, plan)
    for number in range(1, 100):
        start = datetime(2026, 10, 21, 8, tzinfo=UTC) - timedelta(days=number)
        if start.weekday() < 5:
            world.publish(reading(f"r{number}", start=start))
    world.publish(drawn("p", 5, "60", "wrk-sote"))
    world.clock.set(datetime(2026, 10, 21, 5, tzinfo=UTC))
    world.settle()
    world.begin_day()
    yield world
    world.close()
    world.bus.close()


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(world.settings.data_dir)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(world.settings.data_dir))
    monkeypatch.setattr(forecast, "SystemClock", lambda: SteppedClock(datetime(2026, 10, 21, 6, tzinfo=UTC)))

    def command(*words: str) -> Result:
        return CliRunner().invoke(app, ["forecast", *words], catch_exceptions=False, env={"COLUMNS": "140"})

    return command


def test_where_nothing_was_forecast_it_is_made_now_and_then_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run("--by", "city", "--json")
    found = json.loads(made.stdout)
    assert (found["made_on"], [one["first_day"] for one in found["forecasts"]]) == ("2026-10-21", ["2026-10-01"])
    monkeypatch.setattr(Forecaster, "make", lambda *_: pytest.fail("it was made again"))
    assert run("--by", "city", "--json").stdout == made.stdout
    year = json.loads(run("--by", "system", "--year", "--json").stdout)
    assert {one["name"] for one in year["forecasts"]} == {SYSTEM, "studio"}
    assert {one["last_day"] for one in year["forecasts"]} == {"2026-12-31"}
    assert year["planned"][0]["change"] == "up"


def test_a_table_for_people(run: Run) -> None:
    shown = run("--by", "unit").stdout
    assert "Forecast of 2026-10 by unit, made on 2026-10-21, EUR" in shown
    row = next(line.split() for line in shown.splitlines() if line.strip().startswith("kymp"))
    low, mid, high, paid, *others = map(float, row[1:])
    assert paid == 14 * 3.6
    assert low <= mid <= high
    assert mid == pytest.approx(22 * 3.6, rel=0.05)
    assert others == [0.0, 0.0, 0.0]
    assert "planned: up from 2026-12-01: 0.00 EUR" in shown
    assert "pool studio-2026/pack: 40 of 100 credits left; not enough data" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--by", "budget", "--year"), "kymp-2026", id="budgets"),
        pytest.param(("--by", "vendor"), "anthropic", id="vendors"),
        pytest.param(("--by", "city"), "the city", id="the city"),
        pytest.param(("--by", "unit"), "sote", id="units"),
        pytest.param(("--by", "system"), "studio: not enough data: it takes 56 days", id="too little, said plainly"),
    ],
)
def test_every_level_can_be_asked_for(words: tuple[str, ...], said: str, run: Run) -> None:
    assert said in run(*words).stdout


def test_back_test_of_the_ledger(run: Run) -> None:
    found = json.loads(run("backtest", "--months", "3", "--json").stdout)
    city = next(one for one in found["tests"] if one["level"] == "city")
    days = {one["day_of_month"]: one for one in city["tested"]}
    assert set(days) == {5, 10, 15, 20, None}
    assert days[20]["months"] == 1
    assert days[20]["error"] < days[20]["run_rate_error"]
    shown = run("backtest", "--months", "3")
    assert shown.exit_code == 0
    assert "Forecasts of a month's total, in per cent" in shown.stdout


def series(path: Path, days: int, more: str = "") -> Path:
    lines = [f"{date(2025, 1, 1) + timedelta(days=number)},{10 + number % 7}" for number in range(days)]
    path.write_text("\n".join(["ds,y", *lines]) + f"\n{more}")
    return path


def test_back_test_of_a_file(run: Run, tmp_path: Path) -> None:
    file = series(tmp_path / "days.csv", 200)
    tests = json.loads(run("backtest", "--series", str(file), "--json").stdout)["tests"]
    assert [(one["name"], one["month"]) for one in tests] == [("days.csv", "2025-07-01")]
    assert tests[0]["tested"][-1]["months"] == 4 * 4
    assert "days.csv" in run("backtest", "--series", str(file)).stdout


def test_too_short_a_file_is_said(run: Run, tmp_path: Path) -> None:
    found = run("backtest", "--series", str(series(tmp_path / "short.csv", 40)))
    assert found.exit_code == 1
    assert "not enough data: it takes 56 days since the first use, and a whole month after them" in found.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param("never,1", "line 202: found 'never,1', expected a day and a number", id="no day"),
        pytest.param("2025-01-01,1", "line 202: found 2025-01-01 a second time", id="a day twice"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(more: str, said: str, run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        run("backtest", "--series", str(series(tmp_path / "bad.csv", 200, more)))


def pool_told(**members: object) -> str:
    days = {"first_day": date(2026, 11, 1), "last_day": date(2026, 11, 30), "made_on": date(2026, 11, 21)}
    given = {"key": "pool:c/p", "system": "s", "meter": "credits", "size": "100", "left": "40.5"} | days
    return forecast._about_pool(PoolOutlook.model_validate(given | members))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        pytest.param({}, "lasts to 2026-11-30", id="it lasts"),
        pytest.param(
            {"dry_low": date(2026, 11, 24)},
            "dry on 2026-11-24 at the earliest, or not at all until 2026-11-30; use beyond it: no price",
            id="it may run dry",
        ),
        pytest.param(
            {"dry_low": date(2026, 11, 24), "dry_mid": date(2026, 11, 26), "overage_mid_nano": 12_345_000_000},
            "dry on 2026-11-26, at the earliest 2026-11-24, at the latest after 2026-11-30; use beyond it: 12.34 EUR",
            id="it probably runs dry",
        ),
        pytest.param(
            {name: date(2026, 11, 24) for name in ("dry_low", "dry_mid", "dry_high")},
            "dry on 2026-11-24; use beyond it: no price",
            id="it runs dry on that day",
        ),
        pytest.param({"reason": "not_enough_data"}, "not enough data: it takes 56 days", id="nobody knows"),
    ],
)
def test_when_a_pool_is_dry(members: dict[str, object], said: str) -> None:
    assert pool_told(**members).startswith(f"pool c/p: 40.5 of 100 credits left; {said}")
