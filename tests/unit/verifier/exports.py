"""An export in a dictionary: what a well-behaved log of made-up events writes."""

from datetime import UTC, datetime, timedelta

from services.shared.tlog.checkpoint import sign_checkpoint
from services.shared.tlog.entry import Position, make_entry
from services.shared.tlog.merkle import leaf_hash
from services.shared.tlog.note import Signer
from services.shared.tlog.tiles import ENTRIES, Frontier, Tile, bundle, level_tiles, levels

START = datetime(2026, 11, 17, 8, tzinfo=UTC)
SIGNER = Signer("log.example/audit", bytes(range(32)))


def entry(index: int, text: str = "") -> bytes:
    position = Position("c-1", "valvomo.usage", index % 3, index // 3, START + timedelta(seconds=index))
    return make_entry(position, f'{{"source":"here","id":"{index}{text}"}}'.encode())


def export(entries: list[bytes], signer: Signer = SIGNER) -> dict[str, bytes]:
    """The files, by path, as `valvomo audit export` writes them."""
    frontier = Frontier()
    files = {tile.path: data for tile, data in frontier.append(map(leaf_hash, entries))}
    for level in levels(len(entries)):
        if row := frontier.edge(level):
            files[Tile(level, len(entries) >> (8 * (level + 1)), len(row)).path] = b"".join(row)
    for tile in level_tiles(ENTRIES, len(entries)):
        files[tile.path] = bundle(entries[tile.first : tile.first + tile.width])
    return {**files, "checkpoint": sign_checkpoint(signer, len(entries), frontier.root())}


def checkpoint(entries: list[bytes], signer: Signer = SIGNER) -> bytes:
    return export(entries, signer)["checkpoint"]
