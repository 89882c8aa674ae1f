"""The tree that was signed: which of the hashes at hand are true, and what the others say about who was altered.

There are three sources for the hash above a bundle: its entries, its tile at level 0, the tile at level 1. Any of them
may have been altered. Where two agree they are believed at first; the signed root decides.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from services.shared.tlog.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, complete_root, fold, peaks
from services.shared.tlog.tiles import TILE_WIDTH, level_tiles, levels, split_hashes
from services.verifier.damage import Damage
from services.verifier.look import Read, missing, read_tile, tile_damage

_MOST_DOUBTS = 10
"""So many entries of one bundle may disagree with their hashes for every combination to be tried."""


@dataclass(slots=True)
class Rows:
    """Per bundle its hash as the entries, the level-0 tile and the level-1 tile give it; b"" where it cannot be had."""

    size: int
    entries: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    upper: list[bytes] = field(default_factory=list)

    def add(self, entries: bytes | None, hashes: bytes | None) -> None:
        self.entries.append(entries or b"")
        self.hashes.append(hashes or b"")

    def complete(self, tail: bool) -> list[bytes] | None:  # noqa: FBT001  # whether it is there
        """The hashes above the full bundles, from the first source that has them all; None: none has."""
        full = self.size // TILE_WIDTH
        if self.size % TILE_WIDTH and not tail:
            return None
        return next((row[:full] for row in (self.entries, self.agreed(), self.hashes) if all(row[:full])), None)

    def agreed(self) -> list[bytes]:
        """Of each bundle what two of three sources say."""
        return [_agreed(*three) for three in zip(self.entries, self.hashes, self.upper, strict=True)]

    def read_upper(self, read: Read) -> None:
        """Take over what the level-1 tiles say of the full bundles; they have nothing on a partial one."""
        for tile in level_tiles(1, self.size):
            data = read_tile(read, tile)
            whole = data is not None and len(data) == HASH_BYTES * tile.width
            self.upper += split_hashes(data) if data is not None and whole else [b""] * tile.width
        self.upper += [b""] * (len(self.entries) - len(self.upper))


def true_row(rows: Rows, root: bytes, tails: Sequence[Sequence[bytes]]) -> list[bytes] | None:
    """The hashes above the bundles that lead to the signed root; None when nothing at hand does.

    Args:
        rows: the candidates, a partial last bundle among them.
        root: what was signed.
        tails: the leaves that the partial last bundle may have; empty when there is no such bundle.
    """
    full = rows.size // TILE_WIDTH
    if rows.size % TILE_WIDTH and not tails:
        return None
    for row in (rows.agreed(), rows.entries, rows.hashes, rows.upper):
        known = row[:full]
        if not all(known):
            continue
        left = peaks(known)
        for tail in tails or [()]:
            if fold([*left, *peaks(tail)]) == root:
                return [*known, fold(peaks(tail))] if tail else known
    return None


def _agreed(entries: bytes, hashes: bytes, upper: bytes) -> bytes:
    """What two of three say; else what stands highest, as fewer hands come there."""
    if entries and entries in (hashes, upper):
        return entries
    return upper or hashes or entries


def root_of_row(row: Sequence[bytes], size: int, tails: Sequence[Sequence[bytes]]) -> bytes:
    """The root over full bundles' hashes and the leaves behind them."""
    return fold([*peaks(row[: size // TILE_WIDTH]), *peaks(tails[0] if tails else ())])


def roots_at(
    sizes: Sequence[int], row: Sequence[bytes], leaves: Callable[[int], Sequence[bytes] | None]
) -> dict[int, bytes]:
    """The roots that the tree had at earlier sizes, which rise; those that cannot be told are left out.

    Args:
        sizes: at most the tree's.
        row: the true hashes above the bundles.
        leaves: bundle number → its true leaf hashes.
    """
    tree, roots = CompactRange(), {}
    cached: tuple[int, Sequence[bytes] | None] = (-1, None)
    for size in sizes:
        number, part = divmod(size, TILE_WIDTH)
        tree.extend(row[tree.size : number])
        if part and cached[0] != number:
            cached = (number, leaves(number))
        known = cached[1] if part else ()
        if known is not None:
            roots[size] = fold([*tree.nodes, *peaks(known[:part])]) if size else EMPTY_ROOT
    return roots


def upper_damage(read: Read, size: int, row: Sequence[bytes]) -> Iterator[Damage]:
    """Compare every tile above level 0, partial ones too, with what the true hashes above the bundles make."""
    hashes = list(row[: size // TILE_WIDTH])
    for level in levels(size)[1:]:
        for tile in level_tiles(level, size):
            expected = b"".join(hashes[tile.first : tile.first + tile.width])
            stored = read_tile(read, tile)
            if stored is None:
                yield missing(tile)
            elif stored != expected:
                yield tile_damage("tile.upper", tile)
        full = range(0, len(hashes) // TILE_WIDTH * TILE_WIDTH, TILE_WIDTH)
        hashes = [complete_root(hashes[at : at + TILE_WIDTH]) for at in full]


def mixtures(entries: Sequence[bytes], hashes: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The leaves of one bundle: as its entries give them, as its tile says, then some from here and some from there."""
    yield list(entries)
    yield list(hashes)
    doubts = [at for at, leaf in enumerate(entries) if leaf != hashes[at]]
    if len(doubts) > _MOST_DOUBTS:
        return
    for choice in product((False, True), repeat=len(doubts)):
        leaves = list(entries)
        for at, from_tile in zip(doubts, choice, strict=True):
            if from_tile:
                leaves[at] = hashes[at]
        yield leaves
