"""One service's database: SQLite or PostgreSQL 15+, one contract (`tests/contract/store_contract.py`).

State, outgoing messages and bus positions change in one transaction (design 5). SQLAlchemy Core describes the tables
and asks the questions; `bulk_insert` is the driver's own fast path for the hot loop. Each service owns its database
(PostgreSQL: its schema) and migrates it with Alembic; `services/<service>/migrations/` holds its versions.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Engine, Table

from services.shared.bus import TopicPartition

Dialect = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message that leaves after the transaction that made it, at least once, with the same id and bytes each time.

    `destination` is `bus` (then `topic` and `key` are set), `mail` or `webhook` (then `recipient` is a role id).
    """

    message_id: str
    destination: Literal["bus", "mail", "webhook"]
    value: bytes
    topic: str | None = None
    key: bytes | None = None
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """An outbox row that waits: in the order of making, with how often it was tried."""

    sequence: int
    message: OutgoingMessage
    attempts: int


class Transaction(Protocol):
    """One open write transaction. It ends with the `with` block: committed, or rolled back when that raises."""

    connection: Connection
    dialect: Dialect

    def bulk_insert(self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, ignore_conflicts: bool = False) -> int:
        """Insert many rows by the driver's fastest way; how many were inserted.

        SQLite: `executemany` on a prepared statement; PostgreSQL: binary `COPY`, through a temporary table when
        conflicts are ignored.
        """
        ...

    def bulk_add(self, table: Table, key: Sequence[str], sums: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, or add their `sums` columns to the rows that already stand under `key`. Rows go in key order,
        so that two writers never deadlock."""
        ...

    def positions(self, cluster: str, group: str, partitions: Collection[TopicPartition] | None = None) -> dict[TopicPartition, int]:
        """The stored positions of a group (all of them when `partitions` is None)."""
        ...

    def advance(self, cluster: str, group: str, partition: TopicPartition, expected: int | None, new: int) -> None:
        """Move a position from what was read (None: no row yet) to `new`.

        Raises:
            StalePositionError: the stored value is another one: a newer owner of the partition has written.
        """
        ...

    def send(self, messages: Sequence[OutgoingMessage]) -> None:
        """Put messages into the outbox. An id that is already there (sent or not) makes no second message."""
        ...


class Store(Protocol):
    """One service's database. Thread-safe: SQLite writers queue up, readers run beside them."""

    dialect: Dialect
    engine: Engine

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A write transaction. SQLite: `BEGIN IMMEDIATE`.

        Raises:
            TransientError: the database is away, locked for too long, or broke off a deadlock: nothing was written.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A consistent read-only view that waits for no writer."""
        ...

    def pending(self, destinations: Collection[str], now: datetime, limit: int) -> Sequence[PendingMessage]:
        """Messages to send now: not sent, not given up, due at `now`; oldest first."""
        ...

    def mark_sent(self, sequences: Sequence[int], now: datetime) -> None:
        """These left."""
        ...

    def mark_failed(self, sequence: int, reason: str, next_try: datetime | None) -> None:
        """This did not leave: try again at `next_try`, or never (None: given up; shown to operations)."""
        ...

    def pending_counts(self) -> Mapping[tuple[str, str], int]:
        """(destination, `waiting` or `given_up`) → messages."""
        ...

    def close(self) -> None:
        """Give the connections back."""
        ...


def chunks(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """`rows` in runs of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
