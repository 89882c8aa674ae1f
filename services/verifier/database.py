"""The log's database read as an export is: what its tables hold, as the files that an export of it would have.

What a database has beyond those files (columns, the head, the table of contradictions) is compared with the entries.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from services.shared.tlog.entry import EntryError, HeaderReader, Place
from services.shared.tlog.merkle import HASH_BYTES, complete_root, leaf_hash
from services.shared.tlog.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    TILE_BITS,
    TILE_WIDTH,
    Frontier,
    Tile,
    bundle,
    levels,
    parse_path,
    split_hashes,
)
from services.verifier.damage import Damage, Notice, damage, notice
from services.verifier.look import Pruned
from services.verifier.notes import NOTES
from services.verifier.runs import Runs

_ROWS = 10 * TILE_WIDTH
_BEFORE_ALL = -(2**63)
"""Below every index of a row: one below zero is no entry, and told."""


class TablesError(Exception):
    """The tables cannot be read; the sentence says why."""


class Row(NamedTuple):
    """A row of the table `entry`."""

    seq: int
    source_ref: int
    source_offset: int
    body: bytes


class Tables(Protocol):
    """The log's tables, in one consistent view. Every method raises `TablesError` when they cannot be read."""

    def head(self) -> tuple[int, bytes]:
        """How many entries there are, and the hashes of the tree's right edge."""

    def bodies(self, first: int, end: int) -> list[bytes]:
        """The entries from index `first` up to `end`, exclusive, as far as there are rows."""

    def rows(self, after: int, limit: int) -> Sequence[Row]:
        """The next rows behind index `after`, in order."""

    def tile(self, level: int, number: int) -> bytes | None:
        """The hashes of a full tile."""

    def notes(self) -> Iterator[tuple[int, bytes]]:
        """Every checkpoint under the size that its row gives, rising."""

    def receipts(self) -> Iterator[tuple[str, bytes]]:
        """What anchors gave, under the path that an export gives it."""

    def contradictions(self) -> Iterator[tuple[int, int]]:
        """(an entry, the earlier one of its name) as the table `conflict` says, rising."""

    def partitions(self) -> Mapping[int, Place]:
        """What the short numbers of partitions stand for."""


