"""What kind of day each is, in the years that the rules were written for."""

from datetime import date, timedelta

import pytest

from services.cost_alerts.domain.foresight.calendar import Kind, kinds

_CASES = [
    pytest.param(date(2026, 6, 18), Kind.EVE, id="the Thursday before Midsummer Eve"),
    pytest.param(date(2026, 6, 19), Kind.HOLIDAY, id="Midsummer Eve, which the law does not know"),
    pytest.param(date(2026, 5, 14), Kind.HOLIDAY, id="Ascension Day, a Thursday"),
    pytest.param(date(2026, 5, 15), Kind.EVE, id="the Friday after Ascension Day"),
    pytest.param(date(2026, 4, 30), Kind.EVE, id="the day before May Day"),
    pytest.param(date(2026, 12, 6), Kind.HOLIDAY, id="Independence Day on a Sunday"),
    pytest.param(date(2026, 10, 30), Kind.ORDINARY, id="the Friday before All Saints' Day, which is a Saturday"),
    pytest.param(date(2026, 12, 5), Kind.ORDINARY, id="a Saturday is no eve: nobody works anyway"),
    pytest.param(date(2026, 12, 23), Kind.AROUND, id="23 December"),
    pytest.param(date(2026, 12, 24), Kind.CHRISTMAS, id="Christmas Eve"),
    pytest.param(date(2026, 12, 28), Kind.BETWEEN, id="between Christmas and New Year"),
    pytest.param(date(2026, 12, 31), Kind.NEW_YEAR, id="New Year's Eve"),
    pytest.param(date(2027, 1, 1), Kind.NEW_YEAR, id="New Year's Day"),
    pytest.param(date(2027, 1, 5), Kind.AROUND, id="the day before Epiphany"),
    pytest.param(date(2027, 1, 6), Kind.HOLIDAY, id="Epiphany"),
    pytest.param(date(2026, 7, 15), Kind.ORDINARY, id="July: it is learned from the July before"),
]


@pytest.mark.parametrize(("day", "expected"), _CASES)
def test_a_day_has_its_kind(day: date, expected: Kind) -> None:
    assert kinds(day, 1) == [expected]


def test_a_stretch_has_the_kinds_of_its_days() -> None:
    first = date(2025, 11, 20)
    found = kinds(first, 500)
    assert list(found) == [kinds(first + timedelta(days=number), 1)[0] for number in range(500)]


def test_another_country_has_its_own_holidays() -> None:
    independence_day = date(2027, 12, 6)
    assert kinds(independence_day, 1) == [Kind.HOLIDAY]
    assert kinds(independence_day, 1, "AU-VIC") == [Kind.ORDINARY]


def test_no_days_have_no_kinds() -> None:
    assert len(kinds(date(2026, 1, 1), 0)) == 0
