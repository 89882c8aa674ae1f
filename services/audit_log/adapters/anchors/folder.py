"""A folder that others keep: checkpoints and tiles of hashes, in the layout of C2SP tlog-tiles, without the entries.

For a share, a mounted archive or storage that is written once: what lies there is added to and never changed. It holds
no personal data, and is enough to tell a log that was rewritten or cut off, and to fill in what a backup lacks.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from services.audit_log.ports import AnchorRefusedError
from services.shared.errors import TransientError
from services.shared.events.log import AnchorKind
from services.shared.tlog.checkpoint import Checkpoint, parse_checkpoint
from services.shared.tlog.merkle import NodeReader, root_at
from services.shared.tlog.note import NoteError, parse_note
from services.shared.tlog.tiles import TILE_BITS, TILE_WIDTH, Tile, TileReader, levels

CHECKPOINT = "checkpoint"
NOTES = "checkpoints"


class FolderAnchor:
    """See `Anchor`. There is no receipt: what was written is there.

    Args:
        folder: must be there: a share that is not mounted is not to be taken for an empty one.
    """

    kind: AnchorKind = "folder"
    name = "folder"
    every = timedelta(0)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def push(self, note: bytes, signed: Checkpoint, node: NodeReader, tile: TileReader) -> bytes:
        with self._translated():
            known = self._continued(signed, node)
            for one in new_tiles(known, signed.size):
                self._add(one.path, b"".join(tile(one.level, one.number)[: one.width]))
                self._forget_partials(one)
            self._add_note(note, signed)
            self._replace(note)
        return b""

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            if not self._folder.is_dir():
                raise TransientError("VALVOMO_ANCHOR_FOLDER is not there; mount or make the folder")
            yield
        except OSError as error:
            what = error.strerror or type(error).__name__
            raise TransientError(
                f"VALVOMO_ANCHOR_FOLDER cannot be written ({what}); look at its room and rights"
            ) from None

    def _continued(self, signed: Checkpoint, node: NodeReader) -> int:
        """The size that the folder has; its tree is the beginning of ours."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            return 0
        try:
            known = parse_checkpoint(parse_note(path.read_bytes()).text)
        except NoteError as error:
            raise AnchorRefusedError("refused", f"the folder's checkpoint is none ({error})") from None
        if known.origin != signed.origin:
            raise AnchorRefusedError("unknown_origin", "the folder holds another log; give this one its own")
        if known.size > signed.size:
            raise AnchorRefusedError(
                "larger", f"the folder has {known.size} entries, the log {signed.size}: it was cut off", known.size
            )
        if root_at(known.size, node) != known.root:
            raise AnchorRefusedError("inconsistent", "the folder holds another log of this name", known.size)
        return known.size

    def _add_note(self, note: bytes, signed: Checkpoint) -> None:
        """Beside the others. The same tree may have been signed anew; the first of its notes stays."""
        path = self._folder / NOTES / f"{signed.size:012d}"
        try:
            self._add(f"{NOTES}/{path.name}", note)
        except AnchorRefusedError:
            if parse_checkpoint(parse_note(path.read_bytes()).text) != signed:
                raise

    def _add(self, name: str, data: bytes) -> None:
        """A file that is written once. What a process that died left half written is written again."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            part = path.with_name(f"{path.name}.part")
            _write(part, data)
            _put(part, path)
        if path.read_bytes() != data:
            raise AnchorRefusedError("inconsistent", f"the folder has other bytes in {name} than the log")

    def _forget_partials(self, tile: Tile) -> None:
        """A full tile holds all that its partial ones did; where they cannot be removed they stay."""
        if tile.width == TILE_WIDTH:
            shutil.rmtree(self._folder / f"{tile.path}.p", ignore_errors=True)

    def _replace(self, note: bytes) -> None:
        part = self._folder / f"{CHECKPOINT}.part"
        _write(part, note)
        part.replace(self._folder / CHECKPOINT)


def new_tiles(known: int, size: int) -> Iterator[Tile]:
    """The tiles of hashes that a tree of `size` leaves has and one of `known` leaves had not, or not so wide."""
    for level in levels(size):
        before, hashes = known >> (TILE_BITS * level), size >> (TILE_BITS * level)
        for number in range(before // TILE_WIDTH, hashes // TILE_WIDTH):
            yield Tile(level, number)
        if hashes % TILE_WIDTH and hashes > before:
            yield Tile(level, hashes // TILE_WIDTH, hashes % TILE_WIDTH)


def _put(part: Path, path: Path) -> None:
    """Give the file its name, unless there is one of that name by now."""
    try:
        os.link(part, path)
    except FileExistsError:
        part.unlink()
    except OSError:  # a share that knows no links; only one process at a time writes here
        part.rename(path)
    else:
        part.unlink()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
