"""The append-only list in the log's database, and what can be read from it."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection, insert, select, text, update

from services.audit_log.adapters.names import number_by_name
from services.audit_log.adapters.tables import conflict, entry, head, names, source_partition, tile
from services.audit_log.ports import Appended, Arrival, StoredEvent
from services.shared.errors import IncompatibleStoreError, StalePositionError
from services.shared.store import Transaction, chunks
from services.shared.store.names import digest_of
from services.shared.tlog.entry import Entry, EntryError, HeaderReader, make_entry, parse_entry
from services.shared.tlog.merkle import LEAF
from services.shared.tlog.tiles import TILE_BITS, TILE_WIDTH, Frontier, TileReader, split_hashes

_Partition = tuple[str, str, int]
_Place = tuple[int, int]
"""A partition's short number, and an offset in it."""


_RANGES_AT_ONCE = 100
_TILES_KEPT = 16
_SEEN = (
    "SELECT source_ref, source_offset FROM entry "
    "WHERE source_ref = :ref{0} AND source_offset BETWEEN :low{0} AND :high{0}"
)


class SqlEntryLog:
    """See `EntryLog` and `EntryReader`."""

    def __init__(self) -> None:
        self._headers = HeaderReader()

    def append(self, tx: Transaction, arrivals: Sequence[Arrival]) -> list[Appended | None]:
        frontier = _lock_head(tx)
        places = _places(tx, arrivals)
        seen = _seen(tx, places)
        if not seen:
            return _append(tx, frontier, arrivals, places)
        fresh = [at for at, place in enumerate(places) if place not in seen]
        appended: list[Appended | None] = [None] * len(arrivals)
        found = _append(tx, frontier, [arrivals[at] for at in fresh], [places[at] for at in fresh])
        for at, one in zip(fresh, found, strict=True):
            appended[at] = one
        return appended

    def events(self, tx: Transaction, topics: Sequence[str], first: int, limit: int) -> Sequence[StoredEvent]:
        refs = select(source_partition.c.ref).where(source_partition.c.topic.in_(list(topics)))
        of_topics = (entry.c.source_ref + 0).in_(refs)  # a sum: no index of places, whose rows would have to be sorted
        query = select(entry.c.seq, entry.c.body).where(entry.c.seq >= first, of_topics)
        rows = tx.connection.execute(query.order_by(entry.c.seq).limit(limit)).all()
        last = rows[-1].seq if rows else first
        marked = select(conflict.c.seq).where(conflict.c.seq.between(first, last))
        contradict = set(tx.connection.execute(marked).scalars())
        return [self._stored(seq, body, seq in contradict) for seq, body in rows]

    def _stored(self, seq: int, body: bytes, contradicts: bool) -> StoredEvent:  # noqa: FBT001  # asked for every entry
        _, _, ingest_time, start = self._headers(body)
        return StoredEvent(seq, ingest_time, body[start:], contradicts)


def read_frontier(connection: Connection) -> Frontier:
    """The committed tree.

    Raises:
        IncompatibleStoreError: the row that holds its edge was damaged or altered.
    """
    return _frontier(*connection.execute(select(head.c.size, head.c.edge)).one())


def _frontier(size: int, edge: bytes) -> Frontier:
    try:
        return Frontier.decode(size, edge)
    except ValueError as error:
        raise IncompatibleStoreError(f"the head of the log is damaged ({error}); restore the log as it was") from None


def read_entries(connection: Connection, first: int, end: int) -> list[bytes]:
    """The entries from index `first` up to `end`, exclusive."""
    query = select(entry.c.body).where(entry.c.seq >= first, entry.c.seq < end).order_by(entry.c.seq)
    return list(connection.execute(query).scalars())


def entry_batches(connection: Connection, first: int, end: int, count: int = 10 * TILE_WIDTH) -> Iterator[list[bytes]]:
    """The entries of a range, in portions of `count`."""
    for start in range(first, end, count):
        yield read_entries(connection, start, min(start + count, end))


def tile_reader(connection: Connection, frontier: Frontier) -> TileReader:
    """The hashes of any tile of the committed tree; a proof asks for the same few again and again."""

    @lru_cache(maxsize=_TILES_KEPT)
    def read(level: int, number: int) -> Sequence[bytes]:
        if number == frontier.size >> (TILE_BITS * (level + 1)):
            return frontier.edge(level)
        query = select(tile.c.hashes).where(tile.c.level == level, tile.c.number == number)
        return split_hashes(connection.execute(query).scalar_one())

    return read


