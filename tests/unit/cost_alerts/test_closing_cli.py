"""`valvomo ledger close`: what it refuses, what it warns of, and that two people at once close a month once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cost_alerts import closing
from services.cost_alerts.cli import app
from services.cost_alerts.cli import closing as closing_cli
from services.cost_alerts.main import GROUPS
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.errors import ConfigurationError
from services.shared.events.register import PeriodClosed
from services.shared.periods import Month
from tests.contract.ledger_world import BASE, OCTOBER, World, make_world, reading

AFTER = datetime(2026, 11, 2, 9, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """October is over: a priced reading, one that is estimated, one without a unit, one without a price."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(closing, "PATIENCE_SECONDS", 0.2)
    world = make_world(tmp_path, lambda clock: SqliteBus(tmp_path / BUS_FILE, clock, 2))
    monkeypatch.setattr(closing_cli, "SystemClock", lambda: world.clock)
    world.register(*BASE)
    world.publish(
        reading("a"), reading("b", finality="estimate"), reading("c", account="else"), reading("d", sku="unheard-of")
    )
    world.clock.set(AFTER)
    world.settle()
    world.begin_day()
    world.later(minutes=1)
    yield world
    world.close()
    world.bus.close()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["ledger", "close", *words], catch_exceptions=False)


def refused(*words: str) -> str:
    with pytest.raises(ConfigurationError) as found:
        run(*words)
    return str(found.value)


def closed(world: World) -> list[tuple[str, str | None]]:
    return [(event.data.month, event.data.closed_by) for event in world.events(PeriodClosed)]


def test_a_month_is_closed_with_what_a_person_should_know(world: World) -> None:
    found = run("2026-10", "--by", "finance")
    assert found.exit_code == 0
    assert found.stdout == "2026-10 is closed with 10.8 euro; later changes are booked in an open month\n"
    assert found.stderr.splitlines() == [
        "note: 1 item has no price",
        "note: 3.6 euro are estimated by their vendors",
        "note: 3.6 euro have no unit",
    ]
    assert closed(world) == [("2026-10", "finance")]
    world.later(minutes=1)
    world.publish(reading("late"))
    world.settle()
    assert world.report()["total"]["eur"] == "10.8"
    assert world.report(OCTOBER.next)["total"]["eur"] == "3.6"


def test_for_programs(world: World) -> None:
    found = json.loads(run("2026-10", "--json").stdout)
    assert found == {
        "month": "2026-10",
        "cut_off": "2026-11-02T09:00:59.999000Z",
        "closed_by": None,
        "eur": "10.8",
        "unpriced": 1,
        "estimated_eur": "3.6",
        "unallocated_eur": "3.6",
        "old_rate_eur": "0",
    }


def test_old_rates_are_told(world: World) -> None:
    world.publish(reading("later", start=datetime(2026, 10, 20, 8, tzinfo=UTC)))
    world.settle()
    found = run("2026-10")
    assert "note: 3.6 euro are by exchange rates older than 4 banking days" in found.stderr.splitlines()


def test_a_month_that_is_not_over_stays_open(world: World) -> None:
    assert "2026-11 is not over" in refused("2026-11")
    assert closed(world) == []


def test_a_month_is_closed_once(world: World) -> None:
    run("2026-10")
    world.settle()
    assert "2026-10 is closed since 2026-11-02T09:00:59.999000Z" in refused("2026-10")
    assert len(closed(world)) == 1


def test_earlier_months_come_first(world: World) -> None:
    world.publish(reading("august", start=datetime(2026, 8, 3, tzinfo=UTC)))
    world.publish(reading("july", start=datetime(2026, 7, 3, tzinfo=UTC)))
    world.settle()
    assert "2026-07, 2026-08 are open" in refused("2026-10")
    for month in ("2026-07", "2026-08", "2026-10"):
        world.later(minutes=1)
        assert run(month).exit_code == 0
        world.settle()
    assert [month for month, _ in closed(world)] == ["2026-07", "2026-08", "2026-10"]


def test_a_ledger_that_is_behind_is_not_closed(world: World) -> None:
    world.publish(reading("unread"))
    assert "1 records behind the bus" in refused("2026-10")


def test_a_ledger_that_restates_is_not_closed(world: World) -> None:
    world.register(BASE[4])
    register, *_ = world.service.consumers
    while not register.status().caught_up:
        register.step()
    assert "still charging or repricing" in refused("2026-10")


def test_days_that_have_not_begun_for_the_ledger(world: World) -> None:
    """What is charged by time alone is not there yet: the program has not run since the month ended."""
    run("2026-10")
    world.settle()
    world.clock.set(datetime(2026, 12, 1, 9, tzinfo=UTC))
    assert "has not yet charged 2026-11 to its end" in refused("2026-11")


def test_two_people_at_once(world: World) -> None:
    store, now = world.service.store, world.clock.now()
    closers = [closing.MonthCloser(store, world.bus, GROUPS, Month(2026, 10)) for _ in range(2)]
    cut_offs = [closer.prepare(now) for closer in closers]
    ends = world.bus.end_positions
    before = ends(["valvomo.register"])
    closers[0].close(cut_offs[0], "finance", now)
    world.bus.end_positions = lambda topics: before  # type: ignore[method-assign]  # both looked before either wrote
    with pytest.raises(ConfigurationError, match="closed by finance in the same moment"):
        closers[1].close(cut_offs[1] + timedelta(milliseconds=1), "another", now)


@pytest.mark.parametrize("month", ["October", "2026-13", "9999-12"])
def test_a_month_that_is_none(world: World, month: str) -> None:
    found = run(month)
    assert found.exit_code == 2
    assert "2026-11" in found.output


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_a_person_is_asked(world: World, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    def ask(month: Month, by: str | None, clock: object, *, ask: bool, as_json: bool) -> None:
        inner(month, by, world.clock, ask=True, as_json=as_json)

    inner = closing_cli.run_close
    monkeypatch.setattr(closing_cli, "run_close", ask)
    found = CliRunner().invoke(app, ["ledger", "close", "2026-10"], input=f"{answer}\n")
    assert found.exit_code == code
    assert "no price; mended later, it is booked in an open month" in found.output
    assert "Close 2026-10 with 10.8 euro?" in found.output
    assert len(closed(world)) == 1 - code
