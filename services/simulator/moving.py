"""The city's folder on another day: what is still to come stays to come, and what has happened lies in the past.

The folder is written for the autumn of 2026. Whoever simulates another day, or more history, gets the same city with
its dates moved: the beginning, the reorganisation, announced prices, plans, the contract that ends, reported results;
and two budgets whose story depends on how much of a year is over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from services.shared.events.dated import Dated
from services.shared.events.envelope import Fact
from services.shared.events.plans import BenefitResult, Budget, PlannedChange
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import Placement, ReviewerMandate, Unit, UseCase
from services.shared.periods import Month, day_start
from services.simulator.matters import SUSPENDED
from services.simulator.rhythm import DAY, days
from services.simulator.seats import ROLLED_OUT
from services.simulator.stories import Stories
from services.usage_collector.register.facts import KIND, Facts

BEGINS = date(2026, 1, 1)
"""The day from which most entries of the folder hold."""
REORGANISED = date(2026, 10, 16)
"""The day that the folder has for its reorganisation."""
PRICE_RISES = date(2027, 1, 1)
"""The day from which the folder has a new price of a seat."""
LAST_RESULTS = Month(2026, 10)
"""The last month of which the folder has results."""
LAST_BUDGET_YEAR = 2027

ENDING_CONTRACT = "servicenow-2026"
ENDS_WITHIN = timedelta(days=75)
ENDS_AFTER = timedelta(days=35)
PASSED_BUDGET, FORECAST_BUDGET = "kirjasto", "tyollisyyspalvelut"
"""The units whose budgets are passed, and will be by forecast, whatever day it is."""
FORECAST_UNIT_COSTS = ((date.min, 12), (ROLLED_OUT, 74), (date(2026, 8, 1), 14), (date(2026, 9, 1), 60))
"""What `FORECAST_BUDGET` spends on a usual day, about: so many euro more from each of these days on."""
LEAST_SHARE = Decimal("0.2")
"""A year in which less of the library's budget is spent keeps the one that it has."""
A_HUNDRED = Decimal(100)

