"""How long the forecasts of a day take a ledger: read from its sums, made for every unit, system, vendor and budget.

    python -m tools.bench.outlook [--units N] [--systems N] [--days N] [--json]

The ledger is filled with sums only; seats, fees by headcount and by use on every system, a budget for every unit and a
planned roll-out come by the register. Measured in mid-November and on the first of January, when most is ahead.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from services.cost_alerts.adapters.foresight.book import SqlForesight
from services.cost_alerts.adapters.tables import ROLLUP, ROLLUP_KEY, SUMS, WORD
from services.cost_alerts.domain.foresight.ahead import by_model
from services.cost_alerts.domain.foresight.assemble import forecasts
from services.cost_alerts.domain.foresight.judging import judged
from services.shared.bus.memory import MemoryBus
from services.shared.events import register
from services.shared.events.envelope import Fact
from services.shared.events.plans import PlannedChange
from services.shared.events.prices import Contract
from services.shared.logs import configure_logs
from services.shared.money import NANO
from services.shared.periods import Month
from tests.contract.ledger_world import World, budget, make_world, placed, rate, seat, seat_count, tariff, unit
from tools.bench.loops import Took, timed

MORNINGS = (date(2026, 11, 16), date(2027, 1, 1))

_SINCE = date(2024, 1, 1)
_SKUS, _METERS = ("small", "large"), ("input_tokens", "output_tokens")
_HEADS = 20
"""Persons of each unit."""
_WEEKEND, _SATURDAY = 0.2, 5


@dataclass(frozen=True)
class OutlookFound:
    """Seconds to read what forecasts are made from, to make them, and to test them on the months before."""

    morning: str
    series: int
    sums: int
    forecasts: int
    reading: Took
    making: Took
    testing: Took


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.outlook", description=__doc__)
    for name, default in (("units", 60), ("systems", 12), ("days", 400)):
        parser.add_argument(f"--{name}", type=int, default=default, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    wanted = parser.parse_args()
    configure_logs("text", "error")
    found = [measured(morning, wanted.units, wanted.systems, wanted.days) for morning in MORNINGS]
    if wanted.json:
        print(json.dumps([asdict(one) for one in found]))
    else:
        for one in found:
            _tell(one)


def measured(today: date, units: int, systems: int, days: int) -> OutlookFound:
    """Fill a ledger and make its forecasts of a day."""
    with tempfile.TemporaryDirectory(prefix="valvomo-outlook-") as folder:
        world = make_world(Path(folder), lambda clock: MemoryBus(clock, partitions=2))
        try:
            names = [f"unit-{number}" for number in range(units)], [f"system-{number}" for number in range(systems)]
            _furnish(world, *names, today)
            return _measured(world, today, days, _fill(world, *names, today, days), units * systems)
        finally:
            world.close()


def _measured(world: World, today: date, days: int, sums: int, series: int) -> OutlookFound:
    book = SqlForesight(history_days=days)
    with world.service.store.reading() as connection:
        book.inputs(connection, today)  # reads the register, as the first look after each version does
        reading = timed(lambda: book.inputs(connection, today))
        inputs = book.inputs(connection, today)
    count = len(forecasts(inputs, by_model).forecasts)
    making = timed(lambda: forecasts(inputs, by_model))
    testing = timed(lambda: judged(inputs, Month.of(today).previous, ()))
    return OutlookFound(today.isoformat(), series, sums, count, reading, making, testing)


def _furnish(world: World, units: list[str], systems: list[str], today: date) -> None:
    world.register(*_facts(units, systems, today))
    world.clock.set(datetime(today.year, today.month, today.day, 4, tzinfo=UTC))
    people = [f"p-{number:05d}" for number in range(len(units) * _HEADS // 2)]
    counted = seat_count(today - timedelta(days=2), len(people) + 50, system=systems[0])
    world.publish(counted, *(seat(person, date(2025, 1, 1), system=systems[0]) for person in people))
    world.settle()


def _facts(units: list[str], systems: list[str], today: date) -> Iterator[Fact]:
    yield unit("city", None, valid_from=_SINCE)
    yield rate(_SINCE, "1.25")
    yield tariff(
        "seats", "30", id="seat", system=systems[0], sku="M365", model="per_seat_month", per="1", currency="EUR"
    )
    for name in units:
        yield unit(name, valid_from=_SINCE)
        yield budget(f"budget-{name}", name, "100000", period=today.year)
    for number in range(len(units) * _HEADS):
        yield placed(f"p-{number:05d}", units[number % len(units)], _SINCE)
    for number, name in enumerate(systems):
        vendor = f"vendor-{number % 5}"
        yield register.System(id=name, vendor=vendor, name=name, owner="city")
        yield tariff("input_tokens", "3.00", id=f"price-{name}", system=name, valid_from=_SINCE)
        yield _contract(name, vendor)
    plan = {"id": "plan", "kind": "rollout", "system": systems[-1], "valid_from": today + timedelta(days=9)}
    yield PlannedChange.model_validate(plan | {"factor": "2", "source": "a bench"})


def _contract(system: str, vendor: str) -> Contract:
    fee = {"kind": "fee", "sku": "platform", "amount": "310", "currency": "EUR"}
    terms = [fee | {"id": "heads", "share": {"by": "headcount"}}, fee | {"id": "use", "currency": "USD"}]
    given = {"id": f"contract-{system}", "system": system, "vendor": vendor, "time_zone": "Europe/Helsinki"}
    return Contract.model_validate(given | {"valid_from": _SINCE, "terms": terms})


def _fill(world: World, units: list[str], systems: list[str], today: date, days: int) -> int:
    """Sums of so many days: two SKUs and two meters for each unit and system."""
    with world.service.store.transaction() as tx:
        texts = ["", *_SKUS, *_METERS, *units, *systems]
        tx.bulk_insert(WORD, ("text",), [(text,) for text in texts], ignore_conflicts=True)
        words = {row.text: row.id for row in tx.connection.execute(WORD.select())}
        rows = list(_sums(words, units, systems, range(today.toordinal() - days, today.toordinal())))
        return tx.bulk_insert(ROLLUP, (*ROLLUP_KEY, *SUMS), rows)


def _sums(words: dict[str, int], units: list[str], systems: list[str], days: range) -> Iterator[tuple[object, ...]]:
    chance = Random(1)  # noqa: S311  # the same sums each time
    for name in units:
        for system in systems:
            level = chance.randint(NANO, 50 * NANO)
            for day in days:
                share = _WEEKEND if date.fromordinal(day).weekday() >= _SATURDAY else 1.0
                for sku in _SKUS:
                    for meter in _METERS:
                        nano = int(level * share * chance.uniform(0.7, 1.3))
                        place = (day, words[name], words[system], words[sku], words[meter], "Usage", "EUR", 0)
                        yield (*place, words[""], words[""], "", 0, nano, nano, 1, 1, 0)


def _tell(found: OutlookFound) -> None:
    print(f"{found.morning}: {found.series} series, {found.sums:,} sums, {found.forecasts} forecasts")
    for name in ("reading", "making", "testing"):
        took: Took = getattr(found, name)
        print(f"  {name:8} {took.processor:6.2f} s of one core, {took.wall:6.2f} s by the clock")


if __name__ == "__main__":
    main()
