"""A month's sums, from the rollups as they stand now or from the charges as they were known at the end of a day."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, or_, select, union_all

from services.cost_alerts.adapters.closing import entries, is_booked, load_closings, sums_of
from services.cost_alerts.adapters.tables import (
    ADJUSTMENT,
    BASIS,
    CHARGE,
    PERIOD_CHARGE,
    ROLLUP,
    SUMS,
    WORD,
)
from services.cost_alerts.domain.closing import Closings, month_number
from services.cost_alerts.domain.report import Basis, Sum
from services.shared.periods import Month, day_start
from services.shared.store.tables import micros

WORDS = ("unit", "system", "sku", "meter", "cost_centre", "project")
"""Members of a rollup's key that stand as words; `day` and the others stand as they are."""

_LAST_DAY = date.max - timedelta(days=2)
"""The last day whose end can be told in every time zone."""


class Grouped(NamedTuple):
    """Part of a month. `names`: in the order asked for, words spelled out, days as ordinals; money in 10⁻⁹."""

    names: tuple[Any, ...]
    eur_nano: int
    nano: int
    charges: int
    readings: int
    unpriced: int


def month_sums(connection: Connection, month: Month, by: str, known_on: date | None, basis: Basis) -> list[Sum]:
    """A month by the names of `by`. `known_on`: only what was recorded by the end of that Helsinki day; None: all."""
    found = grouped_sums(connection, month, (by, "currency", "vat_rate"), known_on, basis)
    return [_sum(one) for one in found]


def grouped_sums(
    connection: Connection, month: Month, names: Sequence[str], known_on: date | None, basis: Basis
) -> list[Grouped]:
    """A month parted by members of a rollup's key, for example `("cost_centre", "project", "vat_rate")`, by name.

    A part that corrections have emptied is left out; one that costs nothing is not.
    """
    closings = load_closings(connection) if basis == "booked" else Closings({})
    parts = (
        _from_rollups(month, names, closings)
        if known_on is None
        else [_from_charges(month, names, closings, end_of(known_on))]
    )
    rows = connection.execute(_spelled(parts, names))
    width = len(names)
    found = [Grouped(tuple(row[:width]), *(int(value or 0) for value in row[width:])) for row in rows]
    return sorted(found, key=lambda one: tuple(map(str, one.names)))


def end_of(day: date) -> int:
    """The first instant (microseconds) after a Helsinki day."""
    return micros(day_start(min(day, _LAST_DAY) + timedelta(days=1)))


def rollup_sums(*names: str) -> list[ColumnElement[Any]]:
    return [func.sum(ROLLUP.c[name]) for name in names]


def in_month(day: ColumnElement[int], month: Month) -> ColumnElement[bool]:
    return and_(day >= month.first_day.toordinal(), day < month.next.first_day.toordinal())


def _sum(found: Grouped) -> Sum:
    name, currency, vat_rate = found.names
    text = date.fromordinal(name).isoformat() if isinstance(name, int) else name
    return Sum(text, currency or None, found.eur_nano, found.nano, found.readings, found.unpriced, vat_rate)


def _spelled(parts: Sequence[Select[Any]], names: Sequence[str]) -> Select[Any]:
    """The sum of the parts, with the words that name it."""
    whole = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("whole")
    words = {name: WORD.alias(f"{name}_word") for name in names if name in WORDS}
    shown = [words[name].c.text if name in words else whole.c[name] for name in names]
    sums = [func.sum(whole.c[name]) for name in SUMS]
    source = whole
    for name, word in words.items():
        source = source.join(word, word.c.id == whole.c[name])  # type: ignore[assignment]
    return select(*shown, *sums).select_from(source).group_by(*shown).having(or_(*(one != 0 for one in sums)))


def _from_rollups(month: Month, names: Sequence[str], closings: Closings) -> list[Select[Any]]:
    """The month's days; and, where anything is closed, what moved out of its books, and what moved in."""
    own = _summed(ROLLUP, names, 1).where(in_month(ROLLUP.c.day, month))
    if not closings.cut_offs:
        return [own]
    left = _summed(ADJUSTMENT, names, -1).where(in_month(ADJUSTMENT.c.day, month))
    came = _summed(ADJUSTMENT, names, 1).where(ADJUSTMENT.c.booked_in == month_number(month))
    return [own, left, came]


def _summed(table: Table, names: Sequence[str], sign: int) -> Select[Any]:
    key = [table.c[name] for name in names]
    return select(*key, *((sign * func.sum(table.c[name])).label(name) for name in SUMS)).group_by(*key)


def _from_charges(month: Month, names: Sequence[str], closings: Closings, before: int) -> Select[Any]:
    """The same from the charges, as they stood before an instant."""
    if any(cut_off < before for cut_off in closings.cut_offs.values()):
        charges = entries(before=before).subquery("entry")
        here = is_booked(closings.bookings(month_number(month)), BASIS.c.day, charges.c.moment)
    else:
        charges = union_all(*(_standing(table, before) for table in (CHARGE, PERIOD_CHARGE))).subquery("standing")
        here = in_month(BASIS.c.day, month)
    key = [BASIS.c[name] for name in names]
    sums = [func.sum(charges.c[name]).label(name) for name in SUMS]
    return select(*key, *sums).join(BASIS, BASIS.c.id == charges.c.basis).where(here).group_by(*key)


def _standing(table: Table, before: int) -> Select[Any]:
    sums = [one.label(name) for name, one in zip(SUMS, sums_of(table), strict=True)]
    stands = or_(table.c.superseded_at.is_(None), table.c.superseded_at >= before)
    return select(table.c.basis, *sums).where(table.c.recorded_at < before, stands)