_QUARTER = 3
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Moving:
    """Moves the facts of the folder to the days of `stories`."""

    stories: Stories

    def moved(self, facts: Facts) -> Facts:
        """All facts; those that moved have the ids that their new dates give them."""
        found = [(kind, self._fact(fact)) for (kind, _), fact in facts.items()]
        found = [(kind, fact) for kind, fact in found if self._is_whole(fact)]
        return {(kind, KIND[kind].fact_id(fact)): fact for kind, fact in found}

    def _fact(self, fact: Fact) -> Fact:
        for rule in _RULES:
            if update := rule(self, fact):
                fact = fact.model_copy(update=update)
        return fact

    def _is_whole(self, fact: Fact) -> bool:
        """Not a result of a month that is simulated in part: it would stand beside a part of its cost."""
        return not isinstance(fact, BenefitResult) or Month.parse(fact.month).first_day >= self.stories.first_day

    def reorganisation(self, fact: Fact) -> Mapping[str, Any]:
        if not isinstance(fact, Unit | Placement):
            return {}
        return {
            name: self.stories.reorganised_on for name in ("valid_from", "valid_to") if _is(fact, name, REORGANISED)
        }

    def beginning(self, fact: Fact) -> Mapping[str, Any]:
        """More history than the folder has: what holds from its first day on held before, too; so do mandates."""
        if isinstance(fact, ReviewerMandate) and self.stories.first_day < BEGINS:
            since = self.stories.first_day.replace(month=1, day=1)
            return {"valid_from": since, "trained_on": since}  # `training` sees to its end
        if isinstance(fact, Dated) and fact.valid_from == BEGINS and self.stories.first_day < BEGINS:
            return {"valid_from": self.stories.first_day.replace(month=1, day=1)}
        return {}

    def training(self, fact: Fact) -> Mapping[str, Any]:
        """Training that ends has ended when somebody reviews without it."""
        if not isinstance(fact, ReviewerMandate) or fact.trained_until is None:
            return {}
        ended = min(fact.trained_until, self.stories.matters_day - DAY)
        return {"trained_until": ended, "trained_on": min(fact.trained_on or ended, ended - DAY)}

    def suspension(self, fact: Fact) -> Mapping[str, Any]:
        """What is suspended was so when somebody used it nevertheless."""
        if not isinstance(fact, UseCase) or fact.id != SUSPENDED or fact.suspended_from is None:
            return {}
        return {"suspended_from": min(fact.suspended_from, day_start(self.stories.matters_day - DAY))}

    def announced_price(self, fact: Fact) -> Mapping[str, Any]:
        if not isinstance(fact, Tariff):
            return {}
        return {name: self._to_come(PRICE_RISES) for name in ("valid_from", "valid_to") if _is(fact, name, PRICE_RISES)}

    def plan(self, fact: Fact) -> Mapping[str, Any]:
        return {"valid_from": self._to_come(fact.valid_from)} if isinstance(fact, PlannedChange) else {}

    def ending(self, fact: Fact) -> Mapping[str, Any]:
        """The contract ends so that somebody must act, with some time left."""
        if not isinstance(fact, Contract) or fact.id != ENDING_CONTRACT or fact.valid_to is None:
            return {}
        if timedelta(0) < fact.valid_to - self.stories.today <= ENDS_WITHIN:
            return {}
        return {"valid_to": Month.of(self.stories.today + ENDS_AFTER).next.first_day}

    def results(self, fact: Fact) -> Mapping[str, Any]:
        """The last results are of the last month that is over."""
        if not isinstance(fact, BenefitResult):
            return {}
        over = Month.of(Month.of(self.stories.today).first_day - DAY)
        later = _number(over) - _number(LAST_RESULTS)
        year, month = divmod(_number(Month.parse(fact.month)) + later, _MONTHS)
        said = f"{year:04d}-{month + 1:02d}"
        return {"month": said, "id": f"{fact.use_case}-{said}"}

    def years(self, fact: Fact) -> Mapping[str, Any]:
        """A budget of the present year, and one of the next or the last."""
        later = max(0, self.stories.today.year - LAST_BUDGET_YEAR)
        if not isinstance(fact, Budget) or not later:
            return {}
        year = fact.period + later
        amendments = tuple(
            one.model_copy(update={"valid_from": one.valid_from.replace(year=one.valid_from.year + later)})
            for one in fact.amendments
        )
        carried = fact.carry_over and fact.carry_over.model_copy(
            update={"budget": _renamed(fact.carry_over.budget, fact.period - 1, later)}
        )
        named = _renamed(fact.id, fact.period, later)
        return {"id": named, "period": year, "amendments": amendments, "carry_over": carried}

    def budget(self, fact: Fact) -> Mapping[str, Any]:
        if not isinstance(fact, Budget):
            return {}
        if fact.id == f"{PASSED_BUDGET}-{fact.period}":
            return self._passed(fact)
        if fact.id == f"{FORECAST_BUDGET}-{fact.period}" and fact.period == self.stories.today.year:
            return {"amount": self._half_way(fact.period)}
        return {}

    def _passed(self, fact: Budget) -> Mapping[str, Any]:
        """What the library spends in all its days is more than one budget by a seventh: each year gets its part."""
        past = [day for day in days(self.stories.first_day, self.stories.today) if day.year == fact.period]
        share = Decimal(sum(map(self.stories.library_share, past)))
        return {"amount": _whole(LIBRARY_BUDGET * share)} if share >= LEAST_SHARE else {}

    def _half_way(self, year: int) -> Decimal:
        """More than is spent, less than will be: what is spent and half of what the rest of the year will add."""
        first = max(self.stories.first_day, date(year, 1, 1))
        gone = sum(usual_cost(day) for day in days(first, self.stories.today))
        left = (date(year + 1, 1, 1) - self.stories.today).days * usual_cost(self.stories.today)
        return _whole(Decimal(2 * gone + left) / 2)

    def _to_come(self, day: date) -> date:
        """A day as many quarters later as are needed for it to lie ahead."""
        while day <= self.stories.today:
            for _ in range(_QUARTER):
                day = Month.of(day).next.first_day
        return day


LIBRARY_BUDGET = Decimal("9000.00")

_RULES: tuple[Callable[[Moving, Fact], Mapping[str, Any]], ...] = (
    Moving.reorganisation,
    Moving.beginning,
    Moving.training,
    Moving.suspension,
    Moving.announced_price,
    Moving.plan,
    Moving.ending,
    Moving.results,
    Moving.years,
    Moving.budget,
)


def usual_cost(day: date) -> int:
    """What `FORECAST_BUDGET` spends on a usual day, in euro."""
    return sum(eur for since, eur in FORECAST_UNIT_COSTS if since <= day)


def _whole(eur: Decimal) -> Decimal:
    """Budgets are decided in whole hundreds."""
    return max(A_HUNDRED, (eur / A_HUNDRED).quantize(Decimal(1)) * A_HUNDRED).quantize(Decimal("1.00"))


def _is(fact: Fact, name: str, day: date) -> bool:
    return bool(getattr(fact, name) == day)


def _number(month: Month) -> int:
    return month.first_day.year * _MONTHS + month.first_day.month - 1


def _renamed(name: str, year: int, later: int) -> str:
    return name.replace(str(year), str(year + later))
