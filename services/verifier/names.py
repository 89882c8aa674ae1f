"""Is every name given once: any number of names, in little memory.

Names are 16-byte digests. They are dealt into buckets by their first byte; what does not fit into memory goes to
temporary files. Equal names meet in the same bucket, and a bucket is small enough to be looked through at once.
"""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

from services.verifier.look import NAME_BYTES, NO_NAME

_BUCKETS = 256
_INDEX_BYTES = 8
_ROW_BYTES = NAME_BYTES + _INDEX_BYTES
_KEPT_BYTES = 48 * 1024
"""What a bucket keeps in memory: 12 MB in all, so that half a million names need no file."""


class NoRoomError(Exception):
    """The temporary folder cannot take the names."""


class Names:
    """Collects names, then tells which were given more than once. To be used in a `with`.

    Raises:
        NoRoomError: from `add` and `repeated`: the temporary folder is full or cannot be used.
    """

    def __init__(self) -> None:
        self._kept = [bytearray() for _ in range(_BUCKETS)]
        self._files: list[IO[bytes] | None] = [None] * _BUCKETS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self._files:
            if file is not None:
                file.close()

    def add(self, names: bytes, first: int) -> None:
        """The names of neighbouring entries from index `first` on; entries without a name are passed over."""
        kept = self._kept
        for at in range(0, len(names), NAME_BYTES):
            name = names[at : at + NAME_BYTES]
            if name == NO_NAME:
                continue
            bucket = kept[name[0]]
            bucket += name + (first + at // NAME_BYTES).to_bytes(_INDEX_BYTES)
            if len(bucket) >= _KEPT_BYTES:
                self._spill(name[0])

    def repeated(self) -> Iterator[list[int]]:
        """For each name that was given more than once, its entries in rising order."""
        for bucket in range(_BUCKETS):
            yield from _repeated(self._content(bucket))

    def _spill(self, bucket: int) -> None:
        try:
            file = self._files[bucket]
            if file is None:
                file = self._files[bucket] = tempfile.TemporaryFile(prefix="valvomo-verify-", buffering=0)  # noqa: SIM115  # closed with the object

            kept = memoryview(self._kept[bucket])
            while kept:
                kept = kept[file.write(kept) :]
        except OSError as error:
            raise NoRoomError(f"{tempfile.gettempdir()}: {error.strerror}") from None
        self._kept[bucket] = bytearray()

    def _content(self, bucket: int) -> bytes:
        file, kept = self._files[bucket], bytes(self._kept[bucket])
        if file is None:
            return kept
        try:
            file.seek(0)
            return file.read() + kept
        except OSError as error:
            raise NoRoomError(f"{tempfile.gettempdir()}: {error.strerror}") from None


def _repeated(rows: bytes) -> Iterator[list[int]]:
    names = [rows[at : at + NAME_BYTES] for at in range(0, len(rows), _ROW_BYTES)]
    if len(set(names)) == len(names):
        return
    places: dict[bytes, list[int]] = {}
    seen: set[bytes] = set()
    twice = {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]
    for at, name in enumerate(names):
        if name in twice:
            index = int.from_bytes(rows[at * _ROW_BYTES + NAME_BYTES : (at + 1) * _ROW_BYTES])
            places.setdefault(name, []).append(index)
    for name in sorted(places, key=lambda one: places[one]):
        yield sorted(places[name])
