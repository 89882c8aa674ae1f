"""A budget with all its figures, for whoever shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from services.cost_alerts.domain.budgets.crossing import Measure, Standing, is_passed
from services.cost_alerts.domain.budgets.look import Facts, carried_of, standing_of
from services.cost_alerts.domain.budgets.plan import planned_to_date
from services.cost_alerts.domain.foresight.forecast import Range
from services.cost_alerts.domain.view import View
from services.shared.events.plans import Budget
from services.shared.money import EXACT, from_nano, to_nano

Condition = Literal["within", "at_risk", "passed", "over"]
"""The gravest that holds. Over: all is used, and more. At risk: the forecast passes the whole amount, whatever is used
by now. Passed: use has passed a threshold."""

_WHOLE = Decimal(1)
_RATIO = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget of the newest register as it stands on a day; money in 10⁻⁹ euro.

    Attributes:
        day: the Helsinki day that has begun last, or the year's end.
        amount_nano: with the amendments in force and what was carried over.
        carried_nano: the part of it that an earlier budget left.
        used_nano: what counts towards it.
        planned_to_date_nano: what is planned to be used by the end of `day`.
        committed_nano: what contracts in force still demand until they or the year end, as reckoned for the newest
            forecast; None: not reckoned yet.
        forecast: of the whole year; None: there is none, or not enough data for one.
    """

    budget: Budget
    day: date
    epoch: int
    amount_nano: int
    carried_nano: int
    used_nano: int
    planned_to_date_nano: int
    committed_nano: int | None
    forecast: Range | None

    @property
    def amount(self) -> Decimal:
        """The amount in euro."""
        return from_nano(self.amount_nano)

    @property
    def used_ratio(self) -> Decimal | None:
        """The used share, 1 is all: cut to four decimals, so that 99.999 % is not told as 100 %; None of nought."""
        if self.amount_nano <= 0:
            return None
        return EXACT.divide(from_nano(self.used_nano), self.amount).quantize(_RATIO, rounding="ROUND_DOWN")

    def passed(self, measure: Measure = "used") -> Decimal | None:
        """The highest threshold that use, or the forecast, is beyond."""
        thresholds = self.budget.thresholds if measure == "used" else self.budget.forecast_thresholds
        return max((one for one in thresholds if self._is_passed(measure, one)), default=None)

    @property
    def condition(self) -> Condition:
        if self.used_nano > self.amount_nano:
            return "over"
        if self._is_passed("forecast", _WHOLE):
            return "at_risk"
        return "within" if self.passed() is None else "passed"

    def _is_passed(self, measure: Measure, threshold: Decimal) -> bool:
        value = self.used_nano if measure == "used" else None if self.forecast is None else self.forecast.mid
        return value is not None and is_passed(self.amount, threshold, value)


def states(view: View, day: date, facts: Facts) -> Sequence[BudgetState]:
    """Every budget of a register version, by id."""
    return [_state(one, view, day, facts) for one in sorted(view.budgets, key=lambda budget: budget.id)]


def _state(budget: Budget, view: View, day: date, facts: Facts) -> BudgetState:
    receded = [one for one in facts.receded if one.budget == budget.id]
    standing: Standing = standing_of(budget, view, day, facts, receded)
    carried = carried_of(budget, view, standing.day, facts)
    return BudgetState(
        budget,
        standing.day,
        standing.epoch,
        to_nano(standing.amount),
        to_nano(carried),
        standing.used_nano,
        to_nano(planned_to_date(budget, standing.day, carried)),
        standing.committed_nano,
        standing.forecast,
    )
