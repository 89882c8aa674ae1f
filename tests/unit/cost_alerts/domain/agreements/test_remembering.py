"""An agreement that is asked again and again says each time what one that is asked for the first time would say."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cost_alerts.domain.agreements.agreement import Known
from services.cost_alerts.domain.agreements.pool import Burnt, Day, Pools
from tests.unit.cost_alerts.domain.agreements.test_parts import FIRST, LAST, OVER, PEOPLE, hours, metered, persons, the
from tests.unit.cost_alerts.domain.city import book, contract, pool, tariff

quantities = st.integers(-50, 300).map(Decimal)
uses = st.lists(st.tuples(hours, persons, quantities), max_size=8)
TERMS = [
    pool(price="31", size="500"),
    pool(price="0", size="0", overage="none"),
    pool(price="31", size="300", overage_share={"by": "headcount"}),
    pool(price="31", size="200", carries_over=True, every="month"),
    pool(price="31", size="300", overage_share={"by": "usage"}, share={"by": "headcount"}),
]


@settings(deadline=None)
@given(st.sampled_from(TERMS), st.lists(uses, min_size=2, max_size=5), st.integers(0, 40))
def test_a_pool_says_what_one_that_remembers_nothing_would_say(
    term: dict[str, object], stories: list[list[tuple[int, str, Decimal]]], days: int
) -> None:
    view = book([contract(terms=[term]), tariff("0.5", per="1"), *PEOPLE]).view(1)
    today, asked_before, all_of_it = FIRST + timedelta(days=days), the("pool:c/p", view), []
    for story in stories:
        all_of_it += story
        for found in (story, all_of_it):
            known = Known(today, metered(found))
            fresh = the("pool:c/p", view)
            for cycle in fresh.cycles(FIRST, LAST):
                assert asked_before.parts(view, cycle, known) == fresh.parts(view, cycle, known)


@pytest.mark.parametrize(
    ("size", "added", "again"),
    [
        ("1000", 1, {1}),  # the pool lasts: the other days come to the same
        ("100", 3, {3}),  # it was dry before the day
        ("350", 1, {1, 4}),  # it now runs dry on the fourth day; before, there was room left after it
    ],
)
def test_a_reading_more_makes_only_days_that_it_changes_be_reckoned_again(
    size: str, added: int, again: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = book([contract(terms=[pool(price="31", size=size)]), tariff("0.5", per="1"), *PEOPLE]).view(1)
    found = the("pool:c/p", view)
    assert isinstance(found, Pools)
    before = [(24 * day, "p-0xx", Decimal(80)) for day in range(4)]
    [cycle] = [one for one in found.cycles(FIRST, FIRST) if one.starts.date() == FIRST]
    found.parts(view, cycle, Known(OVER, metered(before)))
    reckoned: set[date] = set()
    reckon = Day._reckoned

    def noted(day: Day, left: Fraction) -> Burnt:
        reckoned.add(day.metered[0].use.day)
        return reckon(day, left)

    monkeypatch.setattr(Day, "_reckoned", noted)
    found.parts(view, cycle, Known(OVER, metered([*before, (24 * (added - 1) + 1, "p-1xx", Decimal(50))])))
    assert {day.day for day in reckoned} == again
