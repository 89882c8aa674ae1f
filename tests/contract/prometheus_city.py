"""A little city with three months behind it, run by the whole embedded program: something of every risk is in it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx

from services.cost_alerts.main import CostService
from services.embedded import Program
from services.shared.clock import SteppedClock
from services.shared.events import encode
from services.shared.events.envelope import Event, Fact
from services.shared.events.plans import Vendor
from services.shared.events.prices import Contract
from services.shared.events.register import System
from services.shared.settings import Settings
from tests.contract.ledger_world import BASE, SYSTEM, World, budget, rate, reading, rule, seat_count, tariff

PATIENCE_SECONDS = 90.0
NOW = datetime(2026, 10, 20, 9, 0, tzinfo=UTC)
TODAY = date(2026, 10, 20)
DAYS = 90
"""How long there was use before today."""


def contract(name: str, system: str, **members: object) -> Contract:
    given = {"id": name, "system": system, "vendor": "microsoft", "valid_from": date(2026, 7, 1)}
    return Contract.model_validate({**given, "time_zone": "Europe/Helsinki", **members})


POOL = {
    "kind": "pool", "id": "pack", "sku": "credits", "meter": "credits", "size": "620", "price": "31.00",
    "currency": "EUR", "every": "month",
}  # fmt: skip
"""20 credits a day; 30 a day are drawn, so that it is dry on the 21st."""

REGISTER: tuple[Fact, ...] = (
    *BASE,
    rate(date(2026, 7, 1), "1.25"),
    System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city", region="eu"),
    System(id="copilot", vendor="microsoft", name="Copilot", owner="city"),
    System(id="studio", vendor="microsoft", name="Studio", owner="city", region="eu"),
    Vendor(id="anthropic", name="Anthropic", jurisdiction="US"),
    Vendor(id="microsoft", name="Microsoft", jurisdiction="US"),
    tariff("seats", "31.00", id="seat", system="copilot", sku="M365", model="per_seat_month", per="1", currency="EUR",
           valid_to=date(2027, 1, 1)),
    tariff("seats", "34.10", id="seat-2027", system="copilot", sku="M365", model="per_seat_month", per="1",
           currency="EUR", valid_from=date(2027, 1, 1)),
    tariff("credits", "0.05", id="credit", system="studio", sku="credits", per="1", currency="EUR"),
    contract("ea", "copilot", valid_to=date(2026, 12, 31), notice_days=30),
    contract("studio-2026", "studio", terms=[POOL]),
    rule("studio", 30, "sote", system="studio"),
    rule("copilot", 40, "kymp", system="copilot"),
    budget("kymp-2026", "kymp", "9000.00", forecast_thresholds=["1.0"]),
)  # fmt: skip


def use() -> Iterator[Event]:
    """A request of 3.60 euro each day, 30 credits, and a count of ten seats of which seven are used."""
    for number in range(DAYS, 0, -1):
        day = TODAY - timedelta(days=number)
        start = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
        yield reading(f"a-{day}", start=start, account="wrk-kymp" if number % 3 else "unknown")
        yield reading(f"c-{day}", start=start, system="studio", sku="credits", consumed={"credits": "30"})
        yield seat_count(day, 10, assigned=9, active=7)


@contextmanager
def city(folder: Path) -> Iterator[Program]:
    """The program with that in it, caught up, forecast, its risks read."""
    clock = SteppedClock(NOW)
    settings = Settings(data_dir=folder, port=0)
    with Program.build(settings, clock=clock) as program:
        world = World(program.bus, settings, clock)  # for its words: the program's own ledger does the work
        world.register(*REGISTER)
        world.publish(*use())
        send(program, reading("today", start=NOW - timedelta(hours=2), sku="claude-new"))
        until("it has caught up", lambda: bool(httpx.get(f"{program.address}/api/v1/status").json()["caught_up"]))
        [costs] = [service for service in program.services if isinstance(service, CostService)]
        costs.look_ahead()
        until("the forecast was tested on the past", lambda: "\nvalvomo_forecast_error_ratio{" in page(program))
        yield program


def page(program: Program) -> str:
    return httpx.get(f"{program.address}/metrics").text


def send(program: Program, event: Event) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    httpx.post(f"{program.address}/v1/events", content=encode(event), headers=headers).raise_for_status()


def until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s until {what}"
        time.sleep(0.1)
