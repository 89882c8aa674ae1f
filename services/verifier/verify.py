"""Verify an export: every byte of it against checkpoints, with a key that comes from the auditor.

Everything is hashed again from the entries' bytes. Where entries and tree disagree, the signed root decides which of
them was altered. All damage is listed; one fault does not hide another. Nothing is taken from the export on trust: not
the key, not the size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from services.shared.tlog.checkpoint import Checkpoint, open_checkpoint
from services.shared.tlog.entry import EntryError, Position, parse_entry
from services.shared.tlog.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, leaf_hash
from services.shared.tlog.note import NoteError, UnknownSignerError, VerifierKey
from services.shared.tlog.tiles import (
    ENTRIES,
    TILE_BITS,
    TILE_WIDTH,
    Frontier,
    Tile,
    level_tiles,
    levels,
    split_hashes,
    whole_entries,
)

VERIFIED, DAMAGED, UNVERIFIABLE, STALE = range(4)
"""The exit codes of `valvomo audit verify`."""

Read = Callable[[str], bytes | None]
"""Path inside the export → the file's bytes; None: there is no such file."""

Kind = Literal["entry", "tile", "order", "checkpoint", "fork", "truncated", "root", "missing", "unknown_key", "stale"]
_EXIT: Mapping[Kind, int] = {"missing": UNVERIFIABLE, "unknown_key": UNVERIFIABLE, "stale": STALE}


