"""Kill the ledger anywhere while it restates: the same charges, sums and words to the world as undisturbed.

`make crash` does it a hundred times.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.cost_alerts.adapters.check import check_ledger
from services.cost_alerts.adapters.check_prices import check_prices
from services.cost_alerts.adapters.ledger import bases
from services.cost_alerts.adapters.tables import CHARGE, PERIOD_CHARGE, PERIOD_DIRTY, RESTATEMENT
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock
from services.shared.events import OUTCOMES, decode
from services.shared.events import register as facts
from services.shared.events.outcomes import LedgerRestated
from services.shared.periods import Month
from services.shared.settings import Settings
from tests.contract.closing_contract import COPILOT, contract, seat_price
from tests.contract.ledger_world import BASE, World, placed, reading, rule, seat, seat_count, tariff
from tests.crash.restating_life import NOW, PARTITIONS, live, open_ledger
from tests.servers.process import dies_with_us

KILLS = int(os.environ.get("CRASH_KILLS", "30"))
READINGS_PER_KILL = 25
EVERY_THIRD = 3
POOL = {
    "kind": "pool", "id": "requests", "meter": "output_tokens", "size": "1000000", "price": "50.00", "currency": "EUR",
}  # fmt: skip


def city(folder: Path, kills: int) -> None:
    """A ledger that is settled, and a register version that corrects nearly everything of it, not yet read."""
    clock = SteppedClock(NOW - timedelta(days=3))
    bus = SqliteBus(folder / BUS_FILE, clock, PARTITIONS)
    world = World(bus, Settings(data_dir=folder), clock)
    pool = contract(terms=[POOL])
    world.register(*BASE, COPILOT, seat_price("31.00"), pool, placed("p-1x", "kymp"))
    world.later(minutes=1)
    first = datetime(2026, 10, 1, 8, tzinfo=UTC)
    world.publish(*(
        reading(f"r{number}", start=first + timedelta(hours=number % 700), account=("wrk-kymp", "wrk-sote")[number % 2],
                consumed={"input_tokens": str(7919 * number), "output_tokens": str(31 * number)})
        for number in range(kills * READINGS_PER_KILL)
    ))  # fmt: skip
    world.publish(seat("p-1x", date(2026, 9, 1)), seat_count(date(2026, 9, 1), 3), seat_count(date(2026, 11, 15), 4))
    world.settle()
    world.clock.set(NOW - timedelta(days=1))
    world.register(
        tariff("input_tokens", "6.00"),
        seat_price("62.00"),
        contract(terms=[{**POOL, "price": "80.00"}]),
        rule("account-sote", 20, "kymp", account="wrk-sote"),
        marker={"author": "ict", "approver": "finance", "reason": "the price list was misread"},
    )
    world.close()
    bus.close()


@contextmanager
def process(folder: Path, hold_at: int = 0) -> Iterator[subprocess.Popen[str]]:
    command = dies_with_us([sys.executable, "-m", "tests.crash.restating_life", str(folder), str(hold_at)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def kill_somewhere(folder: Path, chance: random.Random, *, inside: bool) -> None:
    """Let it live for some transactions; end it inside one, or wherever it is some moments later."""
    batches = chance.randrange(1, 4)
    with process(folder, hold_at=batches if inside else 0) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(batches)]
        if not inside:
            time.sleep(chance.uniform(0, 0.02))  # the moment of a crash is nobody's choice
        assert told == ["batch\n"] * batches, "nothing was left to do: the kills came too late"


def outcome_of(folder: Path) -> dict[str, Any]:
    """All that a run left behind, with numbers of names spelled out."""
    bus, service = open_ledger(folder)
    try:
        problems = [*check_ledger(service.store), *check_prices(service.store)]
        assert problems == []
        with service.store.reading() as connection:
            spelled = {row[0]: tuple(row[1:]) for row in connection.execute(bases())}
            assert connection.execute(select(PERIOD_DIRTY)).all() == []
            rows = {
                table.name: sorted(
                    (tuple(spelled[value] if name == "basis" else value for name, value in row._mapping.items())
                     for row in connection.execute(select(table))), key=repr,
                )
                for table in (CHARGE, PERIOD_CHARGE)
            }  # fmt: skip
            restatements = sorted(tuple(row) for row in connection.execute(select(RESTATEMENT)))
        reports = [
            service.queries.report(Month(2026, month), by=by).document()
            for month in (9, 10, 11)
            for by in ("unit", "day", "meter")
        ]
        return {**rows, "restatements": restatements, "reports": reports, "told": told_by(bus)}
    finally:
        service.stop()
        bus.close()


def told_by(bus: SqliteBus) -> list[str]:
    """The restatements that readers of the outcomes know of: the same event twice is one."""
    records = [
        record for key, end in bus.end_positions([OUTCOMES.name]).items() for record in bus.read(key, 0, end + 1)
    ]
    events = [decode(record.value) for record in records]
    return sorted({event.model_dump_json() for event in events if isinstance(event, LedgerRestated)})


def disturbed_and_calm(tmp_path: Path, kills: int) -> tuple[dict[str, Any], dict[str, Any]]:
    chance = random.Random(kills)
    disturbed, calm = tmp_path / "disturbed", tmp_path / "calm"
    disturbed.mkdir()
    city(disturbed, kills)
    shutil.copytree(disturbed, calm)
    for kill in range(kills):
        kill_somewhere(disturbed, chance, inside=kill % EVERY_THIRD == 0)
    with process(disturbed) as last:
        assert last.stdout is not None
        told = last.stdout.read().splitlines()
    assert told[-1:] == ["done"]
    assert len(told) > 1, "nothing was left to do for the last life: the kills came too late"
    live(calm)
    return outcome_of(disturbed), outcome_of(calm)


@pytest.mark.timeout(1800)
def test_a_restatement_that_is_killed_again_and_again_is_the_same(tmp_path: Path) -> None:
    disturbed, calm = disturbed_and_calm(tmp_path, KILLS)
    assert len(calm["told"]) == 1
    assert facts.UNALLOCATED in calm["told"][0]  # free seats: what is charged by the period is in the figure
    assert any(row[-1] is not None for row in calm["period_charge"])
    assert disturbed == calm
