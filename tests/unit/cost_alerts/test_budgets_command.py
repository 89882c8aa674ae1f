"""`valvomo budgets` and its route: the same document for programs, a table for people."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from services.cost_alerts.cli import app
from services.cost_alerts.cli import budgets as command
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock
from tests.contract.budgets_contract import foresee
from tests.contract.ledger_world import BASE, World, budget, make_world, reading

NOON = datetime(2026, 10, 11, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A ledger in the form that the command opens: one budget with everything, one that is over, one of last year."""
    folder = tmp_path_factory.mktemp("budgets")
    world = make_world(folder, lambda clock: SqliteBus(folder / BUS_FILE, clock, 2))
    changes = [
        {"valid_from": "2026-04-01", "amount": "20.00", "decision": "EX-9"},
        {"valid_from": "2026-11-01", "amount": "5.00", "decision": "EX-10"},
    ]
    carry = {"budget": "last", "most": "12.50", "decision": "EX-1"}
    whole = {"vendor": "anthropic", "amendments": changes, "carry_over": carry, "decision": "EX-0"}
    world.register(
        *BASE,
        budget("last", "kymp", "73.00", period=2025),
        budget("kymp-2026", "kymp", "12.00", "0.1", forecast_thresholds=["1.0"], **whole),
        budget("over", "city", "3.00", "0.5", "1.0"),
    )
    world.publish(reading("a"), reading("b"))
    world.clock.set(NOON)
    foresee(world, "kymp-2026", 44)
    world.settle()
    yield world
    world.close()
    world.bus.close()


@pytest.fixture(autouse=True)
def settings(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(world.settings.data_dir)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(world.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(command, "SystemClock", lambda: SteppedClock(NOON))
    yield
    structlog.reset_defaults()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["budgets", *words], catch_exceptions=False)


def test_people_get_every_figure_in_a_row_and_where_the_amount_comes_from() -> None:
    done = run("--year", "2026")
    assert done.exit_code == 0
    rows = [" ".join(line.replace("│", " ").split()) for line in done.output.splitlines()]
    assert "kymp-2026 kymp, anthropic 44 33 7 22 43 44 45 10 % passed 1" in rows
    assert "over city 3 2 7 – – – – over 0" in rows
    assert "kymp-2026: +20.00 EUR from 2026-04-01 on, EX-9" in rows
    assert "kymp-2026: 12.5 EUR left of last, EX-1" in rows
    assert "EX-10" not in done.output, "an amendment of a day to come is none yet"


def test_programs_get_the_same_from_the_command_and_the_route(world: World) -> None:
    told = json.loads(run("--json").output)
    server = FastAPI()
    server.include_router(world.service.router)
    client = TestClient(server)
    assert client.get("/api/v1/budgets", params={"year": 2026}).json() == told
    assert [one["id"] for one in client.get("/api/v1/budgets").json()["budgets"]] == ["kymp-2026", "last", "over"]
    found = told["budgets"][0]
    assert {name: found[name] for name in ("amount_eur", "first_amount_eur", "carried_over_eur", "used_ratio")} == {
        "amount_eur": "44.5",
        "first_amount_eur": "12.00",
        "carried_over_eur": "12.5",
        "used_ratio": "0.1617",
    }
    assert found["forecast_eur"] == {"low": "43", "mid": "44", "high": "45"}
    assert [(one["decision"], one["in_force"]) for one in found["amendments"]] == [("EX-9", True), ("EX-10", False)]
    assert [one["condition"] for one in told["budgets"]] == ["passed", "over"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        pytest.param(["--year", "2031"], 0, "the register has no budget for 2031; write one", id="a year without"),
        pytest.param(["--year", "26"], 2, "--year", id="no year of ours"),
    ],
)
def test_a_year_without_budgets_says_so(words: list[str], code: int, says: str) -> None:
    done = run(*words)
    assert (done.exit_code, says in done.output) == (code, True)
