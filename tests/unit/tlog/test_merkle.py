"""The tree against the published vectors, and the properties that no vector can show."""

import json
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog import merkle
from services.shared.tlog.merkle import CompactRange, leaf_hash, node_hash

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/vectors/merkle.json").read_text())
EIGHT = VECTORS["rfc6962_8"]
COUNTING = VECTORS["counting_tree"]
INPUTS = [bytes.fromhex(text) for text in EIGHT["inputs_hex"]]


def unhex(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def recursive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 9162 2.1.1, word for word."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256(b"").digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(recursive_root(leaves[:split]), recursive_root(leaves[split:]))


def reader(leaves: list[bytes]) -> merkle.NodeReader:
    return lambda level, index: recursive_root(leaves[index << level : (index + 1) << level])


@pytest.fixture(scope="module")
def counting_levels() -> list[list[bytes]]:
    """Every complete node of the counting tree, by level."""
    rows = [[leaf_hash(b"entry-%d" % index) for index in range(70_000)]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows


def test_primitives() -> None:
    given_hashes = VECTORS["primitives"]
    assert merkle.EMPTY_ROOT.hex() == given_hashes["empty_root"]
    assert leaf_hash(b"").hex() == given_hashes["leaf_of_empty_string"]
    assert leaf_hash(b"L123456").hex() == given_hashes["leaf"]["hash"]
    assert node_hash(b"N123", b"N456").hex() == given_hashes["node"]["hash"]
    assert [leaf_hash(data).hex() for data in INPUTS] == EIGHT["leaf_hashes"]


@pytest.mark.parametrize("size", range(9))
def test_roots_and_compact_ranges_of_the_classic_tree(size: int) -> None:
    tree = CompactRange()
    tree.extend(map(leaf_hash, INPUTS[:size]))
    assert tree.root().hex() == EIGHT["roots_by_size"][size]
    assert [node.hex() for node in tree.nodes] == [
        node["hash"] for node in EIGHT["compact_range_by_size"][size]["nodes_left_to_right"]
    ]
    assert CompactRange(tree.size, tree.nodes).root() == tree.root()


def test_roots_of_the_counting_tree(counting_levels: list[list[bytes]]) -> None:
    tree, found = CompactRange(), {}
    found["0"] = tree.root().hex()
    for leaf in counting_levels[0]:
        tree.append(leaf)
        if str(tree.size) in COUNTING["roots"]:
            found[str(tree.size)] = tree.root().hex()
    assert found == COUNTING["roots"]


def test_a_compact_range_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 of 32 bytes"):
        CompactRange(3, [merkle.EMPTY_ROOT])


@pytest.mark.parametrize("case", EIGHT["inclusion"], ids=lambda case: f"{case['index']} in {case['size']}")
def test_inclusion(case: dict[str, Any]) -> None:
    leaves = [leaf_hash(data) for data in INPUTS]
    assert merkle.inclusion_proof(case["index"], case["size"], reader(leaves)) == unhex(case["proof"])
    assert merkle.verify_inclusion(
        case["index"], case["size"], bytes.fromhex(case["leaf_hash"]), unhex(case["proof"]), bytes.fromhex(case["root"])
    )


@pytest.mark.parametrize("case", EIGHT["consistency"], ids=lambda case: f"{case['old_size']} to {case['new_size']}")
def test_consistency(case: dict[str, Any]) -> None:
    leaves = [leaf_hash(data) for data in INPUTS]
    assert merkle.consistency_proof(case["old_size"], case["new_size"], reader(leaves)) == unhex(case["proof"])
    assert consistent(case)


def consistent(case: dict[str, Any]) -> bool:
    old, new = bytes.fromhex(case["old_root"]), bytes.fromhex(case["new_root"])
    return merkle.verify_consistency(case["old_size"], case["new_size"], old, new, unhex(case["proof"]))


def test_large_proofs(counting_levels: list[list[bytes]]) -> None:
    def node(level: int, index: int) -> bytes:
        return counting_levels[level][index]

    for case in COUNTING["inclusion"]:
        assert merkle.inclusion_proof(case["index"], case["size"], node) == unhex(case["proof"])
        assert included(case)
    for case in COUNTING["consistency"]:
        assert merkle.consistency_proof(case["old_size"], case["new_size"], node) == unhex(case["proof"])
        assert consistent(case)
    assert merkle.root_at(70_000, node).hex() == COUNTING["roots"]["70000"]


def included(case: dict[str, Any], size: int | None = None) -> bool:
    leaf, root = bytes.fromhex(case["leaf_hash"]), bytes.fromhex(case["root"])
    return merkle.verify_inclusion(case["index"], size or case["size"], leaf, unhex(case["proof"]), root)


@pytest.mark.parametrize("case", VECTORS["must_reject"], ids=lambda case: f"{case['kind']}: {case['why']}")
def test_forged_proofs_are_refused(case: dict[str, Any]) -> None:
    assert not (included(case) if case["kind"] == "inclusion" else consistent(case))


@pytest.mark.parametrize("case", VECTORS["size_is_not_authenticated"]["cases"])
def test_a_proof_alone_does_not_authenticate_the_size(case: dict[str, Any]) -> None:
    assert included(case, case["claimed_size"]), "the RFC's verifier takes it: the size must come from a checkpoint"


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_proof_for_what_is_not_in_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="expected one from 0"):
        merkle.inclusion_proof(index, size, reader([]))


@pytest.mark.parametrize(("old", "new"), [(3, 2), (-1, 2)])
def test_no_consistency_proof_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="the older one first"):
        merkle.consistency_proof(old, new, reader([]))