class Damage(NamedTuple):
    """One thing that is wrong; `first` to `last` are entries (both inclusive), None when no entry is meant."""

    kind: Kind
    first: int | None
    last: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified: `size` entries under `root` (hex), and all that is wrong."""

    size: int
    root: str
    damage: tuple[Damage, ...]

    @property
    def exit(self) -> int:
        """0 verified, 1 damaged or forked, 2 cannot be verified, 3 verified but stale."""
        found = {_EXIT.get(damage.kind, DAMAGED) for damage in self.damage}
        return next((code for code in (DAMAGED, UNVERIFIABLE, STALE) if code in found), VERIFIED)


def verify(
    read: Read,
    notes: Sequence[tuple[str, bytes]],
    key: VerifierKey,
    *,
    now: datetime,
    max_age: timedelta | None = None,
    progress: Callable[[int], None] = lambda _entries: None,
) -> Report:
    """Verify an export against its own newest checkpoint and every other note.

    Args:
        read: the export's files.
        notes: (what to call it, the signed note): the export's older checkpoints and those that the auditor kept.
        key: the log's key, from the auditor's side.
        now: what "stale" is measured from (UTC).
        max_age: how old the newest entry may be; None: any age.
        progress: told how many entries have been read.
    """
    newest = read("checkpoint")
    if newest is None:
        return _nothing(
            Damage(
                "missing",
                None,
                None,
                "the file `checkpoint` is missing or cannot be read: there is nothing signed to verify",
            )
        )
    signed, damage = _open_all([("checkpoint", newest), *notes], key)
    if not signed or signed[0][0] != "checkpoint":
        return _nothing(*damage)
    tip = signed[0][1]
    damage += _cut_off(signed, tip)
    walk = _Walk(read, tip.size, {checkpoint.size for _, checkpoint in signed})
    walk.run(progress)
    found, roots = walk.judged(tip)
    damage += found
    damage += _forks(signed, tip, roots)
    if max_age is not None and walk.newest is not None and now - walk.newest > max_age:
        damage.append(Damage("stale", None, None, _stale(walk.newest, now - walk.newest)))
    return Report(tip.size, tip.root.hex(), tuple(damage))


def _nothing(*damage: Damage) -> Report:
    return Report(0, EMPTY_ROOT.hex(), damage)


def _stale(newest: datetime, age: timedelta) -> str:
    return f"the newest entry is of {newest:%Y-%m-%d %H:%M} UTC, {age.days} days ago: ask for a newer export"


def _open_all(
    notes: Sequence[tuple[str, bytes]], key: VerifierKey
) -> tuple[list[tuple[str, Checkpoint]], list[Damage]]:
    signed, damage = [], []
    for name, note in notes:
        try:
            signed.append((name, open_checkpoint(note, key)))
        except UnknownSignerError as error:
            damage.append(Damage("unknown_key", None, None, f"{name}: {error}"))
        except NoteError as error:
            damage.append(Damage("checkpoint", None, None, f"{name}: {error}"))
    return signed, damage


def _cut_off(signed: Sequence[tuple[str, Checkpoint]], tip: Checkpoint) -> Iterator[Damage]:
    for name, checkpoint in signed:
        if checkpoint.size > tip.size:
            missing = f"{name} was signed over {checkpoint.size} entries, the export ends after {tip.size}"
            yield Damage("truncated", tip.size, checkpoint.size - 1, f"{missing}: the newest entries were cut off")


def _forks(signed: Sequence[tuple[str, Checkpoint]], tip: Checkpoint, roots: Mapping[int, bytes]) -> Iterator[Damage]:
    for name, checkpoint in signed:
        expected = tip.root if checkpoint.size == tip.size else roots.get(checkpoint.size)
        if expected is not None and expected != checkpoint.root:
            other = f"{name} was signed over other first {checkpoint.size} entries"
            sentence = f"{other}: the log was rewritten, or shown in two versions"
            yield Damage("fork", 0, max(checkpoint.size - 1, 0), sentence)


class _Tree:
    """A tree grown leaf by leaf: its roots at the sizes asked for, and the tiles above level 0 that do not fit."""

    def __init__(self, read: Read, sizes: AbstractSet[int]) -> None:
        self._read, self._sizes = read, sizes
        self._range, self._frontier = CompactRange(), Frontier()
        self.roots = {0: EMPTY_ROOT}
        self.damage: list[Damage] = []

    @property
    def size(self) -> int:
        return self._range.size

    def root(self) -> bytes:
        return self._range.root()

    def grow(self, leaves: Sequence[bytes]) -> None:
        for leaf in leaves:
            self._range.append(leaf)
            if self._range.size in self._sizes:
                self.roots[self._range.size] = self._range.root()
        for tile, expected in self._frontier.append(leaves):
            self._compare(tile, expected)

    def finish(self) -> None:
        """Compare the partial tiles at the right edge."""
        for level in levels(self.size):
            if row := self._frontier.edge(level):
                self._compare(Tile(level, self.size >> (TILE_BITS * (level + 1)), len(row)), b"".join(row))

    def _compare(self, tile: Tile, expected: bytes) -> None:
        if not tile.level:  # hash by hash, by the walk
            return
        stored = self._read(tile.path)
        if stored is None:
            self.damage.append(_missing(tile))
        elif stored != expected:
            self.damage.append(_tile_damage(tile, "its hashes are not those of the entries below it"))


class _Walk:
    """One pass over all entries and their level-0 tiles; a second one, over the tiles alone, only when those differ."""

    def __init__(self, read: Read, size: int, sizes: AbstractSet[int]) -> None:
        self._read, self._size, self._sizes = read, size, sizes
        self._tree = _Tree(read, sizes)
        self._damage: list[Damage] = []
        self._differing: list[int] = []
        self._positions: dict[tuple[str, str, int], Position] = {}
        self._whole = True
        self.newest: datetime | None = None

    def run(self, progress: Callable[[int], None]) -> None:
        for tile in level_tiles(ENTRIES, self._size):
            leaves = self._leaves(tile)
            self._whole = self._whole and leaves is not None
            if self._whole and leaves is not None:
                self._tree.grow(leaves)
            progress(tile.first + tile.width)
        if self._whole:
            self._tree.finish()

    def judged(self, tip: Checkpoint) -> tuple[list[Damage], Mapping[int, bytes]]:
        """All damage, and the roots of the past under the signed root (none when nothing leads to that).

        Where a bundle and its tile disagree, the signed root says which of them was altered.
        """
        if self._whole and self._tree.root() == tip.root:
            altered = _ranges("tile", self._differing, "the tile's hash is not that of the signed entry")
            return [*self._damage, *self._tree.damage, *altered], self._tree.roots
        tiles = self._tree_of_tiles()
        if tiles is not None and tiles.root() == tip.root:
            altered = _ranges("entry", self._differing, "its bytes are not those that were signed")
            return [*self._damage, *tiles.damage, *altered], tiles.roots
        unclear = _ranges(
            "entry", self._differing, "its bytes and its tile disagree, and neither leads to the signed root"
        )
        return [*self._damage, *unclear, *self._root_damage(tip)], {}

    def _root_damage(self, tip: Checkpoint) -> Iterator[Damage]:
        if self._whole:
            sentence = (
                f"{self._size} entries give the root {self._tree.root().hex()}, the checkpoint says {tip.root.hex()}"
            )
            yield Damage("root", 0 if self._size else None, self._size - 1 if self._size else None, sentence)

    def _leaves(self, tile: Tile) -> list[bytes] | None:
        """The leaf hashes of a bundle, or of its tile when the bundle cannot tell; None when neither can."""
        stored = self._stored_hashes(Tile(0, tile.number, tile.width))
        data = self._read(tile.path)
        if data is None:
            self._damage.append(_missing(tile))
            return stored
        entries, rest = whole_entries(data, tile.width)
        leaves = [leaf_hash(entry) for entry in entries]
        self._look_inside(tile, entries)
        if len(entries) < tile.width or rest:
            self._damage.append(_broken(tile, leaves, stored or leaves))
            return stored
        if stored is not None and leaves != stored:
            self._differing += [tile.first + at for at in range(tile.width) if leaves[at] != stored[at]]
        return leaves

    def _stored_hashes(self, tile: Tile) -> list[bytes] | None:
        data = self._read(tile.path)
        if data is None:
            self._damage.append(_missing(tile))
            return None
        if len(data) != HASH_BYTES * tile.width:
            self._damage.append(_tile_damage(tile, f"found {len(data)} bytes, expected {HASH_BYTES * tile.width}"))
            return None
        return split_hashes(data)

    def _look_inside(self, tile: Tile, entries: Sequence[bytes]) -> None:
        for index, raw in enumerate(entries, tile.first):
            try:
                self._check_order(parse_entry(raw).position)
            except EntryError as error:
                self._damage.append(Damage("order", index, index, f"entry {index}: {error}"))

    def _check_order(self, position: Position) -> None:
        place = (position.cluster, position.topic, position.partition)
        before = self._positions.get(place)
        self._positions[place] = position
        self.newest = max(self.newest or position.ingest_time, position.ingest_time)
        if before is not None and (before.offset >= position.offset or before.ingest_time > position.ingest_time):
            raise EntryError("it stood on the bus before an earlier entry of the same partition")

    def _tree_of_tiles(self) -> _Tree | None:
        """The tree that the level-0 tiles alone make; None when one of them is missing or cut."""
        tree = _Tree(self._read, self._sizes)
        for tile in level_tiles(0, self._size):
            data = self._read(tile.path)
            if data is None or len(data) != HASH_BYTES * tile.width:
                return None
            tree.grow(split_hashes(data))
        tree.finish()
        return tree


def _broken(tile: Tile, leaves: Sequence[bytes], stored: Sequence[bytes]) -> Damage:
    good = next((at for at, leaf in enumerate(leaves) if at < len(stored) and leaf != stored[at]), len(leaves))
    first, last = min(tile.first + good, tile.first + tile.width - 1), tile.first + tile.width - 1
    what = f"{tile.path} is cut, or the lengths in it were altered"
    return Damage("entry", first, last, f"entries {first} to {last}: {what}")


def _missing(tile: Tile) -> Damage:
    first, last = _covered(tile)
    return Damage(
        "missing", first, last, f"{tile.path} is missing or cannot be read; it covers entries {first} to {last}"
    )


def _tile_damage(tile: Tile, what: str) -> Damage:
    first, last = _covered(tile)
    return Damage("tile", first, last, f"{tile.path}, over entries {first} to {last}: {what}")


def _covered(tile: Tile) -> tuple[int, int]:
    """The entries below a tile, both inclusive."""
    below = TILE_WIDTH ** max(tile.level, 0)
    return tile.first * below, (tile.first + tile.width) * below - 1


def _ranges(kind: Kind, indexes: Sequence[int], what: str) -> Iterator[Damage]:
    """Neighbouring entries as one piece of damage."""
    start = 0
    for at in range(1, len(indexes) + 1):
        if at == len(indexes) or indexes[at] != indexes[at - 1] + 1:
            first, last = indexes[start], indexes[at - 1]
            name = f"entry {first}" if first == last else f"entries {first} to {last}"
            yield Damage(kind, first, last, f"{name}: {what}")
            start = at
