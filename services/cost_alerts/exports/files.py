"""Files that are there whole or not at all: a full disk or a lost connection leaves the one before untouched."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

_READABLE = 0o666


@contextmanager
def whole_file(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """A file to write; it takes the place of `path` when the block ends well, and is gone when it does not.

    Raises:
        OSError: there is no such folder, no room, or no right to write.
    """
    how: dict[str, Any] = {} if binary else {"encoding": "utf-8", "newline": ""}
    with NamedTemporaryFile("wb" if binary else "w", dir=path.parent, prefix=".", delete=False, **how) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, _READABLE & ~_mask())  # noqa: PTH101  # of a name that the file chose
            os.replace(file.name, path)  # noqa: PTH105
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _mask() -> int:
    """What this process takes away from the rights of new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
