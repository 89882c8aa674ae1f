"""Files of an extract, line by line."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from services.verifier.extract import MAX_LINE_BYTES, Lines


def folder_lines(folder: Path) -> Lines:
    """Reads the files of a folder; one that cannot be opened, or is none that ends (a pipe, a device), is missing."""

    def lines(name: str) -> Iterator[bytes] | None:
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not hold us
        except OSError:
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return _read(descriptor)

    return lines


def _read(descriptor: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb") as file:
        try:
            while line := file.readline(MAX_LINE_BYTES):
                yield line
        except OSError:  # a bad block ends the file: what is missing after it will be found missing
            return
