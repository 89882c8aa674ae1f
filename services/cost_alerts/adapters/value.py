"""What the ledger knows of value: cost of uses by month, who asked what of a paid system and of its base."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, func, or_, select

from services.cost_alerts.adapters.tables import PROFILE, READING, ROLLUP, SEAT_HOLDING, WORD
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.value import (
    Asked,
    CostMonth,
    Licence,
    LicenceFacts,
    LicenceValue,
    UseValue,
    licence_value,
    use_value,
)
from services.cost_alerts.domain.view import View
from services.shared.events.register import System, UseCase
from services.shared.periods import Month, helsinki_day
from services.shared.store import Store
from services.shared.store.tables import instant

MONTHS_SHOWN = 12
"""So many months of a use are told, the one asked for the last."""

LICENCE_MONTHS = 3
"""Who uses a licence is asked of so many months, the one asked for the last."""

COMPARED_MONTHS = 12
"""So far back the time before a licence is looked at."""

METERS = ("requests", "messages", "conversations", "output_tokens")
"""What use of a licence is counted by: the first of these that readings tell of both systems."""


@dataclass(frozen=True, slots=True)
class Value:
    """Value as on the last day of `first_day` to `last_day` (inclusive), the days that licences are asked for."""

    month: Month
    first_day: date
    last_day: date
    uses: Sequence[UseValue]
    licences: Sequence[LicenceValue]


class _Cost(NamedTuple):
    day: date
    unit: str
    system: str
    project: str
    eur_nano: int
    unpriced: int


def value_of(store: Store, view: View, month: Month, today: date) -> Value:
    """The uses of AI that are there at the end of `month`, or today; and the paid licences over a base system."""
    last = min(today, month.next.first_day - timedelta(days=1))
    first, earliest = (_months_back(month, months - 1) for months in (LICENCE_MONTHS, MONTHS_SHOWN))
    uses = [one for one in sorted(view.use_cases, key=lambda one: one.id) if one.holds_on(last)]
    paid = sorted((one for one in view.systems.values() if one.adds_to is not None), key=lambda one: one.id)
    with store.reading() as connection:
        costs = _costs(connection, earliest.first_day, last, uses)
        licences = [licence_value(_licence(connection, view, one, first.first_day, last)) for one in paid]
    results = [one for one in view.benefits if earliest <= Month.parse(one.month) <= month]
    valued = [use_value(one, _months(view, one, costs), results) for one in uses]
    return Value(month, first.first_day, last, valued, licences)


def _months_back(month: Month, months: int) -> Month:
    for _ in range(months):
        month = month.previous
    return month


def _costs(connection: Connection, first: date, last: date, uses: Sequence[UseCase]) -> Sequence[_Cost]:
    """Cost by day, unit, system and project, of what any of the uses may be costed by."""
    unit, system, project = (WORD.alias(f"{name}_word") for name in ("unit", "system", "project"))
    projects = sorted({one.project for one in uses if one.project is not None})
    systems = sorted({name for one in uses if one.project is None for name in one.systems})
    sums = [func.sum(ROLLUP.c[name]) for name in ("eur_nano", "unpriced")]
    named = (ROLLUP.c.day, unit.c.text, system.c.text, project.c.text)
    query = (
        select(*named, *sums)
        .join(unit, unit.c.id == ROLLUP.c.unit)
        .join(system, system.c.id == ROLLUP.c.system)
        .join(project, project.c.id == ROLLUP.c.project)
        .where(ROLLUP.c.day.between(first.toordinal(), last.toordinal()))
        .where(or_(project.c.text.in_(projects), system.c.text.in_(systems)))
        .group_by(*named)
    )
    return [
        _Cost(date.fromordinal(row[0]), row[1], row[2], row[3], int(row[4]), int(row[5]))
        for row in connection.execute(query)
    ]


def _months(view: View, use: UseCase, costs: Iterable[_Cost]) -> Iterator[CostMonth]:
    """A use's cost by month: what carries its project, or what its unit and those below pay for its systems."""

    @cache
    def below(unit: str, day: date) -> bool:
        return use.unit in view.units.with_ancestors(unit, day)

    found: dict[Month, list[_Cost]] = defaultdict(list)
    for one in costs:
        mine = one.project == use.project if use.project else one.system in use.systems and below(one.unit, one.day)
        if mine:
            found[Month.of(one.day)].append(one)
    for month, parts in found.items():
        yield CostMonth(month, sum(one.eur_nano for one in parts), sum(one.unpriced for one in parts))


