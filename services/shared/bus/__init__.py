"""The event bus: topics of records in partitions, kept in order, read from any position. Three adapters, one contract.

`memory` is for tests and one process's life, `sqlite` is the embedded default, `kafka` (or `confluent`, the same
broker through another client) is for several machines. `tests/contract/bus_contract.py` says what all of them keep.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple, Protocol

from services.shared.events.topics import Topic


class TopicPartition(NamedTuple):
    """One ordered sequence of records."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Message:
    """What a publisher hands over. Records of one key stay in one partition, in the order of publishing."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Record(NamedTuple):
    """What a consumer gets. `ingest_time` is the bus's own (UTC, milliseconds), never falling within a partition."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    ingest_time: datetime


Positions = Mapping[TopicPartition, int]
"""Partition → offset of the next record to read."""

LoadPositions = Callable[[Collection[TopicPartition]], Positions]
"""Asked whenever partitions are assigned; a partition it does not name is read from its first record."""


class BusConsumer(Protocol):
    """One member of a group. Partitions are shared among the members; never two read one partition at once.

    Not thread-safe: one thread per consumer.
    """

    def poll(self, timeout_seconds: float, max_records: int) -> Sequence[Record]:
        """The next records, at most `max_records`, waiting up to `timeout_seconds` for the first; else none.

        Records of one partition come in order and without repetition, from the position that `LoadPositions` gave at
        assignment, until `seek` or a reassignment. A partition that was taken away gives no more records, also not
        those fetched before.

        A partition changes hands only when its owner polls again or leaves: by then it has handled what it was given,
        so the next owner loads positions that count it.

        Raises:
            TransientError: the bus is away or was closed, or (SQLite) another process reads for this group; poll
                again later.
            IncompatibleStoreError: a position lies beyond the end of its partition, or before the first record of a
                topic that keeps all of them: going on would leave records out.
        """
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions this member reads now. May be empty right after joining: poll first."""
        ...

    def seek(self, positions: Positions) -> None:
        """Read on from these positions (after a rollback). Partitions no longer ours are passed over."""
        ...

    def report(self, positions: Positions) -> None:
        """Tell the bus how far we are, for its lag displays only: the store's positions are what counts.

        Never raises for a lost connection or a rebalance.
        """
        ...

    def close(self) -> None:
        """Leave the group at once."""
        ...


class EventBus(Protocol):
    """Topics, publishing and reading. Thread-safe, except for the consumers it gives out."""

    @property
    def cluster_id(self) -> str:
        """Names this bus for good: positions and log entries of another bus must not be mixed with it."""
        ...

    def ensure_topics(self, topics: Sequence[Topic]) -> None:
        """Create what is missing; check what exists.

        Raises:
            IncompatibleStoreError: a topic exists with settings that would lose, expire, compact or reorder records,
                or with another number of partitions where the number is fixed.
        """
        ...

    def publish(self, messages: Sequence[Message]) -> Sequence[Record]:
        """Hand messages over; durable and in the order given per key when this returns. The records, in that order.

        All or none on `sqlite` and `memory`; on Kafka each message is safe or the call raises, and what was already
        written stays: readers expect the same event twice.

        Raises:
            TransientError: the bus is away or slow; publish the same messages again.
            InvalidEventError: a message is too large for the bus (over 1,000,000 bytes); none was written.
            ConfigurationError: a topic does not exist; none was written.
        """
        ...

    def consumer(self, group: str, topics: Sequence[str], load_positions: LoadPositions) -> BusConsumer:
        """Join `group` for all partitions of `topics`.

        Raises:
            ConfigurationError: a topic does not exist; call `ensure_topics` first.
        """
        ...

    def end_positions(self, topics: Sequence[str]) -> Positions:
        """Per partition the offset that the next record will get. Every partition of every topic is named."""
        ...

    def read(self, partition: TopicPartition, offset: int, limit: int) -> Sequence[Record]:
        """At most `limit` records of one partition from `offset` on, without a group. For people and replays."""
        ...

    def close(self) -> None:
        """Finish what is under way and let go."""
        ...


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, on every bus: the same in all processes, versions and client libraries."""
    return int.from_bytes(blake2b(key, digest_size=8).digest()) % partitions
