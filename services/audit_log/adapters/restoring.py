"""Putting back what a restored backup lacks: from an export, or from the bus by the hashes that an anchor kept.

One transaction: the entries are appended as the log appends any, and stay only if they give the trees that were signed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, insert

from services.audit_log.adapters.checkpoints import check_beginning, check_signed, newest_checkpoint, open_signed
from services.audit_log.adapters.entries import SqlEntryLog, newest_of_partitions, read_frontier
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.signing_keys import KeyRing
from services.audit_log.adapters.tables import METADATA, checkpoint
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import GROUP, TOPICS, message_of, rebuild
from services.audit_log.ports import Arrival
from services.shared.bus import EventBus, Record, TopicPartition
from services.shared.errors import ConfigurationError, IncompatibleStoreError, InvalidEventError
from services.shared.events import decode
from services.shared.events.log import LogRestored, Restoring
from services.shared.store import Store, Transaction
from services.shared.store.horizon import renew_horizon
from services.shared.tlog.checkpoint import Checkpoint, open_checkpoint
from services.shared.tlog.entry import EntryError, Position, make_entry, parse_entry
from services.shared.tlog.merkle import HASH_BYTES, CompactRange, leaf_hash, peaks
from services.shared.tlog.note import NoteError, VerifierKey
from services.shared.tlog.tiles import ENTRIES, TILE_WIDTH, Tile, level_tiles, levels, split_bundle, split_hashes

Read = Callable[[str], bytes | None]
"""Path in a folder → the file's bytes; None: there is no such file."""

_RECORDS_AT_ONCE = 1_000
_ENTRIES_AT_ONCE = 4 * TILE_WIDTH
_SUCCEED = "nothing was changed. If no copy has the rest, begin a new log with `valvomo audit succeed`"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What lies outside of the database: a folder with the log's tiles, what the signer remembers, the bus."""

    read: Read
    notes: Sequence[bytes]
    memory: SignerMemory
    ring: KeyRing
    bus: EventBus


class _CannotFillError(IncompatibleStoreError):
    """An entry is nowhere to be found."""


def restore(
    store: Store, evidence: Evidence, now: datetime, *, reason: str, approver: str, progress: Callable[[int, int], None]
) -> Restoring | None:
    """Append what the log lacks, exactly as it was signed, and tell so; None when it lacks nothing.

    Args:
        store: the log's database; nobody else works on it.
        evidence: an export, or a folder of hashes with the bus.
        now: when it is told.
        reason: why a backup was put back.
        approver: whose role said so.
        progress: told (entries appended, entries in all).

    Raises:
        ConfigurationError: the folder is of another log, or holds less than what was signed.
        IncompatibleStoreError: what can be found does not give what was signed. Nothing is changed.
    """
    signed = _signed(evidence)
    with store.transaction() as tx:
        first = read_frontier(tx.connection).size
        if first >= signed.size:
            check_beginning(tx.connection, signed.size, signed.root)
            check_signed(tx.connection, evidence.memory, evidence.ring.known())
            return None
        source = _append(tx, evidence, signed, progress)
        tree = _checked(tx.connection, evidence, signed)
        restored = Restoring(
            first=first, last=signed.size - 1, filled_from=source, size=signed.size, root=signed.root.hex(),
            reason=reason, approver=approver,
        )  # fmt: skip
        _keep_notes(tx.connection, evidence, now)
        rebuild(SqlEntryLog(), SqlCaseFiles(), tx, now)
        renew_horizon(tx, METADATA, evidence.bus, {GROUP: TOPICS})
        tx.send([message_of(about_log(LogRestored, restored, now, first, signed.root.hex(), now))])
    evidence.memory.save(tree.size, tree.nodes)
    return restored


def _signed(evidence: Evidence) -> Checkpoint:
    """The folder's checkpoint; it must be as large as what the signer remembers."""
    note = evidence.read("checkpoint")
    if note is None:
        raise ConfigurationError(
            "the folder holds no file `checkpoint`; expected an export, or the folder of an anchor"
        )
    try:
        signed = open_signed(note, evidence.ring.known())
    except IncompatibleStoreError as error:
        raise ConfigurationError(f"the folder is not one of this log: {error}") from None
    remembered = evidence.memory.load()
    if remembered is not None and remembered.size > signed.size:
        raise ConfigurationError(
            f"the folder covers {signed.size} entries, but {remembered.size} were signed: entries {signed.size} to "
            f"{remembered.size - 1} are not in it. Look for a newer copy; {_SUCCEED}"
        )
    return signed


def _append(
    tx: Transaction, evidence: Evidence, signed: Checkpoint, progress: Callable[[int, int], None]
) -> Literal["export", "bus"]:
    log, frontier = SqlEntryLog(), read_frontier(tx.connection)
    number = frontier.size // TILE_WIDTH
    first = Tile(ENTRIES, number, min(signed.size - number * TILE_WIDTH, TILE_WIDTH))
    whole = evidence.read(first.path) is not None
    found = _exported(evidence, frontier.size, signed.size)
    if not whole:
        found = _from_bus(evidence, _BusSearch(tx.connection, evidence.bus), frontier.size, signed.size)
    at = frontier.size
    for portion in _portions(found):
        appended = log.append(tx, [_arrival(raw) for raw in portion])
        if None in appended:
            raise _CannotFillError(
                f"entry {at + appended.index(None)} of the folder is in the log at another place: the log grew on "
                f"after the backup was put back. Put the backup back again before restoring; {_SUCCEED}"
            )
        at += len(portion)
        progress(at, signed.size)
    return "export" if whole else "bus"


