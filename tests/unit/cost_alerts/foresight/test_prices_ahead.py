"""Price levels that forecasts are made with: what was free tells nothing of them, and hides nothing that comes."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.cost_alerts.adapters.foresight.book import SqlForesight
from services.shared.bus.memory import MemoryBus
from tests.contract.ledger_world import BASE, SYSTEM, make_world, reading, tariff

TODAY = date(2026, 10, 20)
CHARGED, DEARER = date(2026, 9, 1), date(2026, 12, 1)


@pytest.mark.parametrize(
    ("dearer", "level"), [pytest.param("6.00", 2.0, id="twice as dear"), pytest.param("0.00", 0.0, id="free again")]
)
def test_a_price_that_is_announced_counts_though_use_was_free_before(dearer: str, level: float, tmp_path: Path) -> None:
    world = make_world(tmp_path, MemoryBus)
    world.register(
        *(fact for fact in BASE if getattr(fact, "meter", None) is None),
        tariff("output_tokens", "0.00"),
        tariff("input_tokens", "0.00", id="preview", valid_to=CHARGED),
        tariff("input_tokens", "3.00", id="charged", valid_from=CHARGED, valid_to=DEARER),
        tariff("input_tokens", dearer, id="announced", valid_from=DEARER),
    )
    days = (date(2026, 8, 20), date(2026, 10, 2), date(2026, 10, 19))
    world.publish(*(reading(str(day), start=datetime(day.year, day.month, day.day, 8, tzinfo=UTC)) for day in days))
    world.clock.set(datetime(TODAY.year, TODAY.month, TODAY.day, 8, tzinfo=UTC))
    world.settle()
    with world.service.store.reading() as connection:
        inputs = SqlForesight().inputs(connection, TODAY)
    world.close()
    levels, first = inputs.prices[SYSTEM], inputs.spent.first_day
    asked = (days[0], CHARGED, TODAY, DEARER)
    assert [levels[(day - first).days] for day in asked] == pytest.approx([1.0, 1.0, 1.0, level])
