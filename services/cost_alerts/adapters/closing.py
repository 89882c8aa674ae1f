"""Closed months in SQL: their cut-offs, what each charge enters into the books, and what of that is late.

A charge is an entry when it begins and, with the other sign, when it ends. A month's books are the entries that
`Closings` gives to it; the table `adjustment` holds those that are in another month's books than their own day's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Table,
    and_,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from services.cost_alerts.adapters.tables import (
    ADJUSTMENT,
    BASIS,
    CHARGE,
    CLOSING,
    PERIOD_CHARGE,
    REGISTER_STATE,
    ROLLUP_KEY,
    SUMS,
)
from services.cost_alerts.domain.closing import Booking, Closings, month_of_day
from services.shared.store import Transaction

KEY = tuple(name for name in ROLLUP_KEY if name != "shard")

LateKey = tuple[Any, ...]
"""`booked_in`, then the values of `KEY`."""

SHARD = -3
"""The part of the adjustments that closings alone add to."""

_FOR_EVER = 2**62
"""Later than any instant."""


def load_closings(connection: Connection) -> Closings:
    rows = connection.execute(select(CLOSING.c.month, CLOSING.c.cut_off))
    return Closings({row.month: row.cut_off for row in rows})


def close_month(tx: Transaction, month: int, cut_off: int, closed_by: str | None) -> Closings | None:
    """Close a month, alone: nobody prices meanwhile. The closings as they now are; None when it was closed before.

    What was recorded after the cut-off and counted already moves to the books of an open month.
    """
    tx.connection.execute(select(REGISTER_STATE.c.closings).with_for_update()).scalar_one()
    before = load_closings(tx.connection)
    if month in before.cut_offs:
        return None
    after = before.with_month(month, cut_off)
    row = (month, after.cut_offs[month], closed_by)
    tx.bulk_insert(CLOSING, ("month", "cut_off", "closed_by"), [row])
    tx.connection.execute(update(REGISTER_STATE).values(closings=len(after.cut_offs)))
    _move(tx, before, after, after.cut_offs[month])
    return after


def _move(tx: Transaction, before: Closings, after: Closings, above: int) -> None:
    """Book anew what was recorded after the newest cut-off; the books of all that came earlier stay as they are."""
    changes: dict[LateKey, list[int]] = defaultdict(lambda: [0] * len(SUMS))
    for sign, closings in ((1, after), (-1, before)):
        for key, sums in late_sums(tx.connection, closings, above).items():
            changes[key] = [total + sign * value for total, value in zip(changes[key], sums, strict=True)]
    rows = [(*key, SHARD, *sums) for key, sums in changes.items() if any(sums)]
    tx.bulk_add(ADJUSTMENT, ("booked_in", *ROLLUP_KEY), SUMS, rows)
    tx.connection.execute(delete(ADJUSTMENT).where(*(ADJUSTMENT.c[name] == 0 for name in SUMS)))


def late_sums(connection: Connection, closings: Closings, above: int | None = None) -> Mapping[LateKey, Sequence[int]]:
    """The entries that are not in the books of their own day's month, summed as the adjustments are.

    `above`: only what was recorded after that instant; None: all.
    """
    if not closings.cut_offs:
        return {}
    first = min(closings.cut_offs.values())
    found = entries(above=first if above is None else max(first, above)).subquery("entry")
    bucket = _bucket(found.c.moment, closings)
    key = [BASIS.c[name] for name in KEY]
    query = (
        select(bucket, *key, *(func.sum(found.c[name]) for name in SUMS))
        .join(BASIS, BASIS.c.id == found.c.basis)
        .where(BASIS.c.day < closings.open_from)
        .group_by(bucket, *key)
    )
    late: dict[LateKey, list[int]] = defaultdict(lambda: [0] * len(SUMS))
    for moment, *rest in connection.execute(query):
        place, sums = rest[: len(KEY)], rest[len(KEY) :]
        month = closings.booked_in(place[0], int(moment))
        if month != month_of_day(place[0]):
            total = late[month, *place]
            late[month, *place] = [one + int(value or 0) for one, value in zip(total, sums, strict=True)]
    return {key: sums for key, sums in late.items() if any(sums)}


def _bucket(moment: ColumnElement[int], closings: Closings) -> ColumnElement[int]:
    """The first cut-off that is not before an instant: every instant up to it is booked as it is."""
    cut_offs = sorted(set(closings.cut_offs.values()))
    return case(*((moment <= one, _whole(one)) for one in cut_offs), else_=_whole(_FOR_EVER)).label("bucket")


def entries(*, above: int | None = None, before: int | None = None) -> CompoundSelect[Any]:
    """Every charge as it begins and as it ends: `basis`, `moment`, and the sums with their sign.

    Only moments after `above` and before `before`, when they are given.
    """
    parts = []
    for table in (CHARGE, PERIOD_CHARGE):
        for moment, sign in ((table.c.recorded_at, 1), (table.c.superseded_at, -1)):
            limits: list[ColumnElement[bool]] = [moment.is_not(None)]
            limits += [] if above is None else [moment > above]
            limits += [] if before is None else [moment < before]
            sums = [(sign * one).label(name) for name, one in zip(SUMS, sums_of(table), strict=True)]
            parts.append(select(table.c.basis, moment.label("moment"), *sums).where(*limits))
    return union_all(*parts)


def sums_of(table: Table) -> list[ColumnElement[int]]:
    """What one charge of a table adds to `SUMS`. Charges by the period are no readings; unpriced, they count as one."""
    money = [func.coalesce(table.c.eur_nano, 0), func.coalesce(table.c.nano, 0)]
    if table is PERIOD_CHARGE:
        return [*money, _whole(1), _whole(0), _one_where(table.c.eur_nano.is_(None))]
    return [*money, _whole(1), _one_where(table.c.lead > 0), _one_where(table.c.lead > 1)]


def _whole(number: int) -> ColumnElement[int]:
    """A number that stands in the statement itself."""
    return literal_column(str(number), BigInteger)


def _one_where(holds: ColumnElement[bool]) -> ColumnElement[int]:
    return case((holds, _whole(1)), else_=_whole(0))


def current(table: Table) -> Select[Any]:
    """The charges of a table that stand, as entries without a moment."""
    sums = [one.label(name) for name, one in zip(SUMS, sums_of(table), strict=True)]
    return select(table.c.basis, *sums).where(table.c.superseded_at.is_(None))


def is_booked(bookings: Sequence[Booking], day: ColumnElement[int], moment: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether an entry is in the books that take these."""
    return or_(*(_takes(one, day, moment) for one in bookings))


def _takes(booking: Booking, day: ColumnElement[int], moment: ColumnElement[int]) -> ColumnElement[bool]:
    limits: list[ColumnElement[bool]] = [day.between(booking.first_day, booking.last_day)]
    limits += [] if booking.above is None else [moment > booking.above]
    limits += [] if booking.up_to is None else [moment <= booking.up_to]
    return and_(*limits)
