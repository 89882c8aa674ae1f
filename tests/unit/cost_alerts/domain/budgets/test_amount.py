"""How much a budget is, and how much of it is planned to a day."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.budgets.amount import amount_on, carried_over
from services.cost_alerts.domain.budgets.plan import planned_to_date
from services.shared.events.plans import Budget
from services.shared.money import to_nano
from tests.unit.cost_alerts.domain.budgets.plans import EURO, amended, budget

NONE = Decimal(0)
END = date(2026, 12, 31)
MONTHS = tuple(f"{amount}.00" for amount in (5, 5, 10, 10, 10, 10, 0, 10, 10, 10, 10, 10))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        pytest.param("2026-03-31", "100.00", id="the day before the first amendment"),
        pytest.param("2026-04-01", "130.00", id="from its day on"),
        pytest.param("2026-09-14", "110.00", id="one that takes away"),
        pytest.param("2028-01-01", "110.00", id="after the year's end"),
    ],
)
def test_an_amendment_counts_from_its_day_on(day: str, expected: str) -> None:
    changes = [amended("2026-09-14", "-20.00"), amended("2026-04-01", "30.00"), amended("2027-05-01", "5.00")]
    assert amount_on(budget(amendments=changes), date.fromisoformat(day), NONE) == Decimal(expected)


def carrying(most: str | None = None, of: str = "last") -> Budget:
    return budget(id="this", carry_over={"budget": of, "most": most, "decision": "EX-7"})


LAST = budget(id="last", period=2025, amendments=[amended("2025-06-01", "20.00")])


@pytest.mark.parametrize(
    ("this", "day", "used", "expected"),
    [
        pytest.param(carrying(), "2026-01-01", 90, "30", id="what is left with its amendments"),
        pytest.param(carrying(most="10.00"), "2026-01-01", 90, "10.00", id="at most so much"),
        pytest.param(carrying(most="50.00"), "2026-01-01", 90, "30", id="not more than is left"),
        pytest.param(carrying(), "2026-01-01", 121, "0", id="an overrun is not carried over"),
        pytest.param(carrying(), "2025-12-31", 90, "0", id="nothing before the year begins"),
        pytest.param(carrying(of="gone"), "2026-01-01", 90, "0", id="of a budget that is not there"),
        pytest.param(carrying(of="this"), "2026-01-01", 90, "0", id="of itself"),
        pytest.param(budget(id="this"), "2026-01-01", 90, "0", id="no carry-over"),
    ],
)
def test_what_an_earlier_year_left_is_carried_over(this: Budget, day: str, used: int, expected: str) -> None:
    budgets = {one.id: one for one in (this, LAST)}
    assert carried_over(this, budgets, {"last": used * EURO}, date.fromisoformat(day)) == Decimal(expected)


def test_what_was_carried_over_twice_is_carried_on() -> None:
    first = budget(id="first", period=2024)
    last = LAST.model_copy(update={"carry_over": carrying(of="first").carry_over})
    budgets = {one.id: one for one in (first, last, carrying())}
    used = {"first": 70 * EURO, "last": 100 * EURO}
    assert carried_over(budgets["this"], budgets, used, END) == Decimal(50), "30 of 2024, and 20 of 2025"


@pytest.mark.parametrize(
    ("plan", "day", "expected"),
    [
        pytest.param(budget(amount="365.00"), "2025-12-31", "0", id="before the year"),
        pytest.param(budget(amount="365.00"), "2026-01-01", "1", id="by days: the first day"),
        pytest.param(budget(amount="365.00"), "2026-03-01", "60", id="by days: with the day itself"),
        pytest.param(budget(amount="365.00"), "2027-03-01", "365", id="after the year"),
        pytest.param(budget(amount="366.00", period=2028), "2028-03-01", "61", id="by days of a leap year"),
        pytest.param(budget(months=MONTHS), "2026-02-28", "10", id="by months: two whole ones"),
        pytest.param(budget(months=MONTHS), "2026-04-15", "25", id="by months: half of the present one"),
        pytest.param(budget(months=MONTHS), "2026-12-31", "100", id="by months: all of them"),
        pytest.param(
            budget(amount="365.00", amendments=[amended("2026-12-22", "10.00")]), "2026-12-22", "357", id="an amendment"
        ),
        pytest.param(
            budget(amount="365.00", amendments=[amended("2026-12-22", "10.00")]), "2026-12-21", "355", id="before it"
        ),
    ],
)
def test_the_plan_to_a_day(plan: Budget, day: str, expected: str) -> None:
    assert planned_to_date(plan, date.fromisoformat(day), NONE) == Decimal(expected)


@given(
    cents=st.lists(st.integers(1, 10**9), min_size=12, max_size=12),
    changes=st.lists(st.tuples(st.integers(0, 364), st.integers(0, 10**8)), max_size=3),
    carried=st.integers(0, 10**8),
    monthly=st.booleans(),
    days=st.lists(st.integers(0, 364), min_size=2, max_size=6),
)
def test_a_plan_never_falls_and_ends_at_the_amount(
    cents: list[int],
    changes: list[tuple[int, int]],
    carried: int,
    monthly: bool,
    days: list[int],
) -> None:
    months = [str(Decimal(one).scaleb(-2)) for one in cents]
    made = [amended(str(date(2026, 1, 1) + timedelta(days=day)), str(Decimal(one).scaleb(-2))) for day, one in changes]
    plan = budget(
        amount=str(sum(map(Decimal, months))), months=tuple(months) if monthly else (), amendments=tuple(made)
    )
    left = Decimal(carried).scaleb(-2)
    told = [planned_to_date(plan, date(2026, 1, 1) + timedelta(days=day), left) for day in sorted(days)]
    assert told == sorted(told)
    assert to_nano(planned_to_date(plan, END, left)) == to_nano(amount_on(plan, END, left))
