"""What was altered: entries or hashes. The signed root decides."""

from collections.abc import Iterable, Iterator, Sequence

from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.tiles import TILE_WIDTH
from services.verifier.bundles import Bundles
from services.verifier.damage import Damage, damage
from services.verifier.look import Looked, Read, subtree
from services.verifier.notes import Signed
from services.verifier.runs import Runs
from services.verifier.tree import Rows, mixtures, root_of_row, roots_at, true_row, upper_damage


class Judge:
    """Collects what each bundle's entries and tile say, then judges.

    Args:
        read: the export's files.
        tip: the signed tree.
        bundles: reads again what is in doubt.
    """

    def __init__(self, read: Read, tip: Checkpoint, bundles: Bundles) -> None:
        self._read, self._tip, self._bundles = read, tip, bundles
        self._rows = Rows(tip.size)
        self._true: list[bytes] | None = None
        self._altered, self._tiles = Runs("entry", "entry.altered"), Runs("tile", "tile.altered")
        self._unclear = Runs("entry", "entry.unclear")

    def add(self, looked: Looked) -> None:
        """The next bundle."""
        self._rows.add(looked.entries, looked.hashes)

    def damage(self, signed: Sequence[Signed]) -> Iterator[Damage]:
        """Everything that is not what was signed. `signed`: older checkpoints, which help to say where."""
        self._rows.read_upper(self._read)
        self._true = true_row(self._rows, self._tip.root, self._tails())
        if self._true is None:
            yield from self._nothing_fits(signed)
        else:
            for number, true in enumerate(self._true):
                yield from self._judged(number, true)
            yield from upper_damage(self._read, self._tip.size, self._true)
        for runs in (self._altered, self._tiles, self._unclear):
            yield from runs.damage()

    def roots(self, signed: Sequence[Signed], others: Iterable[int] = ()) -> dict[int, bytes]:
        """The roots that the signed tree had at the sizes of older checkpoints, and at others; after `damage`."""
        return {} if self._true is None else roots_at(self._sizes(signed, others), self._true, self._true_leaves)

    def _sizes(self, signed: Sequence[Signed], others: Iterable[int] = ()) -> list[int]:
        sizes = {*(one.checkpoint.size for one in signed), *others}
        return sorted(size for size in sizes if 0 <= size <= self._tip.size)

    def _tails(self) -> list[Sequence[bytes]]:
        number, width = divmod(self._tip.size, TILE_WIDTH)
        if not width:
            return []
        entries, stored = self._bundles.leaves(number)
        if entries is not None and stored is not None:
            return list(mixtures(entries, stored))
        return [one for one in (entries, stored) if one is not None]

    def _judged(self, number: int, true: bytes) -> Iterator[Damage]:
        entries, hashes = self._rows.entries[number], self._rows.hashes[number]
        if {entries, hashes} <= {true, b""}:  # what cannot be had was told by who looked for it
            return
        leaves, stored = self._bundles.leaves(number)
        if leaves is not None and stored is not None:
            yield from self._compared(number, leaves, stored, true)
        else:
            name = "tile.somewhere" if leaves is None else "entry.somewhere"
            yield damage("tile" if leaves is None else "entry", name, *self._bounds(number))

    def _compared(self, number: int, leaves: list[bytes], stored: list[bytes], true: bytes) -> Iterator[Damage]:
        signed = next((one for one in mixtures(leaves, stored) if subtree(one) == true), None)
        if signed is None and leaves == stored:
            yield damage("entry", "entry.both", *self._bounds(number))
            return
        for at, (entry, hashed) in enumerate(zip(leaves, stored, strict=True), number * TILE_WIDTH):
            expected = None if signed is None else signed[at % TILE_WIDTH]
            if expected is None:
                self._add_unclear(at, entry, hashed)
                continue
            if entry != expected:
                self._altered.add(at)
            if hashed != expected:
                self._tiles.add(at)

    def _add_unclear(self, index: int, entry: bytes, hashed: bytes) -> None:
        if entry != hashed:
            self._unclear.add(index)

    def _bounds(self, number: int) -> tuple[int, int]:
        return number * TILE_WIDTH, min((number + 1) * TILE_WIDTH, self._tip.size) - 1

    def _nothing_fits(self, signed: Sequence[Signed]) -> Iterator[Damage]:
        """Nothing at hand leads to the signed root: every dispute stays open, and the root itself is damage."""
        for number, (entries, hashes) in enumerate(zip(self._rows.entries, self._rows.hashes, strict=True)):
            if entries and hashes and entries != hashes:
                leaves, stored = self._bundles.leaves(number)
                for index, pair in enumerate(zip(leaves or (), stored or (), strict=False), number * TILE_WIDTH):
                    self._add_unclear(index, *pair)
        tails = self._tails()[:1]
        row = self._rows.complete(bool(tails))
        if row is None:  # then something is missing, and told as that
            return
        first, last = self._as_signed(row, signed), self._tip.size - 1
        root = root_of_row(row, self._tip.size, tails)
        values: dict[str, str | int] = {"size": self._tip.size, "found": root.hex(), "expected": self._tip.root.hex()}
        if last < 0:
            yield damage("root", "root", None, None, **values)
        else:
            yield damage("root", "root" if not first else "root.after", min(first, last), last, **values)

    def _as_signed(self, row: list[bytes], signed: Sequence[Signed]) -> int:
        """How many first entries an older checkpoint still confirms."""
        roots = roots_at(self._sizes(signed), row, self._leaves_at_hand)
        return max((c.size for _, c, _ in signed if roots.get(c.size) == c.root), default=0)

    def _leaves_at_hand(self, number: int) -> Sequence[bytes] | None:
        entries, stored = self._bundles.leaves(number)
        return entries if entries is not None else stored

    def _true_leaves(self, number: int) -> Sequence[bytes] | None:
        assert self._true is not None
        entries, stored = self._bundles.leaves(number)
        if entries is None or stored is None:
            candidates = [one for one in (entries, stored) if one is not None]
        else:
            candidates = list(mixtures(entries, stored))
        return next((one for one in candidates if subtree(one) == self._true[number]), None)
