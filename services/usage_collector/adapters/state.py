"""What the collector remembers: what it has told, and where each source stands. One database, any store."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from sqlalchemy import BigInteger, ColumnElement, Connection, bindparam, func, select, update

from services.shared.bus import EventBus
from services.shared.errors import InvalidEventError, TransientError
from services.shared.events import GOVERNANCE, USAGE, decode
from services.shared.events.usage import SeatHolding
from services.shared.periods import Period
from services.shared.store import Store, Transaction, chunks
from services.shared.store.tables import micros
from services.usage_collector.adapters.tables import SOURCE, SOURCE_DAY, TOLD
from services.usage_collector.facts import (
    MODELS,
    Known,
    digest_of,
    fact_in,
    id_of,
    is_open,
    kind_of,
    revision_of,
    starts_at,
)
from services.usage_collector.revise import Key, key_of
from services.usage_collector.source import Cursor, VendorFact

_AT_ONCE = 400
_READ_AT_ONCE = 2_000
_TOLD_COLUMNS = ("source", "kind", "id", "starts_at", "revision", "digest", "open", "body")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a source stands. `version` 0: it was never read."""

    version: int = 0
    cursor: Cursor | None = None
    read_to: datetime | None = None
    succeeded_at: datetime | None = None


class CollectorState:
    """Reads beside writers; writes within the caller's transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def standing(self, name: str) -> Standing:
        with self.store.reading() as connection:
            row = connection.execute(select(SOURCE).where(SOURCE.c.name == name)).one_or_none()
        if row is None:
            return Standing()
        return Standing(row.version, json.loads(row.cursor), row.read_to, row.succeeded_at)

    def all_standing(self) -> dict[str, Standing]:
        with self.store.reading() as connection:
            rows = connection.execute(select(SOURCE)).all()
        return {row.name: Standing(row.version, json.loads(row.cursor), row.read_to, row.succeeded_at) for row in rows}

    def missing_days(self) -> dict[str, int]:
        """Source → days that it has not told everything about."""
        count = select(SOURCE_DAY.c.source, func.count()).where(SOURCE_DAY.c.complete.is_(False))
        with self.store.reading() as connection:
            rows = connection.execute(count.group_by(SOURCE_DAY.c.source)).all()
        return {row[0]: row[1] for row in rows}

    def advance(self, tx: Transaction, name: str, before: Standing, now: Standing) -> None:
        """Move a source on.

        Raises:
            TransientError: somebody else has moved it since `before` was read; nothing of this transaction stands.
        """
        values = {"cursor": json.dumps(now.cursor), "read_to": now.read_to, "succeeded_at": now.succeeded_at}
        if before.version == 0:
            columns = ("name", "version", "cursor", "read_to", "succeeded_at")
            assert now.read_to is not None and now.succeeded_at is not None  # noqa: PT018
            row = (name, 1, values["cursor"], micros(now.read_to), micros(now.succeeded_at))
            moved = tx.bulk_insert(SOURCE, columns, [row], ignore_conflicts=True)
        else:
            here = (SOURCE.c.name == name) & (SOURCE.c.version == before.version)
            moved = tx.connection.execute(
                update(SOURCE).where(here).values(version=before.version + 1, **values)
            ).rowcount
        if moved != 1:
            raise TransientError(
                f"{name}: another collector has read this source at the same time; what it told stands"
            )

    def known(self, connection: Connection, source: str, keys: Collection[Key]) -> dict[Key, Known]:
        """What was told under these names."""
        columns = (TOLD.c.kind, TOLD.c.id, TOLD.c.revision, TOLD.c.digest, TOLD.c.open)
        return {
            (row.kind, row.id): Known(row.revision, row.digest, row.kind == "reading" and not row.open)
            for kind, ids in _by_kind(keys)
            for some in chunks(ids, _AT_ONCE)
            for row in connection.execute(select(*columns).where(*_named(source, kind), TOLD.c.id.in_(some)))
        }

    def facts(self, connection: Connection, source: str, keys: Collection[Key]) -> list[VendorFact]:
        """The facts themselves, as they were last told."""
        return [
            MODELS[kind].model_validate_json(body)
            for kind, ids in _by_kind(keys)
            for some in chunks(ids, _AT_ONCE)
            for (body,) in connection.execute(select(TOLD.c.body).where(*_named(source, kind), TOLD.c.id.in_(some)))
        ]

    def readings_standing(self, connection: Connection, source: str, period: Period) -> dict[Key, date]:
        """The readings that start in `period` and are not retracted, with their UTC day."""
        rows = connection.execute(
            select(TOLD.c.id, TOLD.c.starts_at).where(
                *_named(source, "reading"),
                TOLD.c.open.is_(True),
                TOLD.c.starts_at >= period.start,
                TOLD.c.starts_at < period.end,
            )
        )
        return {("reading", row.id): row.starts_at.date() for row in rows}

    def seats_held(self, connection: Connection, source: str) -> list[SeatHolding]:
        """The seats that nobody has given back."""
        rows = connection.execute(select(TOLD.c.body).where(*_named(source, "seat"), TOLD.c.open.is_(True)))
        return [SeatHolding.model_validate_json(body) for (body,) in rows]

    def remember(self, tx: Transaction, source: str, facts: Sequence[VendorFact]) -> None:
        """Put these facts, each newer than what is known, in the place of what is known."""
        rows = {key_of(fact): _row(source, fact) for fact in facts}
        known = self.known(tx.connection, source, rows)
        tx.bulk_insert(TOLD, _TOLD_COLUMNS, [row for key, row in rows.items() if key not in known])
        newer = [dict(zip(_RENAMED, rows[key], strict=True)) for key in known]
        if newer:
            tx.connection.execute(_REPLACE, newer)

    def days(self, connection: Connection, name: str, days: Iterable[date]) -> dict[date, bool]:
        """Which of these days were told about before, and whether they were complete."""
        texts = [day.isoformat() for day in days]
        return {
            date.fromisoformat(row.day): row.complete
            for some in chunks(texts, _AT_ONCE)
            for row in connection.execute(
                select(SOURCE_DAY.c.day, SOURCE_DAY.c.complete).where(
                    SOURCE_DAY.c.source == name, SOURCE_DAY.c.day.in_(some)
                )
            )
        }

    def mark_days(self, tx: Transaction, name: str, days: Mapping[date, bool]) -> None:
        before = self.days(tx.connection, name, days)
        fresh = [(name, day.isoformat(), complete) for day, complete in days.items() if day not in before]
        tx.bulk_insert(SOURCE_DAY, ("source", "day", "complete"), fresh)
        healed = [day.isoformat() for day, complete in days.items() if complete and before.get(day) is False]
        for some in chunks(healed, _AT_ONCE):
            here = (SOURCE_DAY.c.source == name) & SOURCE_DAY.c.day.in_(some)
            tx.connection.execute(update(SOURCE_DAY).where(here).values(complete=True))

    def learn(
        self, bus: EventBus, sources: Collection[str], tell: Callable[[int], None] = lambda _records: None
    ) -> int:
        """After the loss of the database: take the newest revisions of `sources` from the bus; how many facts.

        Does nothing when a vendor was ever read with this database, and takes nothing of a source that is remembered:
        an import may have come first. Pseudonyms cannot be learned: they come from a backup, or people get new ones.
        """
        with self.store.reading() as connection:
            told = select(TOLD.c.source).where(TOLD.c.source.in_(sources)).distinct()
            unknown = set(sources) - set(connection.execute(told).scalars())
            if not unknown or connection.execute(select(SOURCE.c.name)).first():
                return 0
        newest = _newest(bus, unknown, tell)
        with self.store.transaction() as tx:
            rows = [_row(source, fact) for (source, _, _), fact in newest.items()]
            tx.bulk_insert(TOLD, _TOLD_COLUMNS, rows, ignore_conflicts=True)
        return len(newest)


_RENAMED = ("a_source", "a_kind", "a_id", "starts_at", "revision", "digest", "open", "body")
_REPLACE = (
    update(TOLD)
    .where(TOLD.c.source == bindparam("a_source"), TOLD.c.kind == bindparam("a_kind"), TOLD.c.id == bindparam("a_id"))
    .values({"starts_at": bindparam("starts_at", type_=BigInteger)} | {name: bindparam(name) for name in _RENAMED[4:]})
)


def _row(source: str, fact: VendorFact) -> tuple[object, ...]:
    return (
        source,
        kind_of(fact),
        id_of(fact),
        micros(starts_at(fact)),
        revision_of(fact),
        digest_of(fact),
        is_open(fact),
        fact.model_dump_json(),
    )


def _named(source: str, kind: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return TOLD.c.source == source, TOLD.c.kind == kind


def _by_kind(keys: Collection[Key]) -> Iterable[tuple[str, list[str]]]:
    return ((kind, [name for _, name in some]) for kind, some in groupby(sorted(keys), key=lambda key: key[0]))


def _newest(
    bus: EventBus, sources: Collection[str], tell: Callable[[int], None]
) -> dict[tuple[str, str, str], VendorFact]:
    found: dict[tuple[str, str, str], VendorFact] = {}
    read = 0
    for partition, end in bus.end_positions([USAGE.name, GOVERNANCE.name]).items():
        offset = 0
        while offset < end and (records := bus.read(partition, offset, _READ_AT_ONCE)):
            offset = records[-1].offset + 1
            tell(read := read + len(records))
            for record in records:
                _learn_one(record.value, sources, found)
    return found


def _learn_one(value: bytes, sources: Collection[str], found: dict[tuple[str, str, str], VendorFact]) -> None:
    try:
        event = decode(value)
    except InvalidEventError:
        return  # never of our making: the collector encodes what it publishes
    fact = fact_in(event)
    if fact is None or event.source not in sources:
        return
    key = (event.source, kind_of(fact), id_of(fact))
    if key not in found or revision_of(fact) > revision_of(found[key]):
        found[key] = fact
