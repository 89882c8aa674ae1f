"""What waits for a person: walked in the order of its due times, along one small index, and counted."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

from services.audit_log.adapters.tables import case_file
from services.audit_log.domain.reviews.hurdles import Remit
from services.shared.store.tables import UtcMicros

_SHOWN = (
    "output_id",
    "state",
    "system",
    "unit",
    "use_case",
    "risk_class",
    "model",
    "due_at",
    "generated_at",
    "content_hash",
)
_EXACTLY = ("unit", "use_case", "risk_class", "system", "state")
_OPEN = literal_column("waits") == literal_column("1")
"""Word for word the condition of the index, or no database would use it."""


class Wanted(NamedTuple):
    """What somebody asks the queue for; all of it must hold. `mine`: only what this remit has."""

    unit: str | None = None
    use_case: str | None = None
    risk_class: str | None = None
    system: str | None = None
    state: str | None = None
    mine: Remit | None = None


class Place(NamedTuple):
    """A place in the queue; without a due time it is behind all that have one."""

    due_at: datetime | None
    output_id: str


class Item(NamedTuple):
    """An output that waits. Texts are empty where nothing is known. `max_bulk`: as its rule says."""

    output_id: str
    state: str
    system: str
    unit: str
    use_case: str
    risk_class: str
    model: str
    due_at: datetime | None
    generated_at: datetime | None
    content_hash: str | None
    requester: str | None
    max_bulk: int | None

    @property
    def place(self) -> Place:
        return Place(self.due_at, self.output_id)


class Page(NamedTuple):
    """Items in the order of their due times; `next`: the place after which the next page begins, or None."""

    items: list[Item]
    next: Place | None


class Counts(NamedTuple):
    """How many outputs wait, and how many of them have waited for too long."""

    open: int
    overdue: int


def read_page(connection: Connection, wanted: Wanted, after: Place | None, limit: int) -> Page:
    """The first `limit` items after a place (None: from the beginning)."""
    found: dict[str, Item] = {}
    for part in _parts(connection, wanted):
        found |= {item.output_id: item for item in _first(connection, part, after, limit + 1)}
    items = sorted(found.values(), key=lambda item: (item.due_at is None, item.due_at or 0, item.output_id))
    return Page(items[:limit], items[limit - 1].place if len(items) > limit else None)


def count(connection: Connection, wanted: Wanted, now: datetime) -> Counts:
    """Of all that is wanted, whatever page is shown."""
    late = func.sum(case((case_file.c.due_at < now, 1), else_=0))
    query = select(func.count(), late).where(_OPEN, *_conditions(connection, wanted), *_any(connection, wanted))
    row = connection.execute(query).one()
    return Counts(row[0], row[1] or 0)


def _parts(connection: Connection, wanted: Wanted) -> Iterator[list[ColumnElement[bool]]]:
    """The conditions of one question, or of one for use cases and one for units.

    Either is a walk along the index; asked at once, PostgreSQL would look into every row.
    """
    exact = _conditions(connection, wanted)
    if wanted.mine is None:
        yield exact
    else:
        yield from ([*exact, one] for one in _of_remit(connection, wanted.mine))


def _conditions(connection: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    given = ((name, getattr(wanted, name)) for name in _EXACTLY)
    return [_column(connection, name) == value for name, value in given if value is not None]


def _any(connection: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    return [] if wanted.mine is None else [or_(*_of_remit(connection, wanted.mine))]


def _of_remit(connection: Connection, remit: Remit) -> list[ColumnElement[bool]]:
    use_case, unit = _column(connection, "use_case"), _column(connection, "unit")
    return [use_case.in_(sorted(remit.use_cases)), unit.in_(sorted(remit.units))]


def _column(connection: Connection, name: str) -> ColumnElement[str]:
    """A column without the indexes that begin with it.

    SQLite, which knows nothing of how rare a value is, would sort all outputs of one instead of walking the queue.
    """
    column: ColumnElement[str] = case_file.c[name]
    return literal_column(f"+{name}", Text) if connection.dialect.name == "sqlite" else column


def _first(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], after: Place | None, limit: int
) -> list[Item]:
    """Those with a due time, and then, where the limit allows, those without."""
    due, name = case_file.c.due_at, case_file.c.output_id
    dated: list[Item] = []
    if after is None or after.due_at is not None:
        rest = [] if after is None else [tuple_(due, name) > tuple_(_moment(after.due_at), literal(after.output_id))]
        dated = _asked(connection, [due.is_not(None), *rest, *conditions], (due, name), limit)
    if len(dated) == limit:
        return dated
    behind = after.output_id if after is not None and after.due_at is None else ""
    return dated + _asked(connection, [due.is_(None), name > behind, *conditions], (name,), limit - len(dated))


def _moment(moment: datetime | None) -> ColumnElement[datetime]:
    return literal(moment, UtcMicros())


def _asked(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], order: Sequence[Any], limit: int
) -> list[Item]:
    columns = [case_file.c[name] for name in (*_SHOWN, "document")]
    query: Select[Any] = select(*columns).where(_OPEN, *conditions).order_by(*order).limit(limit)
    return [_item(row) for row in connection.execute(query)]


def _item(row: Row[Any]) -> Item:
    case = json.loads(row.document)
    requester = (case.get("output") or {}).get("requester")
    max_bulk = ((case.get("duty") or {}).get("rule") or {}).get("max_bulk")
    return Item(**{name: getattr(row, name) for name in _SHOWN}, requester=requester, max_bulk=max_bulk)
