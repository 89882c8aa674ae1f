"""The register as it became known: each version differs from the one before in its own story alone."""

from pathlib import Path

import pytest

from services.shared.bus.memory import MemoryBus
from services.shared.clock import SteppedClock
from services.shared.events.prices import Tariff
from services.shared.events.register import Placement, Unit
from services.shared.settings import Settings
from services.simulator.city import EXAMPLE_CITY
from services.simulator.register import LATE_TARIFF, REORGANISATION, CityRegister
from services.usage_collector.register.facts import Facts
from services.usage_collector.register.versions import changes, read_held
from tests.unit.simulator.asking import NOW, example, stories

LATE = example().vendors.anthropic.model_with_late_tariff


@pytest.fixture
def versions(tmp_path: Path) -> list[Facts]:
    """What holds after the first publication, and after each later one."""
    clock = SteppedClock(NOW)
    bus = MemoryBus(clock)
    register = CityRegister(EXAMPLE_CITY, stories(), LATE, Settings(data_dir=tmp_path), clock)
    register.publish_first(bus)
    first = dict(read_held(bus).facts)
    register.publish_later(bus)
    later = [version.facts for version in register.later()]
    held = read_held(bus)
    assert (held.version, dict(held.facts)) == (3, dict(later[-1]))
    return [first, *later]


def test_the_late_tariff_comes_alone(versions: list[Facts]) -> None:
    first, second, _ = versions
    added = changes(first, second)
    assert {fact.sku for fact in added.values() if isinstance(fact, Tariff)} == {LATE}
    assert len(added) == 3


def test_the_reorganisation_moves_a_unit_and_people_on_its_day(versions: list[Facts]) -> None:
    _, second, third = versions
    moved = changes(second, third)
    assert {key[0] for key in moved} == {"unit", "placement"}
    day = stories().reorganised_on
    begun = [fact for fact in moved.values() if isinstance(fact, Unit | Placement) and fact.valid_from == day]
    ended = [fact for fact in moved.values() if isinstance(fact, Unit | Placement) and fact.valid_to == day]
    assert len(begun) == len(ended) == 16
    assert {fact.parent for fact in begun if isinstance(fact, Unit)} == {"hyve"}


def test_versions_tell_why_and_by_role() -> None:
    for signed in (LATE_TARIFF, REORGANISATION):
        assert signed.reason
        assert signed.author
        assert "@" not in signed.author
