"""How values stand in columns, and how rows are added up before the database sees them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.store import chunks, summed
from services.shared.store.tables import instant, micros


@pytest.mark.parametrize(
    ("moment", "value"),
    [
        pytest.param(datetime(1970, 1, 1, tzinfo=UTC), 0, id="the beginning"),
        pytest.param(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0, id="the beginning in Helsinki"),
        pytest.param(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1, id="a microsecond before"),
        pytest.param(
            datetime(2026, 11, 17, 0, 0, 0, 1, tzinfo=UTC), 1_794_873_600_000_001, id="date -d 2026-11-17Z +%s"
        ),
    ],
)
def test_an_instant_is_whole_microseconds_since_1970(moment: datetime, value: int) -> None:
    assert micros(moment) == value
    assert instant(value) == moment


@given(st.datetimes(timezones=st.timezones()))
def test_instants_come_back_exactly(moment: datetime) -> None:
    assert instant(micros(moment)) == moment.astimezone(UTC)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        micros(datetime(2026, 11, 17))  # noqa: DTZ001  # that is the fault


@given(st.lists(st.integers()), st.integers(1, 7))
def test_runs_are_the_rows_in_order_and_not_too_long(rows: list[int], size: int) -> None:
    runs = list(chunks(rows, size))
    assert [row for run in runs for row in run] == rows
    assert all(0 < len(run) <= size for run in runs)


def test_rows_of_a_key_are_added_up_and_keys_are_in_order() -> None:
    rows = [(2, "b", 10, 1), (1, "z", 5, 1), (2, "b", -3, 1), (2, "a", 0, 1)]
    assert summed(rows, 2) == [(1, "z", 5, 1), (2, "a", 0, 1), (2, "b", 7, 2)]


def test_rows_of_unequal_width_are_a_defect() -> None:
    with pytest.raises(ValueError, match="zip"):
        summed([(1, 2, 3), (1, 2)], 1)
