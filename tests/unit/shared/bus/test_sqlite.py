"""What is special about the embedded bus: one file, several processes, and what can befall a file."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.shared.bus import BusConsumer, Message, Record, TopicPartition
from services.shared.bus.groups import Bounds
from services.shared.bus.sqlite import SqliteBus
from services.shared.bus.sqlite_file import translated
from services.shared.clock import SteppedClock
from services.shared.errors import ConfigurationError, IncompatibleStoreError, PlatformError, TransientError
from services.shared.events.topics import Topic

START = datetime(2026, 11, 18, 4, tzinfo=UTC)
PATIENCE_SECONDS = 20.0
ONE = Topic("one", partitions=1)
SHORT_LIVED = Topic("short", partitions=1, retention_days=30)
PLACE = TopicPartition("one", 0)

PUBLISH = """
import sys
from pathlib import Path
from services.shared.bus import Message
from services.shared.bus.sqlite import SqliteBus
from services.shared.events.topics import Topic
path, key, count = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
bus = SqliteBus(path)
bus.ensure_topics([Topic("one", partitions=1)])
for number in range(count):
    bus.publish([Message("one", key, b"%d" % number)])
    print(number, flush=True)
bus.close()
"""
JOIN = """
import sys
from pathlib import Path
from services.shared.bus.sqlite import SqliteBus
consumer = SqliteBus(Path(sys.argv[1])).consumer("group", ["one"], lambda partitions: {})
consumer.poll(0.0, 1)
print("joined", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bus.db"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(START)


@pytest.fixture
def bus(path: Path, clock: SteppedClock) -> Iterator[SqliteBus]:
    bus = SqliteBus(path, clock)
    bus.ensure_topics([ONE, SHORT_LIVED])
    yield bus
    bus.close()


def publish(bus: SqliteBus, *values: bytes, topic: str = "one") -> list[Record]:
    return list(bus.publish([Message(topic, b"key", value) for value in values]))


def offsets(bus: SqliteBus, topic: str = "one") -> list[int]:
    return [record.offset for record in bus.read(TopicPartition(topic, 0), 0, 10_000)]


def join(bus: SqliteBus) -> BusConsumer:
    return bus.consumer("group", ["one"], lambda _partitions: {})


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class TestTime:
    def test_stands_still_when_the_clock_is_set_back(self, bus: SqliteBus, clock: SteppedClock) -> None:
        first = publish(bus, b"1")[0]
        clock.advance(timedelta(days=-1))
        assert publish(bus, b"2")[0].ingest_time == first.ingest_time == START

    def test_stands_still_also_after_opening_again(self, bus: SqliteBus, path: Path) -> None:
        publish(bus, b"1")
        bus.close()
        with closing(SqliteBus(path, SteppedClock(START - timedelta(days=1)))) as again:
            assert publish(again, b"2")[0].ingest_time == START

    def test_is_cut_to_milliseconds(self, bus: SqliteBus, clock: SteppedClock) -> None:
        clock.advance(timedelta(microseconds=123_999))
        assert publish(bus, b"1")[0].ingest_time == START + timedelta(milliseconds=123)


class TestRetention:
    def test_drops_what_is_older_than_the_topic_keeps_it(self, bus: SqliteBus, clock: SteppedClock) -> None:
        publish(bus, b"1", b"2", topic="short")
        clock.advance(timedelta(days=29))
        publish(bus, b"3", topic="short")
        clock.advance(timedelta(days=2))
        publish(bus, b"4", topic="short")
        assert offsets(bus, "short") == [2, 3]

    def test_never_gives_an_offset_twice(self, bus: SqliteBus, clock: SteppedClock) -> None:
        publish(bus, b"1", b"2", topic="short")
        clock.advance(timedelta(days=60))
        publish(bus, b"elsewhere")
        assert offsets(bus, "short") == []
        assert bus.bounds(TopicPartition("short", 0)) == Bounds(2, 2, expires=True)
        assert publish(bus, b"3", topic="short")[0].offset == 2

    def test_keeps_what_is_kept_for_good(self, bus: SqliteBus, clock: SteppedClock) -> None:
        publish(bus, b"1")
        clock.advance(timedelta(days=10_000))
        publish(bus, b"2")
        assert offsets(bus) == [0, 1]

    def test_lets_a_late_consumer_go_on_at_what_is_left(self, bus: SqliteBus, clock: SteppedClock) -> None:
        publish(bus, b"1", b"2", topic="short")
        clock.advance(timedelta(days=60))
        publish(bus, b"3", topic="short")
        consumer = bus.consumer("group", ["short"], lambda _: {TopicPartition("short", 0): 1})
        assert [record.offset for record in consumer.poll(1.0, 10)] == [2]


class TestFile:
    def test_of_something_else_is_left_alone(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE theirs (a)")
        before = path.read_bytes()
        with pytest.raises(IncompatibleStoreError, match=r"bus\.db is a database of something else"):
            SqliteBus(path)
        assert path.read_bytes() == before

    def test_that_is_no_database_is_left_alone(self, path: Path) -> None:
        path.write_bytes(b"dear diary, " * 1000)
        with pytest.raises(IncompatibleStoreError, match="not a database"):
            SqliteBus(path)
        assert path.read_bytes() == b"dear diary, " * 1000

    def test_of_another_format_is_refused(self, bus: SqliteBus, path: Path) -> None:
        bus.close()
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA user_version = 99")
        with pytest.raises(IncompatibleStoreError, match="format 99, expected 1"):
            SqliteBus(path)

    def test_that_is_damaged_is_refused(self, bus: SqliteBus, path: Path) -> None:
        publish(bus, *[bytes(1000)] * 500)
        bus.close()
        content = bytearray(path.read_bytes())
        content[8192:-4096] = b"\x55" * len(content[8192:-4096])
        path.write_bytes(content)
        with pytest.raises(IncompatibleStoreError, match="damaged"), closing(SqliteBus(path)) as again:
            offsets(again)

    @pytest.mark.parametrize("place", ["a-file/bus.db", "a-folder"])
    def test_where_none_can_be_is_a_wrong_setting(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "a-file").write_bytes(b"")
        (tmp_path / "a-folder").mkdir()
        with pytest.raises(ConfigurationError, match=tmp_path.name):
            SqliteBus(tmp_path / place)

    def test_may_lie_in_a_folder_that_is_yet_to_be_made(self, tmp_path: Path) -> None:
        with closing(SqliteBus(tmp_path / "new" / "folder" / "bus.db")) as bus:
            assert bus.cluster_id.startswith("sqlite-")

    def test_of_each_bus_has_a_name_of_its_own(self, tmp_path: Path) -> None:
        with closing(SqliteBus(tmp_path / "a.db")) as first, closing(SqliteBus(tmp_path / "b.db")) as second:
            assert first.cluster_id != second.cluster_id


class TestFaults:
    def test_no_room_left_writes_nothing_and_passes(self, bus: SqliteBus) -> None:
        publish(bus, b"1")
        pages = bus._writer.execute("PRAGMA page_count").fetchone()[0]
        bus._writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(TransientError, match="no room left"):
            publish(bus, *[bytes(1000)] * 100)
        bus._writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
        assert [record.offset for record in publish(bus, b"2")] == [1]
        assert offsets(bus) == [0, 1]

    def test_a_lock_that_stays_is_told_and_passes(
        self, path: Path, bus: SqliteBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("services.shared.bus.sqlite_file._LOCK_PATIENCE_SECONDS", 0.05)
        with closing(SqliteBus(path)) as hasty, closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TransientError, match="locked by another program"):
                publish(hasty, b"1")
            other.execute("ROLLBACK")
            assert publish(hasty, b"2")[0].offset == 0

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("SQLITE_FULL", TransientError),
            ("SQLITE_BUSY_SNAPSHOT", TransientError),
            ("SQLITE_IOERR_FSYNC", TransientError),
            ("SQLITE_READONLY_DIRECTORY", ConfigurationError),
            ("SQLITE_CANTOPEN", ConfigurationError),
            ("SQLITE_CORRUPT_INDEX", IncompatibleStoreError),
            ("SQLITE_NOTADB", IncompatibleStoreError),
            ("SQLITE_ERROR", IncompatibleStoreError),
            (None, IncompatibleStoreError),
        ],
    )
    def test_are_sorted_by_what_to_do(self, path: Path, name: str | None, kind: type[PlatformError]) -> None:
        error = sqlite3.OperationalError("never repeated")
        if name:
            error.sqlite_errorname = name
        found = translated(error, path)
        assert type(found) is kind
        assert str(path) in str(found)
        assert "never repeated" not in str(found)