def newest_of_partitions(connection: Connection, cluster: str) -> list[Entry]:
    """Per partition of a bus, the entry that stood last on it.

    Raises:
        IncompatibleStoreError: it is no entry any more.
    """
    refs = connection.execute(select(source_partition.c.ref).where(source_partition.c.cluster == cluster)).scalars()
    newest = select(entry.c.body).order_by(entry.c.source_offset.desc()).limit(1)
    bodies = [connection.execute(newest.where(entry.c.source_ref == ref)).scalar() for ref in refs.all()]
    try:
        return [parse_entry(body) for body in bodies if body is not None]
    except EntryError as error:
        raise IncompatibleStoreError(f"an entry of the log is damaged ({error}); restore the log as it was") from None


def entries_named(connection: Connection, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """(source, id) of an event → the index of its first entry, for those that the log has."""
    digests = {digest_of(*name): name for name in wanted}
    return {digests[digest]: index for digest, index in names.find(connection, list(digests)).items()}


def conflict_of(connection: Connection, index: int) -> int | None:
    """The entry that entry `index` contradicts."""
    return connection.execute(select(conflict.c.first_seq).where(conflict.c.seq == index)).scalar()


def _lock_head(tx: Transaction) -> Frontier:
    return _frontier(*tx.connection.execute(select(head.c.size, head.c.edge).with_for_update()).one())


def _append(
    tx: Transaction, frontier: Frontier, arrivals: Sequence[Arrival], places: Sequence[_Place]
) -> list[Appended | None]:
    """Append arrivals whose places are new to the log."""
    before = frontier.size
    numbered = number_by_name(tx, arrivals, before)
    came = zip(numbered, places, arrivals, strict=True)
    rows = [(found[0], *place, make_entry(position, value)) for found, place, (position, _, value) in came if found]
    if not rows:
        return numbered
    full = frontier.append([sha256(LEAF + row[3]).digest() for row in rows])
    marks = [found for found in numbered if found and found[1] is not None]
    tx.bulk_insert(entry, ("seq", "source_ref", "source_offset", "body"), rows)
    tx.bulk_insert(conflict, ("seq", "first_seq"), marks)
    tx.bulk_insert(tile, ("level", "number", "hashes"), [(found.level, found.number, data) for found, data in full])
    _move_head(tx, before, frontier)
    return numbered


def _move_head(tx: Transaction, before: int, frontier: Frontier) -> None:
    moved = tx.connection.execute(
        update(head).where(head.c.size == before).values(size=frontier.size, edge=frontier.encode())
    )
    if moved.rowcount != 1:
        raise StalePositionError("another process has appended to the log meanwhile; this batch is dropped")


def _places(tx: Transaction, arrivals: Sequence[Arrival]) -> list[_Place]:
    """Where arrivals stood. Partitions get their short numbers on first sight, under the lock of the head."""
    refs = {(row.cluster, row.topic, row.partition): row.ref for row in tx.connection.execute(select(source_partition))}
    positions = [arrival.position for arrival in arrivals]
    try:
        return [(refs[position[:3]], position[3]) for position in positions]
    except KeyError:
        _give_refs(tx, refs, {position[:3] for position in positions})
    return [(refs[position[:3]], position[3]) for position in positions]


def _give_refs(tx: Transaction, refs: dict[_Partition, int], partitions: set[_Partition]) -> None:
    for found in sorted(partitions - refs.keys()):
        refs[found] = len(refs)
        row = {"ref": refs[found], "cluster": found[0], "topic": found[1], "partition": found[2]}
        tx.connection.execute(insert(source_partition).values(row))


def _seen(tx: Transaction, places: Sequence[_Place]) -> set[_Place]:
    """Those places, and others in the range of them, that the log holds already."""
    ranges: dict[int, tuple[int, int]] = {}
    for ref, group in groupby(places, key=itemgetter(0)):
        offsets = [offset for _, offset in group]
        low, high = ranges.get(ref, (offsets[0], offsets[0]))
        ranges[ref] = (min(low, *offsets), max(high, *offsets))
    seen: set[_Place] = set()
    for some in chunks(list(ranges.items()), _RANGES_AT_ONCE):
        query = text(" UNION ALL ".join(_SEEN.format(number) for number in range(len(some))))
        bounds = {
            f"{name}{number}": value
            for number, (ref, (low, high)) in enumerate(some)
            for name, value in (("ref", ref), ("low", low), ("high", high))
        }
        seen.update((row[0], row[1]) for row in tx.connection.execute(query, bounds))
    return seen
