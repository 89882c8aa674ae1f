from datetime import date

import pytest

from services.cost_alerts.domain.freshness import easter, is_banking_day, is_old


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2000, 4, 23), (2008, 3, 23), (2011, 4, 24), (2025, 4, 20), (2026, 4, 5), (2038, 4, 25)]
)
def test_easter(year: int, month: int, day: int) -> None:
    assert easter(year) == date(year, month, day)


@pytest.mark.parametrize(
    ("day", "is_one"),
    [
        pytest.param(date(2026, 10, 2), True, id="a Friday"),
        pytest.param(date(2026, 10, 3), False, id="a Saturday"),
        pytest.param(date(2026, 4, 3), False, id="Good Friday"),
        pytest.param(date(2026, 4, 6), False, id="Easter Monday"),
        pytest.param(date(2026, 4, 7), True, id="the day after"),
        pytest.param(date(2026, 5, 1), False, id="the first of May"),
        pytest.param(date(2026, 12, 25), False, id="Christmas"),
        pytest.param(date(2026, 12, 6), False, id="a Sunday"),
        pytest.param(date(2026, 12, 8), True, id="a Finnish holiday would be another matter"),
    ],
)
def test_days_on_which_rates_are_published(day: date, is_one: bool) -> None:
    assert is_banking_day(day) == is_one


@pytest.mark.parametrize(
    ("rate_day", "day", "old"),
    [
        pytest.param(date(2026, 10, 1), date(2026, 10, 2), False, id="yesterday's"),
        pytest.param(date(2026, 10, 2), date(2026, 10, 9), False, id="four banking days between"),
        pytest.param(date(2026, 10, 2), date(2026, 10, 10), True, id="five banking days between"),
        pytest.param(date(2026, 4, 2), date(2026, 4, 11), False, id="over Easter"),
        pytest.param(date(2025, 10, 2), date(2026, 10, 2), True, id="a year"),
    ],
)
def test_a_rate_grows_old_by_banking_days(rate_day: date, day: date, old: bool) -> None:
    assert is_old(rate_day, day) == old
