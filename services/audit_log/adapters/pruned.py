"""What is left of a log whose old entries were pruned: their hashes, and the entries that were still needed."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from sqlalchemy import Connection, Select, select

from services.audit_log.adapters.tables import entry, pruning, source_partition, tile
from services.shared.tlog.merkle import CompactRange, NodeReader
from services.shared.tlog.tiles import TILE_WIDTH, split_hashes

_AT_ONCE = 2_000


def minimum_index(connection: Connection) -> int:
    """Entries with a lower index may have been pruned; 0: none was. A multiple of 256."""
    query = select(pruning.c.before).order_by(pruning.c.before.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def said_pruned(index: int) -> str:
    """What is told to who asks for a pruned entry."""
    return (
        f"entry {index} was pruned when its retention period had ended: its bytes are gone here, its hash and every "
        "proof stay. An export that was made before holds it"
    )


def leaf_below(connection: Connection, index: int) -> bytes:
    """The hash of an entry below the minimum index."""
    return leaves_below(connection, {index})[index]


def leaves_below(connection: Connection, indexes: Collection[int]) -> dict[int, bytes]:
    """The hashes of those among these entries that lie below the minimum index: their tiles are full."""
    pruned = minimum_index(connection) if indexes else 0
    below = sorted(index for index in indexes if index < pruned)
    found: dict[int, bytes] = {}
    for number, some in groupby(below, key=lambda index: index // TILE_WIDTH):
        query = select(tile.c.hashes).where(tile.c.level == 0, tile.c.number == number)
        hashes = split_hashes(bytes(connection.execute(query).scalar_one()))
        found |= {index: hashes[index % TILE_WIDTH] for index in some}
    return found


def beginning(size: int, node: NodeReader) -> CompactRange:
    """The tree of the first `size` entries, from its nodes alone."""
    nodes, first = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            nodes.append(node(level, first >> level))
            first += 1 << level
    return CompactRange(size, nodes)


def refs_of(topics: Sequence[str]) -> Select[tuple[int]]:
    """The short numbers of all partitions of these topics."""
    return select(source_partition.c.ref).where(source_partition.c.topic.in_(list(topics)))


def entry_portions(
    connection: Connection, first: int = 0, topics: Sequence[str] | None = None
) -> Iterator[list[tuple[int, str, bytes]]]:
    """(index, topic, entry) from index `first` on, in portions; those that were pruned are passed over.

    `topics`: only entries of these.
    """
    topic = select(source_partition.c.topic).where(source_partition.c.ref == entry.c.source_ref).scalar_subquery()
    query = select(entry.c.seq, topic, entry.c.body).order_by(entry.c.seq).limit(_AT_ONCE)
    if topics is not None:
        query = query.where(entry.c.source_ref.in_(refs_of(topics)))
    while rows := connection.execute(query.where(entry.c.seq >= first)).all():
        yield [(index, topic, bytes(body)) for index, topic, body in rows]
        first = rows[-1][0] + 1
