"""How much a budget is: what was decided first, amendments in force, and what an earlier year left. Exact euro."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from services.shared.events.plans import Amendment, Budget
from services.shared.money import EXACT, from_nano

NOTHING = Decimal(0)


def first_day(budget: Budget) -> date:
    return date(budget.period, 1, 1)


def last_day(budget: Budget) -> date:
    """The last day that the budget is for, inclusive."""
    return date(budget.period, 12, 31)


def in_force(budget: Budget, day: date) -> Sequence[Amendment]:
    """The amendments that hold on `day`, in the order of their days; one dated later does not count yet."""
    until = min(day, last_day(budget))
    return sorted((one for one in budget.amendments if one.valid_from <= until), key=lambda one: one.valid_from)


def amount_on(budget: Budget, day: date, carried: Decimal) -> Decimal:
    """The budget as it is on `day`. `carried`: what an earlier budget left to it, see `carried_over`."""
    total = EXACT.add(budget.amount, carried)
    for one in in_force(budget, day):
        total = EXACT.add(total, one.amount)
    return total


def carried_over(budget: Budget, budgets: Mapping[str, Budget], used: Mapping[str, int], day: date) -> Decimal:
    """What was left of the earlier budget at its year's end, as the ledger has it now; euro.

    Nothing before the budget's own year begins, of a budget that is not there, or that is not of an earlier year.
    `used`: budget id → 10⁻⁹ euro.
    """
    carry = budget.carry_over
    earlier = None if carry is None else budgets.get(carry.budget)
    if carry is None or earlier is None or earlier.period >= budget.period or day < first_day(budget):
        return NOTHING
    whole = amount_on(earlier, last_day(earlier), carried_over(earlier, budgets, used, last_day(earlier)))
    left = max(NOTHING, EXACT.subtract(whole, from_nano(used.get(earlier.id, 0))))
    return left if carry.most is None else min(carry.most, left)
