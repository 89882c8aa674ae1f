"""What changed afterwards, for people: what vendors told again, what versions changed, what was booked late."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, union_all

from services.cost_alerts.adapters.sums import grouped_sums
from services.cost_alerts.adapters.tables import (
    ADJUSTMENT,
    CHARGE,
    CLOSING,
    PROFILE,
    READING,
    READING_HISTORY,
    REGISTER_VERSION,
    RESTATED,
    ROLLUP,
    WORD,
)
from services.cost_alerts.domain.closing import month_number, month_of, month_of_day
from services.shared.periods import Month
from services.shared.store import Store

_BILLING = 0


class Revised(NamedTuple):
    """A day of a source that was told again: readings with a later revision, 10⁻⁹ euro by the earlier and by it."""

    source: str
    system: str
    day: date
    recorded_at: int
    readings: int
    before_nano: int
    after_nano: int


class Extent(NamedTuple):
    """The days that a register version changed, and readings without a price among them, before and after."""

    first_day: date
    last_day: date
    unpriced_before: int
    unpriced_after: int


class Booked(NamedTuple):
    """A closed month, in 10⁻⁹ euro: as booked, and as incurred by what is known now; `cut_off`: its last instant."""

    month: Month
    cut_off: int
    closed_by: str | None
    booked_nano: int
    incurred_nano: int


class Moved(NamedTuple):
    """What an open month books for the days of a closed one, 10⁻⁹ euro."""

    booked_in: Month
    month: Month
    unit: str
    eur_nano: int


def revised(connection: Connection) -> Sequence[Revised]:
    """Every day of a source whose readings were told again with another cost, the newest first."""
    told = union_all(
        *(
            select(table.c.number, table.c.recorded_at, table.c.day, table.c.profile).where(
                table.c.revision > 0, table.c.purpose == _BILLING
            )
            for table in (READING, READING_HISTORY)
        )
    ).subquery("told")
    source, system = WORD.alias("source_word"), WORD.alias("system_word")
    ended = case((CHARGE.c.superseded_at == told.c.recorded_at, func.coalesce(CHARGE.c.eur_nano, 0)), else_=0)
    # Both revisions may have come in one instant: what ended as it began is of the earlier.
    lasts = or_(CHARGE.c.superseded_at.is_(None), CHARGE.c.superseded_at > told.c.recorded_at)
    came = and_(CHARGE.c.recorded_at == told.c.recorded_at, lasts)
    began = case((came, func.coalesce(CHARGE.c.eur_nano, 0)), else_=0)
    before, after = func.sum(ended), func.sum(began)
    names = (source.c.text, system.c.text, told.c.day, told.c.recorded_at)
    query = (
        select(*names, func.count(told.c.number.distinct()), before, after)
        .select_from(told)
        .join(CHARGE, CHARGE.c.reading == told.c.number)
        .join(READING, READING.c.number == told.c.number)
        .join(PROFILE, PROFILE.c.id == told.c.profile)
        .join(source, source.c.id == READING.c.source)
        .join(system, system.c.id == PROFILE.c.system)
        .group_by(*names)
        .having(before != after)
        .order_by(told.c.recorded_at.desc(), told.c.day.desc(), source.c.text)
    )
    return [
        Revised(row[0], row[1], date.fromordinal(row[2]), row[3], int(row[4]), int(row[5]), int(row[6]))
        for row in connection.execute(query)
    ]


def extents(connection: Connection) -> Mapping[int, Extent]:
    """Register version → what it reached."""
    ends = (func.min(RESTATED.c.day), func.max(RESTATED.c.day))
    days = connection.execute(select(RESTATED.c.version, *ends).group_by(RESTATED.c.version)).all()
    return {
        version: Extent(
            date.fromordinal(first),
            date.fromordinal(last),
            _unpriced(connection, version, CHARGE.c.superseded_at),
            _unpriced(connection, version, CHARGE.c.recorded_at),
        )
        for version, first, last in days
    }


def _unpriced(connection: Connection, version: int, moment: ColumnElement[int]) -> int:
    """Readings without a price among the charges that ended, or began, when a version was published."""
    published = select(REGISTER_VERSION.c.published_at).where(REGISTER_VERSION.c.version == version).scalar_subquery()
    query = select(func.count()).select_from(CHARGE).where(moment == published, CHARGE.c.lead > 1)
    return int(connection.execute(query).scalar_one())


def closed_months(store: Store) -> Sequence[Booked]:
    """The closed months, the last first."""
    with store.reading() as connection:
        rows = connection.execute(select(CLOSING).order_by(CLOSING.c.month.desc())).all()
        found = []
        for row in rows:
            month = month_of(row.month)
            booked, incurred = (
                sum(one.eur_nano for one in grouped_sums(connection, month, ("unit",), None, basis))
                for basis in ("booked", "incurred")
            )
            found.append(Booked(month, row.cut_off, row.closed_by, booked, incurred))
    return found


def moved(connection: Connection) -> Sequence[Moved]:
    """What open months book for closed ones, by month and unit; what cancels out is left out."""
    query = (
        select(ADJUSTMENT.c.booked_in, ADJUSTMENT.c.day, WORD.c.text, func.sum(ADJUSTMENT.c.eur_nano))
        .join(WORD, WORD.c.id == ADJUSTMENT.c.unit)
        .group_by(ADJUSTMENT.c.booked_in, ADJUSTMENT.c.day, WORD.c.text)
    )
    sums: dict[tuple[int, int, str], int] = defaultdict(int)
    for booked_in, day, unit, nano in connection.execute(query):
        sums[booked_in, month_of_day(day), unit] += int(nano)
    return [
        Moved(month_of(booked_in), month_of(month), unit, nano)
        for (booked_in, month, unit), nano in sorted(sums.items(), key=lambda one: (-one[0][0], -one[0][1], one[0][2]))
        if nano
    ]


def charged_months(store: Store, until: Month) -> Sequence[Month]:
    """The months from the first day with a charge to the last before `until`."""
    with store.reading() as connection:
        first = connection.execute(select(func.min(ROLLUP.c.day)).where(ROLLUP.c.charges != 0)).scalar()
    if first is None:
        return ()
    return [month_of(number) for number in range(month_of_day(first), month_number(until))]
