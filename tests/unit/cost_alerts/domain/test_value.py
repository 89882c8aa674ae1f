"""Cost of one result, who uses a licence, and that no figure is about fewer than five persons."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.cost_alerts.domain.value import (
    CLASSES,
    Asked,
    CostMonth,
    Licence,
    LicenceFacts,
    LicenceValue,
    Users,
    hidden_rows,
    licence_value,
    merged,
    use_value,
)
from services.shared.events.plans import BenefitResult, BenefitTarget
from services.shared.events.register import UseCase
from services.shared.money import NANO
from services.shared.periods import Month
from services.shared.privacy import FEWEST_PERSONS

SEPTEMBER, OCTOBER = Month(2026, 9), Month(2026, 10)
FIRST, LAST = date(2026, 9, 1), date(2026, 10, 31)
TARGET = BenefitTarget(
    measure="permits", counts="cases", baseline=Decimal(100), target=Decimal(200), owner="head of permits"
)


def use(project: str | None = "p", benefit: BenefitTarget | None = TARGET) -> UseCase:
    return UseCase(
        id="permits",
        name={"en": "Permits"},
        unit="kymp",
        owner="head",
        purpose="Checks",
        systems=("api",),
        risk_class="limited",
        project=project,
        benefit=benefit,
        valid_from=date(2026, 1, 1),
    )


def result(month: Month, figure: str, use_case: str = "permits") -> BenefitResult:
    return BenefitResult(
        id=f"{use_case}-{month}", use_case=use_case, month=str(month), result=Decimal(figure), source="count"
    )


def cost(month: Month, eur: int) -> CostMonth:
    return CostMonth(month, eur * NANO)


@pytest.mark.parametrize(
    ("costs", "results", "each", "whole"),
    [
        pytest.param([cost(OCTOBER, 300)], [result(OCTOBER, "120")], [2_500_000_000], 2_500_000_000, id="a month"),
        pytest.param(
            [cost(SEPTEMBER, 100), cost(OCTOBER, 300)],
            [result(OCTOBER, "120")],
            [None, 2_500_000_000],
            2_500_000_000,
            id="a month without a result is not part of the price of one",
        ),
        pytest.param(
            [cost(SEPTEMBER, 100), cost(OCTOBER, 300)],
            [result(SEPTEMBER, "0"), result(OCTOBER, "200")],
            [None, 1_500_000_000],
            2_000_000_000,
            id="a month that brought nothing cost all the same",
        ),
        pytest.param([], [result(OCTOBER, "3")], [0], 0, id="a result of what cost nothing"),
        pytest.param([cost(OCTOBER, 1)], [result(OCTOBER, "3")], [333_333_333], 333_333_333, id="rounded once"),
        pytest.param([cost(OCTOBER, 300)], [result(OCTOBER, "9", "another")], [None], None, id="another use's result"),
        pytest.param([cost(OCTOBER, 300)], [], [None], None, id="no result"),
    ],
)
def test_cost_of_one_result(
    costs: Sequence[CostMonth], results: Sequence[BenefitResult], each: Sequence[int | None], whole: int | None
) -> None:
    found = use_value(use(), costs, results)
    assert [one.per_result_nano for one in found.months] == list(each)
    assert found.per_result_nano == whole
    assert found.eur_nano == sum(one.eur_nano for one in costs)


@pytest.mark.parametrize(
    ("benefit", "results", "told"),
    [
        pytest.param(TARGET, [result(OCTOBER, "1")], "results", id="reported"),
        pytest.param(TARGET, [], "no_results", id="declared, never reported"),
        pytest.param(None, [], "no_target", id="nobody declared a benefit"),
    ],
)
def test_what_is_not_known_is_said(benefit: BenefitTarget | None, results: list[BenefitResult], told: str) -> None:
    assert use_value(use(benefit=benefit), [cost(OCTOBER, 1)], results).told == told


def test_how_the_cost_is_found_is_said() -> None:
    assert [use_value(use(project), [], []).costed_by for project in ("p", None)] == ["project", "unit_and_systems"]


def asked(person: str, system: str, quantity: int, first: date = FIRST, days: int = 30) -> Asked:
    return Asked(person, system, first, first + timedelta(days=days), Decimal(quantity))


def people(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


def told(
    asks: Sequence[Asked], licences: Sequence[Licence] = (), units: Mapping[str, str] | None = None, eur: int = 0
) -> LicenceValue:
    placed = {one.person: "kymp" for one in asks} if units is None else units
    return licence_value(LicenceFacts("paid", "base", "requests", FIRST, LAST, asks, licences, placed, eur * NANO))


def test_everybody_is_in_one_class() -> None:
    asks = [asked(who, "paid", 1) for who in (*people("a", 10), *people("b", 6))]
    asks += [asked(who, "base", 1) for who in (*people("b", 6), *people("c", 7))]
    found = told(asks, units=dict.fromkeys([*people("a", 10), *people("b", 6), *people("c", 7), *people("d", 8)], "k"))
    assert found.city.persons == 31
    assert dict(found.city.users) == {"paid_only": 10, "both": 6, "base_only": 7, "neither": 8}
    assert dict(found.units["k"].users) == dict(found.city.users)


def test_how_much_an_active_person_asks_in_thirty_days() -> None:
    # Two months of reports: 60 days, 8 persons, each 10 and 20.
    asks = [asked(who, "paid", 10) for who in people("a", 8)]
    asks += [asked(who, "paid", 20, FIRST + timedelta(days=30)) for who in people("a", 8)]
    found = told(asks, eur=400)
    assert (found.paid.persons, found.paid.quantity) == (8, Decimal("15.0"))
    assert found.per_active_nano == 50 * NANO
    assert (found.base_use.persons, found.base_use.quantity) == (0, None)


def test_a_vendor_that_tells_only_who_was_active_is_believed() -> None:
    licences = [Licence(who, FIRST, last_active_on=LAST) for who in people("a", 6)]
    licences += [Licence(who, FIRST, last_active_on=FIRST - timedelta(days=1)) for who in people("b", 7)]
    found = told([], licences, eur=300)
    assert dict(found.city.users) == {"paid_only": 6, "both": 0, "base_only": 0, "neither": 7}
    assert found.city.holders == 13
    assert (found.per_active_nano, found.paid.quantity) == (50 * NANO, None)


def test_a_licence_that_was_given_back_is_not_held() -> None:
    licences = [Licence(who, FIRST, LAST) for who in people("a", 6)]
    licences += [Licence(who, FIRST, LAST + timedelta(days=1)) for who in people("b", 7)]
    assert told([], licences).city.holders == 7


def test_before_and_after_a_licence() -> None:
    day = FIRST + timedelta(days=30)
    asks = [one for who in people("a", 5) for one in (asked(who, "base", 12), asked(who, "base", 3, day))]
    asks += [asked(who, "paid", 60, day) for who in people("a", 5)]
    asks += [asked(who, "base", 99) for who in people("z", 5)]  # who got none does not count
    found = told(asks, [Licence(who, day) for who in people("a", 5)]).change
    assert found is not None
    assert (found.persons, found.base_before, found.base_after, found.paid_after) == (
        5,
        Decimal(12),
        Decimal(3),
        Decimal(60),
    )


def test_a_report_across_the_day_of_the_licence_counts_on_neither_side() -> None:
    day = FIRST + timedelta(days=28)
    windows = [FIRST - timedelta(days=14), FIRST + timedelta(days=14), FIRST + timedelta(days=42)]
    asks = [asked(who, "base", 28, first, 28) for who in people("a", 5) for first in windows]
    found = told(asks, [Licence(who, day) for who in people("a", 5)]).change
    assert found is not None
    assert (found.base_before, found.base_after, found.paid_after) == (Decimal(30), Decimal(30), Decimal(0))


@pytest.mark.parametrize(
    ("persons", "day"),
    [
        pytest.param(4, FIRST + timedelta(days=30), id="four persons"),
        pytest.param(9, FIRST + timedelta(days=2), id="two days before are known"),
        pytest.param(9, FIRST + timedelta(days=59), id="one day after is known"),
    ],
)
def test_too_little_to_compare_is_said(persons: int, day: date) -> None:
    asks = [asked(who, "base", 1, FIRST + timedelta(days=at), 1) for who in people("a", persons) for at in range(60)]
    assert told(asks, [Licence(who, day) for who in people("a", persons)]).change is None


def test_four_active_persons_are_not_told() -> None:
    found = told([asked(who, "paid", 5) for who in people("a", 4)], eur=8, units=dict.fromkeys(people("a", 9), "k"))
    assert (found.paid.persons, found.paid.quantity, found.per_active_nano) == (None, None, None)
    assert set(found.city.users.values()) == {None}


City = Mapping[str | None, Mapping[Users, int]]
"""Unit → how many persons are in which class."""


def of_city(city: City, holders: Mapping[str | None, int] | None = None) -> LicenceValue:
    """`holders`: how many of a unit's persons hold a licence."""
    units: dict[str, str] = {}
    asks: list[Asked] = []
    for unit, cells in city.items():
        for name, count in cells.items():
            for who in people(f"{unit}-{name}-", count):
                units[who] = str(unit)
                asks += [asked(who, one, 1) for one in USED[name]]
    licences = [
        Licence(who, FIRST)
        for unit, count in (holders or {}).items()
        for who in [one for one, of in units.items() if of == unit][:count]
    ]
    return told(asks, licences, units)


