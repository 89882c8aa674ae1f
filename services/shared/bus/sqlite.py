"""The embedded bus: one SQLite file, several threads and processes.

Rows of one partition lie side by side (rowid = partition × 2⁴⁰ + offset), so a consumer reads forward through the file.
Offsets are dense and assigned in the transaction that writes the records, which is synced to disk before `publish`
returns. Threads that publish at the same moment share one transaction, and with it one sync.

Several processes may publish and read. The members of one group live in one process at a time: a second process that
polls for the same group is told to wait until the first has left or died.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from services.shared.bus import BusConsumer, LoadPositions, Message, Positions, Record, TopicPartition, partition_of
from services.shared.bus.groups import Bounds, GroupConsumer, Groups
from services.shared.bus.messages import check_sizes, check_topic, milliseconds, moment_of, unknown_topic
from services.shared.bus.sqlite_file import ProcessClaim, connect, open_file, pack_headers, translated, unpack_headers
from services.shared.clock import Clock, SystemClock
from services.shared.errors import PlatformError, TransientError
from services.shared.events.topics import Topic

_OFFSET_BITS = 40
_LOOK_AROUND_SECONDS = 0.1
_EXPIRY_INTERVAL = timedelta(hours=1)
_DAY_MILLISECONDS = 86_400_000

_Row = tuple[int, int, bytes, bytes, bytes | None]


class _Partition(NamedTuple):
    number: int
    name: TopicPartition
    retention_days: int | None

    def row(self, offset: int) -> int:
        return self.number << _OFFSET_BITS | offset


@dataclass(slots=True)
class _Request:
    """One caller's messages on their way into a shared transaction."""

    placed: Sequence[tuple[Message, _Partition]]
    records: list[Record] = field(default_factory=list)
    failure: Exception | None = None
    is_done: bool = False


class _Heads:
    """Where each partition ends within one transaction, and when its last record came."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("SELECT number, end_offset, last_milliseconds FROM partition")
        self._heads: dict[int, tuple[int, int]] = {number: (end, last) for number, end, last in found}
        self._changed: set[int] = set()

    def take(self, partition: _Partition, now: int) -> tuple[int, int]:
        """The next offset, and its time: the clock's, or that of the record before when the clock was set back."""
        end, last = self._heads[partition.number]
        moment = max(now, last)
        self._heads[partition.number] = (end + 1, moment)
        self._changed.add(partition.number)
        return end, moment

    def save(self, connection: sqlite3.Connection) -> None:
        connection.executemany(
            "UPDATE partition SET end_offset = ?, last_milliseconds = ? WHERE number = ?",
            [(*self._heads[number], number) for number in sorted(self._changed)],
        )


