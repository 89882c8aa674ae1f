"""C2SP tlog-tiles: the tree as files of up to 256 hashes, the entries as bundles of up to 256.

Source: c2sp.org/tlog-tiles (read November 2026). Tile `number` of `level` holds the hashes of complete subtrees of
256^level leaves; a partial tile (width 1 to 255) is never hashed into the level above.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from services.shared.tlog.merkle import HASH_BYTES, NodeReader, complete_root, fold, peaks

TILE_WIDTH = 256
TILE_BITS = 8
MAX_ENTRY_BYTES = 65_535
_MAX_LEVEL = 63
_LENGTH_BYTES = 2
_PATH = re.compile(r"tile/(0|[1-9][0-9]?|entries)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


class Tile(NamedTuple):
    """Which tile: `level` (-1: the entries themselves), `number` in its level, `width` 1 to 256 (256: full)."""

    level: int
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it lies, relative to the log's prefix."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_encode_number(self.number)}{partial}"

    @property
    def first(self) -> int:
        """Index, in its level, of its first hash."""
        return self.number * TILE_WIDTH


ENTRIES = -1


def parse_path(path: str) -> Tile:
    """The tile that lies at `path`.

    Raises:
        ValueError: nothing of a log lies there, or it is not written the one way it may be.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError("not the path of a tile; expected for example tile/0/x001/234.p/17 or tile/entries/000")
    level = ENTRIES if found[1] == "entries" else int(found[1])
    tile = Tile(level, int(found[2].replace("x", "").replace("/", "")), int(found[3]) if found[3] else TILE_WIDTH)
    if level > _MAX_LEVEL or tile.path != path:
        raise ValueError(
            "not the canonical path of a tile: levels go to 63, widths to 255, numbers have no needless groups"
        )
    return tile


def _encode_number(number: int) -> str:
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def level_tiles(level: int, size: int) -> Iterator[Tile]:
    """The tiles of one level in a tree of `size` leaves, left to right; the last may be partial."""
    hashes = size >> (TILE_BITS * max(level, 0))
    for number in range(hashes // TILE_WIDTH):
        yield Tile(level, number)
    if hashes % TILE_WIDTH:
        yield Tile(level, hashes // TILE_WIDTH, hashes % TILE_WIDTH)


def levels(size: int) -> range:
    """The levels of hashes that a tree of `size` leaves has."""
    return range((max(size.bit_length(), 1) - 1) // TILE_BITS + 1 if size else 0)


def all_tiles(size: int) -> Iterator[Tile]:
    """Every tile and entry bundle that a tree of `size` leaves has."""
    for level in (ENTRIES, *levels(size)):
        yield from level_tiles(level, size)


def belongs(tile: Tile, size: int) -> bool:
    """Whether a tree of `size` leaves has this tile, at this width or (a partial of what is now full) a larger one."""
    hashes = size >> (TILE_BITS * max(tile.level, 0))
    return tile.first + tile.width <= hashes


def split_hashes(data: bytes) -> list[bytes]:
    """The hashes of a tile's bytes.

    Raises:
        ValueError: the length is no multiple of 32.
    """
    if len(data) % HASH_BYTES:
        raise ValueError(f"found {len(data)} bytes, expected a multiple of {HASH_BYTES}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as one file: each with its length as two bytes, big-endian, before it."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES) + entry for entry in entries)


def split_bundle(data: bytes, width: int) -> list[bytes]:
    """The `width` entries of a bundle.

    Raises:
        ValueError: there are fewer or more of them, or one is cut.
    """
    entries, rest = whole_entries(data, width)
    if len(entries) != width or rest:
        raise ValueError(
            f"found {len(entries)} whole entries and {rest} bytes more, expected {width} entries and nothing after them"
        )
    return entries


def whole_entries(data: bytes, width: int) -> tuple[list[bytes], int]:
    """The whole entries, at most `width`, that a bundle begins with, and how many bytes follow them."""
    entries: list[bytes] = []
    at = 0
    while at + _LENGTH_BYTES <= len(data) and len(entries) < width:
        end = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES])
        if end > len(data):
            break
        entries.append(data[at + _LENGTH_BYTES : end])
        at = end
    return entries, len(data) - at


class Frontier:
    """The right edge of a growing tree of tiles: of each level the hashes of its tile that is not yet full.

    `append` gives the tiles that became full, to be stored for good; what it keeps is at most 255 hashes per level.

    Raises:
        ValueError: the edge is not that of a tree of `size` leaves.
    """

    def __init__(self, size: int = 0, edge: Sequence[Sequence[bytes]] = ()) -> None:
        self.size = size
        self._edge = [list(row) for row in edge]
        if [len(row) for row in self._edge] != _edge_widths(size):
            raise ValueError(f"the stored edge of the tree is not that of {size} entries")

    @classmethod
    def decode(cls, size: int, data: bytes) -> "Frontier":
        """The frontier that `encode` wrote for a tree of `size` leaves."""
        hashes, edge = split_hashes(data), []
        for width in _edge_widths(size):
            edge.append(hashes[:width])
            hashes = hashes[width:]
        if hashes:
            raise ValueError(f"the stored edge of the tree holds {len(hashes)} hashes too many for {size} entries")
        return cls(size, edge)

    def encode(self) -> bytes:
        return b"".join(hashed for row in self._edge for hashed in row)

    def edge(self, level: int) -> Sequence[bytes]:
        """The hashes of the partial tile of a level."""
        return self._edge[level] if level < len(self._edge) else ()

    def append(self, leaves: Iterable[bytes]) -> list[tuple[Tile, bytes]]:
        """Add leaf hashes; the tiles that became full, with their bytes, each after those it is made of."""
        full: list[tuple[Tile, bytes]] = []
        hashes, at = list(leaves), 0
        while at < len(hashes):
            room = TILE_WIDTH - len(self.edge(0))
            some = hashes[at : at + room]
            self.size += len(some)
            self._push(0, some, full)
            at += room
        return full

    def _push(self, level: int, hashes: Sequence[bytes], full: list[tuple[Tile, bytes]]) -> None:
        """Add hashes, no more than its tile has room for, to a level of the tree that has grown already."""
        if level == len(self._edge):
            self._edge.append([])
        row = self._edge[level]
        row.extend(hashes)
        if len(row) == TILE_WIDTH:
            full.append((Tile(level, (self.size - 1) >> (TILE_BITS * (level + 1))), b"".join(row)))
            self._edge[level] = []
            self._push(level + 1, [complete_root(row)], full)

    def root(self) -> bytes:
        return fold([peak for row in reversed(self._edge) for peak in peaks(row)])


def _edge_widths(size: int) -> list[int]:
    return [(size >> (TILE_BITS * level)) % TILE_WIDTH for level in levels(size)]


TileReader = Callable[[int, int], Sequence[bytes]]
"""(level, number) → the hashes that the tile holds now."""


def node_reader(tile: TileReader) -> NodeReader:
    """Find complete nodes in tiles: a node between two tile levels is folded from the lower one."""

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_BITS)
        first = index << height
        hashes = tile(tile_level, first // TILE_WIDTH)
        start = first % TILE_WIDTH
        return complete_root(hashes[start : start + (1 << height)])

    return node
