"""Finding entries: postings of the index are walked in the log's order, and every hit is checked in its own bytes.

A page is an open interval of indexes: what is left of it after a page is the next one's. Entries that come later have
larger indexes than every interval that was given out, so that paging neither skips nor repeats while the log grows. A
page looks at so many entries at most, and then says how far it came: it may hold less than was asked for, and more
may follow.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Subquery, and_, false, func, literal, select, true, union

from services.audit_log.adapters.entries import entries_named
from services.audit_log.adapters.indexing import BLOCK, indexed_size, read_told
from services.audit_log.adapters.tables import case_file, conflict, entry, event_source, facet, time_block
from services.audit_log.domain.search import TYPES_ABOUT_OUTPUTS, Facet, Filter, Kind, facets_of, fits, key_of
from services.shared.events import types_of
from services.shared.store import chunks

_LOOKED_AT = 2_000
"""Postings that one page walks along, at most."""

_LOOKED_INTO = 250
"""Entries whose bytes one page reads, about at most."""

_AT_LEAST, _PORTION = 50, 200
_AT_ONCE = 500
_COUNTED = 1_000
_LISTED_OUTPUTS = 1_000
"""A state of no more outputs than these is found by them, another one by looking at every entry about an output."""

_MERGED = 40
"""Postings of so many keys are merged one by one; of more, sorted together (they are short ones, of single outputs)."""

_Keys = tuple[int, ...]


class Page(NamedTuple):
    """Indexes that were found, in order.

    `next`: the interval (after, before), both exclusive, that is still to be looked through; None when there is none.
    `size`: of how many entries the index tells.
    """

    indexes: list[int]
    next: tuple[int, int] | None
    size: int


class _Interval(NamedTuple):
    """The indexes after `low` and before `high`."""

    low: int
    high: int

    def left(self, index: int, *, newest_first: bool) -> "_Interval":
        """What is left of it when all up to `index` was looked at."""
        return self._replace(high=index) if newest_first else self._replace(low=index)


def find(
    connection: Connection,
    wanted: Filter,
    *,
    after: int = -1,
    before: int | None = None,
    limit: int = 100,
    newest_first: bool = False,
) -> Page:
    """A page of the entries that fit, from the interval (`after`, `before`) of indexes, both exclusive.

    `before` None: of all that the index tells. Give `next` of a page back as `after` and `before` for the next one.
    """
    size = indexed_size(connection)
    interval = _Interval(max(after, -1), size if before is None else min(before, size))
    search = _Search(connection, wanted, newest_first=newest_first)
    found, rest = search.page(search.within_time(interval), limit)
    return Page(found, (rest.low, rest.high) if rest else None, size)


def find_all(connection: Connection, wanted: Filter, size: int) -> Iterator[int]:
    """The indexes of all entries below `size` that fit, in order; also of those that are not indexed yet."""
    known = min(size, indexed_size(connection))
    rest: tuple[int, int] | None = (-1, known)
    while rest:
        page = find(connection, wanted, after=rest[0], before=rest[1], limit=_AT_ONCE)
        yield from page.indexes
        rest = page.next
    search = _Search(connection, wanted, newest_first=False)
    for some in chunks(range(known, size), _AT_ONCE):
        yield from search.fitting(some)


def bodies_of(connection: Connection, indexes: Sequence[int]) -> dict[int, bytes]:
    """The bytes of these entries, as far as they are here, in the order given."""
    query = select(entry.c.seq, entry.c.body).where(entry.c.seq.in_(list(indexes)))
    found = {row.seq: bytes(row.body) for row in connection.execute(query)}
    return {index: found[index] for index in indexes if index in found}


def conflicts_of(connection: Connection, indexes: Sequence[int]) -> dict[int, int]:
    """Those of these entries that contradict an earlier one, each with that one."""
    query = select(conflict.c.seq, conflict.c.first_seq).where(conflict.c.seq.in_(list(indexes)))
    return {row.seq: row.first_seq for row in connection.execute(query)}


class _Search:
    """One question to the index."""

    def __init__(self, connection: Connection, wanted: Filter, *, newest_first: bool) -> None:
        self._connection, self._wanted, self._newest_first = connection, wanted, newest_first
        self._postings: list[_Keys] = [(key_of(found),) for found in wanted.facets]
        if wanted.topic is not None:
            self._postings += self._keys_of_topic(wanted.topic)
        if wanted.state is not None:
            self._postings.append(self._keys_of_state(wanted.state))

    def within_time(self, interval: _Interval) -> _Interval:
        """The part of an interval in which entries of the wanted time can lie."""
        since, until = self._wanted.since, self._wanted.until
        if since is None and until is None:
            return interval
        query = select(func.min(time_block.c.block), func.max(time_block.c.block)).where(
            time_block.c.last_time >= since if since else true(), time_block.c.first_time < until if until else true()
        )
        first, last = self._connection.execute(query).one()
        if first is None:
            return _Interval(-1, -1)
        return _Interval(max(interval.low, first * BLOCK - 1), min(interval.high, (last + 1) * BLOCK))

    def page(self, interval: _Interval, limit: int) -> tuple[list[int], _Interval | None]:
        """What fits, and what is left of the interval."""
        driver = self._rarest(interval)
        named = self._named() if self._wanted.event_id is not None else None
        found: list[int] = []
        count = max(limit, _AT_LEAST)
        looked = read = 0
        while looked < _LOOKED_AT:
            walked = self._listed(named, interval) if named is not None else self._walk(driver, interval, count)
            if not walked:
                return found, None
            for some in chunks([index for index, may_fit in walked if may_fit], max(limit, _PORTION)):
                found += self.fitting(some)
                read += len(some)
                if len(found) >= limit:
                    return found[:limit], interval.left(found[limit - 1], newest_first=self._newest_first)
                if read >= max(limit, _LOOKED_INTO):
                    return found, interval.left(some[-1], newest_first=self._newest_first)
            interval = interval.left(walked[-1][0], newest_first=self._newest_first)
            looked, count = looked + len(walked), min(4 * count, _LOOKED_AT - looked - len(walked))
        return found, interval

    def fitting(self, indexes: Sequence[int]) -> list[int]:
        """Those entries that fit, by what their own bytes say, in the order given."""
        outputs: dict[int, set[str]] = {}
        for index, body in bodies_of(self._connection, indexes).items():
            told = read_told(body)
            facets = facets_of(told.event) if told else set()
            if told and fits(self._wanted, told, facets):
                outputs[index] = {found.value for found in facets if found.kind == "output"}
        if self._wanted.state is not None:
            named = self._in_state(set(chain.from_iterable(outputs.values())), self._wanted.state)
            outputs = {index: some for index, some in outputs.items() if some & named}
        return [index for index in indexes if index in outputs]

    def _walk(self, driver: _Keys | None, interval: _Interval, count: int) -> list[tuple[int, bool]]:
        """The next entries of a posting list, each with whether all the other lists have it too."""
        if driver is None:
            whole = range(interval.low + 1, interval.high)
            part = reversed(whole[-count:]) if self._newest_first else whole[:count]
            return [(index, True) for index in part]
        walked = self._posted(driver, interval, count)
        also = (
            select(literal(1)).where(facet.c.key.in_(keys), facet.c.seq == walked.c.seq).exists()
            for keys in self._postings
            if keys is not driver
        )
        query = select(walked.c.seq, and_(true(), *also)).order_by(self._ordered(walked.c.seq))
        return [(index, bool(may_fit)) for index, may_fit in self._connection.execute(query)]

    def _posted(self, keys: _Keys, interval: _Interval, count: int) -> Subquery:
        order = self._ordered(facet.c.seq)
        inside = and_(facet.c.seq > interval.low, facet.c.seq < interval.high)
        if 1 < len(keys) <= _MERGED:
            parts = [
                select(facet.c.seq).where(facet.c.key == key, inside).order_by(order).limit(count).subquery()
                for key in keys
            ]
            merged = union(*(select(part.c.seq) for part in parts)).subquery()
            return select(merged.c.seq).order_by(self._ordered(merged.c.seq)).limit(count).subquery()
        having = facet.c.key == keys[0] if len(keys) == 1 else facet.c.key.in_(keys)
        query = select(facet.c.seq).where(having if keys else false(), inside).order_by(order).limit(count)
        return (query if len(keys) == 1 else query.distinct()).subquery()

    def _ordered(self, column: ColumnElement[int]) -> ColumnElement[int]:
        return column.desc() if self._newest_first else column.asc()

    def _rarest(self, interval: _Interval) -> _Keys | None:
        """The shortest posting list, as far as a short look tells; None: there is none to walk, look at all entries."""
        if len(self._postings) < 2:  # noqa: PLR2004  # nothing to choose from
            return next(iter(self._postings), None)
        return min(self._postings, key=lambda keys: self._count(keys, interval))

    def _count(self, keys: _Keys, interval: _Interval) -> int:
        inside = and_(facet.c.key.in_(keys), facet.c.seq > interval.low, facet.c.seq < interval.high)
        some = select(literal(1)).where(inside).limit(_COUNTED).subquery()
        return self._connection.execute(select(func.count()).select_from(some)).scalar_one()

    def _named(self) -> list[int]:
        """The entries of the wanted event id: the first of each source, and those that contradict it."""
        wanted = self._wanted
        known = (
            [wanted.source]
            if wanted.source is not None
            else self._connection.execute(select(event_source.c.source)).scalars().all()
        )
        firsts: list[int] = []
        for some in chunks(known, _AT_ONCE):
            firsts += entries_named(self._connection, [(source, wanted.event_id or "") for source in some]).values()
        also = select(conflict.c.seq).where(conflict.c.first_seq.in_(firsts))
        return sorted({*firsts, *self._connection.execute(also).scalars()}, reverse=self._newest_first)

    def _listed(self, named: Sequence[int], interval: _Interval) -> list[tuple[int, bool]]:
        return [(index, True) for index in named if interval.low < index < interval.high]

    def _keys_of_topic(self, topic: str) -> list[_Keys]:
        """The types of the topic's events; nothing to look for where a type says it already, or cannot be there."""
        types = types_of(topic)
        if self._wanted.type is None:
            return [_keys("type", types)]
        return [] if self._wanted.type in types else [()]

    def _keys_of_state(self, state: str) -> _Keys:
        query = select(case_file.c.output_id).where(case_file.c.state == state)
        if self._connection.execute(query.offset(_LISTED_OUTPUTS).limit(1)).first():
            return _keys("type", TYPES_ABOUT_OUTPUTS)
        return _keys("output", self._connection.execute(query).scalars().all())

    def _in_state(self, outputs: set[str], state: str) -> set[str]:
        # Asked for the state, too, SQLite would walk through all outputs that are in it.
        query = select(case_file.c.output_id, case_file.c.state).where(case_file.c.output_id.in_(outputs))
        return {row.output_id for row in self._connection.execute(query) if row.state == state}


def _keys(kind: Kind, values: Sequence[str]) -> _Keys:
    return tuple(key_of(Facet(kind, value)) for value in values)
