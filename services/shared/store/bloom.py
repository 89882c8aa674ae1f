"""A Bloom filter over 16-byte digests: a whole batch is asked in one step, and grows it without looking at old ones.

It answers "never seen" or "perhaps". Two to four bytes per digest; of unseen ones one in a hundred is a "perhaps".
"""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

_BITS_EACH = 16
_FIRST_CAPACITY = 1 << 18
_GROWTH = 4
_WORDS = 4
"""A digest gives four places: as its bytes are random, no further hashing is needed."""


class BloomFilter:
    """Layers, each for four times as many digests as the one before; the last one takes what comes."""

    def __init__(self) -> None:
        self._layers = [_Layer(_FIRST_CAPACITY)]

    def add(self, digests: Sequence[bytes]) -> None:
        """Remember digests of 16 bytes each."""
        if not digests:
            return
        last = self._layers[-1]
        if last.held and last.held + len(digests) > last.capacity:
            last = _Layer(_GROWTH * last.capacity)
            self._layers.append(last)
        last.add(_places(digests))

    def perhaps(self, digests: Sequence[bytes]) -> list[bytes]:
        """Those digests that may have been added; of those left out none was."""
        if not digests:
            return []
        places = _places(digests)
        hit = self._layers[0].holds(places)
        for layer in self._layers[1:]:
            hit |= layer.holds(places)
        return list(compress(digests, hit.tolist())) if hit.any() else []


class _Layer:
    """One array of bits."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.held = capacity, 0
        self._mask = np.uint32(min(capacity * _BITS_EACH, 1 << 32) - 1)
        self._bytes = np.zeros((int(self._mask) + 1) // 8, dtype=np.uint8)

    def add(self, places: NDArray[np.uint32]) -> None:
        at = (places & self._mask).ravel()
        np.bitwise_or.at(self._bytes, at >> np.uint32(3), _bit(at))
        self.held += len(places)

    def holds(self, places: NDArray[np.uint32]) -> NDArray[np.bool_]:
        at = places & self._mask
        found: NDArray[np.bool_] = ((self._bytes[at >> np.uint32(3)] & _bit(at)) != 0).all(axis=1)
        return found


def _places(digests: Sequence[bytes]) -> NDArray[np.uint32]:
    return np.frombuffer(b"".join(digests), dtype="<u4").reshape(-1, _WORDS)


def _bit(at: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (at & np.uint32(7)).astype(np.uint8))
