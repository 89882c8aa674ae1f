"""Has this name been seen, and which row is it: 16-byte digests → row numbers, for millions of them.

Digests come in random order, and a B-tree that takes random keys ages: every batch touches as many pages as it has
rows, and every page is written twice. So on SQLite new names go into a small table, and with each batch one slice of
it, in key order, moves into the large one; the small table grows with the large one, so that a slice meets its pages
several times. PostgreSQL keeps one table; its unique index ages well.

Nearly all names that come are new, so neither store looks for each of them: on SQLite a filter in memory (`bloom.py`)
leaves a few to look for, on PostgreSQL the rows are copied in first, and looked for when the unique index refuses them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from weakref import WeakKeyDictionary

import psycopg
import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Engine, LargeBinary, MetaData, Table, bindparam, delete, func, insert, select

from services.shared.errors import TransientError
from services.shared.store import Transaction, chunks
from services.shared.store.bloom import BloomFilter
from services.shared.store.tables import STRICT

DIGEST_BYTES = 16

_LOOKED_UP_AT_ONCE = 500
_SLICES_LOADED = 256
_LOADED_AT_ONCE = 20_000
_RECENT_AT_LEAST = 50_000
_RECENT_SHARE = 32
"""The small table holds a thirty-second of the names: measured the best of 16, 32 and 64 at five million."""


def digest_of(*parts: str) -> bytes:
    """The digest of a name; ("a", "bc") and ("ab", "c") differ."""
    told = b"".join(len(part := text.encode()).to_bytes(4) + part for text in parts)
    return blake2b(told, digest_size=DIGEST_BYTES).digest()


def digests_of(names: Iterable[tuple[str, str]]) -> list[bytes]:
    """`digest_of` of many names of two parts, of which the first ones are few."""
    known: dict[str, bytes] = {}
    found = []
    for first, second in names:
        start = known.get(first)
        if start is None:
            text = first.encode()
            start = known[first] = len(text).to_bytes(4) + text
        text = second.encode()
        found.append(blake2b(start + len(text).to_bytes(4) + text, digest_size=DIGEST_BYTES).digest())
    return found


def create_name_index_0001(op: Operations, name: str) -> None:
    """Make the tables of a `NameIndex` in a migration. Frozen, as everything that databases have run."""
    for table in (name, f"{name}_recent"):
        op.create_table(
            table,
            sa.Column("digest", sa.LargeBinary(), nullable=False),
            sa.Column("number", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("digest"),
            sqlite_strict=True,
            sqlite_with_rowid=False,
        )


@dataclass(slots=True)
class _Size:
    rows: int = 0
    next_slice: int = 0


@dataclass(slots=True)
class _Filter:
    """What one connection knows of the names in its file: those of the first `loaded` slices, and all it has added.

    `version` is SQLite's mark for what other connections have written: when it moves, this knowledge is void.
    """

    version: int
    seen: BloomFilter = field(default_factory=BloomFilter)
    loaded: int = 0


class NameIndex:
    """Names that were seen, for lookups and additions of whole batches inside the caller's transaction.

    Args:
        name: of its tables, `name` and `name_recent` (which PostgreSQL leaves empty); declared in `metadata`.
        metadata: the service's tables.

    What is in which table is in the database; the object only remembers, per database, about how large the small table
    is and which slice is next.
    """

    def __init__(self, name: str, metadata: MetaData) -> None:
        self.archive, self._recent = (_table(table, metadata) for table in (name, f"{name}_recent"))
        self._sizes: WeakKeyDictionary[Engine, _Size] = WeakKeyDictionary()

    def lookup(self, tx: Transaction, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The row numbers of those digests that were added before."""
        if tx.dialect == "postgresql":
            return self._looked_up(tx, digests)
        found: dict[bytes, int] = {}
        for some in chunks(self._perhaps(tx, digests), _LOOKED_UP_AT_ONCE):
            places = ", ".join("?" * len(some))
            for table in (self.archive.name, self._recent.name):
                query = f"SELECT digest, number FROM {table} WHERE digest IN ({places})"  # noqa: S608  # our own names
                found.update((row[0], row[1]) for row in tx.connection.exec_driver_sql(query, tuple(some)))
        return found

    def add_if_new(self, tx: Transaction, names: Mapping[bytes, int]) -> bool:
        """Add all of these, when none was added before; else nothing is added, and the answer is False."""
        if tx.dialect == "postgresql":
            try:
                with tx.connection.begin_nested():
                    tx.bulk_insert(self.archive, ("digest", "number"), sorted(names.items()))
            except psycopg.errors.UniqueViolation:
                return False
            return True
        if self.lookup(tx, list(names)):
            return False
        self.add(tx, names)
        return True

    def find(self, connection: sa.Connection, digests: Sequence[bytes]) -> dict[bytes, int]:
        """The same outside a write transaction, for a few digests: what is committed."""
        tables = (self.archive, self._recent)
        queries = (select(table.c.digest, table.c.number).where(table.c.digest.in_(digests)) for table in tables)
        return {bytes(row.digest): row.number for query in queries for row in connection.execute(query)}

    def add(self, tx: Transaction, names: Mapping[bytes, int] | Sequence[tuple[bytes, int]]) -> None:
        """Add digests that `lookup` did not find, each once, with their row numbers, which grow with time.

        Raises:
            TransientError: another consumer added one of them just now; the next try finds it.
        """
        rows = sorted(names.items() if isinstance(names, Mapping) else names)
        if not rows:
            return
        if tx.dialect == "postgresql":
            self._add_to_archive(tx, rows)
        else:
            tx.bulk_insert(self._recent, ("digest", "number"), rows)
            self._filter(tx).seen.add([digest for digest, _ in rows])
            self._move_slices(tx, len(rows), max(_RECENT_AT_LEAST, rows[-1][1] // _RECENT_SHARE))

    def _perhaps(self, tx: Transaction, digests: Sequence[bytes]) -> list[bytes]:
        """Those digests that may be in the tables, in key order, so that neighbours share pages."""
        known = self._filter(tx)
        self._load(tx, known)
        behind = bytes([known.loaded]) if known.loaded < _SLICES_LOADED else None
        unloaded = [digest for digest in digests if digest >= behind] if behind is not None else []
        return sorted({*known.seen.perhaps(digests), *unloaded})

    def _filter(self, tx: Transaction) -> _Filter:
        version = tx.connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        filters: dict[str, _Filter] = tx.connection.info.setdefault("name filters", {})
        known = filters.get(self.archive.name)
        if known is None or known.version != version:
            known = filters[self.archive.name] = _Filter(version)
        return known

    def _load(self, tx: Transaction, known: _Filter) -> None:
        """Take some more slices of what the file holds into the filter, so that no batch waits for all of them."""
        taken = 0
        while known.loaded < _SLICES_LOADED and taken < _LOADED_AT_ONCE:
            bounds = _slice_of(known.loaded, _SLICES_LOADED)
            for table in (self.archive.name, self._recent.name):
                query = f"SELECT digest FROM {table} WHERE digest BETWEEN ? AND ?"  # noqa: S608  # our own names
                found = [row[0] for row in tx.connection.exec_driver_sql(query, bounds)]
                known.seen.add(found)
                taken += len(found)
            known.loaded += 1

    def _looked_up(self, tx: Transaction, digests: Sequence[bytes]) -> dict[bytes, int]:
        names, some = self.archive.c, sa.cast(bindparam("some"), sa.ARRAY(LargeBinary))
        query = select(names.digest, names.number).where(names.digest == sa.any_(some))
        return {row.digest: row.number for row in tx.connection.execute(query, {"some": list(digests)})}

    def _add_to_archive(self, tx: Transaction, rows: Sequence[tuple[bytes, int]]) -> None:
        try:
            tx.bulk_insert(self.archive, ("digest", "number"), rows)
        except psycopg.errors.UniqueViolation:
            raise TransientError("another consumer has added the same names; trying again") from None

    def _move_slices(self, tx: Transaction, added: int, target: int) -> None:
        """Move slices of the small table, about as many rows as came, until it has its size again."""
        size = self._sizes.setdefault(tx.connection.engine, _Size())
        slices = max(1, target // added)
        if size.next_slice == 0:  # counted once a round: a rollback, or another process, leaves the guess wrong
            size.rows = tx.connection.execute(select(func.count()).select_from(self._recent)).scalar_one()
        else:
            size.rows += added
        for _ in range(slices):
            if size.rows <= target:
                break
            size.rows -= self._move(tx, _slice_of(size.next_slice % slices, slices))
            size.next_slice = (size.next_slice + 1) % slices

    def _move(self, tx: Transaction, bounds: tuple[bytes, bytes]) -> int:
        inside = self._recent.c.digest.between(*bounds)
        rows = select(self._recent).where(inside).order_by(self._recent.c.digest)
        tx.connection.execute(insert(self.archive).from_select(["digest", "number"], rows))
        return tx.connection.execute(delete(self._recent).where(inside)).rowcount


def _slice_of(index: int, slices: int) -> tuple[bytes, bytes]:
    """The first and the last digest of one of so many equal slices of all digests."""
    whole = 1 << (8 * DIGEST_BYTES)
    first, behind = whole * index // slices, whole * (index + 1) // slices
    return first.to_bytes(DIGEST_BYTES), (behind - 1).to_bytes(DIGEST_BYTES)


def _table(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("digest", LargeBinary, primary_key=True),
        Column("number", BigInteger, nullable=False),
        sqlite_with_rowid=False,
        **STRICT,
    )
