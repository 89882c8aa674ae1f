"""An export as a folder of files."""

import os
import stat
from pathlib import Path

NOTES = "checkpoints"
_MAX_FILE_BYTES = 32 * 1024 * 1024
"""A bundle of 256 entries, the largest file of an export, has half as many; a longer one is damaged anyway."""


def read_notes(folder: Path) -> list[tuple[str, bytes]]:
    """The older checkpoints of an export, with what to call them."""
    found = [(f"{NOTES}/{path.name}", read_regular(path)) for path in sorted((folder / NOTES).glob("*"))]
    return [(name, note) for name, note in found if note is not None]


class FileReader:
    """Reads an export's files by their path in it; None for what is not there. Remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = {"README.md", "checkpoint"}

    def __call__(self, path: str) -> bytes | None:
        self._asked.add(path)
        return read_regular(self._folder / path)

    def strangers(self) -> list[str]:
        """What lies in the folder and is no part of the log; nothing verifies it."""
        paths = (path.relative_to(self._folder) for path in self._folder.rglob("*") if not path.is_dir())
        return sorted(path.as_posix() for path in paths if not self._belongs(path))

    def _belongs(self, path: Path) -> bool:
        return path.as_posix() in self._asked or path.parent.as_posix() == NOTES


def read_regular(path: Path) -> bytes | None:
    """A file's bytes; None when it is missing, cannot be read, or is no file that ends (a pipe, a device)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody writes must not hold us
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError:
        return None
    finally:
        os.close(descriptor)
