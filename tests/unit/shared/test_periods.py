"""Helsinki days and months, across both changes of the clocks."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.periods import Month, Period, day_period, day_start, helsinki_day, timestamp, utc, year_period

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(date(2026, 3, 29), 23, id="the clocks go forward"),
        pytest.param(date(2026, 10, 25), 25, id="the clocks go back"),
        pytest.param(date(2026, 11, 17), 24, id="an ordinary day"),
    ],
)
def test_a_helsinki_day_has_as_many_hours_as_its_clocks_say(day: date, hours: int) -> None:
    period = day_period(day)
    assert period.end - period.start == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        pytest.param("2026-10-24T20:59:59Z", date(2026, 10, 24), id="the last second of summer-time Saturday"),
        pytest.param("2026-10-24T21:00:00Z", date(2026, 10, 25), id="the first instant of the long Sunday"),
        pytest.param("2026-10-25T21:59:59Z", date(2026, 10, 25), id="its last second, an hour later by UTC"),
        pytest.param("2026-10-25T22:00:00Z", date(2026, 10, 26), id="Monday in winter time"),
        pytest.param("2026-03-28T22:00:00Z", date(2026, 3, 29), id="the short Sunday begins in winter time"),
        pytest.param("2026-03-29T21:00:00Z", date(2026, 3, 30), id="and ends in summer time"),
        pytest.param("2026-12-31T22:00:00Z", date(2027, 1, 1), id="the new year begins two hours before UTC's"),
    ],
)
def test_a_moment_belongs_to_its_helsinki_day(moment: str, day: date) -> None:
    assert helsinki_day(datetime.fromisoformat(moment)) == day


@given(MOMENTS)
def test_every_moment_lies_in_exactly_one_day(moment: datetime) -> None:
    day = helsinki_day(moment)
    assert moment in day_period(day)
    assert moment not in day_period(day - timedelta(days=1))
    assert moment not in day_period(day + timedelta(days=1))


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)))
def test_days_meet_without_gap_or_overlap(day: date) -> None:
    assert day_period(day).end == day_start(day + timedelta(days=1))


def test_months_and_years_are_counted_in_helsinki() -> None:
    november = Month.parse("2026-11")
    assert (november.days, str(november.next), str(Month(2026, 12).next)) == (30, "2026-12", "2027-01")
    assert timestamp(november.period.start) == "2026-10-31T22:00:00Z"
    assert timestamp(year_period(2026).start) == "2025-12-31T22:00:00Z"


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-11", "2026-11-01", "", "2026-\u0661\u0661"])
def test_what_is_not_a_month_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="2026-11"):
        Month.parse(text)


def test_a_period_is_half_open_and_runs_forward() -> None:
    start = datetime(2026, 11, 17, tzinfo=UTC)
    period = Period(start, start + timedelta(hours=1))
    assert start in period
    assert period.end not in period
    assert not period.overlaps(Period(period.end, period.end + timedelta(hours=1)))
    with pytest.raises(ValueError, match="ends after it starts"):
        Period(start, start)
    with pytest.raises(ValueError, match="time zone"):
        Period(datetime(2026, 1, 1), datetime(2026, 1, 2))  # noqa: DTZ001  # the missing zone is the case


def test_times_are_written_in_utc_with_z() -> None:
    assert timestamp(datetime.fromisoformat("2026-11-17T02:00:00+02:00")) == "2026-11-17T00:00:00Z"
    with pytest.raises(ValueError, match="without a time zone"):
        utc(datetime(2026, 11, 17))  # noqa: DTZ001  # the missing zone is the case
