"""The log's tables on any store, as the verifier wants to read them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select
from sqlalchemy.exc import SQLAlchemyError

from services.audit_log.adapters.tables import checkpoint, conflict, entry, head, receipt, source_partition, tile
from services.shared.tlog.entry import Place
from services.verifier.database import Row, TablesError
from services.verifier.sqlite import receipt_path

_AT_ONCE = 1_000


class SqlTables:
    """See `Tables`.

    Args:
        connection: a consistent view; it stays open as long as this is used.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Nothing: who opened the view closes it."""

    def _all(self, query: Select[Any]) -> Sequence[Any]:
        return list(self._each(query))

    def _each(self, query: Select[Any]) -> Iterator[Any]:
        try:
            yield from self._connection.execution_options(yield_per=_AT_ONCE).execute(query)
        except (SQLAlchemyError, OverflowError) as error:
            raise TablesError(f"{type(error).__name__}: the log's tables are not what they should be") from None

    def head(self) -> tuple[int, bytes]:
        rows = self._all(select(head.c.size, head.c.edge))
        if len(rows) != 1:
            raise TablesError(f"found {len(rows)} rows in the table head, expected one")
        return rows[0].size, bytes(rows[0].edge)

    def bodies(self, first: int, end: int) -> list[bytes]:
        query = select(entry.c.body).where(entry.c.seq >= first, entry.c.seq < end).order_by(entry.c.seq)
        return [bytes(row.body) for row in self._all(query)]

    def rows(self, after: int, limit: int) -> Sequence[Row]:
        columns = (entry.c.seq, entry.c.source_ref, entry.c.source_offset, entry.c.body)
        query = select(*columns).where(entry.c.seq > after).order_by(entry.c.seq).limit(limit)
        return [Row(row.seq, row.source_ref, row.source_offset, bytes(row.body)) for row in self._all(query)]

    def tile(self, level: int, number: int) -> bytes | None:
        rows = self._all(select(tile.c.hashes).where(tile.c.level == level, tile.c.number == number))
        return bytes(rows[0].hashes) if rows else None

    def notes(self) -> Iterator[tuple[int, bytes]]:
        for row in self._each(select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size)):
            yield row.size, bytes(row.note)

    def receipts(self) -> Iterator[tuple[str, bytes]]:
        for row in self._each(select(receipt).order_by(receipt.c.anchor, receipt.c.size)):
            yield receipt_path(row.anchor, row.size), bytes(row.receipt)

    def contradictions(self) -> Iterator[tuple[int, int]]:
        for row in self._each(select(conflict.c.seq, conflict.c.first_seq).order_by(conflict.c.seq)):
            yield row.seq, row.first_seq

    def partitions(self) -> Mapping[int, Place]:
        rows = self._all(select(source_partition))
        return {row.ref: (row.cluster, row.topic, row.partition) for row in rows}