class DatabaseReader:
    """Reads tables by the paths of an export; None for what is not there or cannot be read."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.troubles: list[Damage] = []

    def __call__(self, path: str) -> bytes | None:
        try:
            return self._newest() if path == "checkpoint" else self._tile(parse_path(path))
        except TablesError as error:
            self.trouble(error)
            return None
        except ValueError:
            return None

    def trouble(self, error: TablesError) -> None:
        """Note that something cannot be read; once, since the rest has the same cause as a rule."""
        if not self.troubles:
            self.troubles.append(damage("unreadable", "database.unreadable", what=str(error)))

    def notes(self) -> Iterator[tuple[str, bytes]]:
        """All checkpoints, as an export names them."""
        return self._readable((f"{NOTES}/{size:012d}", note) for size, note in self._tables.notes())

    def receipts(self) -> Iterator[tuple[str, bytes]]:
        """What anchors gave."""
        return self._readable(self._tables.receipts())

    def _readable(self, found: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """As many as can be read."""
        try:
            yield from found
        except TablesError as error:
            self.trouble(error)

    def _newest(self) -> bytes | None:
        newest = deque((note for _, note in self._tables.notes()), maxlen=1)
        return newest[0] if newest else None

    def _tile(self, tile: Tile) -> bytes | None:
        if tile.level == ENTRIES:
            bodies = self._tables.bodies(tile.first, tile.first + tile.width)
            whole = len(bodies) == tile.width and all(len(body) <= MAX_ENTRY_BYTES for body in bodies)
            return bundle(bodies) if whole else None
        stored = self._tables.tile(tile.level, tile.number)
        if stored is not None:
            return stored[: HASH_BYTES * tile.width] if tile.width < TILE_WIDTH else stored
        size, edge = self._tables.head()
        if tile.number != size >> (TILE_BITS * (tile.level + 1)):
            return None
        return b"".join(Frontier.decode(size, edge).edge(tile.level)[: tile.width])


class Audit:
    """Compare what a database has beyond an export's files with the entries.

    Args:
        tables: what is compared.
        signed: how many entries are under the newest checkpoint.
        pruned: what entries of the log say was destroyed.
    """

    def __init__(self, tables: Tables, signed: int, pruned: Collection[Pruned]) -> None:
        self._tables, self._signed, self._pruned = tables, signed, pruned
        self._header, self._partitions = HeaderReader(), tables.partitions()
        self._missing, self._beyond = Runs("row", "row.missing"), Runs("row", "row.beyond")
        self._place, self._left = Runs("row", "row.place"), Runs("row", "row.left")
        self._last_leaves: list[bytes] = []

    def damage(self, contradictions: Collection[tuple[int, int]]) -> Iterator[Damage]:
        """All that does not fit. `contradictions`: those that the entries themselves show."""
        size, edge = self._tables.head()
        end = self._walk(size)
        for runs in (self._missing, self._beyond, self._place, self._left):
            yield from runs.damage()
        if end != size:
            yield damage("row", "row.head", found=size, expected=end)
        elif edge != self._edge(size):
            yield damage("row", "row.edge")
        yield from self._conflicts(contradictions)

    def notices(self) -> Iterator[Notice]:
        """Entries that no checkpoint covers yet."""
        size, _ = self._tables.head()
        if size > self._signed:
            yield notice("uncovered", "notice.uncovered", self._signed, size - 1)

    def _walk(self, size: int) -> int:
        """Look at every row; the index behind the last."""
        at, after = 0, _BEFORE_ALL
        while rows := self._tables.rows(after, _ROWS):
            for row in rows:
                self._look_for_gap(at, row.seq)
                if not at <= row.seq < size:  # also below zero, or an index once more, in tables without their keys
                    self._beyond.add(row.seq)
                self._look(row, size)
                at, after = max(at, row.seq + 1), row.seq
        self._look_for_gap(at, max(size, self._signed))
        return at

    def _is_pruned(self, at: int) -> bool:
        return any(one.first <= at <= one.last for one in self._pruned)

    def _look_for_gap(self, first: int, end: int) -> None:
        for start, last in _outside(first, end - 1, self._pruned):
            self._missing.add(start, last)

    def _look(self, row: Row, size: int) -> None:
        if size // TILE_WIDTH * TILE_WIDTH <= row.seq < size:
            self._last_leaves.append(leaf_hash(row.body))
        try:
            place, offset, _, _ = self._header(row.body)
        except EntryError:
            place, offset = None, -1
        if (self._partitions.get(row.source_ref), row.source_offset) != (place, offset):
            self._place.add(row.seq)
        if self._is_pruned(row.seq) and not self._as_hashed(row):
            self._left.add(row.seq)

    def _as_hashed(self, row: Row) -> bool:
        number, at = divmod(row.seq, TILE_WIDTH)
        hashes = self._tables.tile(0, number) or b""
        return hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)] == leaf_hash(row.body)

    def _edge(self, size: int) -> bytes:
        """The right edge, made from the last rows and the full tiles."""
        return b"".join(chain(self._last_leaves, *(self._edge_of(level, size) for level in levels(size)[1:])))

    def _edge_of(self, level: int, size: int) -> Iterator[bytes]:
        count = size >> (TILE_BITS * level)
        for number in range(count - count % TILE_WIDTH, count):
            hashes = self._tables.tile(level - 1, number) or b""
            yield complete_root(split_hashes(hashes)) if len(hashes) == TILE_WIDTH * HASH_BYTES else b""

    def _conflicts(self, shown: Collection[tuple[int, int]]) -> Iterator[Damage]:
        """Merge what the table says with what the entries show; pruned entries can show nothing any more."""
        said = dict(pair for pair in self._tables.contradictions() if pair[0] < self._signed)
        known = dict(shown)
        for index in sorted(said.keys() | known.keys()):
            if said.get(index) == known.get(index) or self._is_pruned(index) or self._is_pruned(said.get(index, -1)):
                continue
            if index in known:
                yield damage("row", "row.conflict", index, index, earlier=known[index])
            else:
                yield damage("row", "row.no_conflict", index, index, earlier=said[index])


def _outside(first: int, last: int, pruned: Collection[Pruned]) -> Iterator[tuple[int, int]]:
    """The parts of a range that no pruning covers."""
    for one in sorted(pruned, key=lambda one: one.first):
        if first > last:
            return
        if one.first <= last and one.last >= first:
            if one.first > first:
                yield first, one.first - 1
            first = one.last + 1
    if first <= last:
        yield first, last
