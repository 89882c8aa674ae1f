"""`valvomo invoices` and its route: the same document for programs, a table for people."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from services.cost_alerts.cli import app
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from tests.contract.invoices_contract import invoice
from tests.contract.ledger_world import BASE, World, make_world, reading


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger in the form that the command opens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    world.register(*BASE)
    world.publish(reading("a"), reading("b", sku="unheard-of"))
    world.settle()
    yield world
    world.close()
    world.bus.close()
    structlog.reset_defaults()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["invoices", *words], catch_exceptions=False)


def test_without_an_invoice_it_says_how_to_import_one(world: World) -> None:
    done = run()
    assert done.exit_code == 0
    assert "valvomo import invoice.csv --as invoice" in done.output
    assert json.loads(run("--json").output) == {"reconciliations": []}


def test_programs_get_the_same_from_the_command_and_the_route(world: World) -> None:
    world.publish(invoice("4.50"))
    world.settle()
    told = json.loads(run("--json").output)
    [found] = told["reconciliations"]
    assert found["explained"] == {"fx_eur": "0.15", "timing_eur": "0", "discount_eur": "0", "unexplained_eur": "0"}
    assert found["unpriced"][0]["reason"] == "no tariff"
    server = FastAPI()
    server.include_router(world.service.router)
    client = TestClient(server)
    assert client.get("/api/v1/invoices").json() == told
    assert client.get("/api/v1/invoices", params={"month": "2026-10"}).json() == told
    assert client.get("/api/v1/invoices", params={"month": "2026-11"}).json() == {"reconciliations": []}
    refused = client.get("/api/v1/invoices", params={"month": "2026-13"})
    assert (refused.status_code, "a month is written YYYY-MM" in refused.text) == (422, True)


def test_people_get_every_part_and_what_to_know_of_it(world: World) -> None:
    world.publish(invoice("3.13", per_euro="1.25"))
    world.settle()
    done = run("--month", "2026-10")
    assert done.exit_code == 1, "a cent or more is left"
    for text in (
        "anthropic, 2026-10",
        "invoiced",
        "2.504",
        "not explained",
        "-1.096",
        "A-1 of 2026-11-03: 3.13 USD, 1.25 per EUR, of the invoice",
        "unpriced, amount unknown: 1 charges of claude-api unheard-of input_tokens: no tariff",
    ):
        assert text in done.output


def test_a_discount_is_named_in_per_cent(world: World) -> None:
    world.publish(*(reading(f"more-{number}") for number in range(9)), invoice("38.25", per_euro="1.25"))
    world.settle()
    done = run()
    assert "discount (15.0 % off list)" in done.output
    assert done.exit_code == 0


def test_an_invoice_without_a_rate_is_unknown_and_needs_a_person(world: World) -> None:
    world.publish(invoice("10", currency="SEK", per_euro=None))
    world.settle()
    done = run()
    assert "unknown" in done.output
    assert "no exchange rate" in done.output
    assert done.exit_code == 1


def test_a_month_that_is_none(world: World) -> None:
    assert run("--month", "2026-13").exit_code == 2
