"""Due times: business hours of Helsinki, with holidays and both changes of summer time."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit_log.domain.reviews.calendar import due_time, is_business_day
from services.shared.periods import HELSINKI


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=HELSINKI)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        pytest.param("2026-11-17 09:30", 2, "2026-11-17 11:30", id="within a day"),
        pytest.param("2026-11-17 15:00", 2, "2026-11-18 09:00", id="over the evening"),
        pytest.param("2026-11-17 03:00", 1, "2026-11-17 09:00", id="made at night"),
        pytest.param("2026-11-17 20:00", 1, "2026-11-18 09:00", id="made in the evening"),
        pytest.param("2026-11-17 08:00", 8, "2026-11-17 16:00", id="due at closing, not at the next opening"),
        pytest.param("2026-11-20 15:00", 2, "2026-11-23 09:00", id="over a weekend"),
        pytest.param("2026-11-21 12:00", 1, "2026-11-23 09:00", id="made on a Saturday"),
        pytest.param("2026-06-18 15:00", 2, "2026-06-22 09:00", id="over Midsummer Eve and Day"),
        pytest.param("2026-12-23 15:00", 2, "2026-12-28 09:00", id="over Christmas"),
        pytest.param("2026-04-02 15:00", 2, "2026-04-07 09:00", id="over Easter, which moves"),
        pytest.param("2027-03-25 15:00", 2, "2027-03-30 09:00", id="over Easter and into summer time"),
        pytest.param("2026-03-27 15:00", 2, "2026-03-30 09:00", id="into summer time: 65 hours later, not 66"),
        pytest.param("2026-10-23 15:00", 2, "2026-10-26 09:00", id="out of summer time: 67 hours later, not 66"),
        pytest.param("2026-12-30 12:00", 16, "2027-01-04 12:00", id="over New Year"),
        pytest.param("2026-11-17 08:00", 400, "2027-01-29 16:00", id="fifty days"),
    ],
)
def test_due_times(start: str, hours: int, due: str) -> None:
    found = due_time(local(start), hours)
    assert found == local(due).astimezone(UTC)
    assert found.tzinfo is UTC


def test_both_changes_of_summer_time_are_felt() -> None:
    spring, autumn = local("2026-03-27 15:00"), local("2026-10-23 15:00")
    assert due_time(spring, 2) - spring.astimezone(UTC) == timedelta(hours=65)
    assert due_time(autumn, 2) - autumn.astimezone(UTC) == timedelta(hours=67)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 6, 19), False), (date(2026, 12, 24), False), (date(2026, 12, 6), False), (date(2026, 12, 7), True),
        (date(2026, 5, 1), False), (date(2026, 5, 14), False), (date(2026, 11, 22), False), (date(2026, 11, 23), True),
        (date(2026, 11, 6), True),
    ],
)  # fmt: skip
def test_business_days(day: date, works: bool) -> None:
    assert is_business_day(day) is works


moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None)
@given(moments, st.integers(1, 200))
def test_due_times_lie_in_business_hours_and_never_before_their_time(start: datetime, hours: int) -> None:
    due = due_time(start, hours)
    assert due >= start + timedelta(hours=hours)
    wall = due.astimezone(HELSINKI)
    assert is_business_day(wall.date())
    assert wall.hour > 8 or (wall.hour == 8 and wall.replace(hour=8, minute=0, second=0, microsecond=0) < wall)
    assert wall.hour < 16 or (wall.hour, wall.minute, wall.second, wall.microsecond) == (16, 0, 0, 0)


@settings(deadline=None)
@given(moments, st.integers(1, 50), st.integers(1, 50))
def test_hours_add_up(start: datetime, first: int, second: int) -> None:
    assert due_time(due_time(start, first), second) == due_time(start, first + second)


@settings(deadline=None)
@given(moments, moments, st.integers(1, 50))
def test_who_starts_later_is_not_due_earlier(one: datetime, other: datetime, hours: int) -> None:
    early, late = sorted((one, other))
    assert due_time(early, hours) <= due_time(late, hours)
