"""Extracts: a range of the log, or one matter, every entry with a proof of its own; written and verified by one text.

An extract is a folder: `checkpoint` (the signed note), `manifest.json`, `entries.jsonl` (what is proved), `entries.csv`
(the same for a spreadsheet; made again from `entries.jsonl` when it is verified) and `consistency.jsonl` (how earlier
checkpoints lead to this one). Everything is read once, line by line, whatever its length.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from services.shared.tlog.checkpoint import Checkpoint
from services.shared.tlog.entry import EntryError, parse_entry
from services.shared.tlog.merkle import leaf_hash, verify_consistency, verify_inclusion
from services.shared.tlog.note import decode_base64
from services.verifier.damage import Damage, Kind, Notice, damage, notice
from services.verifier.manifest import (
    CONSISTENCY,
    ENTRIES,
    FILES,
    MANIFEST,
    TABLE,
    ExtractError,
    FileSum,
    Manifest,
    Scope,
    parse_manifest,
)
from services.verifier.table import Difference, TableComparison, table_row
from services.verifier.words import printable

MAX_LINE_BYTES = 1_000_000
"""Entries are at most 65,535 bytes; their base64, or their JSON in a table, is below this."""

Lines = Callable[[str], Iterator[bytes] | None]
"""Name of a file → its lines with their ends, none longer than `MAX_LINE_BYTES`; None: it is missing."""

_NAMED = re.compile(rb'\{"index":(0|[1-9][0-9]{0,18}),')
_TABLE: Mapping[Difference, str] = {
    "head": "extract.table.head",
    "lacks": "extract.table.lacks",
    "differs": "extract.table.differs",
    "extra": "extract.table.extra",
    "strange": "extract.table.strange",
}
_SCOPE: Mapping[Scope, str] = {"range": "extract.range", "matter": "extract.matter"}
_NOT_OURS = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What looking for members in somebody's JSON may raise."""


def entry_line(index: int, entry: bytes, proof: Iterable[bytes]) -> bytes:
    """An entry in `entries.jsonl`: its index, its exact bytes, and the hashes that lead from it to the root."""
    return _json_line({"index": index, "entry": _base64(entry), "proof": [_base64(hashed) for hashed in proof]})


def consistency_line(size: int, proof: Iterable[bytes]) -> bytes:
    """In `consistency.jsonl`: the hashes that show that the log of `size` entries is the beginning of this one."""
    return _json_line({"size": size, "proof": [_base64(hashed) for hashed in proof]})


