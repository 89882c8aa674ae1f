"""Tiles and bundles against the published vectors."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tlog import merkle, tiles
from services.shared.tlog.merkle import leaf_hash
from services.shared.tlog.tiles import ENTRIES, Frontier, Tile

GOLDEN = Path(__file__).parents[2] / "golden/vectors"
VECTORS: dict[str, Any] = json.loads((GOLDEN / "tiles.json").read_text())
ROOTS: dict[str, str] = json.loads((GOLDEN / "merkle.json").read_text())["counting_tree"]["roots"]
SIZE = 70_000


def entry(index: int) -> bytes:
    return b"entry-%d" % index


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Every hash tile of the counting tree, with the partial tiles of several sizes."""
    frontier = Frontier()
    made: dict[str, bytes] = {}
    for size in sorted({*map(int, ROOTS), 112, 17 * 256}):
        made |= {
            tile.path: data for tile, data in frontier.append(leaf_hash(entry(at)) for at in range(frontier.size, size))
        }
        for level in tiles.levels(size):
            if row := frontier.edge(level):
                made[Tile(level, size >> (8 * (level + 1)), len(row)).path] = b"".join(row)
        assert frontier.root().hex() == ROOTS.get(str(size), frontier.root().hex())
        assert Frontier.decode(size, frontier.encode()).root() == frontier.root()
    return made


@pytest.mark.parametrize("case", VECTORS["path_encoding"], ids=lambda case: case["path"])
def test_paths(case: dict[str, Any]) -> None:
    tile = Tile(ENTRIES if case["level"] == "entries" else case["level"], case["index"], case["width"] or 256)
    assert tile.path == case["path"]
    assert tiles.parse_path(case["path"]) == tile


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("tile/00/000", id="level with a leading zero"),
        pytest.param("tile/64/000", id="level beyond 63"),
        pytest.param("tile/0/00", id="group of two digits"),
        pytest.param("tile/0/x000/000", id="needless group"),
        pytest.param("tile/0/000.p/0", id="width zero"),
        pytest.param("tile/0/000.p/256", id="width of a full tile"),
        pytest.param("tile/0/000.p/01", id="width with a leading zero"),
        pytest.param("tile/0/../../checkpoint", id="path that climbs"),
        pytest.param("tile/0/\u0660\u0660\u0660", id="digits of another script"),
        pytest.param("tile/0/000\n", id="line end"),
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path of a tile"):
        tiles.parse_path(path)


@pytest.mark.parametrize("size", [int(size) for size in VECTORS["resources_by_tree_size"]])
def test_which_tiles_a_tree_has(size: int) -> None:
    expected = VECTORS["resources_by_tree_size"][str(size)]
    found = {
        str(level): {
            "full": sum(tile.width == 256 for tile in tiles.level_tiles(level, size)),
            "partial_width": next((tile.width for tile in tiles.level_tiles(level, size) if tile.width < 256), None),
        }
        for level in tiles.levels(size)
    }
    assert found == expected["levels"]
    assert sum(tile.level != ENTRIES for tile in tiles.all_tiles(size)) == expected["tile_count"]


@pytest.mark.parametrize("case", VECTORS["tile_contents"], ids=lambda case: case["path"])
def test_contents_of_tiles(case: dict[str, Any], files: dict[str, bytes]) -> None:
    data = files[case["path"]]
    assert (len(data), sha256(data).hexdigest()) == (case["bytes"], case["sha256_of_file"])
    assert (data[:32].hex(), data[-32:].hex()) == (case["first_hash"], case["last_hash"])


@pytest.mark.parametrize("case", VECTORS["entry_bundles"], ids=lambda case: case["path"])
def test_bundles(case: dict[str, Any]) -> None:
    tile = tiles.parse_path(case["path"])
    entries = [entry(tile.first + at) for at in range(tile.width)]
    data = tiles.bundle(entries)
    assert (len(data), sha256(data).hexdigest()) == (case["bytes"], case["sha256_of_file"])
    assert tiles.split_bundle(data, case["entries"]) == entries


@pytest.mark.parametrize("case", VECTORS["bundle_must_reject"], ids=lambda case: case["why"])
def test_damaged_bundles_are_refused(case: dict[str, Any]) -> None:
    width = 2 if "width 2" in case["why"] else 1
    with pytest.raises(ValueError, match=f"expected {width} entries"):
        tiles.split_bundle(bytes.fromhex(case["hex"]), width)


def test_proofs_from_tiles_are_proofs(files: dict[str, bytes]) -> None:
    def tile(level: int, number: int) -> list[bytes]:
        hashes = SIZE >> (8 * level)
        width = min(256, hashes - 256 * number)
        return tiles.split_hashes(files[Tile(level, number, width).path])

    node, root = tiles.node_reader(tile), bytes.fromhex(ROOTS[str(SIZE)])
    for index in (0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999):
        proof = merkle.inclusion_proof(index, SIZE, node)
        assert merkle.verify_inclusion(index, SIZE, leaf_hash(entry(index)), proof, root)
    for old in (1, 256, 257, 65_536, 65_537, 69_999):
        old_root = bytes.fromhex(ROOTS[str(old)]) if str(old) in ROOTS else merkle.root_at(old, node)
        assert merkle.verify_consistency(old, SIZE, old_root, root, merkle.consistency_proof(old, SIZE, node))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_come_back_as_they_were(entries: list[bytes]) -> None:
    assert tiles.split_bundle(tiles.bundle(entries), len(entries)) == entries


@settings(deadline=None)
@given(st.lists(st.integers(1, 600), max_size=4))
def test_the_frontier_does_not_depend_on_batches(batches: list[int]) -> None:
    frontier, at = Frontier(), 0
    for count in batches:
        frontier.append(leaf_hash(entry(index)) for index in range(at, at + count))
        frontier = Frontier.decode(frontier.size, frontier.encode())
        at += count
    assert frontier.root() == merkle.root_of(leaf_hash(entry(index)) for index in range(at))


@pytest.mark.parametrize(("size", "data"), [(1, b""), (1, b"x" * 64), (0, b"x" * 32), (2, b"x" * 33)])
def test_an_edge_that_does_not_fit_its_size_is_refused(size: int, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"edge|multiple of 32"):
        Frontier.decode(size, data)


@pytest.mark.parametrize(
    ("tile", "there"),
    [
        (Tile(0, 0), True),
        (Tile(0, 1, 44), True),
        (Tile(0, 1, 45), False),
        (Tile(1, 0, 1), True),
        (Tile(1, 0, 2), False),
        (Tile(ENTRIES, 1), False),
    ],
)
def test_which_tiles_belong_to_a_tree_of_300(tile: Tile, there: bool) -> None:
    assert tiles.belongs(tile, 300) is there
