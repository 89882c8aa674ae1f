"""The bytes of an entry: one way to write them, and nothing else is read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog.entry import Entry, EntryError, Position, make_entry, parse_entry

POSITION = Position("c-1", "valvomo.usage", 2, 41, datetime(2026, 11, 18, 4, 0, 7, 120_000, tzinfo=UTC))
HEADER = (
    b'{"v":1,"cluster":"c-1","topic":"valvomo.usage","partition":2,"offset":41,'
    b'"ingest_time":"2026-11-18T04:00:07.120000Z"}'
)


def test_an_entry_is_a_header_line_and_the_value_unchanged() -> None:
    assert make_entry(POSITION, b'{"a": 1}\n') == HEADER + b'\n{"a": 1}\n'


positions = st.builds(
    Position,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.sampled_from(["valvomo.usage", "valvomo.outcomes"]),
    st.integers(0, 1000),
    st.integers(0, 2**63 - 1),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis adds it
)


@settings(deadline=None)
@given(positions, st.binary(max_size=200))
def test_what_is_written_is_read(position: Position, value: bytes) -> None:
    assert parse_entry(make_entry(position, value)) == Entry(position, value)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEADER, id="no value"),
        pytest.param(HEADER.replace(b'"v":1', b'"v":2') + b"\n{}", id="another version"),
        pytest.param(HEADER.replace(b'"v":1', b'"v": 1') + b"\n{}", id="a space"),
        pytest.param(HEADER.replace(b'"v":1,', b"") + b"\n{}", id="a member less"),
        pytest.param(HEADER.replace(b'"v":1', b'"v":true') + b"\n{}", id="true for 1"),
        pytest.param(HEADER.replace(b':2,"o', b':2.0,"o') + b"\n{}", id="a float"),
        pytest.param(HEADER.replace(b"07.120000Z", b"07.12Z") + b"\n{}", id="another way to write the time"),
        pytest.param(HEADER.replace(b"07.120000Z", b"07.120000") + b"\n{}", id="no time zone"),
        pytest.param(b"[" * 100_000 + b"\n{}", id="nested too deep"),
        pytest.param(b"\xff\n{}", id="not UTF-8"),
    ],
)
def test_other_bytes_are_no_entry(raw: bytes) -> None:
    with pytest.raises(EntryError, match=r"header line|member|time zone"):
        parse_entry(raw)


def test_an_entry_has_a_limit() -> None:
    room = 65_535 - len(HEADER) - 1
    assert len(make_entry(POSITION, b"x" * room)) == 65_535
    with pytest.raises(EntryError, match="at most 65535"):
        make_entry(POSITION, b"x" * (room + 1))
