"""`valvomo ledger explain`: from a cell of a report to one charge, its sentences, and its entries in the audit log."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from services.__main__ import app
from services.audit_log.main import build
from services.cost_alerts.adapters.explaining.evidence import Evidence
from services.explain.evidence import RegisterEvents, find_evidence
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.errors import ConfigurationError
from services.usage_collector.facts import event_of, id_of
from services.usage_collector.invoices import IMPORTED
from tests.contract.invoices_contract import invoice
from tests.contract.ledger_world import BASE, World, make_world, reading, tariff

SIGNS = {"author": "finance-1", "approver": "finance-2", "reason": "the list was corrected"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A ledger and a bus in the form that the command opens; without a log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    world.register(*BASE)
    world.publish(reading("a"), reading("b", account="wrk-sote"), reading("c", sku="unheard-of"))
    world.settle()
    world.later(hours=1)
    world.register(tariff("input_tokens", "4.00"), marker=SIGNS)
    world.settle()
    yield world
    world.close()
    world.bus.close()
    structlog.reset_defaults()


def write_log(world: World) -> None:
    """An audit log of everything that is on the bus now."""
    service = build(world.settings, world.bus, world.clock, CollectorRegistry())
    while not service.consumer.status().caught_up:
        service.consumer.step()
    service.checkpointer.step()
    service.consumer.close()
    service.store.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["ledger", "explain", *words], catch_exceptions=False)


def test_from_a_cell_of_a_report_to_the_entries_of_the_log(world: World) -> None:
    write_log(world)
    listed = json.loads(run("--month", "2026-10", "--unit", "kymp", "--json").output)
    assert (listed["eur"], listed["charges"], listed["unpriced"]) == (world.eur()["kymp"], 4, 2)
    done = run(listed["shown"][0]["charge_id"][:16], "--json")
    assert done.exit_code == 0
    told = json.loads(done.output)
    assert (told["eur"], told["versions"][-1]["approver"]) == ("3.2", "finance-2")
    events = {one["says"]: one for one in told["evidence"]["events"]}
    assert events["revision 0 of the reading was recorded"]["id"] == "a.0"
    assert events["register version 2 was published"]["id"] == "version-2"
    assert events["tariff claude-sonnet-4-5-input_tokens came with register version 2"]["source"] == "valvomo/register"
    assert all(one["log_entry"] is not None and len(one["leaf_hash"]) == 64 for one in events.values())


def test_people_read_every_step(world: World) -> None:
    write_log(world)
    done = run("--reading", "a", "--source", "test/city")
    assert done.exit_code == 0
    for text in (
        "1,000,000 input_tokens were metered",
        "÷ 1.25 = 3.2   at 1.25 USD per EUR, last published before the day: on 2026-09-30",
        "kymp: allocation rule account-kymp, tried at place 10, is the first that fits",
        "author finance-1, approver finance-2, reason: the list was corrected",
        "source a test, checked on 2026-09-01",
        "VAT apart: its rate is not known",
        "/api/v1/log/proof?index=",
    ):
        assert text in done.output
    assert "NOT FOUND" not in done.output


def test_a_log_that_lacks_an_entry_is_said_loudly(world: World) -> None:
    write_log(world)
    world.publish(reading("late"))
    world.settle()
    done = run("--reading", "late")
    assert done.exit_code == 1
    assert "THESE EVENTS WERE NOT FOUND" in done.output
    assert "revision 0 of the reading was recorded: test/city late.0; NOT FOUND" in done.output


def test_without_log_or_bus_the_rest_is_told(world: World, tmp_path: Path) -> None:
    done = run("--reading", "a")
    assert done.exit_code == 0
    assert "the audit log cannot be read" in done.output
    assert not (tmp_path / "log.db").exists(), "looking makes no log"
    (tmp_path / BUS_FILE).rename(tmp_path / "elsewhere.db")
    done = run("--reading", "a")
    assert (done.exit_code, "the bus cannot be read" in done.output, "3.2 EUR" in done.output) == (0, True, True)
    assert not (tmp_path / BUS_FILE).exists()


def test_what_cannot_be_explained_is_refused(world: World) -> None:
    for words in ((), ("0123456789ab",), ("--month", "2026-10", "--reading", "a"), ("--reading", "unheard-of")):
        with pytest.raises(Exception, match="expected"):
            run(*words)
    with pytest.raises(ConfigurationError, match="expected one of"):
        run()


def test_steps_that_do_not_lead_to_the_amount_need_a_person(world: World) -> None:
    write_log(world)
    with world.service.store.transaction() as tx:
        tx.connection.exec_driver_sql("UPDATE charge SET eur_nano = eur_nano + 1 WHERE eur_nano > 0")
    done = run("--reading", "a")
    assert done.exit_code == 1
    assert "THIS DOES NOT LEAD TO WHAT THE LEDGER HAS" in done.output


def test_scripts_get_the_same_over_http_without_the_log(world: World) -> None:
    server = FastAPI()
    server.include_router(world.service.router)
    client = TestClient(server)
    listed = client.get("/api/v1/charges", params={"month": "2026-10", "unit": "kymp"}).json()
    assert listed == json.loads(run("--month", "2026-10", "--unit", "kymp", "--json").output)
    name = listed["shown"][0]["charge_id"]
    told = json.loads(run(name, "--json").output)
    del told["evidence"]
    assert client.get("/api/v1/charges/explain", params={"charge": name[:10]}).json() == told
    assert client.get("/api/v1/charges/explain", params={"charge": "0" * 64}).status_code == 404
    assert client.get("/api/v1/charges", params={"month": "2026-13"}).status_code == 422


def test_an_imported_invoice_is_named_as_its_import_named_it(world: World) -> None:
    fact = invoice("12").data
    event = event_of(fact, IMPORTED, world.clock.now())
    found = find_evidence(
        world.settings, [Evidence("an invoice", invoice=(fact.vendor, fact.invoice_id, fact.revision))]
    )
    assert found.events[0].name == (event.source, event.id)
    assert event.id.startswith(id_of(fact))


def test_a_fact_belongs_to_the_marker_that_counts(world: World) -> None:
    told = RegisterEvents.read(world.bus)
    assert sorted(told.markers) == [1, 2]
    since = [name.since for name in told.facts if name.fact_id == "claude-sonnet-4-5-input_tokens"]
    assert since == [1, 2]
