"""Look at one bundle of entries and at its tile: hashes, headers, names. Nothing is judged here.

This is where the time goes, and nothing in it depends on another bundle: so bundles can be looked at anywhere, in any
order, by several processes.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b, sha256
from typing import Any, NamedTuple, NoReturn

from services.shared.tlog.entry import EntryError, HeaderReader, Place
from services.shared.tlog.merkle import HASH_BYTES, complete_root, fold, peaks
from services.shared.tlog.tiles import ENTRIES, TILE_WIDTH, Tile, split_hashes, whole_entries
from services.verifier.damage import Damage, damage

Read = Callable[[str], bytes | None]
"""Path inside the export → the file's bytes; None: there is no such file."""

NAME_BYTES = 16
NO_NAME = bytes(NAME_BYTES)
_PRUNED = "valvomo.log.pruned.v1"


Here = tuple[int, datetime]
"""Offset and ingest time."""


class Step(NamedTuple):
    """The first and the last that a bundle holds of one partition."""

    first: Here
    last: Here


class Pruned(NamedTuple):
    """What the entry `by` says: the bytes of entries `first` to `last` were destroyed."""

    by: int
    first: int
    last: int
    size: int
    root: str
    """Of the tree of the export that was made before: it says which log's entries these were."""

    @property
    def holds(self) -> bool:
        """Whether that can be: only what stood before it can have been destroyed."""
        return 0 <= self.first <= self.last < self.by


@dataclass(slots=True)
class Looked:
    """What there is of one bundle. `entries` and `hashes` are roots; None: it cannot be had.

    `names`: 16 bytes for each entry, zeros where it has no name. `rising`: in every partition, each entry stood behind
    the one before it; only then are `steps` enough to compare bundles.
    """

    tile: Tile
    entries: bytes | None = None
    hashes: bytes | None = None
    readable: bool = False
    damage: list[Damage] = field(default_factory=list)
    names: bytes = b""
    steps: dict[Place, Step] = field(default_factory=dict)
    rising: bool = True
    newest: datetime | None = None
    pruned: list[Pruned] = field(default_factory=list)


class Looker:
    """Looks at bundles.

    Args:
        read: the export's files.
        size: how many entries are signed.
    """

    def __init__(self, read: Read, size: int) -> None:
        self._read, self._size = read, size
        self._header = HeaderReader()

    def __call__(self, number: int) -> Looked:
        """Look at bundle `number` and at the level-0 tile beside it."""
        tile = tile_of(ENTRIES, number, self._size)
        looked = Looked(tile)
        stored = self.hashes(tile, looked.damage)
        looked.hashes = None if stored is None else subtree(stored)
        entries, rest = self.bundle(tile)
        if entries is None:
            return looked
        looked.readable = True
        leaves = leaf_hashes(entries)
        if len(entries) < tile.width or rest:
            looked.damage.append(_broken(tile, leaves, stored or leaves))
        else:
            looked.entries = looked.hashes if leaves == stored else subtree(leaves)
        disputed = set() if stored is None or leaves == stored else differing(leaves, stored)
        looked.rising = not disputed
        self._look_inside(looked, entries, disputed)
        return looked

    def bundle(self, tile: Tile) -> tuple[list[bytes] | None, int]:
        """The whole entries of a bundle, and how many bytes are behind them; None when there is no such file."""
        data = self._read(tile.path)
        if data is None and tile.width < TILE_WIDTH:  # a log that has grown keeps only the full one
            data = self._read(Tile(ENTRIES, tile.number).path)
            return (None, 0) if data is None else (whole_entries(data, tile.width)[0], 0)
        return (None, 0) if data is None else whole_entries(data, tile.width)

    def hashes(self, tile: Tile, found: list[Damage]) -> list[bytes] | None:
        """The hashes of the level-0 tile beside a bundle; None, and damage, when they cannot be read."""
        hashed = Tile(0, tile.number, tile.width)
        data = read_tile(self._read, hashed)
        if data is None:
            found.append(missing(hashed))
            return None
        if len(data) != HASH_BYTES * tile.width:
            found.append(tile_damage("tile.length", hashed, found=len(data), expected=HASH_BYTES * tile.width))
            return None
        return split_hashes(data)

    def _look_inside(self, looked: Looked, entries: Sequence[bytes], disputed: Collection[int]) -> None:
        """What has another hash than its tile says is damage anyway; what it says now must not stain others."""
        first, last = dict[Place, Here](), dict[Place, Here]()
        names: list[bytes] = []
        for at, entry in enumerate(entries):
            name = NO_NAME
            if at not in disputed:
                try:
                    place, offset, moment, start = self._header(entry)
                except EntryError as error:
                    looked.damage.append(_no_header(looked, at, error))
                else:
                    here, before = (offset, moment), last.get(place)
                    if before is None:
                        first[place] = here
                    elif offset <= before[0] or moment < before[1]:
                        looked.rising = False
                    last[place] = here
                    name = self._name(looked, at, entry[start:])
            names.append(name)
        looked.names = b"".join(names)
        looked.steps = {place: Step(here, last[place]) for place, here in first.items()}
        looked.newest = max((moment for _, moment in last.values()), default=None)

    @staticmethod
    def _name(looked: Looked, at: int, value: bytes) -> bytes:
        try:
            event = parse_event(value)
            source, name = event["source"], event["id"]
            if event.get("type") == _PRUNED:
                looked.pruned.append(_pruned(looked.tile.first + at, event["data"]))
            return name_of(source, name)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            index = looked.tile.first + at
            looked.damage.append(damage("order", "order.event", index, index))
            return NO_NAME


