from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cost_alerts.domain.agreements.agreement import Metered
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.domain.whatif.basket import by_nobody
from services.cost_alerts.domain.whatif.estimate import (
    Intensity,
    Limits,
    Used,
    means,
    per_person,
    per_use,
    quantile,
    rates,
    scaled,
    spread_over,
    worth,
)
from services.cost_alerts.domain.whatif.plan import Estimate, Nano, Plan, PlanPart
from services.shared.periods import Month
from tests.unit.cost_alerts.domain.city import book, tariff

DAY = date(2026, 10, 5)


def reading(
    day: date = DAY, consumed: Mapping[str, str] | None = None, sku: str = "sonnet", **dimensions: str
) -> Metered:
    told = consumed or {"input_tokens": "10"}
    profile = Profile("claude", sku, tuple(sorted(told)), tuple(dimensions.items()))
    quantities = tuple(Decimal(told[meter]) for meter in sorted(told))
    return Metered(
        Use(profile, datetime(day.year, day.month, day.day, 9, tzinfo=UTC), day), quantities, None, estimated=False
    )


def used(person: str | None, unit: str, value: int, day: date = DAY, consumed: Mapping[str, str] | None = None) -> Used:
    return Used(person, unit, reading(day, consumed), Fraction(value))


def crowd(units: int, persons: int, months: int = 1) -> list[Used]:
    """Persons of unit number n use n + 1 a month each."""
    return [
        used(f"p-{unit}-{person}", f"u{unit}", unit + 1, date(2026, 8 + month, 5))
        for unit in range(units)
        for person in range(persons)
        for month in range(months)
    ]


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [
        ([5], "0.1", 5),
        ([1, 2, 3], "0.5", 2),
        ([3, 1], "0.25", "1.5"),
        (list(range(11)), "0.9", 9),
        ([0, 10], "1", 10),
    ],
)
def test_quantiles(values: list[int], part: str, expected: str) -> None:
    assert quantile(map(Fraction, values), Fraction(part)) == Fraction(expected)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], "no_history", id="nothing was used"),
        pytest.param([used(None, "u", 1)], "no_persons", id="nobody is told"),
        pytest.param(crowd(4, 4), "too_few_persons", id="groups of four are never looked at"),
        pytest.param(crowd(4, 4, 2), "too_few_persons", id="nor in more months"),
        pytest.param(crowd(3, 6), "too_few_persons", id="three groups, eighteen persons"),
        pytest.param(crowd(5, 5), ("groups", 25, 5), id="five groups of five"),
        pytest.param(crowd(3, 5, 2), ("groups", 15, 6), id="three groups in two months"),
        pytest.param(crowd(1, 20), ("persons", 20, 0), id="twenty of one unit"),
        pytest.param(crowd(20, 1), ("persons", 20, 0), id="twenty, each alone"),
    ],
)
def test_how_many_it_takes(found: list[Used], expected: object) -> None:
    known = per_person(found)
    assert (known if not isinstance(known, Intensity) else (known.by, known.persons, known.groups)) == expected


def test_groups_give_the_limits_and_all_persons_the_mid() -> None:
    known = per_person(crowd(5, 5))
    assert isinstance(known, Intensity)
    assert known.worth == Limits(Fraction("1.4"), Fraction(3), Fraction("4.6"))
    assert [one.quantities for one in known.basket] == [(Decimal(10),)]


def test_a_month_counts_only_where_somebody_used_it() -> None:
    twice = [used("p-0-0", "u0", 9), used("p-0-0", "u0", 9, DAY + timedelta(days=1))]
    known = per_person([*crowd(5, 5), *twice])
    assert isinstance(known, Intensity)
    assert known.worth.mid == Fraction(75 + 18, 26)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 10**12), min_size=20, max_size=60))
def test_limits_lie_about_the_mean_and_are_the_same_each_time(values: list[int]) -> None:
    found = [used(f"p-{number}", "u", value) for number, value in enumerate(values)]
    known, again = per_person(found), per_person(found)
    assert isinstance(known, Intensity)
    assert known == again
    assert known.worth.low <= known.worth.mid == Fraction(sum(values), len(values)) <= known.worth.high


@pytest.mark.parametrize(
    ("consumed", "weeks", "expected"),
    [
        pytest.param({"requests": "4"}, 5, Fraction(25), id="requests"),
        pytest.param({"conversations": "10", "input_tokens": "7"}, 6, Fraction(10), id="conversations"),
        pytest.param({"input_tokens": "7"}, 6, "no_uses_counted", id="nothing counts them"),
        pytest.param({"messages": "4"}, 4, "too_few_weeks", id="four weeks"),
        pytest.param({"messages": "4"}, 0, "no_history", id="none"),
    ],
)
def test_per_use(consumed: dict[str, str], weeks: int, expected: object) -> None:
    found = [used(None, "u", 100, DAY + timedelta(weeks=week), consumed) for week in range(weeks)]
    known = per_use(found)
    assert (known.worth.mid if isinstance(known, Intensity) else known) == expected


def test_what_only_tells_of_persons_has_the_mean_price_of_what_is_paid() -> None:
    view = book([tariff("3", per="1", when={"tier": "a"}), tariff("5", id="b", per="1", when={"tier": "b"})]).view(1)
    paid = by_nobody([reading(tier="a"), reading(tier="b", consumed={"input_tokens": "30"})])
    known = rates(view, paid, DAY)
    told = reading(consumed={"input_tokens": "2"})
    assert worth(view, told, known, {}) is None
    assert worth(view, told, known, means(view, paid, known)) == 9 * 10**9
    assert worth(view, reading(sku="new"), known, means(view, paid, known)) is None


@given(st.decimals("0", "1000000", places=6), st.integers(1, 10**6))
def test_a_month_spread_over_its_days_is_the_month(quantity: Decimal, times: int) -> None:
    basket = scaled(by_nobody([reading(consumed={"input_tokens": str(quantity)})]), Fraction(times))
    days = spread_over(basket, Month(2026, 2))
    assert {one.use.day for one in days} == {date(2026, 2, day) for day in range(1, 29)}
    assert abs(sum(one.quantities[0] for one in days) - quantity * times) < Decimal("1E-15")


def test_a_plan_of_which_one_part_is_unknown_has_no_sum() -> None:
    plan = Plan.model_validate({"name": "x", "users": 3, "months": 2, "comparable": ["a"]})
    known = PlanPart("a", "use", Nano(1, 2, 3))
    assert Estimate(plan, "", "", [known, known]).total == Nano(4, 8, 12)
    assert Estimate(plan, "", "", [known, PlanPart("b", "use", None, "no_history")]).monthly is None
