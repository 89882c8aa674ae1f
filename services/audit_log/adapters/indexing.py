"""The index that queries find entries by: derived from the entries, made after they were appended, made again at will.

Appending does not wait for it. A loop reads what was appended and writes, in small transactions, which entries have
which property, when neighbouring entries came, which sources there are, and what the entries show to be in use.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.audit_log.adapters.ai_register.sightings import write_sightings
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.tables import SEARCH, entry, event_source, facet, indexed, time_block
from services.audit_log.domain.ai_register.sightings import Shown, Sighting, gathered, shown_by
from services.audit_log.domain.search import Told, facets_of, key_of
from services.shared.store import Store, Transaction

BLOCK = 1024
"""Entries whose earliest and latest time are kept together."""

_ENTRIES_AT_ONCE = 1_000
_IDLE_SECONDS = 0.5
_YIELD_SECONDS = 0.25
"""Between two portions while entries come in faster than they are appended."""


class Rows(NamedTuple):
    """What some entries add to the index: (key, index) of their properties, block → times, sources, what is in use."""

    facets: Sequence[tuple[int, int]]
    blocks: dict[int, tuple[datetime, datetime]]
    sources: set[str]
    sightings: Sequence[Sighting]


class Indexer:
    """Brings the index up to the log; for a `Loop`. One process at a time does.

    Args:
        store: the log's database.
        busy: whether entries still wait to be appended; then the index takes its time.
    """

    def __init__(self, store: Store, busy: Callable[[], bool]) -> None:
        self._store, self._busy = store, busy

    def step(self) -> float:
        """Index a portion; how long to pause, in seconds."""
        with self._store.exclusive("index") as mine:
            done = index_some(self._store) if mine else 0
        if done < _ENTRIES_AT_ONCE:
            return _IDLE_SECONDS
        return _YIELD_SECONDS if self._busy() else 0.0


def index_some(store: Store, limit: int = _ENTRIES_AT_ONCE) -> int:
    """Index the next entries, `limit` at most; how many there were. Only one caller at a time."""
    with store.reading() as connection:
        first, size = indexed_size(connection), read_frontier(connection).size
        end = min(size, first + limit)
        entries = _bodies(connection, first, end)
    if end > first:
        rows = rows_of(entries)
        with store.transaction() as tx:
            write_rows(tx, rows)
            tx.connection.execute(update(indexed).values(size=end))
    return end - first


def indexed_size(connection: Connection) -> int:
    """Of how many entries the index tells: all before this one."""
    size: int = connection.execute(select(indexed.c.size)).scalar_one()
    return size


def clear_index(tx: Transaction) -> None:
    """Forget the index; the loop makes it again."""
    for table in SEARCH:
        if table is not indexed:
            tx.connection.execute(delete(table))
    tx.connection.execute(update(indexed).values(size=0))


def rows_of(entries: Iterable[tuple[int, bytes]]) -> Rows:
    """What these entries, (index, bytes), add to the index. Pure."""
    facets: list[tuple[int, int]] = []
    blocks: dict[int, tuple[datetime, datetime]] = {}
    sources: set[str] = set()
    shown: list[tuple[int, Shown]] = []
    for index, body in entries:
        told = read_told(body)
        if told is None:
            continue
        facets += [(key, index) for key in {key_of(found) for found in facets_of(told.event)}]
        sources.add(str(told.event.get("source")))
        first, last = blocks.get(index // BLOCK, (told.ingest_time, told.ingest_time))
        blocks[index // BLOCK] = min(first, told.ingest_time), max(last, told.ingest_time)
        if (one := shown_by(told.event)) is not None:
            shown.append((index, one))
    return Rows(sorted(facets), blocks, sources, gathered(shown))


def read_told(body: bytes) -> Told | None:
    """What an entry's bytes say; None when they were damaged: the verifier tells of that, and nothing is found there.

    Quicker than `parse_entry`, which also holds the header to its one spelling.
    """
    header, _, value = body.partition(b"\n")
    try:
        place, event = json.loads(header), json.loads(value)
        moment = datetime.fromisoformat(place["ingest_time"])
        return Told(moment, place["topic"], event) if moment.tzinfo and isinstance(event, dict) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def write_rows(tx: Transaction, rows: Rows) -> None:
    """Add to the index what it does not have yet."""
    tx.bulk_insert(facet, ("key", "seq"), rows.facets)
    _widen_blocks(tx, rows.blocks)
    known = select(event_source.c.source).where(event_source.c.source.in_(rows.sources))
    new = rows.sources - set(tx.connection.execute(known).scalars())
    tx.bulk_insert(event_source, ("source",), [(source,) for source in sorted(new)])
    write_sightings(tx, rows.sightings)


def _widen_blocks(tx: Transaction, blocks: dict[int, tuple[datetime, datetime]]) -> None:
    known = tx.connection.execute(select(time_block).where(time_block.c.block.in_(blocks)))
    for row in known:
        first, last = blocks[row.block]
        blocks[row.block] = min(first, row.first_time), max(last, row.last_time)
    if blocks:
        insert: Any = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
        statement = insert(time_block)
        changed = {name: statement.excluded[name] for name in ("first_time", "last_time")}
        values = [{"block": block, "first_time": times[0], "last_time": times[1]} for block, times in blocks.items()]
        tx.connection.execute(statement.on_conflict_do_update(index_elements=["block"], set_=changed), values)


def _bodies(connection: Connection, first: int, end: int) -> list[tuple[int, bytes]]:
    query = select(entry.c.seq, entry.c.body).where(entry.c.seq >= first, entry.c.seq < end).order_by(entry.c.seq)
    return [(row.seq, row.body) for row in connection.execute(query)]
