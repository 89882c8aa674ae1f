"""The log's tables in an SQLite file, which is only read: also one from a stranger."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from services.shared.tlog.entry import Place
from services.verifier.database import Row, TablesError

_HEADER = b"SQLite format 3\x00"


def receipt_path(anchor: str, size: int) -> str:
    """Where an export keeps a receipt."""
    name = quote(anchor, safe="")
    return f"anchors/{name if name.strip('.') else name.replace('.', '%2E')}/{size:012d}.receipt"


class SqliteTables:
    """See `Tables`.

    Raises:
        TablesError: there is no such file, or it is no database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                if file.read(len(_HEADER)) != _HEADER:
                    raise TablesError(f"{path.name} is no SQLite database")
        except OSError as error:
            raise TablesError(f"{path.name}: {error.strerror}") from None
        except ValueError:
            raise TablesError("no file has such a name") from None
        self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        """A read-only connection with one view. A file on a medium that cannot be written has no log beside it."""
        try:
            return self._connected("mode=ro")
        except sqlite3.Error as error:
            if self._path.with_name(f"{self._path.name}-wal").exists():
                raise TablesError(str(error)) from None
        try:
            return self._connected("mode=ro&immutable=1")
        except sqlite3.Error as error:
            raise TablesError(str(error)) from None

    def _connected(self, how: str) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path.resolve()))}?{how}"
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("BEGIN")
            connection.execute("SELECT size FROM head").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        self._connection.close()

    def _all(self, query: str, *values: object) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise TablesError(str(error)) from None

    def _each(self, query: str) -> Iterator[Any]:
        try:
            yield from self._connection.execute(query)
        except sqlite3.Error as error:
            raise TablesError(str(error)) from None

    def head(self) -> tuple[int, bytes]:
        rows = self._all("SELECT size, edge FROM head")
        if len(rows) != 1:
            raise TablesError(f"found {len(rows)} rows in the table head, expected one")
        return _number(rows[0][0]), _bytes(rows[0][1])

    def bodies(self, first: int, end: int) -> list[bytes]:
        query = "SELECT body FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
        return [_bytes(body) for (body,) in self._all(query, first, end)]

    def rows(self, after: int, limit: int) -> Sequence[Row]:
        query = "SELECT seq, source_ref, source_offset, body FROM entry WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self._all(query, after, limit)
        return [Row(_number(seq), ref, offset, _bytes(body)) for seq, ref, offset, body in rows]

    def tile(self, level: int, number: int) -> bytes | None:
        rows = self._all("SELECT hashes FROM tile WHERE level = ? AND number = ?", level, number)
        return _bytes(rows[0][0]) if rows else None

    def notes(self) -> Iterator[tuple[int, bytes]]:
        for size, note in self._each("SELECT size, note FROM checkpoint ORDER BY size"):
            yield _number(size), _bytes(note)

    def receipts(self) -> Iterator[tuple[str, bytes]]:
        for anchor, size, data in self._each("SELECT anchor, size, receipt FROM receipt ORDER BY anchor, size"):
            yield receipt_path(str(anchor), _number(size)), _bytes(data)

    def contradictions(self) -> Iterator[tuple[int, int]]:
        for seq, earlier in self._each("SELECT seq, first_seq FROM conflict ORDER BY seq"):
            yield _number(seq), _number(earlier)

    def partitions(self) -> Mapping[int, Place]:
        query = 'SELECT ref, cluster, topic, "partition" FROM source_partition'
        return {ref: (cluster, topic, partition) for ref, cluster, topic, partition in self._all(query)}


def _bytes(value: object) -> bytes:
    """A stranger's table may hold anything; what is no bytes is as good as none, and no entry, hash or signature."""
    return value if isinstance(value, bytes) else b""


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TablesError(f"found {type(value).__name__} where the log has a whole number; it was written by hand")
    return value
