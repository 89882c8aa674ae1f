"""Restatements in SQL: where a walk over the readings stands, and what each register version changed.

What a version changed is read from the charges: those that ended when it was published, and those that began then in
their place. So it is the same however often it is asked, and after a rebuild.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Subquery, delete, exists, func, literal_column, or_, select, update

from services.cost_alerts.adapters.closing import sums_of
from services.cost_alerts.adapters.tables import (
    BASIS,
    CHARGE,
    PERIOD_CHARGE,
    PERIOD_DIRTY,
    READING,
    READING_HISTORY,
    REGISTER_STATE,
    REGISTER_VERSION,
    RESTATED,
    RESTATEMENT,
    WORD,
)
from services.cost_alerts.ports.register import Change, Walk
from services.shared.store import Transaction, chunks

BEFORE, AFTER = range(2)

_OF_USE = ("usage", "seats", "day", "invoice")
"""Marks about what no register version is the cause of; on a busy day some always wait."""
_AT_ONCE = 400


class SqlRestatements:
    """See `Restatements`."""

    def has_work(self, connection: Connection) -> bool:
        version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
        return version > _newest_walk(connection) or _unfinished(connection) is not None

    def unfinished(self, tx: Transaction) -> Walk | None:
        return _unfinished(tx.connection)

    def newest(self, tx: Transaction) -> int:
        return _newest_walk(tx.connection)

    def begin(self, tx: Transaction, walk: Walk) -> None:
        columns = ("version", "since", "done_to", "last", "readings", "finished", "announced")
        row = (walk.version, walk.since, walk.done_to, walk.last, walk.readings, int(walk.finished), 0)
        tx.bulk_insert(RESTATEMENT, columns, [row], ignore_conflicts=True)
        change = update(RESTATEMENT).where(RESTATEMENT.c.version == walk.version)
        tx.connection.execute(change.values(since=walk.since, last=walk.last, finished=0))

    def save(self, tx: Transaction, walk: Walk) -> None:
        change = update(RESTATEMENT).where(RESTATEMENT.c.version == walk.version)
        values = {"done_to": walk.done_to, "readings": walk.readings, "finished": int(walk.finished)}
        tx.connection.execute(change.values(**values))

    def is_settled(self, connection: Connection, version: int) -> bool:
        published = select(REGISTER_VERSION.c.published_at).where(REGISTER_VERSION.c.version == version)
        followed = PERIOD_DIRTY.c.recorded_from <= published.scalar_subquery()
        query = select(PERIOD_DIRTY.c.id).where(followed, PERIOD_DIRTY.c.about.not_in(_OF_USE)).limit(1)
        return connection.execute(query).first() is None

    def versions(self, connection: Connection, since: int, until: int) -> Sequence[int]:
        column = REGISTER_VERSION.c.version
        query = select(column).where(column > since, column <= until).order_by(column)
        return list(connection.execute(query).scalars())

    def last_day(self, connection: Connection) -> int:
        # Not of the rollups: what was superseded within one batch never was in them.
        tables = (READING, READING_HISTORY, PERIOD_CHARGE)
        return max(int(connection.execute(select(func.max(one.c.day))).scalar() or 0) for one in tables)

    def changes(self, connection: Connection, versions: Sequence[int]) -> Sequence[Change]:
        amounts: dict[int, dict[tuple[str, int], list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        readings: dict[int, int] = defaultdict(int)
        for some in chunks(versions, _AT_ONCE):
            for side, query in _sides(connection, some):
                for version, unit, day, nano, leads in connection.execute(query):
                    amounts[version][unit, day][side] += int(nano)
                    readings[version] += int(leads) if side == BEFORE else 0
        known = {row.version: row for row in connection.execute(select(REGISTER_VERSION))} if amounts else {}
        return [
            Change(
                version,
                known[version].author,
                known[version].approver,
                known[version].reason,
                readings[version],
                {place: (before, after) for place, (before, after) in found.items()},
            )
            for version, found in sorted(amounts.items())
        ]

    def keep(self, tx: Transaction, changes: Sequence[Change]) -> None:
        for some in chunks([change.version for change in changes], _AT_ONCE):
            tx.connection.execute(delete(RESTATED).where(RESTATED.c.version.in_(some)))
        words = {row.text: row.id for row in tx.connection.execute(select(WORD.c.text, WORD.c.id))} if changes else {}
        rows = [
            (change.version, words[unit], day, *amounts)
            for change in changes
            for (unit, day), amounts in sorted(change.amounts.items())
        ]
        tx.bulk_insert(RESTATED, ("version", "unit", "day", "before_nano", "after_nano"), rows)

    def note_announced(self, tx: Transaction, version: int) -> None:
        columns = ("version", "since", "done_to", "last", "readings", "finished", "announced")
        row = (version, NOT_BEGUN, 0, 0, 0, 0, 1)
        if tx.bulk_insert(RESTATEMENT, columns, [row], ignore_conflicts=True) == 0:
            tx.connection.execute(update(RESTATEMENT).where(RESTATEMENT.c.version == version).values(announced=1))

    def is_announced(self, tx: Transaction, version: int) -> bool:
        query = select(RESTATEMENT.c.announced).where(RESTATEMENT.c.version == version)
        return bool(tx.connection.execute(query).scalar())


NOT_BEGUN = -1
"""`since` of a walk that an earlier life of this ledger announced and this one has not begun."""


def _newest_walk(connection: Connection) -> int:
    query = select(func.max(RESTATEMENT.c.version)).where(RESTATEMENT.c.since != NOT_BEGUN)
    return int(connection.execute(query).scalar() or 0)


def _unfinished(connection: Connection) -> Walk | None:
    table = RESTATEMENT.c
    columns = (table.version, table.since, table.done_to, table.last, table.readings)
    query = select(*columns).where(table.finished == 0, table.since != NOT_BEGUN).order_by(table.version).limit(1)
    row = connection.execute(query).first()
    return None if row is None else Walk(*row, finished=False)


def _sides(connection: Connection, versions: Sequence[int]) -> Iterator[tuple[int, Select[Any]]]:
    """(side, query) of version, unit, day, 10⁻⁹ euro, readings: charges that ended with versions, or began with them.

    Of versions that were published in the same instant the last counts: no charge was ever made by the others.
    """
    moment = REGISTER_VERSION.c.published_at
    published = (
        select(func.max(REGISTER_VERSION.c.version).label("version"), moment.label("moment"))
        .where(REGISTER_VERSION.c.version.in_(versions))
        .group_by(moment)
        .subquery("published")
    )
    moments = list(connection.execute(select(published.c.moment)).scalars())  # millions are looked at, few are joined
    for table in (CHARGE, PERIOD_CHARGE):
        ended = _changed(table, published).join(published, published.c.moment == table.c.superseded_at)
        ended = ended.where(table.c.superseded_at.in_(moments))
        yield BEFORE, ended.where(table.c.recorded_at < published.c.moment)
        began = _changed(table, published).join(published, published.c.moment == table.c.recorded_at)
        began = began.where(table.c.recorded_at.in_(moments))
        stands = or_(table.c.superseded_at.is_(None), table.c.superseded_at > published.c.moment)
        yield AFTER, began.where(stands) if table is PERIOD_CHARGE else began.where(stands, _follows())


def _changed(table: Any, published: Subquery) -> Select[Any]:  # noqa: ANN401  # either table of charges
    eur_nano, _, _, readings, _ = sums_of(table)
    return (
        select(published.c.version, WORD.c.text, BASIS.c.day, func.sum(eur_nano), func.sum(readings))
        .select_from(table)
        .join(BASIS, BASIS.c.id == table.c.basis)
        .join(WORD, WORD.c.id == BASIS.c.unit)
        .group_by(published.c.version, WORD.c.text, BASIS.c.day)
    )


def _follows() -> Any:  # noqa: ANN401  # an SQL condition
    """Whether a reading's charge took the place of others that ended when it began: a new reading is no correction."""
    earlier = CHARGE.alias("earlier")
    return exists(
        select(literal_column("1")).where(
            earlier.c.reading == CHARGE.c.reading,
            earlier.c.superseded_at == CHARGE.c.recorded_at,
            earlier.c.recorded_at < CHARGE.c.recorded_at,
        )
    )


