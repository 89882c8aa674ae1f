"""What must be true of budgets: one for each scope and year, thresholds that rise, amendments within their year."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise

from services.shared.events.plans import Budget
from services.shared.money import EXACT
from services.usage_collector.register.entries import Item
from services.usage_collector.register.problems import Problem

MOST = 10
"""Ten times a budget; a larger threshold was meant in per cent."""


def budget_problems(budgets: Sequence[Item]) -> Iterator[Problem]:
    """Everything for which a budget is refused besides what its own members say."""
    yield from _second_budgets(budgets)
    years = {item.fact.id: item.fact.period for item in budgets}
    for item in budgets:
        yield from _thresholds(item)
        yield from _amendments(item)
        if (carry := item.fact.carry_over) is not None and years.get(carry.budget, 0) >= item.fact.period:
            yield item.problem(
                ("carry_over", "budget"),
                "carry-over",
                found=f"budget: {carry.budget!r}, of {years[carry.budget]}",
                expected=f"a budget of a year before {item.fact.period}: what it leaves is known when it is over",
                write="write the budget of the year before, or remove carry_over",
            )


def _second_budgets(budgets: Sequence[Item]) -> Iterator[Problem]:
    first: dict[tuple[object, ...], Item] = {}
    for item in budgets:
        fact: Budget = item.fact
        scope = (fact.unit, fact.system, fact.vendor, fact.project, fact.programme, fact.period)
        known = first.setdefault(scope, item)
        if known.key != item.key:
            yield item.problem(
                "unit",
                "two-budgets",
                found=f"a second budget of {_scope(fact)} for {fact.period}",
                expected=f"one for each scope and year; the first is {known.place}",
                write="add the two up, or write the second as an amendment of the first",
            )


def _scope(fact: Budget) -> str:
    names = ("system", "vendor", "project", "programme")
    narrowed = [f"{name} {given!r}" for name in names if (given := getattr(fact, name)) is not None]
    return ", ".join([repr(fact.unit), *narrowed])


def _thresholds(item: Item) -> Iterator[Problem]:
    for member in ("thresholds", "forecast_thresholds"):
        shares: Sequence[Decimal] = getattr(item.fact, member)
        if not all(shares) or any(low >= high for low, high in pairwise(shares)) or max(shares, default=0) > MOST:
            found = ", ".join(f"{share:f}" for share in shares)
            yield item.problem(
                member,
                "thresholds",
                found=f"{member} {found}",
                expected=f"shares of the amount that rise, above 0 and at most {MOST}: 0.8 is 80 %",
                write=f'write for example {member}: ["0.5", "0.8", "1.0"]',
            )


def _amendments(item: Item) -> Iterator[Problem]:
    fact: Budget = item.fact
    total = fact.amount
    rising = sorted(enumerate(fact.amendments), key=lambda found: found[1].valid_from)
    for place, (number, one) in enumerate(rising, start=1):
        total = EXACT.add(total, one.amount)
        ends_day = place == len(rising) or rising[place][1].valid_from > one.valid_from
        if one.valid_from.year != fact.period:
            yield item.problem(
                ("amendments", number, "valid_from"),
                "amendment-outside-year",
                found=f"valid_from: {one.valid_from} in a budget for {fact.period}",
                expected=f"a day of {fact.period}",
                write="write the day from which it holds, or amend the budget of that year",
            )
        if total <= 0 and ends_day:  # decisions of one day hold together
            yield item.problem(
                ("amendments", number, "amount"),
                "nothing-left",
                found=f"{total:f} EUR left of the budget from {one.valid_from} on",
                expected="more than nothing: shares of nothing cannot be watched",
                write="write a smaller amount, or remove the budget that nobody has any more",
            )
            return
