"""Is what was derived from the log what the log gives? Finds what somebody edited beside the log, in silence.

Everything is made again from the entries, in a temporary database of its own (SQLite, also beside a PostgreSQL, where
the service's role may make no tables), and compared row by row in the order of the keys: nothing is held in memory,
and nothing is changed.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Column, ColumnElement, Connection, Select, Table, Text, exists, select
from sqlalchemy import Row as SqlRow

from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.indexing import BLOCK, indexed_size, rows_of, write_rows
from services.audit_log.adapters.pruned import entry_portions, minimum_index
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.adapters.tables import (
    METADATA,
    REVIEWS,
    case_file,
    conflict,
    entry,
    event_source,
    facet,
    hold,
    names,
    sighting,
    time_block,
)
from services.audit_log.domain.reviews.folding import Case, Happened, judge
from services.audit_log.handlers import FOLDED_TOPICS, fold_entries
from services.shared.errors import IncompatibleStoreError, InvalidEventError
from services.shared.events import Event, decode
from services.shared.periods import timestamp
from services.shared.store import Store, Transaction
from services.shared.store.migrate import migrate
from services.shared.store.names import digest_of
from services.shared.store.sqlite import SqliteStore
from services.shared.tlog.entry import EntryError, parse_entry

_NAMES = tuple(METADATA.tables[name] for name in ("entry_name", "entry_name_recent"))
_ROWS_AT_ONCE = 1_000

Row = tuple[tuple[Any, ...], tuple[Any, ...]]
"""A key, and what stands under it."""


class Difference(NamedTuple):
    """A row that is not what the log gives: what is stored and what the log says, each None where there is no row."""

    table: str
    key: str
    stored: str | None
    log: str | None


class _Told(NamedTuple):
    """An entry, read for the comparison."""

    seq: int
    ingest_time: datetime
    topic: str
    body: bytes
    value: bytes
    digest: bytes


def compare(
    connection: Connection, now: datetime, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> Iterator[Difference]:
    """Every difference between what is stored and what the entries give.

    Args:
        connection: a consistent view of the log's database.
        now: at which the cases from the log are judged; cases that wait to be judged again are compared but for that.
        progress: told (entries read, entries in all).

    Raises:
        IncompatibleStoreError: an entry cannot be read: the log itself is damaged, and the verifier says where.
        TransientError: there is no room for the temporary database.
    """
    with _temporary_store() as made:
        _make_again(connection, made, now, progress)
        with made.reading() as expected:
            for table in (*(table for table in REVIEWS if table is not case_file), hold, conflict, facet):
                yield from _differences(table.name, _rows(connection, table), _rows(expected, table))
            yield from _case_differences(connection, expected, now)
            yield from _differences("entry_name", _names(connection), _names(expected))
            yield from _search_differences(connection, expected)


@contextmanager
def _temporary_store() -> Iterator[Store]:
    with TemporaryDirectory(prefix="valvomo-compare-") as folder:
        store = SqliteStore(Path(folder) / "log.db", METADATA, "log", synchronous="NORMAL")
        try:
            migrate(store, METADATA, "services.audit_log.migrations")
            yield store
        finally:
            store.close()


def _make_again(connection: Connection, made: Store, now: datetime, progress: Callable[[int, int], None]) -> None:
    size, indexed = read_frontier(connection).size, indexed_size(connection)
    pruned = minimum_index(connection)
    with made.transaction() as tx:
        _take_over_pruned(connection, tx, pruned)
    for told in _portions(connection):
        with made.transaction() as tx:
            _name(tx, told)
            _fold(tx, told, now)
            write_rows(tx, rows_of((one.seq, one.body) for one in told if one.seq < indexed))
        progress(told[-1].seq + 1, size)


def _portions(connection: Connection) -> Iterator[list[_Told]]:
    for portion in entry_portions(connection):
        yield [_read(index, topic, body) for index, topic, body in portion]


def _read(index: int, topic: str, body: bytes) -> _Told:
    try:
        found = parse_entry(body)
        value, event = found.value, json.loads(found.value)
        return _Told(index, found.position.ingest_time, topic, body, value, digest_of(event["source"], event["id"]))
    except (EntryError, ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(index) from None


def _damaged(index: int) -> IncompatibleStoreError:
    return IncompatibleStoreError(
        f"entry {index} cannot be read any more: the log itself is damaged. Run `valvomo audit verify --database`, "
        "and restore the log as it was"
    )


def _take_over_pruned(connection: Connection, tx: Transaction, pruned: int) -> None:
    """Names and contradictions of pruned entries: nothing is left that they could be compared with."""
    for table in _NAMES:
        for rows in _portions_of(connection, _without_entry(select(table), table.c.number, pruned)):
            names.add(tx, [(bytes(row.digest), row.number) for row in rows])
    for rows in _portions_of(connection, _without_entry(select(conflict), conflict.c.seq, pruned)):
        tx.bulk_insert(conflict, ("seq", "first_seq"), [tuple(row) for row in rows])


def _without_entry(query: Select[Any], index: ColumnElement[int], pruned: int) -> Select[Any]:
    return query.where(index < pruned, ~exists().where(entry.c.seq == index))


def _name(tx: Transaction, told: Sequence[_Told]) -> None:
    """Which entry was the first of its name, and which contradict one: as appending found it."""
    known = names.lookup(tx, [one.digest for one in told])
    new: dict[bytes, int] = {}
    marks: list[tuple[int, int]] = []
    for one in told:
        first = known.get(one.digest, new.setdefault(one.digest, one.seq))
        if first != one.seq:
            marks.append((one.seq, first))
    names.add(tx, {digest: index for digest, index in new.items() if digest not in known})
    tx.bulk_insert(conflict, ("seq", "first_seq"), marks)


def _fold(tx: Transaction, told: Sequence[_Told], now: datetime) -> None:
    indexes = [one.seq for one in told]
    marked = select(conflict.c.seq).where(conflict.c.seq.between(indexes[0], indexes[-1]))
    contradict = set(tx.connection.execute(marked).scalars())
    news = [
        Happened(one.seq, one.ingest_time, _event(one), one.seq in contradict)
        for one in told
        if one.topic in FOLDED_TOPICS
    ]
    fold_entries(news, SqlCaseFiles(), tx, now)


def _event(told: _Told) -> Event:
    try:
        return decode(told.value)
    except InvalidEventError:
        raise _damaged(told.seq) from None


def _rows(connection: Connection, table: Table) -> Iterator[Row]:
    """A table's rows in the order of its key, as Python and every database order it."""
    key = list(table.primary_key.columns)
    others = [column for column in table.columns if column not in key]
    query = select(*key, *others).order_by(*(_ordered(column, connection) for column in key))
    if table is hold:  # one whose entry is still on its way stands in no entry
        query = query.where(hold.c.placed_seq.is_not(None))
    for row in _streamed(connection, query):
        yield tuple(row[: len(key)]), tuple(row[len(key) :])