class SqliteBus:
    """One file. The writer has a connection of its own; readers borrow from a pool."""

    patience_seconds = _LOOK_AROUND_SECONDS

    def __init__(self, path: Path, clock: Clock | None = None, partitions: int = 6) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._default_partitions = partitions
        self.cluster_id, self._writer = open_file(path)
        self.bell = threading.Condition()
        self.closed = False
        self._writing = threading.Lock()
        self._queue: list[_Request] = []
        self._idle_readers: list[sqlite3.Connection] = []
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._topics: dict[str, list[TopicPartition]] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._next_expiry = self._clock.now()
        self._seen_version = -1
        self._watch = connect(path)
        self._groups = Groups(self.bell, self._partitions_of, lambda name: ProcessClaim(path, name))
        self._load_topics()

    def ensure_topics(self, topics: Sequence[Topic]) -> None:
        with self._writing, self._errors(), self._transaction():
            for topic in topics:
                self._ensure(topic)
        self._load_topics()

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        check_sizes(messages)
        request = _Request([(message, self._place(message)) for message in messages])
        with self.bell:
            self._queue.append(request)
        with self._writing:
            if not request.is_done:  # else another thread took it along
                self._write_queued()
        if request.failure is not None:
            raise self._as_platform_error(request.failure) from request.failure
        return request.records

    def consumer(self, group: str, topics: Sequence[str], load_positions: LoadPositions) -> BusConsumer:
        return GroupConsumer(self, self._groups[group], topics, load_positions)

    def end_positions(self, topics: Sequence[str]) -> Positions:
        wanted = [partition for topic in topics for partition in self._partitions_of(topic)]
        with self._reader() as connection:
            ends = dict(connection.execute("SELECT number, end_offset FROM partition"))
        return {name: ends[self._partitions[name].number] for name in wanted}

    def read(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        self._partitions_of(partition.topic)
        return self._select(self._partitions[partition], max(0, offset), limit)

    def close(self) -> None:
        with self.bell:
            self.closed = True
            self.bell.notify_all()
            idle, self._idle_readers = self._idle_readers, []
            self._watch.close()
            self._groups.release()
        for connection in idle:
            connection.close()
        with self._writing:
            self._writer.close()

    def fetch(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        if offset >= self._ends.get(partition, 0):
            return ()
        return self._select(self._partitions[partition], offset, limit)

    def bounds(self, partition: TopicPartition) -> Bounds:
        found = self._partitions[partition]
        with self._reader() as connection:
            start, end = connection.execute(
                "SELECT start_offset, end_offset FROM partition WHERE number = ?", (found.number,)
            ).fetchone()
        self._see_ends({partition: end})
        return Bounds(start, end, expires=found.retention_days is not None)

    def has_grown(self, positions: Positions) -> bool:
        return any(position < self._ends.get(partition, 0) for partition, position in positions.items())

    def look_around(self) -> None:
        with self.bell:
            if self.closed:
                return
            with self._errors():
                version = self._watch.execute("PRAGMA data_version").fetchone()[0]
                if version == self._seen_version:
                    return
                ends = dict(self._watch.execute("SELECT number, end_offset FROM partition"))
            self._seen_version = version
            self._see_ends({name: ends[found.number] for name, found in self._partitions.items()})

    def _ensure(self, topic: Topic) -> None:
        found = self._writer.execute(
            "SELECT count(*), max(retention_days) FROM partition WHERE topic = ?", (topic.name,)
        ).fetchone()
        if found[0]:
            check_topic(topic, *found)
            return
        rows = [
            (topic.name, each, topic.retention_days) for each in range(topic.partitions or self._default_partitions)
        ]
        self._writer.executemany("INSERT INTO partition (topic, partition, retention_days) VALUES (?, ?, ?)", rows)

    def _load_topics(self) -> None:
        """Learn the partitions; another process may have made some."""
        with self._reader() as connection:
            rows = connection.execute(
                "SELECT topic, partition, number, retention_days, end_offset FROM partition ORDER BY topic, partition"
            ).fetchall()
        found = {(name := TopicPartition(*row[:2])): _Partition(row[2], name, row[3]) for row in rows}
        with self.bell:
            self._partitions = found
            self._topics = {name.topic: [each for each in found if each.topic == name.topic] for name in found}
        self._see_ends({TopicPartition(*row[:2]): row[4] for row in rows})

    def _partitions_of(self, topic: str) -> list[TopicPartition]:
        if topic not in self._topics:
            self._load_topics()
        if topic not in self._topics:
            raise unknown_topic(topic)
        return self._topics[topic]

    def _place(self, message: Message) -> _Partition:
        names = self._partitions_of(message.topic)
        return self._partitions[names[partition_of(message.key, len(names))]]

    def _write_queued(self) -> None:
        """Write what all waiting threads brought, in one transaction: for all of them or for none."""
        with self.bell:
            requests, self._queue = self._queue, []
        try:
            self._write(requests)
        except Exception as failure:  # noqa: BLE001  # each waiting thread is told what happened to its messages
            for request in requests:
                request.failure = failure
        finally:
            for request in requests:
                request.is_done = True

    def _write(self, requests: Sequence[_Request]) -> None:
        with self._transaction():
            self._expire()
            heads = _Heads(self._writer)
            now = milliseconds(self._clock.now())
            rows = [row for request in requests for row in self._rows(request, heads, now)]
            self._writer.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
            heads.save(self._writer)
        self._see_ends({TopicPartition(r.topic, r.partition): r.offset + 1 for each in requests for r in each.records})

    def _rows(self, request: _Request, heads: _Heads, now: int) -> Iterator[_Row]:
        request.records.clear()
        for message, partition in request.placed:
            offset, moment = heads.take(partition, now)
            request.records.append(
                Record(*partition.name, offset, message.key, message.value, message.headers, moment_of(moment))
            )
            yield partition.row(offset), moment, message.key, message.value, pack_headers(message.headers)

    def _expire(self) -> None:
        """Drop records older than their topic keeps them; looked at once an hour, by whoever writes then."""
        now = self._clock.now()
        if now < self._next_expiry:
            return
        self._next_expiry = now + _EXPIRY_INTERVAL
        for partition in self._partitions.values():
            if partition.retention_days is not None:
                self._expire_before(partition, milliseconds(now) - partition.retention_days * _DAY_MILLISECONDS)

    def _expire_before(self, partition: _Partition, oldest: int) -> None:
        everything = (partition.row(0), partition.row(0) + (1 << _OFFSET_BITS))
        first_kept = self._writer.execute(
            "SELECT min(id) FROM record WHERE id >= ? AND id < ? AND milliseconds >= ?", (*everything, oldest)
        ).fetchone()[0]
        self._writer.execute(
            "DELETE FROM record WHERE id >= ? AND id < ?",
            (everything[0], everything[1] if first_kept is None else first_kept),
        )
        self._writer.execute(
            "UPDATE partition SET start_offset = coalesce(?, end_offset) WHERE number = ?",
            (None if first_kept is None else first_kept - partition.row(0), partition.number),
        )

    def _see_ends(self, ends: Positions) -> None:
        with self.bell:
            grown = {name: end for name, end in ends.items() if end > self._ends.get(name, 0)}
            if grown:
                self._ends.update(grown)
                self.bell.notify_all()

    def _select(self, partition: _Partition, offset: int, limit: int) -> list[Record]:
        with self._reader() as connection:
            rows = connection.execute(
                "SELECT id, milliseconds, key, value, headers FROM record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
                (partition.row(offset), partition.row(0) + (1 << _OFFSET_BITS), limit),
            ).fetchall()
        topic, number = partition.name
        first = partition.row(0)
        return [Record(topic, number, row - first, k, v, unpack_headers(h), moment_of(ms)) for row, ms, k, v, h in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self.closed:
            raise TransientError("the bus was closed; open it again")
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with self.bell:
            if self.closed:
                raise TransientError("the bus was closed; open it again")
            idle = self._idle_readers.pop() if self._idle_readers else None
        with self._errors():
            connection = idle or connect(self._path)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
        self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self.bell:
            if not self.closed:
                self._idle_readers.append(connection)
                return
        connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self._path) from error

    def _as_platform_error(self, failure: Exception) -> PlatformError:
        if isinstance(failure, sqlite3.Error):
            return translated(failure, self._path)
        if isinstance(failure, PlatformError):
            return type(failure)(str(failure))
        raise failure