USED: Mapping[Users, Sequence[str]] = {
    "paid_only": ["paid"],
    "base_only": ["base"],
    "both": ["paid", "base"],
    "neither": [],
}


def test_who_used_either_gives_no_few_away() -> None:
    # 78 persons less 30 used either; 23 used the one, 28 the other: 3 would be those who used both.
    found = of_city(
        {
            "k": {"both": 3, "paid_only": 15, "base_only": 10, "neither": 10},
            "l": {"both": 0, "paid_only": 5, "base_only": 15, "neither": 20},
        }
    )
    assert set(found.city.users.values()) == {None}
    assert found.base_use.persons is None
    assert found.base_use.quantity is not None  # what each asks tells nobody how many they are
    assert found.paid.persons == 23


def test_the_citys_licences_less_those_of_other_units_give_no_few_away() -> None:
    cells: Mapping[Users, int] = {"neither": 20}
    found = of_city({"k": cells, "l": cells, "m": cells}, {"k": 10, "l": 8, "m": 3})
    assert found.city.holders == 21
    assert [found.units[unit].holders for unit in "klm"] == [None, 8, None]


COUNTS = st.dictionaries(
    st.sampled_from(["k", "l", "m", "n"]),
    st.fixed_dictionaries({name: st.integers(0, 12) for name in CLASSES}).filter(lambda one: sum(one.values()) >= 5),
    min_size=1,
)


