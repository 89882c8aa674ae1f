"""The log as a folder of files, in the layout of C2SP tlog-tiles: what an auditor takes away and verifies elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

from sqlalchemy import Connection, select

from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import read_entries, read_frontier, tile_reader
from services.audit_log.adapters.pruned import minimum_index
from services.audit_log.adapters.tables import checkpoint, receipt
from services.shared.errors import ConfigurationError
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.note import parse_note
from services.shared.tlog.tiles import ENTRIES, Tile, TileReader, all_tiles, belongs, bundle
from services.verifier.notes import NOTES

ANCHORS = "anchors"
_AT_ONCE = 1_000
_README = Path(__file__).parent / "readme"

Progress = Callable[[int, int | None], None]
"""Told (entries written, entries in all); None: how many there will be is not known yet."""


class Written(NamedTuple):
    """What was taken out: `entries` of them, `first` to `last` (both inclusive; None: all, or none was found)."""

    scope: Literal["whole", "range", "matter"]
    signed: Checkpoint
    entries: int
    first: int | None = None
    last: int | None = None
    asked: Mapping[str, str] = {}


Tell = Callable[[Written], None]
"""Told what was written, before the checkpoint is: evidence that nobody was told about cannot be verified."""


def nobody(_: Written) -> None:
    """Tell nobody."""


def tile_bytes(connection: Connection, tile: Tile, size: int) -> bytes | None:
    """The bytes of a tile or entry bundle, as the tree of `size` entries has it; None when that has no such tile.

    None, too, for a bundle whose entries were pruned.
    """
    read = tile_reader(connection, read_frontier(connection))
    return _tile_bytes(connection, read, tile) if belongs(tile, size) else None


def _tile_bytes(connection: Connection, read: TileReader, tile: Tile) -> bytes | None:
    if tile.level == ENTRIES:
        entries = read_entries(connection, tile.first, tile.first + tile.width)
        pruned = len(entries) < tile.width and tile.first < minimum_index(connection)
        return None if pruned else bundle(entries)
    return b"".join(read(tile.level, tile.number)[: tile.width])


def newest_signed(connection: Connection) -> tuple[bytes, Checkpoint]:
    """The newest note, and what it says.

    Raises:
        ConfigurationError: nothing was signed yet.
    """
    newest = newest_checkpoint(connection)
    if newest is None:
        raise ConfigurationError("found no checkpoint: nothing was signed yet; run the program until it has signed one")
    return newest[0], parse_checkpoint(parse_note(newest[0]).text)


def write_export(connection: Connection, folder: Path, progress: Progress, tell: Tell = nobody) -> Written:
    """Write the log, as far as its newest checkpoint covers it, into an empty or new folder.

    Args:
        connection: a consistent view.
        folder: is made when missing.
        progress: told (entries written, entries in all).
        tell: told before the checkpoint is written.

    Raises:
        ConfigurationError: the folder holds something or cannot be written, or nothing was signed yet.
    """
    note, signed = newest_signed(connection)
    with writing(folder):
        write_readme(folder, "whole")
        _write_notes(connection, folder)
        _write_receipts(connection, folder)
        _write_tiles(connection, folder, signed.size, progress)
        written = Written("whole", signed, signed.size)
        tell(written)
        write_checkpoint(folder, note)
    return written


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make the folder, and say in words what keeps it from being written.

    Raises:
        ConfigurationError: it holds something, or cannot be written.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"{folder} holds something already; expected an empty or a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written ({error.strerror}); the export is not whole: remove it, choose another place"
        ) from None


def write_readme(folder: Path, name: Literal["whole", "extract"]) -> None:
    """How to verify what lies in the folder, in Finnish, Swedish and English."""
    (folder / "README.md").write_text((_README / f"{name}.md").read_text(encoding="utf-8"), encoding="utf-8")


def write_checkpoint(folder: Path, note: bytes) -> None:
    """The last of all: without it nothing verifies."""
    (folder / "checkpoint").write_bytes(note)


def _write_notes(connection: Connection, folder: Path) -> None:
    (folder / NOTES).mkdir()
    query = select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size)
    for row in connection.execute(query).yield_per(_AT_ONCE):
        (folder / NOTES / f"{row.size:012d}").write_bytes(row.note)


def _write_receipts(connection: Connection, folder: Path) -> None:
    """What anchors gave us for our checkpoints, as it came. A folder gives nothing: it keeps what it got."""
    given = select(receipt).where(receipt.c.receipt != b"").order_by(receipt.c.anchor, receipt.c.size)
    for row in connection.execute(given).yield_per(_AT_ONCE):
        place = folder / ANCHORS / _file_name(row.anchor)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row.size:012d}.receipt").write_bytes(row.receipt)


def _file_name(anchor: str) -> str:
    name = quote(anchor, safe="")
    return name if name.strip(".") else name.replace(".", "%2E")


def _write_tiles(connection: Connection, folder: Path, size: int, progress: Progress) -> None:
    read = tile_reader(connection, read_frontier(connection))
    made: set[Path] = set()
    for tile in all_tiles(size):
        data = _tile_bytes(connection, read, tile)
        if data is not None:
            _write_tile(folder / tile.path, data, made)
        if tile.level == ENTRIES:
            progress(tile.first + tile.width, size)


def _write_tile(path: Path, data: bytes, made: set[Path]) -> None:
    if path.parent not in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.add(path.parent)
    path.write_bytes(data)