def _no_header(looked: Looked, at: int, error: EntryError) -> Damage:
    index = looked.tile.first + at
    return damage("order", "order.header", index, index, what=str(error))


def stands_behind(here: Here, before: Here) -> bool:
    """Whether a place on the bus comes after another one of its partition."""
    return here[0] > before[0] and here[1] >= before[1]


def tile_of(level: int, number: int, size: int) -> Tile:
    """Tile `number` of level 0 or of the entries, as wide as it is in a tree of `size` leaves."""
    return Tile(level, number, min(TILE_WIDTH, size - number * TILE_WIDTH))


def read_tile(read: Read, tile: Tile) -> bytes | None:
    """A tile's bytes; where a log that has grown has the full one only, the beginning of that."""
    data = read(tile.path)
    if data is None and tile.width < TILE_WIDTH:
        full = read(Tile(tile.level, tile.number).path)
        return None if full is None else full[: HASH_BYTES * tile.width]
    return data


def differing(leaves: Sequence[bytes], stored: Sequence[bytes]) -> set[int]:
    """Where in a bundle the entries have other hashes than the tile; also what the tile does not cover."""
    return {at for at, leaf in enumerate(leaves) if at >= len(stored) or leaf != stored[at]}


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """The leaf hash of each entry."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def subtree(leaves: Sequence[bytes]) -> bytes:
    """One hash for the leaves of a bundle: the node above a full one, and what stands for a partial one."""
    return complete_root(leaves) if len(leaves) == TILE_WIDTH else fold(peaks(leaves))


def name_of(source: str, name: str) -> bytes:
    """A digest of (source, id); ("a", "bc") and ("ab", "c") differ."""
    first = source.encode()
    return blake2b(b"%d:%b%b" % (len(first), first, name.encode()), digest_size=NAME_BYTES).digest()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse_event(value: bytes) -> dict[str, Any]:
    """The event that an entry holds.

    Raises:
        ValueError: it is not JSON in UTF-8 (NaN and Infinity are none).
        RecursionError: it is nested too deeply.
    """
    text = value.decode()
    event, end = _DECODER.raw_decode(text) if text[:1] == "{" else (None, -1)
    if end != len(text):
        event = _DECODER.decode(text)  # white space around it, or something else
    if not isinstance(event, dict):
        raise ValueError("not an object")  # noqa: TRY004  # wrong bytes, not a wrong call
    return event


def _pruned(index: int, data: dict[str, Any]) -> Pruned:
    first, last, size = (data[name] for name in ("first", "last", "export_size"))
    if any(type(number) is not int for number in (first, last, size)):
        raise ValueError("indexes are whole numbers")
    return Pruned(index, first, last, size, str(data["export_root"]))


def _broken(tile: Tile, leaves: Sequence[bytes], stored: Sequence[bytes]) -> Damage:
    good = next((at for at, leaf in enumerate(leaves) if at < len(stored) and leaf != stored[at]), len(leaves))
    first, last = min(tile.first + good, tile.first + tile.width - 1), tile.first + tile.width - 1
    return damage("entry", "entry.cut", first, last, path=tile.path)


def missing(tile: Tile) -> Damage:
    """The file of a tile or bundle is not there."""
    return damage("missing", "missing.tile", *covered(tile), path=tile.path)


def tile_damage(name: str, tile: Tile, **values: int) -> Damage:
    """A tile is not what the entries below it make."""
    return damage("tile", name, *covered(tile), path=tile.path, **values)


def covered(tile: Tile) -> tuple[int, int]:
    """The entries below a tile, both inclusive."""
    below = TILE_WIDTH ** max(tile.level, 0)
    return tile.first * below, (tile.first + tile.width) * below - 1
