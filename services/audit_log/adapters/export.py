"""The log as a folder of files, in the layout of C2SP tlog-tiles: what an auditor takes away and verifies elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, select

from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import read_entries, read_frontier, tile_reader
from services.audit_log.adapters.tables import checkpoint
from services.shared.errors import ConfigurationError
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import parse_note
from services.shared.tlog.tiles import ENTRIES, Tile, TileReader, all_tiles, belongs, bundle
from services.verifier.folder import NOTES

_README = """# An export of Valvomo's audit log

| file | what it is |
|---|---|
| `checkpoint` | the newest signed checkpoint: origin, number of entries, root hash |
| `checkpoints/` | every checkpoint that was signed before it, named by its number of entries |
| `tile/entries/` | the entries, 256 to a file: each with its length as two bytes, big-endian, before it |
| `tile/0/`, `tile/1/`, ... | the hashes of the Merkle tree (c2sp.org/tlog-tiles) |

An entry is one line of JSON that says where the event stood on the bus, a line feed, and the event as it came.

Verify it on a machine of your own, with the key that you were given by another way than this folder:

    valvomo audit verify FOLDER --key 'NAME+ID+KEY' --checkpoint A_CHECKPOINT_YOU_KEPT

Keep `checkpoint`: with it, the next export shows whether anything in this one was changed or cut off since.
"""


def tile_bytes(connection: Connection, tile: Tile, size: int) -> bytes | None:
    """The bytes of a tile or entry bundle, as the tree of `size` entries has it; None when that has no such tile."""
    read = tile_reader(connection, read_frontier(connection))
    return _tile_bytes(connection, read, tile) if belongs(tile, size) else None


def _tile_bytes(connection: Connection, read: TileReader, tile: Tile) -> bytes:
    if tile.level == ENTRIES:
        return bundle(read_entries(connection, tile.first, tile.first + tile.width))
    return b"".join(read(tile.level, tile.number)[: tile.width])


def write_export(connection: Connection, folder: Path, progress: Callable[[int, int], None]) -> Checkpoint:
    """Write the log, as far as its newest checkpoint covers it, into an empty or new folder.

    Args:
        connection: a consistent view.
        folder: is made when missing.
        progress: told (entries written, entries in all).

    Raises:
        ConfigurationError: the folder holds something or cannot be written, or nothing was signed yet.
    """
    newest = newest_checkpoint(connection)
    if newest is None:
        raise ConfigurationError("found no checkpoint: nothing was signed yet; run the program until it has signed one")
    signed = parse_checkpoint(parse_note(newest[0]).text)
    with _writing(folder):
        _write_all(connection, folder, newest[0], signed.size, progress)
    return signed


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"{folder} holds something already; expected an empty or a new folder")
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written ({error.strerror}); the export is not whole: remove it, choose another place"
        ) from None


def _write_all(
    connection: Connection, folder: Path, newest: bytes, size: int, progress: Callable[[int, int], None]
) -> None:
    (folder / NOTES).mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(_README)
    for covered, note in _notes(connection):
        (folder / NOTES / f"{covered:012d}").write_bytes(note)
    _write_tiles(connection, folder, size, progress)
    (folder / "checkpoint").write_bytes(newest)  # the last: without it nothing verifies


def _write_tiles(connection: Connection, folder: Path, size: int, progress: Callable[[int, int], None]) -> None:
    read = tile_reader(connection, read_frontier(connection))
    made: set[Path] = set()
    for tile in all_tiles(size):
        path = folder / tile.path
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_bytes(_tile_bytes(connection, read, tile))
        if tile.level == ENTRIES:
            progress(tile.first + tile.width, size)


def _notes(connection: Connection) -> Iterator[tuple[int, bytes]]:
    for row in connection.execute(select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size)):
        yield row.size, row.note
