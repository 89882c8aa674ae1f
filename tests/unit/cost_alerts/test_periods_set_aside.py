"""An agreement that cannot be worked out stops its own system's charges by the period, and nobody else's."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from services.cost_alerts.domain.agreements.agreement import Agreement
from services.cost_alerts.domain.view import View
from services.cost_alerts.handlers.shelf import all_agreements
from services.shared.bus.memory import MemoryBus
from services.shared.events import register as facts
from services.shared.events.prices import Contract
from tests.contract.ledger_world import BASE, SYSTEM, World, make_world, rule

BROKEN = "broken"


def fee(system: str) -> Contract:
    terms = [{"kind": "fee", "id": "platform", "sku": "platform", "amount": "31.00", "currency": "EUR"}]
    return Contract.model_validate(
        {"id": system, "system": system, "vendor": "v", "valid_from": date(2026, 10, 1), "terms": terms}
    )


def failing(view: View, system: str) -> Sequence[Agreement]:
    if system == BROKEN:
        raise ZeroDivisionError
    return all_agreements(view, system)


def world_with_a_broken_system(folder: Path) -> World:
    world = make_world(folder, lambda clock: MemoryBus(clock, partitions=2))
    world.service.periods._agreements = failing
    broken = facts.System(id=BROKEN, vendor="v", name="Broken", owner="city")
    rules = [rule(f"{one}-to-city", 90 + place, "city", system=one) for place, one in enumerate((SYSTEM, BROKEN))]
    world.register(*BASE, broken, *rules, fee(BROKEN), fee(SYSTEM))
    return world


def test_all_others_go_on_and_a_person_is_told(tmp_path: Path) -> None:
    world = world_with_a_broken_system(tmp_path)
    world.begin_day()
    assert world.eur() == {"city": "1"}  # one of October's 31 days
    assert [problem for problem in world.service.problems() if BROKEN in problem]
    assert world.service.queries.work_pending()  # so nobody takes the ledger for caught up
    world.close()


def test_what_was_set_aside_is_charged_once_it_can_be(tmp_path: Path) -> None:
    world = world_with_a_broken_system(tmp_path)
    world.begin_day()
    world.restart()  # a process that can
    world.settle()
    assert world.eur() == {"city": "2"}
    assert not world.service.queries.work_pending()
    world.close()