@given(COUNTS)
def test_no_sum_gives_a_hidden_figure_away(counts: City) -> None:
    """What is shown, and what all hidden rows of a table add up to, is about nobody or about five at least."""
    hidden = hidden_rows(counts)
    shown = [cells for row, cells in counts.items() if row not in hidden]
    together = {name: sum(counts[row][name] for row in hidden) for name in CLASSES}
    assert not [count for cells in shown for count in cells.values() if 0 < count < FEWEST_PERSONS]
    few = [count for count in together.values() if 0 < count < FEWEST_PERSONS]
    assert not few or len(hidden) == len(counts)
    assert len(hidden) != 1 or len(counts) == 1


@given(COUNTS)
@example({"k": {"both": 3, "paid_only": 9, "base_only": 8, "neither": 7}})
def test_where_the_city_hides_a_few_no_figure_of_both_systems_is_told(counts: City) -> None:
    found = of_city(counts)
    few = [n for name in CLASSES if 0 < (n := sum(cells[name] for cells in counts.values())) < FEWEST_PERSONS]
    if few:
        assert set(found.city.users.values()) == {None}
        assert all(set(row.users.values()) == {None} for row in found.units.values())
        assert None in {found.paid.persons, found.base_use.persons}


@given(st.dictionaries(st.sampled_from(["k", "l", "m", "n", None]), st.integers(0, 12)))
def test_no_row_is_about_fewer_than_five(sizes: Mapping[str | None, int]) -> None:
    persons = {unit: people(str(unit), size) for unit, size in sizes.items() if size}
    rows = merged(persons)
    assert sorted(who for row in rows.values() for who in row) == sorted(who for row in persons.values() for who in row)
    assert len(rows) <= 1 or all(len(row) >= FEWEST_PERSONS for row in rows.values())
