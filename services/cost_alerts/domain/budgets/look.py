"""One look at all budgets: which epochs have ended, which thresholds have been passed, and who tells whom. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple, TypeVar

from services.cost_alerts.domain.budgets.amount import amount_on, carried_over, last_day
from services.cost_alerts.domain.budgets.crossing import (
    Known,
    Receded,
    Standing,
    crossings,
    epoch_of,
    receding,
)
from services.cost_alerts.domain.budgets.tree import Told, told
from services.cost_alerts.domain.foresight.forecast import Forecast
from services.cost_alerts.domain.view import View
from services.shared.events.outcomes import Crossing, Receding
from services.shared.events.plans import Budget

N = TypeVar("N", Known, Receded)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger has about budgets at one moment.

    Attributes:
        used: budget id → 10⁻⁹ euro that count towards it.
        known: what was told before.
        receded: epochs that have ended.
        forecasts: budget id → the newest forecast of its whole year.
        settled: whether all charges follow the newest register; a use that falls meanwhile may rise again by itself.
        foreseen: whether the forecasts do; those made before may be of what a budget counts no more.
    """

    used: Mapping[str, int]
    known: Sequence[Known]
    receded: Sequence[Receded]
    forecasts: Mapping[str, Forecast]
    settled: bool
    foreseen: bool = True


class Decided(NamedTuple):
    """What one look has decided."""

    recedings: Sequence[Receding]
    told: Sequence[Told]


def decide(view: View, day: date, facts: Facts) -> Decided:
    """What is new on `day`, the Helsinki day that has begun last."""
    known, receded = _by_budget(facts.known), _by_budget(facts.receded)
    recedings: list[Receding] = []
    found: list[Crossing] = []
    standings: dict[str, Standing] = {}
    for budget in view.budgets:
        ended, told_before = receded[budget.id], known[budget.id]
        standing = standing_of(budget, view, day, facts, ended)
        if facts.settled and (fell := receding(standing, told_before)) is not None:
            recedings.append(fell)
            ended = [*ended, Receded(fell.budget, fell.period, fell.epoch)]
            standing = standing_of(budget, view, day, facts, ended)
        standings[budget.id] = standing
        fresh = crossings(standing, told_before, ended)
        found += [one for one in fresh if one.measure == "used" or facts.foreseen]
    return Decided(recedings, told(found, standings, view))


def standing_of(budget: Budget, view: View, day: date, facts: Facts, receded: Collection[Receded]) -> Standing:
    """How a budget stands on `day`, or stood at its year's end."""
    day = min(day, last_day(budget))
    forecast = facts.forecasts.get(budget.id)
    if forecast is not None and forecast.first.year != budget.period:
        forecast = None
    return Standing(
        budget,
        day,
        epoch_of(budget, day, receded),
        amount_on(budget, day, carried_of(budget, view, day, facts)),
        facts.used.get(budget.id, 0),
        None if forecast is None else forecast.total,
        None if forecast is None else forecast.fixed_nano,
    )


def carried_of(budget: Budget, view: View, day: date, facts: Facts) -> Decimal:
    """What an earlier budget has left to this one, euro."""
    return carried_over(budget, {one.id: one for one in view.budgets}, facts.used, day)


def _by_budget(found: Iterable[N]) -> Mapping[str, list[N]]:
    groups: defaultdict[str, list[N]] = defaultdict(list)
    for one in found:
        groups[one.budget].append(one)
    return groups
