"""Dead letters: written by the loop, listed once, shown as they came, replayed once."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from typer.testing import CliRunner

from services import deadletters as command
from services.shared.bus import Message, Record, TopicPartition
from services.shared.bus.memory import MemoryBus
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock, SystemClock
from services.shared.deadletters import (
    ATTEMPTS_HEADER,
    MAX_COPIED_BYTES,
    Copy,
    Letter,
    chosen,
    letter_messages,
    original,
    replay,
    waiting_letters,
)
from services.shared.errors import ConfigurationError, InvalidEventError
from services.shared.events import DEAD_LETTER, OUTCOMES, TOPICS, USAGE, decode
from services.shared.events.outcomes import RecordDeadLettered

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
USAGE_PARTITION = TopicPartition(USAGE.name, 0)


@pytest.fixture
def bus() -> MemoryBus:
    made = MemoryBus(SteppedClock(NOW), partitions=1)
    made.ensure_topics(TOPICS)
    return made


def put(
    bus: MemoryBus | SqliteBus, value: bytes, key: bytes = b"k", headers: tuple[tuple[str, bytes], ...] = ()
) -> Record:
    return bus.publish([Message(USAGE.name, key, value, headers)])[0]


def set_aside(bus: MemoryBus | SqliteBus, record: Record, reason: str = "sku: missing", group: str = "ledger") -> None:
    """As consumer and relay do it together."""
    later = NOW + timedelta(minutes=1)
    made = letter_messages(record, reason, cluster=bus.cluster_id, group=group, now=later, hash_key=b"key")
    for message in made:
        assert message.topic is not None
        bus.publish([Message(message.topic, message.key or b"", message.value)])


def ids(letters: list[Letter]) -> list[tuple[str, int]]:
    return [(letter.group, letter.offset) for letter in letters]


def test_letters_are_listed_oldest_first_and_each_once(bus: MemoryBus) -> None:
    records = [put(bus, b"{"), put(bus, b"[")]
    for record in (*records, records[0]):
        set_aside(bus, record)
    set_aside(bus, records[1], group="log")
    found = waiting_letters(bus)
    assert ids(found) == [("ledger", 0), ("ledger", 1), ("log", 1)]
    assert (found[0].reason, found[0].length, found[0].attempts, found[0].ingest_time) == ("sku: missing", 1, 1, NOW)


@given(
    st.binary(max_size=2_000), st.binary(max_size=100), st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=9)))
)
def test_any_bytes_are_kept_as_they_came(value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> None:
    bus = MemoryBus(SteppedClock(NOW), partitions=1)
    bus.ensure_topics(TOPICS)
    set_aside(bus, put(bus, value, key, tuple(headers)))
    (letter,) = waiting_letters(bus)
    assert original(bus, letter) == Copy(key=key, value=value, headers=tuple(headers))


def test_a_replay_publishes_the_same_bytes_and_is_not_offered_again(bus: MemoryBus) -> None:
    set_aside(bus, put(bus, b"\xff{", b"key", (("trace", b"1"),)))
    assert replay(bus, waiting_letters(bus), lambda: NOW) == 1
    again = bus.read(USAGE_PARTITION, 1, 10)
    assert [(r.key, r.value, r.headers) for r in again] == [
        (b"key", b"\xff{", (("trace", b"1"), (ATTEMPTS_HEADER, b"1")))
    ]
    assert waiting_letters(bus) == []


def test_a_record_that_fails_again_is_a_new_letter_that_counts_on(bus: MemoryBus) -> None:
    set_aside(bus, put(bus, b"{"))
    replay(bus, waiting_letters(bus), lambda: NOW)
    set_aside(bus, bus.read(USAGE_PARTITION, 1, 1)[0])
    assert [(letter.offset, letter.attempts) for letter in waiting_letters(bus)] == [(1, 2)]


def test_a_record_too_large_to_copy_is_read_from_where_it_stands(bus: MemoryBus) -> None:
    value = b"x" * (MAX_COPIED_BYTES + 1)
    set_aside(bus, put(bus, value))
    (letter,) = waiting_letters(bus)
    assert len(bus.read(TopicPartition(DEAD_LETTER.name, 0), 0, 1)[0].value) < 1_000
    assert original(bus, letter).value == value
    assert replay(bus, [letter], lambda: NOW) == 1


def test_the_largest_copy_still_fits_the_bus(bus: MemoryBus) -> None:
    set_aside(bus, put(bus, b"x" * (MAX_COPIED_BYTES - 20), b"0123456789"))
    assert len(waiting_letters(bus)) == 1


def test_the_outcome_holds_a_keyed_hash_and_no_bytes(bus: MemoryBus) -> None:
    set_aside(bus, put(bus, b'{"person": "Matti Virtanen"}'), "data.person: unknown member\nof  it" + "x" * 400)
    (record,) = bus.read(TopicPartition(OUTCOMES.name, 0), 0, 10)
    event = decode(record.value)
    assert isinstance(event, RecordDeadLettered)
    # HMAC-SHA-256(b"key", the value), computed with openssl dgst -sha256 -hmac key
    assert event.data.value_hash == "691b3c001560ac6eae77333c576d5e47c4f4484968d3b08c0d9e0837cd558c80"
    assert event.data.reason.startswith("data.person: unknown member of  it")
    assert len(event.data.reason) == 256
    assert b"Virtanen" not in record.value


@pytest.mark.parametrize("prefixes", [["zzz"], [""]])
def test_a_prefix_that_names_none_or_several_is_refused(bus: MemoryBus, prefixes: list[str]) -> None:
    for value in (b"{", b"["):
        set_aside(bus, put(bus, value))
    with pytest.raises(InvalidEventError, match="expected one"):
        chosen(waiting_letters(bus), prefixes)


def test_something_else_on_the_topic_hides_no_letter(bus: MemoryBus) -> None:
    set_aside(bus, put(bus, b"{"))
    bus.publish([Message(DEAD_LETTER.name, b"", b"{}")])
    set_aside(bus, put(bus, b"["))
    with capture_logs() as lines:
        letters = waiting_letters(bus)
    assert ids(letters) == [("ledger", 0), ("ledger", 1)]
    assert [(line["topic"], line["partition"], line["offset"]) for line in lines] == [(DEAD_LETTER.name, 0, 1)]
    assert original(bus, letters[1]).value == b"["
    assert replay(bus, letters, lambda: NOW) == 2
    assert waiting_letters(bus) == []


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("VALVOMO_DATA_DIR", str(tmp_path))
        bus = SqliteBus(tmp_path / "bus.db", SystemClock(), 1)
        bus.ensure_topics(TOPICS)
        set_aside(bus, put(bus, b'\x1b[31m{"a": 1', b"key"), "a [link] here")
        bus.close()

    def run(self, *words: str) -> tuple[int, str]:
        result = CliRunner().invoke(command.app, words, env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def test_a_person_lists_shows_and_replays(self) -> None:
        code, listed = self.run("list", "--json")
        (letter,) = json.loads(listed)
        assert (code, letter["topic"], letter["offset"]) == (1, USAGE.name, 0)
        code, shown = self.run("show", letter["letter_id"][:9])
        assert code == 0
        assert r"\x1b[31m" in shown
        assert "\x1b[31m" not in shown
        assert self.run("replay", letter["letter_id"]) == (0, "1 replayed\n")
        assert self.run("list") == (0, "no dead letters wait\n")

    def test_a_line_about_something_else_on_the_topic_stays_out_of_the_answer(self, tmp_path: Path) -> None:
        bus = SqliteBus(tmp_path / "bus.db", SystemClock(), 1)
        bus.publish([Message(DEAD_LETTER.name, b"", b"{}")])
        bus.close()
        result = CliRunner().invoke(command.app, ["list", "--json"])
        assert len(json.loads(result.stdout)) == 1
        assert "no dead letter" in result.stderr

    def test_the_table_shows_a_reason_with_brackets_whole(self) -> None:
        assert "a [link] here" in self.run("list")[1]

    def test_all_that_wait_are_replayed_at_once(self) -> None:
        assert self.run("replay", "--all", "--json") == (0, '{"replayed": 1}\n')

    @pytest.mark.parametrize("words", [["replay"], ["replay", "8f2c", "--all"]])
    def test_one_says_which_or_all(self, words: list[str]) -> None:
        with pytest.raises(ConfigurationError, match="--all"):
            self.run(*words)
