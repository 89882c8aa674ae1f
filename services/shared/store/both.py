"""What both stores do alike, since SQLAlchemy speaks both dialects: positions, and the outbox."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table

from services.shared.bus import TopicPartition
from services.shared.store import OutgoingMessage, PendingMessage, Transaction, outbox, positions
from services.shared.store.tables import CommonTables


@dataclass(frozen=True, slots=True)
class CommonTransaction(ABC):
    """See `Transaction`; the bulk methods are each driver's own."""

    connection: Connection
    common: CommonTables

    @abstractmethod
    def bulk_insert(
        self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, ignore_conflicts: bool = False
    ) -> int: ...

    def positions(
        self, cluster: str, group: str, partitions: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, int]:
        return positions.load(self.connection, self.common.consumer_position, cluster, group, partitions)

    def advance(self, cluster: str, group: str, partition: TopicPartition, expected: int | None, new: int) -> None:
        table = self.common.consumer_position
        positions.advance(self.connection, table, cluster, group, partition, expected=expected, new=new)

    def send(self, messages: Sequence[OutgoingMessage]) -> None:
        rows = [outbox.row_of(message) for message in messages]
        self.bulk_insert(self.common.outbox, outbox.COLUMNS, rows, ignore_conflicts=True)


class CommonStore(ABC):
    """See `Store`; how a transaction or a view begins is each database's own."""

    _common: CommonTables

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Transaction]: ...

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]: ...

    def positions(
        self, cluster: str, group: str, partitions: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, int]:
        with self.reading() as connection:
            return positions.load(connection, self._common.consumer_position, cluster, group, partitions)

    def pending(self, destinations: Collection[str], now: datetime, limit: int) -> Sequence[PendingMessage]:
        with self.reading() as connection:
            return outbox.pending(connection, self._common.outbox, destinations, now, limit)

    def mark_sent(self, sequences: Sequence[int], now: datetime) -> None:
        with self.transaction() as tx:
            outbox.mark_sent(tx.connection, self._common.outbox, sequences, now)

    def mark_failed(self, sequence: int, reason: str, next_try: datetime | None) -> None:
        with self.transaction() as tx:
            outbox.mark_failed(tx.connection, self._common.outbox, sequence, reason, next_try)

    def postpone(self, sequences: Sequence[int], until: datetime) -> None:
        with self.transaction() as tx:
            outbox.postpone(tx.connection, self._common.outbox, sequences, until)

    def pending_counts(self) -> Mapping[tuple[str, str], int]:
        with self.reading() as connection:
            return outbox.pending_counts(connection, self._common.outbox)