class Restated(NamedTuple):
    """What a register version changed of charges that stood before: unit → 10⁻⁹ euro before and after."""

    version: int
    published_at: int
    author: str | None
    approver: str | None
    reason: str | None
    by_unit: Mapping[str, tuple[int, int]]


def restated(connection: Connection) -> list[Restated]:
    """What every version changed, the newest first."""
    sums = (func.sum(RESTATED.c.before_nano), func.sum(RESTATED.c.after_nano))
    query = select(RESTATED.c.version, WORD.c.text, *sums).join(WORD, WORD.c.id == RESTATED.c.unit)
    by_unit: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
    for version, unit, before, after in connection.execute(query.group_by(RESTATED.c.version, WORD.c.text)):
        by_unit[version][unit] = (int(before), int(after))
    versions = connection.execute(select(REGISTER_VERSION).order_by(REGISTER_VERSION.c.version.desc()))
    return [
        Restated(row.version, row.published_at, row.author, row.approver, row.reason, by_unit[row.version])
        for row in versions
        if row.version in by_unit
    ]


def readings_left(connection: Connection) -> int:
    """Readings that a restatement has still to look at, at most."""
    version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
    table = RESTATEMENT.c
    begun = table.since >= 0
    newest = connection.execute(select(func.max(table.version)).where(begun)).scalar() or 0
    last = int(connection.execute(select(func.max(READING.c.number))).scalar() or 0)
    unfinished = connection.execute(select(table.last, table.done_to).where(begun, table.finished == 0)).all()
    left = sum(max(1, int(row.last) - int(row.done_to)) for row in unfinished)
    return left + (max(1, last) if version > newest else 0)


def progress(connection: Connection) -> float:
    """How much of the restatement under way is done, from 0 to 1; 1 when none is."""
    version = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
    walk = _unfinished(connection)
    if walk is None:
        last = connection.execute(select(func.max(READING.c.number))).scalar()
        return 0.0 if version > _newest_walk(connection) and last else 1.0
    return walk.done_to / walk.last if walk.done_to < walk.last else 1.0
