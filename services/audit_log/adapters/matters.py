"""Extracts of the log: a range of it, or one matter; and the proof of one entry. See `services/verifier/extract.py`."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sqlalchemy import Connection, select

from services.audit_log.adapters.entries import read_frontier, tile_reader
from services.audit_log.adapters.export import (
    Progress,
    Tell,
    Written,
    newest_signed,
    nobody,
    write_checkpoint,
    write_readme,
    writing,
)
from services.audit_log.adapters.search import find_all
from services.audit_log.adapters.tables import checkpoint, entry, receipt
from services.audit_log.domain.search import Filter
from services.shared.errors import ConfigurationError
from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.merkle import NodeReader, consistency_proof, inclusion_proof
from services.shared.tlog.note import NoteError, parse_note
from services.shared.tlog.proof import Proof, make_proof
from services.shared.tlog.tiles import node_reader
from services.verifier.extract import consistency_line, entry_line
from services.verifier.manifest import CONSISTENCY, ENTRIES, FILES, MANIFEST, TABLE, FileSum, Manifest, Scope
from services.verifier.table import table_head, table_row

_AT_ONCE = 500
_NODES, _TILES = 20_000, 256
"""Hashes and tiles that are kept at hand: neighbouring entries share nearly all of theirs."""
_RECENT = 1_000
_WITNESS = "witness"


class _Asked(NamedTuple):
    """What an extract is of, and the filters in words."""

    scope: Scope
    words: Mapping[str, str]


def write_range(
    connection: Connection,
    folder: Path,
    *,
    first: int,
    last: int | None,
    progress: Progress,
    tell: Tell = nobody,
    kept: Collection[int] = (),
) -> Written:
    """Write entries `first` to `last` (None: to the newest signed one) into an empty or new folder.

    Args:
        connection: a consistent view.
        folder: is made when missing.
        first: from 0.
        last: inclusive.
        progress: told (entries written, entries in all).
        tell: told before the checkpoint is written.
        kept: sizes of checkpoints that somebody has; how these logs lead to this one is shown too.

    Raises:
        ConfigurationError: there are no such entries, nothing was signed yet, or the folder cannot be written.
    """
    note, signed = newest_signed(connection)
    end = signed.size - 1 if last is None else last
    if not 0 <= first <= end < signed.size:
        raise ConfigurationError(
            f"found the range {first} to {end}, expected one within entries 0 to {signed.size - 1}: "
            "so many does the newest checkpoint cover"
        )
    asked = _Asked("range", {"first": str(first), "last": str(end)})
    extract, total = _Extract(connection, folder, note, signed), end + 1 - first
    return extract.write(asked, range(first, end + 1), lambda done: progress(done, total), tell, kept)


def write_matter(
    connection: Connection,
    folder: Path,
    wanted: Filter,
    *,
    progress: Progress,
    tell: Tell = nobody,
    kept: Collection[int] = (),
) -> Written:
    """Write the entries that fit, of those that the newest checkpoint covers. See `write_range`.

    Raises:
        ConfigurationError: none fits, nothing was signed yet, or the folder cannot be written.
    """
    note, signed = newest_signed(connection)
    found = find_all(connection, wanted, signed.size)
    first = next(found, None)
    if first is None:
        raise ConfigurationError(
            f"found nothing that fits among the {signed.size} entries which the newest checkpoint covers; "
            "nothing was written"
        )
    extract, asked = _Extract(connection, folder, note, signed), _Asked("matter", wanted.asked())
    return extract.write(asked, chain([first], found), lambda done: progress(done, None), tell, kept)


def proof_of(connection: Connection, index: int) -> tuple[bytes, Proof]:
    """An entry's bytes, and its proof under the newest checkpoint.

    When a witness has cosigned a checkpoint that covers the entry, the newest of these: a stranger can tell more by it.

    Raises:
        ConfigurationError: no signed tree has this entry, or its bytes were pruned.
    """
    note = _best_note(connection, index)
    try:
        proof = make_proof(index, note, _nodes(connection))
    except ValueError as error:
        raise ConfigurationError(f"{error}, as the newest checkpoint says") from None
    ((_, body),) = _bodies(connection, [index])
    return body, proof


def cosigned(connection: Connection, note: bytes, size: int) -> bytes:
    """A checkpoint with the cosignatures that witnesses gave for it."""
    query = select(receipt.c.receipt).where(receipt.c.size == size, receipt.c.kind == _WITNESS)
    for lines in connection.execute(query.order_by(receipt.c.anchor)).scalars():
        if _is_note(note + lines):
            note += lines
    return note


def _is_note(data: bytes) -> bool:
    try:
        parse_note(data)
    except NoteError:
        return False
    return True


def _best_note(connection: Connection, index: int) -> bytes:
    witnessed = (
        select(checkpoint.c.size, checkpoint.c.note)
        .join(receipt, receipt.c.size == checkpoint.c.size)
        .where(receipt.c.kind == _WITNESS, checkpoint.c.size > index)
        .order_by(checkpoint.c.size.desc())
        .limit(1)
    )
    found = connection.execute(witnessed).first()
    return cosigned(connection, found.note, found.size) if found else newest_signed(connection)[0]


def _nodes(connection: Connection) -> NodeReader:
    tiles = lru_cache(_TILES)(tile_reader(connection, read_frontier(connection)))
    return lru_cache(_NODES)(node_reader(tiles))


def _bodies(connection: Connection, indexes: Collection[int]) -> list[tuple[int, bytes]]:
    query = select(entry.c.seq, entry.c.body).where(entry.c.seq.in_(list(indexes))).order_by(entry.c.seq)
    found = [(row.seq, row.body) for row in connection.execute(query)]
    if len(found) < len(indexes):
        missing = min(set(indexes) - {index for index, _ in found})
        raise ConfigurationError(
            f"the bytes of entry {missing} are not here any more, only their hash: they were pruned; "
            "the export that was made before that holds them"
        )
    return found


@dataclass(frozen=True, slots=True)
class _Extract:
    """An extract that is being written."""

    connection: Connection
    folder: Path
    note: bytes
    signed: Checkpoint

    def write(
        self,
        asked: _Asked,
        indexes: Iterable[int],
        progress: Callable[[int], None],
        tell: Tell,
        kept: Collection[int],
    ) -> Written:
        nodes = _nodes(self.connection)
        with writing(self.folder):
            with ExitStack() as files:
                out = {name: _Summed(files.enter_context((self.folder / name).open("wb"))) for name in FILES}
                span = self._write_entries(out, indexes, nodes, progress)
                self._write_consistency(out[CONSISTENCY], nodes, kept)
            sums = {name: found.sum for name, found in out.items()}
            manifest = Manifest(asked.scope, asked.words, span.first, span.last, span.entries, sums)
            (self.folder / MANIFEST).write_bytes(manifest.encode())
            write_readme(self.folder, "extract")
            written = Written(asked.scope, self.signed, span.entries, span.first, span.last, asked.words)
            tell(written)
            write_checkpoint(self.folder, cosigned(self.connection, self.note, self.signed.size))
        return written

    def _write_entries(
        self,
        out: Mapping[str, "_Summed"],
        indexes: Iterable[int],
        nodes: NodeReader,
        progress: Callable[[int], None],
    ) -> "_Span":
        span = _Span()
        out[TABLE].write(table_head())
        for some in _portions(indexes):
            for index, body in _bodies(self.connection, some):
                proof = inclusion_proof(index, self.signed.size, nodes)
                out[ENTRIES].write(entry_line(index, body, proof))
                out[TABLE].write(table_row(index, body))
            span = span.with_more(some)
            progress(span.entries)
        return span

    def _write_consistency(self, out: "_Summed", nodes: NodeReader, kept: Collection[int]) -> None:
        for size in _earlier_sizes(self.connection, self.signed.size, kept):
            out.write(consistency_line(size, consistency_proof(size, self.signed.size, nodes)))


class _Span(NamedTuple):
    """So many entries, from the first to the last of them."""

    entries: int = 0
    first: int | None = None
    last: int | None = None

    def with_more(self, indexes: Sequence[int]) -> "_Span":
        return _Span(self.entries + len(indexes), indexes[0] if self.first is None else self.first, indexes[-1])


class _Summed:
    """A file that is written, counted and summed line by line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sum, self._lines = file, sha256(), 0

    def write(self, line: bytes) -> None:
        self._file.write(line)
        self._sum.update(line)
        self._lines += 1

    @property
    def sum(self) -> FileSum:
        return FileSum(self._sum.hexdigest(), self._lines)


def _portions(indexes: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(indexes)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


def _earlier_sizes(connection: Connection, size: int, kept: Collection[int]) -> list[int]:
    """Checkpoints that somebody may have: the newest thousand, the last of every day, anchored ones, and `kept`."""
    signed = select(checkpoint.c.size, checkpoint.c.signed_at).where(checkpoint.c.size < size)
    rows = connection.execute(signed.order_by(checkpoint.c.size)).yield_per(_RECENT)
    days: dict[date, int] = {}
    recent: deque[int] = deque(maxlen=_RECENT)
    for row in rows:
        days[row.signed_at.date()] = row.size
        recent.append(row.size)
    anchored = connection.execute(select(receipt.c.size).where(receipt.c.size < size).distinct()).scalars()
    return sorted(found for found in {*days.values(), *recent, *anchored, *kept} if 0 < found < size)