def _ordered(column: Column[Any], connection: Connection) -> ColumnElement[Any]:
    """PostgreSQL orders text as its database's language does, unless it is told to go by code points."""
    by_language = isinstance(column.type, Text) and connection.dialect.name == "postgresql"
    return column.collate("C") if by_language else column


def _names(connection: Connection) -> Iterator[Row]:
    tables = (_streamed(connection, select(table).order_by(table.c.digest)) for table in _NAMES)
    for row in merge(*tables, key=lambda row: bytes(row.digest)):
        yield (bytes(row.digest).hex(),), (row.number,)


def _differences(table: str, stored: Iterable[Row], log: Iterable[Row]) -> Iterator[Difference]:
    for key, found, expected in _side_by_side(stored, log):
        if found is None or expected is None or not _alike(found, expected):
            yield Difference(table, _words(key), _shown(found), _shown(expected))


def _side_by_side(
    stored: Iterable[Row], log: Iterable[Row]
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...] | None, tuple[Any, ...] | None]]:
    """Both in the order of their keys, each key once: (key, what is stored, what the log says)."""
    left, right = iter(stored), iter(log)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[0], one[1], None
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(right, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(left, None), next(right, None)


def _alike(stored: Sequence[Any], log: Sequence[Any]) -> bool:
    """The same, or the same JSON: another version of the program may have written its members in another order."""
    return all(one == other or _json(one) == _json(other) is not None for one, other in zip(stored, log, strict=True))


def _json(value: object) -> object:
    if not isinstance(value, str):
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None


def _case_differences(connection: Connection, expected: Connection, now: datetime) -> Iterator[Difference]:
    for key, stored, log in _side_by_side(_cases(connection), _cases(expected)):
        judged = _judged(log, now) if log else None
        if stored is None or judged is None:
            yield Difference("case_file", key[0], _shown(stored), _shown(judged))
            continue
        found = (_normal(stored[0]), *stored[1:])
        waits = stored[_LOOK] is not None and stored[_LOOK] < now  # its state is about to be made anew
        if found[: _LOOK - 1] != judged[: _LOOK - 1] or not (waits or found == judged):
            yield Difference("case_file", key[0], _shown(found), _shown(judged))


_LOOK = 5
"""Where `next_look` stands among the values of a case; its state is the one before."""


def _cases(connection: Connection) -> Iterator[Row]:
    c = case_file.c
    query = select(c.output_id, c.document, c.system, c.unit, c.due_at, c.state, c.next_look)
    for row in _streamed(connection, query.order_by(_ordered(c.output_id, connection))):
        yield (row[0],), tuple(row[1:])


def _judged(log: Sequence[Any], now: datetime) -> tuple[Any, ...]:
    document, *members, _, _ = log
    judgement = judge(Case.model_validate_json(document), now)
    return _normal(document), *members, judgement.state, judgement.next_look


def _normal(document: str) -> str:
    try:
        return Case.model_validate_json(document).model_dump_json(exclude_defaults=True)
    except ValidationError:
        return document


def _search_differences(connection: Connection, expected: Connection) -> Iterator[Difference]:
    """Sources and times, which may tell of pruned entries too: then they may be more and wider, never less."""
    pruned = minimum_index(connection)
    for key, stored, log in _side_by_side(_rows(connection, event_source), _rows(expected, event_source)):
        if stored is None or (log is None and not pruned):
            yield Difference("event_source", _words(key), _shown(stored), _shown(log))
    for key, stored, log in _side_by_side(_rows(connection, time_block), _rows(expected, time_block)):
        partly = key[0] * BLOCK < pruned
        if not (stored == log or (partly and _covers(stored, log))):
            yield Difference("time_block", _words(key), _shown(stored), _shown(log))
    for key, stored, log in _side_by_side(_rows(connection, sighting), _rows(expected, sighting)):
        if not (stored == log or (pruned and _earlier(stored, log))):
            yield Difference("sighting", _words(key), _shown(stored), _shown(log))


def _covers(stored: Sequence[Any] | None, log: Sequence[Any] | None) -> bool:
    return stored is not None and (log is None or (stored[0] <= log[0] and log[1] <= stored[1]))


def _earlier(stored: Sequence[Any] | None, log: Sequence[Any] | None) -> bool:
    """Whether something was seen in use earlier than what is left of the log tells, and no less late."""
    return stored is not None and (log is None or (stored[0] <= log[0] and stored[1] <= log[1] and stored[2] >= log[2]))


def _shown(values: Sequence[Any] | None) -> str | None:
    return None if values is None else _words(values)


def _words(values: Sequence[Any]) -> str:
    """Values for a person to compare."""
    shown = (timestamp(value) if isinstance(value, datetime) else str(value) for value in values if value is not None)
    return " ".join(shown)


def _streamed(connection: Connection, query: Select[Any]) -> Iterator[SqlRow[Any]]:
    yield from connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})


def _portions_of(connection: Connection, query: Select[Any]) -> Iterator[Sequence[SqlRow[Any]]]:
    yield from connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}).partitions()
