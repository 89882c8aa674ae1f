"""When a budget is meant to be used: its plan to a day. Exact euro."""

from calendar import monthrange
from datetime import date
from decimal import Decimal

from services.cost_alerts.domain.budgets.amount import NOTHING, first_day, in_force, last_day
from services.shared.events.plans import Budget
from services.shared.money import EXACT


def planned_to_date(budget: Budget, day: date, carried: Decimal) -> Decimal:
    """What is planned to be used by the end of `day`: nothing before the year, the whole amount from its last day on.

    The first amount goes by `months`, evenly within each, or without them evenly over the year; an amendment evenly
    from its first day to the year's end; what was carried over evenly over the year.
    """
    if day < first_day(budget):
        return NOTHING
    day = min(day, last_day(budget))
    total = EXACT.add(_first_plan(budget, day), _evenly(carried, first_day(budget), day))
    for one in in_force(budget, day):
        total = EXACT.add(total, _evenly(one.amount, max(one.valid_from, first_day(budget)), day))
    return total


def _first_plan(budget: Budget, day: date) -> Decimal:
    if not budget.months:
        return _evenly(budget.amount, first_day(budget), day)
    total = _part(budget.months[day.month - 1], day.day, monthrange(day.year, day.month)[1])
    for amount in budget.months[: day.month - 1]:
        total = EXACT.add(total, amount)
    return total


def _evenly(amount: Decimal, since: date, day: date) -> Decimal:
    """The part of an amount, spread from `since` to the end of its year, that falls on the days up to `day`."""
    end = date(since.year, 12, 31)
    assert since <= day <= end, f"{since} to {day} is not within a year"
    return _part(amount, (day - since).days + 1, (end - since).days + 1)


def _part(amount: Decimal, of: int, whole: int) -> Decimal:
    return EXACT.divide(EXACT.multiply(amount, Decimal(of)), Decimal(whole))