def _licence(connection: Connection, view: View, system: System, first: date, last: date) -> LicenceFacts:
    assert system.adds_to is not None
    since = _months_back(Month.of(last), COMPARED_MONTHS - 1).first_day
    meter, asked = _measured(_asked(connection, (system.id, system.adds_to), since, last))
    held = _licences(connection, system.id)
    cost = _cost_of(connection, system.id, first, last)
    return LicenceFacts(system.id, system.adds_to, meter, first, last, asked, held, view.allocation.placed(last), cost)


def _asked(connection: Connection, systems: tuple[str, str], first: date, last: date) -> Mapping[str, Sequence[Asked]]:
    """Meter → what persons asked, whatever the readings were made for: nothing here is paid for twice."""
    query = (
        select(READING.c.day, READING.c.ends_at, READING.c.quantities, PROFILE.c.body)
        .join(PROFILE, PROFILE.c.id == READING.c.profile)
        .join(WORD, WORD.c.id == PROFILE.c.system)
        .where(WORD.c.text.in_(systems), READING.c.retracted == 0)
        .where(READING.c.day.between(first.toordinal(), last.toordinal()))
    )
    profiles: dict[str, Profile] = {}
    sums: dict[tuple[str, str, str, int, date], Decimal] = defaultdict(Decimal)
    for row in connection.execute(query):
        profile = profiles.get(row.body)
        if profile is None:
            profile = profiles[row.body] = Profile.from_text(row.body)
        if profile.person is not None:
            until = max(helsinki_day(instant(row.ends_at)), date.fromordinal(row.day + 1))
            for meter, quantity in zip(profile.meters, map(Decimal, row.quantities.split()), strict=True):
                sums[meter, profile.person, profile.system, row.day, until] += quantity
    found: dict[str, list[Asked]] = defaultdict(list)
    for (meter, person, system, day, until), quantity in sums.items():
        found[meter].append(Asked(person, system, date.fromordinal(day), until, quantity))
    return found


def _measured(found: Mapping[str, Sequence[Asked]]) -> tuple[str | None, Sequence[Asked]]:
    """The meter that both systems are counted by, and what it counts; else the one that tells of either."""
    told = {meter: {one.system for one in found.get(meter, ())} for meter in METERS}
    best = max(METERS, key=lambda meter: len(told[meter]))  # of equals the first
    return (best, found[best]) if told[best] else (None, ())


def _licences(connection: Connection, system: str) -> Sequence[Licence]:
    """Each person's holdings as their newest revision tells them."""
    order = (SEAT_HOLDING.c.person, SEAT_HOLDING.c.sku, SEAT_HOLDING.c.assigned_on, SEAT_HOLDING.c.revision)
    newest = {
        (row.person, row.sku, row.assigned_on): row
        for row in connection.execute(select(SEAT_HOLDING).where(SEAT_HOLDING.c.system == system).order_by(*order))
    }
    return [
        Licence(row.person, date.fromordinal(row.assigned_on), _day(row.released_on), _day(row.last_active_on))
        for row in newest.values()
    ]


def _day(ordinal: int | None) -> date | None:
    return None if ordinal is None else date.fromordinal(ordinal)


def _cost_of(connection: Connection, system: str, first: date, last: date) -> int:
    query = (
        select(func.sum(ROLLUP.c.eur_nano))
        .join(WORD, WORD.c.id == ROLLUP.c.system)
        .where(WORD.c.text == system, ROLLUP.c.day.between(first.toordinal(), last.toordinal()))
    )
    return int(connection.execute(query).scalar_one() or 0)
