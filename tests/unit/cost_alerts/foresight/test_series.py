"""A series in a file."""

import math
from datetime import date

import numpy as np
import pytest

from services.cost_alerts.domain.foresight.series import read_series

HEADER = "day,cost"


def test_days_come_in_any_order_and_those_that_are_missing_are_not_known() -> None:
    found = read_series([HEADER, "2026-11-04,2.5", "2026-11-01, 1", '"2026-11-02",0'])
    assert found.first_day == date(2026, 11, 1)
    np.testing.assert_array_equal(found.values, [[1.0, 0.0, np.nan, 2.5]])


def test_logarithms_are_undone() -> None:
    found = read_series([HEADER, f"2026-11-01,{math.log(42.0)}"], logarithmic=True)
    assert found.values[0, 0] == pytest.approx(42.0)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        pytest.param([], "found no day", id="nothing"),
        pytest.param([HEADER], "found no day", id="a header alone"),
        pytest.param([HEADER, "2026-11-01,1", "2026-11-01,1"], "line 3: found 2026-11-01 a second", id="a day twice"),
        pytest.param([HEADER, "1.11.2026,1"], "line 2: found '1.11.2026,1', expected a day", id="another date"),
        pytest.param([HEADER, "2026-11-01,abc"], "line 2: found '2026-11-01,abc'", id="no number"),
        pytest.param([HEADER, "2026-11-01,1,2"], "line 2: found '2026-11-01,1,2'", id="three columns"),
        pytest.param([HEADER, "2026-11-01,nan"], "expected a finite number", id="not a number"),
        pytest.param([HEADER, "1826-11-01,1", "2026-11-01,1"], "at most 20000 fit", id="a mistyped year"),
    ],
)
def test_what_is_no_series_is_refused(lines: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_series(lines)
