from datetime import UTC, date, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cost_alerts.domain.closing import NOTHING_CLOSED, Closings, cut_off_of, month_number, month_of
from services.shared.periods import Month

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = (month_number(Month(2026, number)) for number in (8, 9, 10, 11))
ONE_CLOSED = Closings({SEPTEMBER: 100})
TWO_CLOSED = Closings({SEPTEMBER: 100, OCTOBER: 200})


def of(month: int, number: int) -> int:
    return month_of(month).first_day.toordinal() + number - 1


@pytest.mark.parametrize(
    ("closings", "month", "recorded_at", "booked_in"),
    [
        pytest.param(NOTHING_CLOSED, SEPTEMBER, 10**15, SEPTEMBER, id="nothing is closed"),
        pytest.param(ONE_CLOSED, SEPTEMBER, 100, SEPTEMBER, id="the last instant counts"),
        pytest.param(ONE_CLOSED, SEPTEMBER, 101, OCTOBER, id="later goes to the next month"),
        pytest.param(ONE_CLOSED, AUGUST, 101, AUGUST, id="a month that was never closed stays open"),
        pytest.param(TWO_CLOSED, SEPTEMBER, 150, OCTOBER, id="before the next was closed"),
        pytest.param(TWO_CLOSED, SEPTEMBER, 201, NOVEMBER, id="the earliest month that is open"),
        pytest.param(TWO_CLOSED, OCTOBER, 150, OCTOBER, id="the next month's own"),
    ],
)
def test_a_change_is_booked_in_the_earliest_month_that_was_open(
    closings: Closings, month: int, recorded_at: int, booked_in: int
) -> None:
    assert closings.booked_in(of(month, 15), recorded_at) == booked_in


@given(
    st.dictionaries(st.integers(AUGUST, NOVEMBER + 2), st.integers(0, 8), max_size=5),
    st.integers(AUGUST - 1, NOVEMBER + 4),
)
def test_what_a_month_takes_is_what_is_booked_in_it(cut_offs: dict[int, int], month: int) -> None:
    """Whatever order months were closed in: the two ways to ask agree, and no change is in two books."""
    closings = Closings(cut_offs)
    for of_month, number, moment in product(range(AUGUST - 1, NOVEMBER + 4), (1, 28), range(10)):
        day = of(of_month, number)
        taken = [
            one
            for one in closings.bookings(month)
            if one.first_day <= day <= one.last_day
            and (one.above is None or moment > one.above)
            and (one.up_to is None or moment <= one.up_to)
        ]
        assert len(taken) == (closings.booked_in(day, moment) == month)


@given(st.lists(st.tuples(st.integers(AUGUST, NOVEMBER), st.integers(0, 8)), min_size=1, max_size=5))
def test_no_later_closing_moves_the_books_of_a_closed_month(told: list[tuple[int, int]]) -> None:
    closings = NOTHING_CLOSED
    for month, cut_off in told:
        before = closings
        closings = before.with_month(month, cut_off) if month not in before.cut_offs else before
        changes = [(of(one, 1), moment) for one, moment in product(range(AUGUST, NOVEMBER + 2), range(10))]
        for day, moment in changes:
            was, now = before.booked_in(day, moment), closings.booked_in(day, moment)
            assert was == now or not {was, now} & set(before.cut_offs)


@pytest.mark.parametrize(
    ("told", "ingested", "counts"),
    [
        pytest.param("2026-10-05T08:00", "2026-10-05T08:01", "2026-10-05T08:00", id="as told"),
        pytest.param("2026-10-05T09:00", "2026-10-05T08:01", "2026-10-05T08:01", id="not ahead of its own event"),
        pytest.param("2026-10-01T08:00", "2026-10-05T08:01", "2026-10-04T21:00", id="not before the day it was told"),
    ],
)
def test_a_cut_off_lies_in_the_day_on_which_it_was_told(told: str, ingested: str, counts: str) -> None:
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (told, ingested, counts)]
    assert cut_off_of(moments[0], moments[1]) == moments[2]


def test_months_are_numbers() -> None:
    assert month_of(month_number(Month(2026, 12)) + 1) == Month(2027, 1)
    assert month_of(AUGUST).first_day == date(2026, 8, 1)