def _json_line(members: Mapping[str, object]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def parse_entry_line(line: bytes) -> tuple[int, bytes, list[bytes]]:
    """(index, entry, proof).

    Raises:
        ExtractError: the line has another spelling than `entry_line` gives it.
    """
    try:
        members = json.loads(line)
        index, entry = int(members["index"]), decode_base64(members["entry"])
        proof = _decoded(members)
    except _NOT_OURS:
        raise ExtractError("the line does not say index, entry and proof") from None
    if entry_line(index, entry, proof) != line:
        raise ExtractError("the line is not written the way this format writes it")
    return index, entry, proof


def _parse_consistency_line(line: bytes) -> tuple[int, list[bytes]]:
    try:
        members = json.loads(line)
        size, proof = int(members["size"]), _decoded(members)
    except _NOT_OURS:
        raise ExtractError("the line does not say size and proof") from None
    if consistency_line(size, proof) != line:
        raise ExtractError("the line is not written the way this format writes it")
    return size, proof


def _decoded(members: Mapping[str, Any]) -> list[bytes]:
    return [decode_base64(hashed) for hashed in members["proof"]]


@dataclass(frozen=True, slots=True)
class Extracted:
    """How many entries an extract holds, the newest ingest time among them, and all that is to be said of it."""

    entries: int = 0
    newest: datetime | None = None
    damage: tuple[Damage, ...] = ()
    notices: tuple[Notice, ...] = ()


def verify_extract(
    manifest: bytes,
    lines: Lines,
    signed: Checkpoint,
    kept: Sequence[tuple[str, Checkpoint]] = (),
    progress: Callable[[int], None] = lambda _entries: None,
) -> Extracted:
    """Hold an extract against the checkpoint in it, and that against those that the auditor kept.

    Args:
        manifest: the file.
        lines: the other files.
        signed: the extract's checkpoint, opened with a key from the auditor's side.
        kept: (what to call it, the checkpoint), opened likewise.
        progress: told how many entries have been read.
    """
    try:
        said = parse_manifest(manifest)
    except ExtractError as error:
        return Extracted(damage=(damage("manifest", "extract.manifest", what=str(error)),))
    examination = _Examination(said, lines, signed)
    examination.read_entries(progress)
    examination.read_consistency(kept)
    examination.compare_sums()
    found = tuple(examination.damage.found())
    return Extracted(examination.entries, examination.newest, found, tuple(_notices(said, signed)))


def _notices(said: Manifest, signed: Checkpoint) -> Iterator[Notice]:
    yield notice("scope", _SCOPE[said.scope], said.first, said.last, count=said.entries, size=signed.size)


class _Watched:
    """A file's lines, counted and summed as they pass."""

    def __init__(self, lines: Iterator[bytes] | None) -> None:
        self.missing = lines is None
        self._lines, self._sum, self._count = lines or iter(()), sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = next(self._lines)
        self._sum.update(line)
        self._count += 1
        return line

    def rest(self) -> FileSum:
        """What the file is, read to its end."""
        for _ in self:
            pass
        return FileSum(self._sum.hexdigest(), self._count)


class _Wrong(NamedTuple):
    kind: Kind
    name: str
    first: int | None
    last: int | None
    values: Mapping[str, str | int]
    file: str


class _Faults:
    """All that is wrong; neighbouring entries with the same fault are one."""

    def __init__(self) -> None:
        self._wrong: list[_Wrong] = []
        self._newest: dict[str, int] = {}

    def add(
        self, kind: Kind, name: str, first: int | None = None, last: int | None = None, *, file: str, **said: str | int
    ) -> None:
        """`name` is that of the sentence, `file` where it was found."""
        found = _Wrong(kind, name, first, first if last is None else last, said, file)
        at = self._newest.get(name, -1)
        if first is not None and at >= 0 and _continues(self._wrong[at], found):
            self._wrong[at] = self._wrong[at]._replace(last=found.last)
            return
        self._newest[name] = len(self._wrong)
        self._wrong.append(found)

    def found(self) -> Iterator[Damage]:
        return (damage(one.kind, one.name, one.first, one.last, **one.values) for one in self._wrong)

    def files(self) -> set[str]:
        """Those in which something was found."""
        return {one.file for one in self._wrong}


def _continues(before: _Wrong, after: _Wrong) -> bool:
    return before.last is not None and before.last + 1 == after.first and before.values == after.values


class _Examination:
    def __init__(self, said: Manifest, lines: Lines, signed: Checkpoint) -> None:
        self._said, self._signed = said, signed
        self._files = {name: _Watched(lines(name)) for name in FILES}
        self.damage = _Faults()
        self.entries = 0
        self.newest: datetime | None = None
        self._before = said.first - 1 if said.complete and said.first is not None else -1
        self._first: int | None = None
        for name, watched in self._files.items():
            if watched.missing:
                self.damage.add("missing", "extract.file_missing", file=name, path=name)

    def read_entries(self, progress: Callable[[int], None]) -> None:
        table = None if self._files[TABLE].missing else TableComparison(self._files[TABLE], self._table_differs)
        for line in self._files[ENTRIES]:
            self._take(line, table)
            progress(self.entries)
        if self._files[ENTRIES].missing:
            return
        if table is not None:
            table.finish()
        if self._said.complete and self._said.last is not None:
            self._gap(self._said.last + 1)
        self._count()

    def _table_differs(self, index: int | None, how: Difference) -> None:
        self.damage.add("row", _TABLE[how], index, file=TABLE)

    def _take(self, line: bytes, table: TableComparison | None) -> None:
        self.entries += 1
        try:
            index, entry, proof = parse_entry_line(line)
        except ExtractError:
            self._unreadable(line, table)
            return
        good = verify_inclusion(index, self._signed.size, leaf_hash(entry), proof, self._signed.root)
        self._place(index)
        if good:
            self._look_inside(index, entry)
        else:
            self.damage.add("entry", "extract.entry", index, file=ENTRIES)
        if table is not None:
            table.expect(index, table_row(index, entry) if good else None)

    def _unreadable(self, line: bytes, table: TableComparison | None) -> None:
        named = _NAMED.match(line)
        if named is None:
            self.damage.add("entry", "extract.line", file=ENTRIES, line=self.entries)
            return
        index = int(named[1])
        self.damage.add("entry", "extract.entry_line", index, file=ENTRIES)
        self._place(index)
        if table is not None:
            table.expect(index, None)

    def _place(self, index: int) -> None:
        """Indexes rise; those of a range without leaving one out, and only between its ends."""
        if index <= self._before:
            self.damage.add("order", "extract.order", index, file=ENTRIES)
            return
        if self._said.complete:
            self._gap(index)
        self._first, self._before = index if self._first is None else self._first, index
        if self._said.last is None or index > self._said.last:
            self.damage.add("manifest", "extract.beyond", index, file=ENTRIES)

    def _gap(self, index: int) -> None:
        if index > self._before + 1:
            self.damage.add("manifest", "extract.gap", self._before + 1, index - 1, file=ENTRIES)

    def _look_inside(self, index: int, entry: bytes) -> None:
        try:
            when = parse_entry(entry).position.ingest_time
        except EntryError as error:
            self.damage.add("order", "extract.no_entry", index, file=ENTRIES, what=str(error))
            return
        self.newest = max(self.newest or when, when)

    def _count(self) -> None:
        said = self._said
        if self.entries != said.entries:
            self.damage.add("manifest", "extract.count", file=ENTRIES, found=self.entries, said=said.entries)
        elif ENTRIES not in self.damage.files() and not self._bounds_fit():
            self.damage.add("manifest", "extract.bounds", file=MANIFEST)

    def _bounds_fit(self) -> bool:
        """No extract is of nothing: where no entry was placed, the manifest cannot be true."""
        return self._first is not None and (self._first, self._before) == (self._said.first, self._said.last)

    def read_consistency(self, kept: Sequence[tuple[str, Checkpoint]]) -> None:
        """Hold what was kept against this checkpoint; the file is read to its end in any case."""
        waiting: dict[int, list[tuple[str, Checkpoint]]] = {}
        for name, checkpoint in kept:
            if checkpoint.size > self._signed.size:
                self._cut_off(name, checkpoint)
            elif checkpoint.size in (0, self._signed.size):
                self._compare(name, checkpoint, [])
            else:
                waiting.setdefault(checkpoint.size, []).append((name, checkpoint))
        for number, line in enumerate(self._files[CONSISTENCY], 1):
            for name, checkpoint, proof in self._proofs(number, line, waiting):
                self._compare(name, checkpoint, proof)
        for name, checkpoint in (missed for several in waiting.values() for missed in several):
            self.damage.add("missing", "extract.no_way", file=MANIFEST, who=printable(name), kept=checkpoint.size)

    def _proofs(
        self, number: int, line: bytes, waiting: dict[int, list[tuple[str, Checkpoint]]]
    ) -> Iterator[tuple[str, Checkpoint, list[bytes]]]:
        try:
            size, proof = _parse_consistency_line(line)
        except ExtractError:
            self.damage.add("manifest", "extract.consistency_line", file=CONSISTENCY, line=number)
            return
        for name, checkpoint in waiting.pop(size, []):
            yield name, checkpoint, proof

    def _cut_off(self, name: str, kept: Checkpoint) -> None:
        values: Mapping[str, str | int] = {"who": printable(name), "kept": kept.size, "size": self._signed.size}
        self.damage.add("truncated", "extract.truncated", self._signed.size, kept.size - 1, file=MANIFEST, **values)

    def _compare(self, name: str, kept: Checkpoint, proof: Sequence[bytes]) -> None:
        if not verify_consistency(kept.size, self._signed.size, kept.root, self._signed.root, proof):
            values: Mapping[str, str | int] = {"who": printable(name), "kept": kept.size}
            self.damage.add("fork", "extract.fork", 0, max(kept.size - 1, 0), file=MANIFEST, **values)

    def compare_sums(self) -> None:
        """Files against the manifest's sums; what was found inside a file already says more than that."""
        told = self.damage.files()
        for name, watched in self._files.items():
            if not watched.missing and watched.rest() != self._said.files[name] and name not in told:
                self.damage.add("manifest", "extract.sum", file=name, path=name)
