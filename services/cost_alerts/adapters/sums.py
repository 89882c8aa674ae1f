"""A month's sums, from the rollups as they stand now or from the charges as they were known at the end of a day."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, and_, case, func, or_, select

from services.cost_alerts.adapters.tables import BASIS, CHARGE, ROLLUP, SEAT_CHARGE, WORD
from services.cost_alerts.domain.report import Sum
from services.shared.periods import Month, day_start
from services.shared.store.tables import micros

_LAST_DAY = date.max - timedelta(days=2)
"""The last day whose end can be told in every time zone."""


def month_sums(connection: Connection, month: Month, by: str, known_on: date | None) -> list[Sum]:
    """A month by the names of `by`. `known_on`: only what was recorded by the end of that Helsinki day; None: all."""
    query = _current(month, by) if known_on is None else _as_known(month, by, known_on)
    return [_sum(row) for row in connection.execute(query)]


def rollup_sums(*names: str) -> list[ColumnElement[Any]]:
    return [func.sum(ROLLUP.c[name]) for name in names]


def in_month(day: ColumnElement[int], month: Month) -> ColumnElement[bool]:
    return and_(day >= month.first_day.toordinal(), day < month.next.first_day.toordinal())


def _sum(row: Any) -> Sum:  # noqa: ANN401  # a row of either query below
    name, currency, *sums = row
    text = date.fromordinal(name).isoformat() if isinstance(name, int) else name
    return Sum(text, currency or None, *(int(value or 0) for value in sums))


def _grouping(source: FromClause, row: Table, by: str) -> tuple[ColumnElement[Any], FromClause]:
    """What names a line of a report, and where it is read from: a day names itself, all else is a word."""
    return (row.c.day, source) if by == "day" else (WORD.c.text, source.join(WORD, WORD.c.id == row.c[by]))


def _current(month: Month, by: str) -> Select[Any]:
    name, source = _grouping(ROLLUP, ROLLUP, by)
    return (
        select(name, ROLLUP.c.currency, *rollup_sums("eur_nano", "nano", "readings", "unpriced"))
        .select_from(source)
        .where(in_month(ROLLUP.c.day, month))
        .group_by(name, ROLLUP.c.currency)
        .having(func.sum(ROLLUP.c.charges) != 0)  # what a correction emptied is no row
    )


def _as_known(month: Month, by: str, known_on: date) -> Select[Any]:
    """The same from the charges, as they stood at the end of a Helsinki day."""
    before = micros(day_start(min(known_on, _LAST_DAY) + timedelta(days=1)))
    charges = select(
        CHARGE.c.basis,
        CHARGE.c.eur_nano,
        CHARGE.c.nano,
        case((CHARGE.c.lead > 0, 1), else_=0).label("readings"),
        case((CHARGE.c.lead > 1, 1), else_=0).label("unpriced"),
    ).where(CHARGE.c.recorded_at < before, _stands(CHARGE.c.superseded_at, before))
    seats = select(
        SEAT_CHARGE.c.basis,
        SEAT_CHARGE.c.eur_nano,
        SEAT_CHARGE.c.nano,
        case((SEAT_CHARGE.c.seats < 0, 1), else_=0).label("readings"),
        case((SEAT_CHARGE.c.eur_nano.is_(None), 1), else_=0).label("unpriced"),
    ).where(SEAT_CHARGE.c.recorded_at < before, _stands(SEAT_CHARGE.c.superseded_at, before))
    known = charges.union_all(seats).subquery("known")
    sums = [func.sum(known.c[name]) for name in ("eur_nano", "nano", "readings", "unpriced")]
    name, source = _grouping(known.join(BASIS, BASIS.c.id == known.c.basis), BASIS, by)
    return (
        select(name, BASIS.c.currency, *sums)
        .select_from(source)
        .where(in_month(BASIS.c.day, month))
        .group_by(name, BASIS.c.currency)
    )


def _stands(superseded_at: ColumnElement[Any], before: int) -> ColumnElement[bool]:
    return or_(superseded_at.is_(None), superseded_at >= before)
