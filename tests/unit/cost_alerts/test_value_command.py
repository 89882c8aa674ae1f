"""`valvomo value` and its route: the same document for programs, tables for people, nothing about a few persons."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from services.cost_alerts.cli import app
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from tests.contract.ledger_world import BASE, World, make_world, reading, seat, seat_count
from tests.contract.value_contract import FACTS, KYMP, SOTE, asked


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger in the form that the command opens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    yield world
    world.close()
    world.bus.close()
    structlog.reset_defaults()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["value", *words], catch_exceptions=False)


def test_a_register_without_uses_says_so(world: World) -> None:
    world.register(*BASE)
    world.settle()
    assert "no uses of AI" in run("--month", "2026-10").output


def test_programs_get_the_same_from_the_command_and_the_route(world: World) -> None:
    world.register(*FACTS)
    world.publish(reading("a", account="wrk-p7"))
    world.settle()
    told = json.loads(run("--month", "2026-09", "--json").output)
    world.later(days=3)  # the present month is told up to today
    server = FastAPI()
    server.include_router(world.service.router)
    client = TestClient(server)
    assert client.get("/api/v1/value", params={"month": "2026-09"}).json() == told
    assert client.get("/api/v1/value", params={"month": "2026-13"}).status_code == 422
    [permits] = [one for one in client.get("/api/v1/value").json()["use_cases"] if one["use_case"] == "permits"]
    assert permits["months"] == [
        {"month": "2026-10", "eur": "3.6", "unpriced": 0, "result": "9", "eur_per_result": "0.4"}
    ]


def test_people_see_what_a_case_cost_and_what_is_not_known(world: World) -> None:
    world.register(*FACTS)
    world.publish(reading("a", account="wrk-p7"), reading("b", account="wrk-p7", sku="unheard-of"))
    world.settle()
    lines = run("--month", "2026-10").output.splitlines()
    assert [line.split() for line in lines if "2026-10 " in line] == [
        ["2026-10", "3.60", "(+1", "unpriced)", "9", "0.40"]
    ]
    assert any("sotes" in line and "what its unit pays for its systems" in line for line in lines)
    assert any("nobody reported a result" in line for line in lines)
    assert any("no benefit is declared" in line for line in lines)


def test_people_see_no_figure_about_a_few(world: World) -> None:
    world.register(*FACTS)
    first = date(2026, 10, 1)
    world.publish(
        seat_count(first, 6),
        *(seat(who, first) for who in KYMP),
        *(asked(who, "copilot", 7, first) for who in KYMP[:2]),
        *(asked(who, "chat", 9, first) for who in SOTE),
    )
    world.settle()
    said = run("--month", "2026-10").output
    rows = {
        line.split()[0]: line.split()[1:] for line in said.splitlines() if line.strip().startswith(("kymp ", "sote "))
    }
    assert rows["kymp"][:2] == ["6", "6"]
    assert "2" not in rows["kymp"]
    assert "hidden" in rows["kymp"]
    assert "copilot: 2" not in said
    assert "chat: 6 active persons, 27.0 requests per person in 30 days" in said
    assert "too few persons got a licence" in said