class TestThreads:
    def test_that_publish_together_share_a_transaction(self, path: Path, bus: SqliteBus) -> None:
        statements: list[str] = []
        with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor(8) as threads:
            other.execute("BEGIN IMMEDIATE")  # nobody can write until all have come
            bus._writer.set_trace_callback(statements.append)
            published = [threads.submit(publish, bus, b"%d" % number) for number in range(8)]
            wait_until(lambda: len(bus._queue) == 7 or len(bus._queue) == 8)
            other.execute("ROLLBACK")
            records = [each.result()[0] for each in published]
        assert sorted(record.offset for record in records) == list(range(8))
        assert statements.count("COMMIT") <= 2

    def test_are_all_told_of_a_failure(self, bus: SqliteBus, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_requests: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(bus, "_write", fail)
        barrier = threading.Barrier(4)

        def try_it(_number: int) -> str:
            barrier.wait()
            with pytest.raises(PlatformError) as caught:
                publish(bus, b"1")
            return type(caught.value).__name__

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(try_it, range(4))) == ["IncompatibleStoreError"] * 4
        monkeypatch.undo()
        assert offsets(bus) == []


class TestProcesses:
    def test_that_come_first_at_the_same_moment_make_one_bus(self, path: Path) -> None:
        writers = [start(PUBLISH, path, f"writer-{number}", 50) for number in range(4)]
        for writer in writers:
            writer.communicate(timeout=60)
        assert [writer.returncode for writer in writers] == [0] * 4
        with closing(SqliteBus(path)) as bus:
            records = bus.read(PLACE, 0, 1000)
        assert [record.offset for record in records] == list(range(200))
        for number in range(4):
            values = [int(record.value) for record in records if record.key == b"writer-%d" % number]
            assert values == list(range(50))

    def test_killed_while_publishing_leave_all_that_was_confirmed(self, path: Path) -> None:
        writer = start(PUBLISH, path, "writer", 100_000)
        assert writer.stdout
        confirmed = [int(writer.stdout.readline()) for _ in range(50)]
        writer.kill()
        confirmed += [int(line) for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
        with closing(SqliteBus(path)) as bus:
            records = bus.read(PLACE, 0, 1_000_000)
            assert publish(bus, b"next")[0].offset == len(records)
        assert [int(record.value) for record in records] == list(range(len(records)))
        assert len(records) in (len(confirmed), len(confirmed) + 1)

    def test_see_what_others_write(self, path: Path, bus: SqliteBus) -> None:
        consumer = join(bus)
        with closing(SqliteBus(path)) as other, ThreadPoolExecutor(1) as threads:
            assert list(consumer.poll(0.0, 10)) == []
            polling = threads.submit(consumer.poll, PATIENCE_SECONDS, 10)
            began = time.monotonic()
            publish(other, b"from elsewhere")
            assert [record.value for record in polling.result()] == [b"from elsewhere"]
        assert time.monotonic() - began < PATIENCE_SECONDS / 4

    def test_do_not_read_for_one_group_at_once(self, path: Path, bus: SqliteBus) -> None:
        publish(bus, b"1")
        first = join(bus)
        assert len(first.poll(0.0, 10)) == 1
        with closing(SqliteBus(path)) as other:
            second = join(other)
            with pytest.raises(TransientError, match="another process reads for the group group"):
                second.poll(0.0, 10)
            first.close()
            assert len(second.poll(0.0, 10)) == 1

    def test_that_die_leave_their_groups(self, path: Path, bus: SqliteBus) -> None:
        publish(bus, b"1")
        member = start(JOIN, path)
        assert member.stdout
        assert member.stdout.readline() == "joined\n"
        consumer = join(bus)
        with pytest.raises(TransientError):
            consumer.poll(0.0, 10)
        member.kill()
        member.communicate()
        assert len(consumer.poll(0.0, 10)) == 1

    def test_learn_of_topics_that_others_made(self, path: Path, bus: SqliteBus) -> None:
        with closing(SqliteBus(path)) as other:
            other.ensure_topics([Topic("later", partitions=2)])
            assert publish(bus, b"1", topic="later")[0].offset == 0
            assert sum(other.end_positions(["later"]).values()) == 1


headers = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=20)), max_size=4).map(tuple)
messages = st.builds(Message, st.just("many"), st.binary(max_size=20), st.binary(max_size=200), headers)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(batches=st.lists(st.lists(messages, max_size=10), max_size=5))
def test_what_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, batches: list[list[Message]]) -> None:
    with closing(SqliteBus(tmp_path_factory.mktemp("bus") / "bus.db", partitions=3)) as bus:
        bus.ensure_topics([Topic("many")])
        published = [record for batch in batches for record in bus.publish(batch)]
        read = [record for number in range(3) for record in bus.read(TopicPartition("many", number), 0, 1000)]
        assert sorted(read) == sorted(published)
        assert [(r.key, r.value, r.headers) for r in published] == [
            (m.key, m.value, m.headers) for batch in batches for m in batch
        ]
        for number in range(3):
            found = [record.offset for record in read if record.partition == number]
            assert found == list(range(len(found)))
