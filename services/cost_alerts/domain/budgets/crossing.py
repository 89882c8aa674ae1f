"""Budgets: what counts towards one, and which thresholds have just been passed. A threshold is told once, for good."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.cost_alerts.domain.units import Units
from services.shared.events.envelope import event_id
from services.shared.events.outcomes import Crossing
from services.shared.events.plans import Budget
from services.shared.money import EXACT, as_text, from_nano


def budgets_of(budgets: Iterable[Budget], units: Units, unit: str, day: date) -> list[str]:
    """The ids of the budgets that a cost of `unit` on `day` counts towards: its own and those of its ancestors."""
    chain = units.with_ancestors(unit, day)
    return [budget.id for budget in budgets if budget.period == day.year and budget.unit in chain]


def is_passed(budget: Budget, threshold: Decimal, used_nano: int) -> bool:
    """Whether use has reached the threshold's share of the amount. Nothing used passes nothing."""
    return used_nano > 0 and from_nano(used_nano) >= EXACT.multiply(budget.amount, threshold)


@dataclass(frozen=True, slots=True)
class Known:
    """A crossing that was decided before."""

    budget: str
    period: int
    threshold: Decimal
    epoch: int


def crossings(budget: Budget, used_nano: int, known: Collection[Known]) -> Sequence[Crossing]:
    """The thresholds passed and not yet told, lowest first.

    Only the most advanced one speaks, and only when none above it was told before.
    """
    told = {
        one.threshold
        for one in known
        if (one.budget, one.period, one.epoch) == (budget.id, budget.period, budget.epoch)
    }
    fresh = sorted({one for one in budget.thresholds if one not in told and is_passed(budget, one, used_nano)})
    highest = max([*told, *fresh], default=None)
    return [_crossing(budget, threshold, used_nano, spoken=threshold == highest) for threshold in fresh]


def _crossing(budget: Budget, threshold: Decimal, used_nano: int, *, spoken: bool) -> Crossing:
    return Crossing(
        budget=budget.id,
        unit=budget.unit,
        period=budget.period,
        threshold=threshold,
        epoch=budget.epoch,
        used_eur=from_nano(used_nano),
        amount_eur=budget.amount,
        recipients=budget.recipients,
        spoken=spoken,
    )


def crossing_id(crossing: Crossing) -> str:
    """The name of a crossing: the same however often it is decided, and however its threshold is written."""
    return event_id("crossing", crossing.budget, crossing.period, threshold_text(crossing.threshold), crossing.epoch)


def threshold_text(threshold: Decimal) -> str:
    """A threshold without trailing noughts: 0.80 and 0.8 are one."""
    return as_text(threshold.normalize(EXACT))