def _portions(found: Iterator[bytes]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    for raw in found:
        portion.append(raw)
        if len(portion) == _ENTRIES_AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion


def _arrival(raw: bytes) -> Arrival:
    try:
        entry = parse_entry(raw)
        event = decode(entry.value)
    except (EntryError, InvalidEventError) as error:
        raise _CannotFillError(f"the folder holds an entry that is none of this log ({error}); {_SUCCEED}") from None
    return Arrival(entry.position, (event.source, event.id), entry.value)


def _exported(evidence: Evidence, first: int, end: int) -> Iterator[bytes]:
    """Entries `first` to `end`, exclusive, from the bundles of an export."""
    for tile in level_tiles(ENTRIES, end):
        if tile.first + tile.width <= first:
            continue
        try:
            entries = split_bundle(evidence.read(tile.path) or b"", tile.width)
        except ValueError:
            raise _lost(max(first, tile.first), tile.first + tile.width - 1, f"{tile.path} is missing or cut") from None
        yield from entries[max(0, first - tile.first) :]


def _from_bus(evidence: Evidence, search: "_BusSearch", first: int, end: int) -> Iterator[bytes]:
    """Entries `first` to `end`, exclusive: the records of the bus that give the hashes which the folder holds."""
    for tile in level_tiles(0, end):
        if tile.first + tile.width <= first:
            continue
        data = evidence.read(tile.path) or _trimmed(evidence, tile)
        if len(data) != HASH_BYTES * tile.width:
            raise _lost(max(first, tile.first), tile.first + tile.width - 1, f"{tile.path} is missing or cut")
        for index, wanted in enumerate(split_hashes(data), tile.first):
            if index >= first:
                raw = search.find(wanted)
                if raw is None:
                    raise _lost(index, end - 1, "no record of the bus gives the hash that was signed")
                yield raw


def _trimmed(evidence: Evidence, tile: Tile) -> bytes:
    """Of a folder whose newest checkpoint was not written any more: the full tile holds what the partial one did."""
    return (evidence.read(tile._replace(width=TILE_WIDTH).path) or b"")[: HASH_BYTES * tile.width]


def _lost(first: int, last: int, why: str) -> IncompatibleStoreError:
    return _CannotFillError(f"entries {first} to {last} cannot be put back ({why}); {_SUCCEED}")


class _BusSearch:
    """Finds entries by their hash among the records that come after those in the log.

    Records are read a portion of each partition at a time; what was read and not yet asked for is kept, so that
    memory holds as many records as the partitions are apart in the log.
    """

    def __init__(self, connection: Connection, bus: EventBus) -> None:
        self._bus, self._found = bus, dict[bytes, bytes]()
        newest = newest_of_partitions(connection, bus.cluster_id)
        self._next = {
            TopicPartition(entry.position.topic, entry.position.partition): entry.position.offset + 1
            for entry in newest
        }
        self._ends = bus.end_positions(TOPICS)

    def find(self, wanted: bytes) -> bytes | None:
        while wanted not in self._found and self._read_on():
            pass
        return self._found.pop(wanted, None)

    def _read_on(self) -> bool:
        """Whether there was anything more to read."""
        records = [record for partition in self._ends for record in self._portion(partition)]
        for record in records:
            raw = self._entry(record)
            if raw is not None:
                self._found[leaf_hash(raw)] = raw
        return bool(records)

    def _portion(self, partition: TopicPartition) -> Sequence[Record]:
        start = self._next.get(partition, 0)
        records = self._bus.read(partition, start, _RECORDS_AT_ONCE) if start < self._ends[partition] else ()
        if records:
            self._next[partition] = records[-1].offset + 1
        return records

    def _entry(self, record: Record) -> bytes | None:
        """What the log would hold of it; None for what is too large to be one (a dead letter)."""
        cluster = self._bus.cluster_id
        position = Position(cluster, record.topic, record.partition, record.offset, record.ingest_time)
        try:
            return make_entry(position, record.value)
        except EntryError:
            return None


def _checked(connection: Connection, evidence: Evidence, signed: Checkpoint) -> CompactRange:
    """The tree that came out, which is the one that was signed.

    Raises:
        IncompatibleStoreError: it is another one.
    """
    frontier = read_frontier(connection)
    if (frontier.size, frontier.root()) != (signed.size, signed.root):
        raise IncompatibleStoreError(
            f"the log with what the folder adds is not the one that was signed over {signed.size} entries: the log "
            "grew on after the backup was put back, or one of the two was altered. Put the backup back again before "
            f"restoring; {_SUCCEED}"
        )
    check_signed(connection, evidence.memory, evidence.ring.known())
    nodes = [peak for level in reversed(levels(frontier.size)) for peak in peaks(frontier.edge(level))]
    return CompactRange(frontier.size, nodes)


def _keep_notes(connection: Connection, evidence: Evidence, now: datetime) -> None:
    """The checkpoints that the backup lacks. When they were signed nobody knows any more: not after now."""
    newest = newest_checkpoint(connection)
    keys = evidence.ring.known()
    have = open_signed(newest[0], keys).size if newest else -1
    lacking = {signed.size: (signed, note) for signed, note in _readable(evidence.notes, keys) if signed.size > have}
    for size, (signed, note) in sorted(lacking.items()):
        check_beginning(connection, signed.size, signed.root)
        connection.execute(insert(checkpoint).values(size=size, note=note, signed_at=now))


def _readable(notes: Sequence[bytes], keys: Sequence[VerifierKey]) -> Iterator[tuple[Checkpoint, bytes]]:
    """A damaged older note must not keep the log from being restored; the newest was read before."""
    for note in notes:
        with suppress(NoteError):
            yield open_checkpoint(note, keys), note
