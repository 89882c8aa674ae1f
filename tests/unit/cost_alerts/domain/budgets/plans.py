"""Budgets and a small city for tests of what counts, how much it is and what was passed."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from services.cost_alerts.domain.budgets.crossing import Known, Measure
from services.cost_alerts.domain.budgets.look import Facts
from services.cost_alerts.domain.foresight.forecast import Forecast, Range
from services.cost_alerts.domain.view import View
from services.shared.events.envelope import Fact
from services.shared.events.outcomes import Crossing
from services.shared.events.plans import Budget, Programme
from services.shared.events.register import System, Unit
from tests.unit.cost_alerts.domain.city import book

JANUARY = date(2026, 1, 1)
DAY = date(2026, 10, 14)
EURO = 10**9


def unit(name: str, parent: str | None, since: date = JANUARY, until: date | None = None) -> Unit:
    return Unit(id=name, parent=parent, name={"en": name}, valid_from=since, valid_to=until)


def budget(*thresholds: str, amount: str = "100.00", **members: object) -> Budget:
    given: dict[str, object] = {
        "id": "b",
        "unit": "city",
        "period": 2026,
        "currency": "EUR",
        "recipients": ("finance",),
    }
    return Budget.model_validate({**given, "amount": amount, "thresholds": thresholds, **members})


def amended(valid_from: str, amount: str, decision: str = "EX-1") -> Mapping[str, str]:
    return {"valid_from": valid_from, "amount": amount, "decision": decision}


CITY: tuple[Fact, ...] = (
    unit("city", None),
    unit("hyve", "city"),
    unit("library", "hyve"),
    unit("museum", "hyve"),
    unit("kymp", "city"),
    System(id="claude", vendor="anthropic", name="Claude", owner="ict"),
    System(id="copilot", vendor="microsoft", name="Copilot", owner="ict"),
    Programme(id="digi", name={"en": "Digital"}, projects=("P-7",), systems=("copilot",)),
)
"""A city of three levels, two systems of two vendors, one programme."""


def view(*more: Fact) -> View:
    return book([*CITY, *more]).view(1)


def known(threshold: str, epoch: int = 0, measure: Measure = "used", amount: str = "100.00", name: str = "b") -> Known:
    return Known(name, 2026, Decimal(threshold), epoch, measure, Decimal(amount))


def remembered(one: Crossing) -> Known:
    """A crossing as it is known in the next look."""
    return Known(one.budget, one.period, one.threshold, one.epoch, one.measure, one.amount_eur)


def forecast(name: str, mid: int, fixed: int = 0, year: int = 2026) -> Forecast:
    """A year of so many whole euro, with so much of it demanded by contracts."""
    return Forecast(
        level="budget", name=name, made_on=DAY, first=date(year, 1, 1), last=date(year, 12, 31),
        actual_nano=0, fixed_nano=fixed * EURO, renewed_nano=0, planned_nano=0,
        variable=Range((mid - fixed - 5) * EURO, (mid - fixed) * EURO, (mid - fixed + 5) * EURO),
    )  # fmt: skip


def facts(used: Mapping[str, int], **more: object) -> Facts:
    """What the ledger has: `used` in whole euro, nothing told before."""
    given: dict[str, object] = {"known": (), "receded": (), "forecasts": {}, "settled": True, **more}
    return Facts({name: euro * EURO for name, euro in used.items()}, **given)  # type: ignore[arg-type]
