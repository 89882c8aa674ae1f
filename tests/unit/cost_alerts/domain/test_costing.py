"""Bands of cost: their edges, whose cost they are of, and when they are told."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.costing import ProjectSum, UnitSum, band_of, bands_of, to_tell, whole_months
from services.cost_alerts.domain.units import Units
from services.shared.events.outcomes import UseCaseCost
from services.shared.events.register import Unit, UseCase

EURO = 10**9
DAY, MOVED = date(2026, 5, 4), date(2026, 6, 1)


def unit(name: str, parent: str | None, since: date = date(2026, 1, 1), until: date | None = None) -> Unit:
    return Unit(id=name, parent=parent, name={"en": name}, valid_from=since, valid_to=until)


UNITS = Units(
    [
        unit("city", None),
        unit("kymp", "city"),
        unit("sote", "city"),
        unit("permits", "kymp", until=MOVED),
        unit("permits", "sote", since=MOVED),
    ]
)


def use(name: str, where: str, project: str | None = None, systems: tuple[str, ...] = ("claude",)) -> UseCase:
    return UseCase(
        id=name, name={"en": name}, unit=where, owner="head", purpose="p", systems=systems, risk_class="limited",
        project=project, valid_from=date(2026, 1, 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("nano", "band"),
    [
        pytest.param(-EURO, "none", id="a credit costs nothing"),
        pytest.param(0, "none", id="nothing"),
        pytest.param(1, "under_1000", id="the least there is"),
        pytest.param(1_000 * EURO - 1, "under_1000", id="the last below a thousand"),
        pytest.param(1_000 * EURO, "under_10000", id="a thousand belongs to the band above"),
        pytest.param(10_000 * EURO - 1, "under_10000", id="the last below ten thousand"),
        pytest.param(10_000 * EURO, "under_50000", id="ten thousand"),
        pytest.param(50_000 * EURO - 1, "under_50000", id="the last below fifty thousand"),
        pytest.param(50_000 * EURO, "under_250000", id="fifty thousand"),
        pytest.param(250_000 * EURO - 1, "under_250000", id="the last below a quarter of a million"),
        pytest.param(250_000 * EURO, "over_250000", id="a quarter of a million"),
    ],
)
def test_a_band_begins_at_its_edge(nano: int, band: str) -> None:
    assert band_of(nano) == band


@given(st.decimals(min_value=0, max_value=10**7, places=9), st.decimals(min_value=0, max_value=10**7, places=9))
def test_who_costs_more_is_in_no_lower_band(one: Decimal, other: Decimal) -> None:
    order = ["none", "under_1000", "under_10000", "under_50000", "under_250000", "over_250000"]
    low, high = sorted([int(one * EURO), int(other * EURO)])
    assert order.index(band_of(low)) <= order.index(band_of(high))


@pytest.mark.parametrize(
    ("today", "first", "last"),
    [
        (date(2026, 11, 23), date(2025, 11, 1), date(2026, 10, 31)),
        (date(2026, 1, 1), date(2025, 1, 1), date(2025, 12, 31)),
        (date(2028, 3, 1), date(2027, 3, 1), date(2028, 2, 29)),
    ],
)
def test_the_twelve_months_are_over(today: date, first: date, last: date) -> None:
    assert whole_months(today) == (first, last)


def test_a_use_costs_what_carries_its_project_and_nothing_else() -> None:
    sums = [ProjectSum("P-1", 600 * EURO, 0), ProjectSum("P-1", 500 * EURO, 0), ProjectSum("P-2", 10**6 * EURO, 0)]
    paid = [UnitSum(DAY, "kymp", "claude", 10**6 * EURO, 0)]
    assert bands_of([use("a", "kymp", "P-1")], UNITS, sums, paid) == {"a": "under_10000"}


def test_without_a_project_a_use_costs_what_its_unit_and_those_below_pay_as_they_were_that_day() -> None:
    paid = [
        UnitSum(DAY, "permits", "claude", 900 * EURO, 0),
        UnitSum(MOVED, "permits", "claude", 20_000 * EURO, 0),
        UnitSum(DAY, "kymp", "other", 10**6 * EURO, 0),
    ]
    uses = [use("of-kymp", "kymp"), use("of-sote", "sote"), use("of-all", "city", systems=("claude", "claude"))]
    found = bands_of(uses, UNITS, [], paid)
    assert found == {"of-kymp": "under_1000", "of-sote": "under_50000", "of-all": "under_50000"}


def test_what_is_not_priced_wholly_has_no_band() -> None:
    sums = [ProjectSum("P-1", 600 * EURO, 1), ProjectSum("P-2", 600 * EURO, 0)]
    assert bands_of([use("a", "kymp", "P-1"), use("b", "kymp", "P-2")], UNITS, sums, []) == {"b": "under_1000"}


def test_a_use_that_nothing_was_paid_for_costs_nothing() -> None:
    assert bands_of([use("a", "kymp", "P-9"), use("b", "sote")], UNITS, [], []) == {"a": "none", "b": "none"}


def test_only_what_two_looks_agree_on_and_nobody_was_told_is_told() -> None:
    told = to_tell(
        {"new": "none", "same": "under_1000", "moved": "under_10000", "wavers": "under_10000"},
        {"new": "none", "same": "under_1000", "moved": "under_10000", "wavers": "under_1000"},
        {"same": "under_1000", "moved": "under_1000", "gone": "none"},
        DAY,
    )
    assert told == [
        UseCaseCost(use_case="moved", as_of=DAY, band="under_10000"),
        UseCaseCost(use_case="new", as_of=DAY, band="none"),
    ]
