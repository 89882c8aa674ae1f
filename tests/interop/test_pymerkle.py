"""A second opinion on trees: pymerkle's roots and inclusion proofs are ours.

It counts leaves from 1, and its paths begin with the leaf itself.
"""

from pymerkle import InmemoryTree, verify_inclusion  # type: ignore[import-untyped]  # published without type markers

from services.shared.tlog.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, root_of
from services.shared.tlog.merkle import verify_inclusion as ours
from services.shared.tlog.tiles import Frontier, node_reader, split_hashes

SIZES = (1, 2, 3, 5, 8, 21, 64, 100, 255, 256, 257, 300)
ENTRIES = [b"", *(b"entry %d" % number for number in range(1, max(SIZES)))]


def test_roots_and_proofs_are_the_same() -> None:
    other = InmemoryTree(algorithm="sha256")
    for entry in ENTRIES:
        other.append_entry(entry)
    leaves = [leaf_hash(entry) for entry in ENTRIES]
    frontier = Frontier()
    tiles = {(tile.level, tile.number): split_hashes(data) for tile, data in frontier.append(leaves)}
    node = node_reader(lambda level, number: tiles.get((level, number)) or frontier.edge(level))
    for size in SIZES:
        root = root_of(leaves[:size])
        assert other.get_root(size) == root, size
        for index in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
            theirs = other.prove_inclusion(index + 1, size)
            assert theirs.path[0] == leaves[index]
            proof = inclusion_proof(index, size, node)
            assert theirs.path[1:] == proof
            assert ours(index, size, leaves[index], theirs.path[1:], root)
            verify_inclusion(leaves[index], root, theirs, index + 1, size)


def test_the_empty_tree() -> None:
    assert InmemoryTree(algorithm="sha256").get_root() == EMPTY_ROOT
