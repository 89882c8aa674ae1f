"""What all sources share: which window comes next, pages, exact JSON, tables by column name."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.errors import SourceChangedError
from services.shared.periods import Period
from services.usage_collector.source import Answer, Cursor, Rereading, days_of, pages, read_csv, read_json

DAY = timedelta(days=1)
WINDOWS = Rereading(step=DAY, overlap=3 * DAY, revisable=31 * DAY, longest=31 * DAY, history=365 * DAY)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def passes(cursor: Cursor, until: datetime, windows: Rereading = WINDOWS) -> tuple[list[Period], Cursor]:
    """One whole pass: its windows, and the cursor after it."""
    read = []
    while (found := windows.window(cursor, until)) is not None:
        window, deep = found
        read.append(window)
        cursor, more = windows.after(cursor, window, until, deep=deep)
        if not more:
            break
    return read, cursor


def test_the_first_pass_begins_with_the_year_in_windows_the_vendor_allows() -> None:
    read, cursor = passes({}, at("2026-03-05T10:00"))
    assert [(window.start, window.end) for window in read] == [
        (at("2026-01-01"), at("2026-02-01")),
        (at("2026-02-01"), at("2026-03-04")),
        (at("2026-03-04"), at("2026-03-05")),
    ]
    year = "2026-01-01T00:00:00Z"
    assert cursor == {"first": year, "next": "2026-03-05T00:00:00Z", "deep": "2026-03-05T00:00:00Z"}


def test_another_poll_of_the_day_reads_only_the_overlap_again() -> None:
    read, _ = passes({"next": "2026-03-05T00:00:00Z", "deep": "2026-03-05T00:00:00Z"}, at("2026-03-05T10:15"))
    assert read == [Period(at("2026-03-02"), at("2026-03-05"))]


def test_the_first_poll_of_a_day_reads_all_that_may_have_changed() -> None:
    read, cursor = passes({"next": "2026-03-05T00:00:00Z", "deep": "2026-03-05T00:00:00Z"}, at("2026-03-06T00:00"))
    assert (read[0].start, read[-1].end) == (at("2026-02-02"), at("2026-03-06"))
    assert cursor["deep"] == "2026-03-06T00:00:00Z"


def test_after_a_long_stop_nothing_is_left_out() -> None:
    read, _ = passes({"next": "2026-03-05T00:00:00Z", "deep": "2026-03-05T00:00:00Z"}, at("2026-06-01T00:00"))
    assert read[0].start == at("2026-02-02")
    assert all(earlier.end == later.start for earlier, later in pairwise(read))
    assert read[-1].end == at("2026-06-01")


def test_what_the_vendor_no_longer_keeps_is_not_asked_for() -> None:
    read, _ = passes({"next": "2024-01-01T00:00:00Z"}, at("2026-06-01T00:00"))
    assert read[0].start == at("2025-06-02")


def test_nothing_is_read_before_the_first_period_is_closed() -> None:
    assert WINDOWS.window({}, at("2026-01-01T23:59")) is None


def test_a_clock_set_back_reads_nothing_new_and_forgets_nothing() -> None:
    cursor: Cursor = {"next": "2026-03-05T00:00:00Z", "deep": "2026-03-05T00:00:00Z"}
    read, after = passes(cursor, at("2026-03-01T10:00"))
    assert all(window.end <= at("2026-03-01") for window in read)
    assert after["next"] == cursor["next"]


def test_rewinding_reads_again_from_that_day_and_keeps_what_was_read() -> None:
    cursor = WINDOWS.rewind({"next": "2026-03-05T00:00:00Z", "deep": "2026-03-05T00:00:00Z"}, at("2026-01-10T15:00"))
    read, after = passes(cursor, at("2026-03-05T10:00"))
    assert (read[0].start, read[-1].end) == (at("2026-01-10"), at("2026-03-05"))
    first = "2026-01-10T00:00:00Z"
    assert after == {"first": first, "next": "2026-03-05T00:00:00Z", "deep": "2026-03-05T00:00:00Z"}


@given(st.lists(st.integers(min_value=0, max_value=200_000), min_size=1, max_size=12))
def test_passes_at_any_moments_leave_no_closed_day_unread(steps: list[int]) -> None:
    cursor: Cursor = {}
    now, read = at("2026-01-03T00:00"), set[date]()
    for minutes in steps:
        now = min(now + timedelta(minutes=minutes), at("2026-12-30"))
        windows, cursor = passes(cursor, now)
        read |= {day for window in windows for day in days_of(window)}
        wanted = {at("2026-01-01").date() + DAY * number for number in range((now.date() - date(2026, 1, 1)).days)}
        assert read == wanted


def test_days_of_a_period_are_whole() -> None:
    assert list(days_of(Period(at("2026-03-01T00:01"), at("2026-03-04T23:59")))) == [date(2026, 3, 2), date(2026, 3, 3)]
    assert list(days_of(Period(at("2026-03-01"), at("2026-03-02")))) == [date(2026, 3, 1)]
    assert list(days_of(Period(at("2026-03-01T10:00"), at("2026-03-01T11:00")))) == []


def test_pages_follow_cursors_to_the_end() -> None:
    book = {None: ("one", "a"), "a": ("two", "b"), "b": ("three", None)}
    assert list(pages(lambda place: book[place], "vendor")) == ["one", "two", "three"]


@pytest.mark.parametrize(
    "book",
    [
        pytest.param({None: ("one", "a"), "a": ("two", "a")}, id="the same cursor again"),
        pytest.param({None: ("one", "a"), "a": ("two", "b"), "b": ("three", "a")}, id="a circle"),
    ],
)
def test_a_cursor_that_loops_is_a_changed_source(book: dict[str | None, tuple[str, str | None]]) -> None:
    with pytest.raises(SourceChangedError, match="came back"):
        list(pages(lambda place: book[place], "vendor"))


def test_decimals_of_json_keep_their_digits() -> None:
    assert read_json(Answer(b'{"a": 12345678901234567890.12}'), "vendor") == {"a": Decimal("12345678901234567890.12")}


def test_a_table_is_read_by_column_name() -> None:
    body = "\ufeffOther,USER Principal Name , Last Activity Date\r\n1,a@b,2026-10-01\r\n".encode()
    assert read_csv(Answer(body), "vendor", ["user principal name", "last activity date"]) == [
        {"other": "1", "user principal name": "a@b", "last activity date": "2026-10-01"}
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>", "web page"),
        (b"a,b\n1,2\n", "lacks the columns c"),
        (b"", "lacks the columns"),
        (b"a,b,c\n1,2,3\n1,2\n", "cut short"),
        (b"a,b,c\n1,2,3,4\n", "cut short"),
        (b'a,b,c\n1,2,"3\n', "not a CSV table"),
        (b"\xff\xfe\x00a", "not a CSV table"),
    ],
)
def test_what_is_no_table(body: bytes, says: str) -> None:
    with pytest.raises(SourceChangedError, match=says):
        read_csv(Answer(body), "vendor", ["a", "c"])
