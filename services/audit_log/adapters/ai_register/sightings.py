"""What was seen in use, kept by whoever makes the index: derived from the entries, and written rarely.

Of one aspect of a system so many values are kept at most: a sender that names every call otherwise must not fill the
database. Those that came first stay.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from services.audit_log.adapters.tables import sighting
from services.audit_log.domain.ai_register.sightings import Aspect, Seen, Sighting, joined
from services.shared.store import Transaction, chunks

VALUES_AT_MOST = 500
_AT_ONCE = 400

_Place = tuple[str, Aspect]


def write_sightings(tx: Transaction, found: Sequence[Sighting]) -> None:
    """Add what entries show, in the order of their indexes; a row is written when it says something new."""
    known = {one.seen: one for one in _of_systems(tx.connection, {one.seen.system for one in found})}
    count: dict[_Place, int] = {}
    for seen in known:
        count[_place(seen)] = count.get(_place(seen), 0) + 1
    changed: list[Sighting] = []
    for one in found:
        before = known.get(one.seen)
        if before is None:
            count[_place(one.seen)] = count.get(_place(one.seen), 0) + 1
        after = joined(before, one) if before else one
        if after != before and count[_place(one.seen)] <= VALUES_AT_MOST:
            changed.append(after)
    _put(tx, changed)


def read_sightings(connection: Connection) -> list[Sighting]:
    """All of them, those that were seen first before the others."""
    query = select(sighting).order_by(sighting.c.first_seq, sighting.c.system, sighting.c.aspect, sighting.c.value)
    return [_sighting(row) for row in connection.execute(query)]


def _of_systems(connection: Connection, systems: set[str]) -> Iterable[Sighting]:
    for some in chunks(sorted(systems), _AT_ONCE):
        for row in connection.execute(select(sighting).where(sighting.c.system.in_(some))):
            yield _sighting(row)


def _sighting(row: Any) -> Sighting:  # noqa: ANN401  # a row of the table
    return Sighting(Seen(row.system, row.aspect, row.value), row.first_seq, row.first_at, row.last_at)


def _place(seen: Seen) -> _Place:
    return seen.system, seen.aspect


def _put(tx: Transaction, changed: Sequence[Sighting]) -> None:
    if not changed:
        return
    insert: Any = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    statement = insert(sighting)
    values = [
        {**one.seen._asdict(), "first_seq": one.first_seq, "first_at": one.first_at, "last_at": one.last_at}
        for one in changed
    ]
    replaced = {name: statement.excluded[name] for name in ("first_seq", "first_at", "last_at")}
    key = [column.name for column in sighting.primary_key]
    tx.connection.execute(statement.on_conflict_do_update(index_elements=key, set_=replaced), values)