entry_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


@settings(deadline=None)
@given(entry_lists)
def test_growing_gives_the_recursive_root(entries: list[bytes]) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    assert merkle.root_of(leaves) == recursive_root(leaves) == merkle.fold(merkle.peaks(leaves))


@settings(deadline=None)
@given(entry_lists, st.data())
def test_every_inclusion_proof_verifies_and_no_altered_one_does(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, reader(leaves))
    root = recursive_root(leaves)
    assert merkle.verify_inclusion(index, size, leaves[index], proof, root)
    material = [leaves[index], root, *proof]
    which = data.draw(st.integers(0, len(material) - 1))
    material[which] = flip(material[which], data.draw(st.integers(0, 255)))
    assert not merkle.verify_inclusion(index, size, material[0], material[2:], material[1])
    assert not merkle.verify_inclusion(index, size, leaves[index], [*proof, root], root)
    assert not proof or not merkle.verify_inclusion(index, size, leaves[index], proof[:-1], root)
    if index + 1 < size:
        assert leaves[index + 1] == leaves[index] or not merkle.verify_inclusion(
            index + 1, size, leaves[index], proof, root
        )


@settings(deadline=None)
@given(entry_lists, st.data())
def test_every_consistency_proof_verifies_and_no_altered_one_does(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    new = len(leaves)
    old = data.draw(st.integers(0, new))
    proof = merkle.consistency_proof(old, new, reader(leaves))
    old_root, new_root = recursive_root(leaves[:old]), recursive_root(leaves)
    assert merkle.verify_consistency(old, new, old_root, new_root, proof)
    material = [old_root, *([new_root] if old else []), *proof]
    which = data.draw(st.integers(0, len(material) - 1))
    material[which] = flip(material[which], data.draw(st.integers(0, 255)))
    altered_new, rest = (material[1], material[2:]) if old else (new_root, material[1:])
    assert not merkle.verify_consistency(old, new, material[0], altered_new, rest)
    assert not merkle.verify_consistency(old, new, old_root, new_root, [*proof, new_root])


def flip(hashed: bytes, bit: int) -> bytes:
    return (int.from_bytes(hashed) ^ (1 << bit)).to_bytes(len(hashed))


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_roots_of_the_past_are_found_again(first: int, second: int) -> None:
    leaves = [leaf_hash(b"%d" % index) for index in range(max(first, second))]
    for small, _large in pairwise(sorted({first, second, max(first, second) + 1})):
        assert merkle.root_at(small, reader(leaves)) == recursive_root(leaves[:small])
