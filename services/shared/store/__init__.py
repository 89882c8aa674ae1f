"""One service's database: SQLite or PostgreSQL 15+, one contract (`tests/contract/store_contract.py`).

State, outgoing messages and bus positions change in one transaction (design 5). SQLAlchemy Core describes the tables
and asks the questions; `bulk_insert` is the driver's own fast path for the hot loop. Each service owns its database
(PostgreSQL: its schema) and migrates it with Alembic; `services/<service>/migrations/` holds its versions.

Errors that leave a `with` block of a store are translated (`faults.py`): an `IntegrityError` can be caught inside the
block, outside it is a `RefusedStatementError` without the values that a driver's message holds.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Engine, Table

from services.shared.bus import TopicPartition

Dialect = Literal["sqlite", "postgresql"]
Destination = Literal["bus", "mail", "webhook", "teams"]


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message that leaves after the transaction that made it, at least once, with the same id and bytes each time.

    `destination` is `bus` (then `topic` and `key` are set), `mail`, `webhook` or `teams` (then `recipient` is a role
    id).
    """

    message_id: str
    destination: Destination
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
    """One open write transaction. It ends with the `with` block: committed, or rolled back when that raises.

    Rows of the bulk methods hold what the driver takes: instants as `tables.micros(moment)`, money as integers.
    """

    @property
    def connection(self) -> Connection:
        """For SQLAlchemy Core statements inside this transaction."""
        ...

    @property
    def dialect(self) -> Dialect: ...

    def bulk_insert(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, ignore_conflicts: bool = False
    ) -> int:
        """Insert many rows by the driver's fastest way; how many were inserted.

        SQLite: `executemany` on a prepared statement; PostgreSQL: binary `COPY`, through a temporary table when
        conflicts are ignored. Only a row whose unique key stands already is passed over; every other fault raises.
        """
        ...

    def bulk_put(self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, or let their other columns take the place of what stands under the table's primary key.

        A key comes once in `rows`. They go in their order: in that of the keys, two writers never deadlock.
        """
        ...

    def bulk_add(self, table: Table, key: Sequence[str], sums: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, or add their `sums` columns to the rows that already stand under `key`.

        A row holds the key's columns, then the sums (integers). Several rows of one key are added up first. `key` is
        the table's primary key or a unique one, without NULL. Rows go in key order, so that two writers never deadlock.
        """
        ...

    def positions(
        self, cluster: str, group: str, partitions: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, int]:
        """The stored positions of a group (all of them when `partitions` is None)."""
        ...

    def advance(self, cluster: str, group: str, partition: TopicPartition, expected: int | None, new: int) -> None:
        """Move a position from what was read (None: no row yet) to `new`.

        Raises:
            StalePositionError: the stored value is another one: a newer owner of the partition has written.
        """
        ...

    def send(self, messages: Sequence[OutgoingMessage]) -> None:
        """Put messages into the outbox. An id that is already there makes no second message.

        Mails and webhooks stay there for good, so their ids are told once. Messages for the bus go when they are
        sent, or the outbox would grow as the bus does: the same id again is the same event again, which readers drop;
        what must be decided once is kept in the deciding service's own tables.
        """
        ...


class Store(Protocol):
    """One service's database. Thread-safe: SQLite writers queue up, readers run beside them.

    `engine` is for migrations and catalogues; work goes through `transaction` and `reading`.
    """

    @property
    def dialect(self) -> Dialect: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def service(self) -> str: ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A write transaction. SQLite: `BEGIN IMMEDIATE`, one at a time, never one inside another.

        Raises:
            TransientError: the database is away, locked for too long, or broke off a deadlock. Nothing was written,
                except when the connection was lost during the commit: read the positions again to know.
            IncompatibleStoreError: the database refused a statement (`faults.RefusedStatementError`), or is damaged.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A consistent read-only view, from its first query on, that waits for no writer."""
        ...

    def positions(
        self, cluster: str, group: str, partitions: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, int]:
        """The committed positions of a group, without waiting for a writer."""
        ...

    def bind(self, cluster_id: str) -> None:
        """Say which bus this database follows; the first call fixes it for good.

        Raises:
            IncompatibleStoreError: it follows another bus: positions of two buses must not be mixed.
        """
        ...

    def exclusive(self, name: str) -> AbstractContextManager[bool]:
        """Whether this block is the only one of that name, in all processes on this database. Never waits.

        For work that must not run twice at once: the relay, a notifier, the restater. Not inside a transaction.
        """
        ...

    def pending(self, destinations: Collection[str], now: datetime, limit: int) -> Sequence[PendingMessage]:
        """Messages to send now: not sent, not given up, due at `now`; oldest first."""
        ...

    def mark_sent(self, sequences: Sequence[int], now: datetime) -> None:
        """These left: messages for the bus are forgotten, the others kept with the time."""
        ...

    def mark_failed(self, sequence: int, reason: str, next_try: datetime | None) -> None:
        """This did not leave: try again at `next_try`, or never (None: given up; shown to operations).

        `reason` is shown to operations: no address, no text of a message.
        """
        ...

    def postpone(self, sequences: Sequence[int], until: datetime) -> None:
        """These shall not leave before `until`, and nothing has failed: it is no attempt."""
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


def summed(rows: Sequence[Sequence[Any]], key_width: int) -> list[tuple[Any, ...]]:
    """Rows of `key_width` key columns and then sums: one row per key, in key order."""
    totals: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        key = tuple(row[:key_width])
        found = totals.get(key)
        if found is None:
            totals[key] = list(row[key_width:])
        else:
            totals[key] = [left + right for left, right in zip(found, row[key_width:], strict=True)]
    return [(*key, *totals[key]) for key in sorted(totals)]
