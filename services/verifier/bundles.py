"""Bundles that are read once more, because something about them is in doubt; the last few are kept."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

from services.shared.tlog.entry import EntryError, HeaderReader
from services.shared.tlog.tiles import ENTRIES, TILE_WIDTH
from services.verifier.damage import Damage
from services.verifier.look import Looked, Looker, differing, leaf_hashes, tile_of

_KEPT = 64
_KEPT_BYTES = 32 * 1024 * 1024
"""A bundle may have half of it."""


class Bundles:
    """Entries and hashes by bundle or by index.

    Args:
        looker: reads them.
        size: how many entries are signed.
    """

    def __init__(self, looker: Looker, size: int) -> None:
        self._looker, self._size = looker, size
        self._header = HeaderReader()
        self._bundles: OrderedDict[int, list[bytes]] = OrderedDict()
        self._bytes = 0

    def entries(self, number: int) -> list[bytes]:
        """The whole entries that a bundle begins with; none when it cannot be read."""
        found = self._bundles.get(number)
        if found is None:
            found = self._looker.bundle(tile_of(ENTRIES, number, self._size))[0] or []
            self._bundles[number] = found
            self._bytes += sum(map(len, found))
            while len(self._bundles) > 1 and (len(self._bundles) > _KEPT or self._bytes > _KEPT_BYTES):
                self._bytes -= sum(map(len, self._bundles.popitem(last=False)[1]))
        return found

    def leaves(self, number: int) -> tuple[list[bytes] | None, list[bytes] | None]:
        """The leaf hashes of a bundle as its entries and as its tile give them; None where those are not whole."""
        tile, told = tile_of(ENTRIES, number, self._size), list[Damage]()
        entries, rest = self._looker.bundle(tile)
        whole = entries is not None and len(entries) == tile.width and not rest
        return leaf_hashes(entries) if entries is not None and whole else None, self._looker.hashes(tile, told)

    def undisputed(self, looked: Looked) -> Sequence[bytes | None]:
        """The entries of a bundle; None for each that is not what its tile says."""
        entries = self.entries(looked.tile.number)
        stored = self._looker.hashes(looked.tile, [])
        disputed = set() if stored is None else differing(leaf_hashes(entries), stored)
        return [None if at in disputed else entry for at, entry in enumerate(entries)]

    def event_digest(self, index: int) -> bytes | None:
        """A digest of the event's bytes in entry `index`; None when it cannot be read."""
        number, at = divmod(index, TILE_WIDTH)
        entries = self.entries(number)
        try:
            return sha256(entries[at][self._header(entries[at])[3] :]).digest()
        except (IndexError, EntryError):
            return None
