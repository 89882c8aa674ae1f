"""What is left of a log whose old entries were pruned: their hashes, and the entries that were still needed."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from services.audit_log.adapters.tables import entry, pruning, source_partition, tile
from services.shared.tlog.merkle import HASH_BYTES
from services.shared.tlog.tiles import TILE_WIDTH

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
    """The hash of an entry below the minimum index: its tile is full."""
    number, place = divmod(index, TILE_WIDTH)
    query = select(tile.c.hashes).where(tile.c.level == 0, tile.c.number == number)
    hashes = bytes(connection.execute(query).scalar_one())
    return hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def entry_portions(connection: Connection, first: int = 0) -> Iterator[list[tuple[int, str, bytes]]]:
    """(index, topic, entry) from index `first` on, in portions; those that were pruned are passed over."""
    topic = select(source_partition.c.topic).where(source_partition.c.ref == entry.c.source_ref).scalar_subquery()
    query = select(entry.c.seq, topic, entry.c.body).order_by(entry.c.seq).limit(_AT_ONCE)
    while rows := connection.execute(query.where(entry.c.seq >= first)).all():
        yield [(index, topic, bytes(body)) for index, topic, body in rows]
        first = rows[-1][0] + 1
