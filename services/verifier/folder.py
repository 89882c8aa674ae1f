"""An export as a folder of files."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from services.shared.tlog.tiles import TILE_BITS, Tile, parse_path
from services.verifier.look import tile_of
from services.verifier.notes import NOTES

ANCHORS = "anchors"
_MAX_FILE_BYTES = 32 * 1024 * 1024
"""A bundle of 256 entries, the largest file of an export, has half as many; a longer one is damaged anyway."""
_KNOWN = {"README.md", "checkpoint", "policy"}
_LEFT_BY_SYSTEMS = "."
"""What file managers leave in every folder of a stick begins with it (.DS_Store, ._name): strangers, no checkpoints."""


class Papers:
    """What an export has beside its tiles; `unread` are those that are there and cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unread: set[str] = set()

    def notes(self) -> Iterator[tuple[str, bytes]]:
        """The older checkpoints, with what to call them."""
        return self._read_all(NOTES)

    def receipts(self) -> Iterator[tuple[str, bytes]]:
        """What anchors gave for checkpoints: `anchors/<anchor>/<size>.receipt`."""
        for anchor in self._names(ANCHORS):
            yield from self._read_all(f"{ANCHORS}/{anchor}")

    def _read_all(self, place: str) -> Iterator[tuple[str, bytes]]:
        for name in self._names(place):
            path = f"{place}/{name}"
            data = read_regular(self._folder / path)
            if data is None:
                self.unread.add(path)
            else:
                yield path, data

    def _names(self, place: str) -> list[str]:
        """Half a million names are lighter than so many paths."""
        try:
            names = os.listdir(self._folder / place)  # noqa: PTH208
        except FileNotFoundError:
            return []
        except OSError:
            self.unread.add(place)
            return []
        return sorted(name for name in names if not name.startswith(_LEFT_BY_SYSTEMS))


def read_notes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The older checkpoints of an export that we wrote ourselves: all can be read."""
    return Papers(folder).notes()


class FileReader:
    """Reads an export's files by their path in it; None for what is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, path: str) -> bytes | None:
        return read_regular(self._folder / path)

    def strangers(self, size: int) -> Iterator[str]:
        """What lies in the folder and is no part of a log of `size` entries; nothing verifies it."""
        for place, folders, files in os.walk(self._folder):
            folders.sort()
            for name in sorted(files):
                path = (Path(place) / name).relative_to(self._folder).as_posix()
                if not _belongs(path, size):
                    yield path


def _belongs(path: str, size: int) -> bool:
    first, _, rest = path.partition("/")
    if rest.rpartition("/")[2].startswith(_LEFT_BY_SYSTEMS):
        return False
    if path in _KNOWN or (first == NOTES and rest and "/" not in rest) or (first == ANCHORS and rest.count("/") == 1):
        return True
    try:
        tile = parse_path(path)
    except ValueError:
        return False
    return tile == _as_wide_as_signed(tile, size)


def _as_wide_as_signed(tile: Tile, size: int) -> Tile:
    return tile_of(tile.level, tile.number, size >> (TILE_BITS * max(tile.level, 0)))


def read_regular(path: Path) -> bytes | None:
    """A file's bytes; None when it is missing, cannot be read, or is no file that ends (a pipe, a device)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe that nobody writes must not hold us
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)
