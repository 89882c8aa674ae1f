"""The RFC 6962 Merkle tree: hashing, growing, proving and verifying. Hashes are 32 bytes, indexes count from zero.

Source: RFC 6962 section 2.1, RFC 9162 sections 2.1.1 to 2.1.5 (read November 2026). A verifier takes the tree size
from a signed checkpoint and from nowhere else: an inclusion proof does not authenticate it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

LEAF = b"\x00"
"""What comes before the bytes of an entry when it is hashed."""

NodeReader = Callable[[int, int], bytes]
"""(level, index) → hash of the complete subtree over leaves [index·2^level, (index+1)·2^level)."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry's bytes."""
    return sha256(LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def fold(nodes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees of falling size, left to right; the empty root when there are none."""
    if not nodes:
        return EMPTY_ROOT
    *rest, root = nodes
    for left in reversed(rest):
        root = node_hash(left, root)
    return root


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """The root of a complete subtree: the number of hashes is a power of two."""
    row = list(hashes)
    while len(row) > 1:
        row = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


def peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """The complete subtrees that cover any number of neighbouring hashes, largest first."""
    found, start = [], 0
    for bit in reversed(range(len(hashes).bit_length())):
        if len(hashes) >> bit & 1:
            found.append(complete_root(hashes[start : start + (1 << bit)]))
            start += 1 << bit
    return found


class CompactRange:
    """A growing tree reduced to one hash per set bit of its size, largest subtree first.

    Raises:
        ValueError: `nodes` is not what a tree of `size` leaves has.
    """

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._nodes = list(nodes)
        if size < 0 or len(self._nodes) != size.bit_count() or any(len(node) != HASH_BYTES for node in self._nodes):
            raise ValueError(
                f"found {len(self._nodes)} hashes for a tree of {size} leaves, expected {size.bit_count()} of 32 bytes"
            )

    @property
    def nodes(self) -> tuple[bytes, ...]:
        return tuple(self._nodes)

    def append(self, leaf: bytes) -> None:
        """Add the next leaf hash."""
        size, nodes = self.size, self._nodes
        while size & 1:
            leaf = sha256(b"\x01" + nodes.pop() + leaf).digest()
            size >>= 1
        nodes.append(leaf)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        return fold(self._nodes)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    tree = CompactRange()
    tree.extend(leaves)
    return tree.root()


def root_at(size: int, node: NodeReader) -> bytes:
    """The root that the tree had when it held `size` leaves."""
    return _remainder(0, size, node) if size else EMPTY_ROOT


def _remainder(start: int, end: int, node: NodeReader) -> bytes:
    """The root over leaves [start, end); `start` is a multiple of the largest power of two that fits."""
    return fold(list(_cover(start, end, node)))


def _cover(start: int, end: int, node: NodeReader) -> Iterator[bytes]:
    for bit in reversed(range((end - start).bit_length())):
        if (end - start) >> bit & 1:
            yield node(bit, start >> bit)
            start += 1 << bit


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root of the tree of `size` leaves, the leaf's sibling first.

    Raises:
        ValueError: `index` is not below `size`.
    """
    if not 0 <= index < size:
        raise ValueError(f"found index {index}, expected one from 0 to {size - 1}: the tree has {size} entries")
    return list(_path(index, size, 0, node))


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """The hashes that show that the tree of `old` leaves is the beginning of the tree of `new` leaves.

    Empty when the sizes are equal, and (the C2SP witness rule) when `old` is 0.

    Raises:
        ValueError: `old` is negative or larger than `new`.
    """
    if not 0 <= old <= new:
        raise ValueError(f"found sizes {old} and {new}, expected the older one first and not larger")
    if old in (0, new):
        return []
    shift = _trailing_zeros(old)
    first = [] if old.bit_count() == 1 else [node(shift, (old >> shift) - 1)]
    return [*first, *_path(old - 1, new, shift, node)]


def _path(index: int, size: int, start: int, node: NodeReader) -> Iterator[bytes]:
    """Siblings from level `start` up: those inside the smallest subtree shared with the last leaf, then left ones."""
    inner = (index ^ (size - 1)).bit_length()
    for level in range(start, inner - 1):
        yield node(level, (index >> level) ^ 1)
    if inner > start:
        yield _remainder(((index >> (inner - 1)) ^ 1) << (inner - 1), size, node)
    for level in range(max(inner, start), size.bit_length()):
        if index >> level & 1:
            yield node(level, (index >> level) - 1)


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` leads from `leaf` at `index` to `root`. `size` and `root` come from a signed checkpoint."""
    if not 0 <= index < size or not _all_hashes(leaf, root, *proof):
        return False
    inner = (index ^ (size - 1)).bit_length()
    if len(proof) != inner + (index >> inner).bit_count():
        return False
    first, last, found = index, size - 1, leaf
    for hashed in proof:
        if first & 1 or first == last:
            found = node_hash(hashed, found)
            first, last = _lift(first, last)
        else:
            found = node_hash(found, hashed)
        first, last = first >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree (`old`, `old_root`) is the beginning of the tree (`new`, `new_root`)."""
    if not 0 <= old <= new or not _all_hashes(old_root, new_root, *proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if len(proof) != _consistency_length(old, new):
        return False
    hashes = [old_root, *proof] if old.bit_count() == 1 else list(proof)
    return _walk_consistency(old, new, hashes) == (old_root, new_root)


def _walk_consistency(old: int, new: int, hashes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    first, last = old - 1, new - 1
    shift = _trailing_zeros(old)
    first, last = first >> shift, last >> shift
    old_found = new_found = hashes[0]
    for hashed in hashes[1:]:
        if last == 0:
            return None
        if first & 1 or first == last:
            old_found, new_found = node_hash(hashed, old_found), node_hash(hashed, new_found)
            first, last = _lift(first, last)
        else:
            new_found = node_hash(new_found, hashed)
        first, last = first >> 1, last >> 1
    return (old_found, new_found) if last == 0 else None


def _consistency_length(old: int, new: int) -> int:
    shift, inner = _trailing_zeros(old), ((old - 1) ^ (new - 1)).bit_length()
    levels = max(inner, shift)
    return (old.bit_count() != 1) + (levels - shift) + ((old - 1) >> levels).bit_count()


def _lift(first: int, last: int) -> tuple[int, int]:
    """Skip the levels on which the node has no sibling and is lifted unchanged."""
    while first and not first & 1:
        first, last = first >> 1, last >> 1
    return first, last


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _all_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
