"""Chance that repeats, hours of days that are not always 24, and when the stories happen."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.periods import helsinki_day
from services.simulator.rhythm import OFFICE_HOURS, PUBLIC_HOURS, count, days, draw, growth, hours_of, moment_on
from services.simulator.stories import SEATS_A_DAY, Stories
from tests.unit.simulator.asking import TODAY

DAYS = st.dates(date(2026, 1, 1), date(2028, 12, 31))


def test_chance_is_the_same_on_every_machine() -> None:
    assert draw(1, date(2026, 11, 1), "claude").randrange(10**9) == 15_477_839


@given(st.integers(), DAYS, st.text())
def test_chance_depends_on_seed_and_matter_only(seed: int, day: date, what: str) -> None:
    assert draw(seed, day, what).random() == draw(seed, day, what).random()


def test_joined_matters_are_not_confused() -> None:
    assert draw(1, "a b", "c").random() != draw(1, "a", "b c").random()


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 1), 24)],
)
def test_a_day_has_all_its_hours_once(day: date, hours: int) -> None:
    moments = [moment for moment, _ in hours_of(day)]
    assert len(moments) == len(set(moments)) == hours
    assert {helsinki_day(moment) for moment in moments} == {day}


@given(st.integers(0, 1000), DAYS, st.sampled_from([OFFICE_HOURS, PUBLIC_HOURS]))
def test_a_moment_lies_on_its_helsinki_day(seed: int, day: date, hours: tuple[int, ...]) -> None:
    moment = moment_on(draw(seed), day, hours)
    assert helsinki_day(moment) == day
    assert moment.tzinfo is UTC
    assert moment.microsecond == 0


@given(st.integers(0, 1000), st.floats(0, 1e6), st.floats(0, 0.5))
def test_counts_are_never_negative(seed: int, usual: float, spread: float) -> None:
    assert count(draw(seed), usual, spread) >= 0


def test_growth_is_by_the_month() -> None:
    assert growth(date(2026, 1, 1), 0.08) == 1.0
    assert growth(date(2026, 1, 31), 0.08) == pytest.approx(1.08)


def test_days_are_half_open() -> None:
    assert list(days(date(2026, 2, 27), date(2026, 3, 1))) == [date(2026, 2, 27), date(2026, 2, 28)]


@given(st.integers(1, 730), DAYS)
def test_every_story_lies_in_the_past(history: int, today: date) -> None:
    told = Stories(1, history, today)
    for day in (
        told.outage[0],
        told.restated_day,
        told.restated_file_day,
        told.new_model_from,
        told.library_seats_from,
    ):
        assert told.first_day <= day < today
    assert told.last_business_day.weekday() < 5
    assert told.restated_at >= datetime.combine(told.restated_day, datetime.min.time(), UTC) + timedelta(days=2)


def test_the_outage_takes_two_days_and_never_today() -> None:
    told = Stories(1, 120, TODAY)
    out = [day for day in days(told.first_day, TODAY + timedelta(days=2)) if told.is_out(_noon(day))]
    assert out == list(told.outage) == [date(2026, 10, 23), date(2026, 10, 24)]
    assert not Stories(1, 1, TODAY).is_out(_noon(TODAY))


@given(st.integers(30, 300))
def test_the_library_spends_the_same_in_fewer_days(history: int) -> None:
    told = Stories(1, history, TODAY)
    bot = sum(told.ramp(day) * told.library_strength() for day in days(told.first_day, TODAY)) / 120
    assert (1 - SEATS_A_DAY * 120) * bot + SEATS_A_DAY * history == pytest.approx(1, rel=0.03)


def _noon(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
