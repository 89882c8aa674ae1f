"""The quick reader of headers takes and refuses what the slow one does."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.shared.tlog.entry import EntryError, HeaderReader, Position, make_entry, parse_entry

WHEN = datetime(2026, 11, 17, 8, 0, 0, 500_000, tzinfo=UTC)
TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(['"', "\\", 'a,"offset":', 'x","topic":"y', "å\u2028"]))
TIMES = st.datetimes(timezones=st.just(UTC)) | st.just(WHEN) | st.just(WHEN.replace(microsecond=0))


def slowly(entry: bytes) -> object:
    try:
        found = parse_entry(entry)
    except EntryError:
        return None
    return found.position, found.value


def quickly(reader: HeaderReader, entry: bytes) -> object:
    try:
        place, offset, moment, start = reader(entry)
    except EntryError:
        return None
    return Position(*place, offset, moment), entry[start:]


POSITIONS = st.builds(Position, TEXTS, TEXTS, st.integers(-1, 2**40), st.integers(-1, 2**70), TIMES)


@given(POSITIONS, st.binary(max_size=30))
def test_every_entry_is_read_alike(position: Position, value: bytes) -> None:
    entry = make_entry(position, value)
    reader = HeaderReader()
    assert quickly(reader, entry) == quickly(reader, entry) == slowly(entry) is not None


GOOD = make_entry(Position("c-1", "t", 0, 17, WHEN), b"{}")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@example(0, 0)
def test_every_changed_byte_is_judged_alike(at: int, byte: int) -> None:
    changed = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    reader = HeaderReader()
    reader(GOOD)
    assert quickly(reader, changed) == slowly(changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b":17,", b":017,", id="a leading zero"),
        pytest.param(b".500000Z", b".000000Z", id="microseconds of zero"),
        pytest.param(b".500000Z", b".500Z", id="milliseconds"),
        pytest.param(b".500000Z", b".500000+00:00", id="an offset for Z"),
        pytest.param(b"T08:", b"T24:", id="the hour 24"),
        pytest.param(b"-11-17", b"-02-30", id="a day that does not exist"),
        pytest.param(b"}\n", b"} \n", id="a space"),
        pytest.param(b'"v":1', b'"v":2', id="another version"),
        pytest.param(b'"t"', b'"\\u0074"', id="a letter spelt otherwise"),
    ],
)
def test_another_spelling_is_refused_although_the_partition_is_known(old: bytes, new: bytes) -> None:
    reader = HeaderReader()
    reader(GOOD)
    changed = GOOD.replace(old, new, 1)
    assert changed != GOOD
    assert quickly(reader, changed) is None is slowly(changed)


@pytest.mark.parametrize(
    ("cluster", "time"),
    [
        pytest.param("\\ud800", "2026-11-17T08:00:00Z", id="half a character"),
        pytest.param("c", "0001-01-01T00:00:00+05:00", id="a time before the calendar"),
        pytest.param("c", "9999-12-31T23:59:59-05:00", id="a time after the calendar"),
    ],
)
def test_what_cannot_be_written_again_is_refused(cluster: str, time: str) -> None:
    header = f'{{"v":1,"cluster":"{cluster}","topic":"t","partition":0,"offset":0,"ingest_time":"{time}"}}'
    with pytest.raises(EntryError):
        HeaderReader()(header.encode() + b"\n{}")
