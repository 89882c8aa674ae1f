"""What risks are reckoned from, read from the ledger in one consistent view: spending by day, regions, seats."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.queries import SeatState
from services.cost_alerts.adapters.tables import PROFILE, READING, ROLLUP, SEAT_HOLDING, WORD
from services.cost_alerts.domain.agreements.seating import ACTIVE_WITHIN
from services.cost_alerts.domain.risks.seats import SeatStock
from services.cost_alerts.domain.risks.spending import PACE_DAYS, YEAR_DAYS, Amount, Kind, Trail
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.handlers.charging import BILLING

REGION = "region"
"""The dimension of a reading that names where it was processed."""

RegionDays = Mapping[str, Mapping[int, Mapping[str, int]]]
"""System → day (ordinal) → region (empty: none named) → billing readings; only systems that name regions."""


def trail(connection: Connection, today: date, days: int = 1) -> Trail:
    """Spending by day, enough for the risks of `today` and of the `days` − 1 days before it."""
    words = ("system", "sku", "meter")
    first = (today - timedelta(days=YEAR_DAYS + days - 1)).toordinal()
    key = [ROLLUP.c[name] for name in ("day", *words, "category", "currency")]
    sums = (func.sum(ROLLUP.c.eur_nano), func.sum(ROLLUP.c.readings))
    query = select(*key, *sums).where(ROLLUP.c.day >= first, ROLLUP.c.day < today.toordinal()).group_by(*key)
    rows = connection.execute(query).all()
    text = _texts(connection, {number for row in rows for number in row[1:4]})
    return Trail(
        (
            date.fromordinal(row[0]),
            Kind(text[row[1]], text[row[2]], text[row[3]], row[4], row[5]),
            Amount(int(row[6]), int(row[7])),
        )
        for row in rows
    )


def _texts(connection: Connection, numbers: Iterable[int]) -> Mapping[int, str]:
    query = select(WORD.c.id, WORD.c.text).where(WORD.c.id.in_(sorted(numbers)))
    return {row.id: row.text for row in connection.execute(query)}


def region_days(connection: Connection, today: date, days: int = 1) -> RegionDays:
    """Which regions the readings of the last 28 days before `today`, and of the `days` − 1 days before, named."""
    profiles = _profiles(connection)
    naming = {profile.system for profile in profiles.values() if REGION in dict(profile.dimensions)}
    asked = [number for number, profile in profiles.items() if profile.system in naming]
    found: dict[str, dict[int, dict[str, int]]] = {system: defaultdict(lambda: defaultdict(int)) for system in naming}
    if not asked:
        return found
    first = (today - timedelta(days=PACE_DAYS + days - 1)).toordinal()
    query = (
        select(READING.c.profile, READING.c.day, func.count())
        .where(READING.c.day >= first, READING.c.day < today.toordinal())
        .where(READING.c.purpose == BILLING, READING.c.retracted == 0)
        .group_by(READING.c.profile, READING.c.day)
    )
    for number, day, count in connection.execute(query):
        profile = profiles[number]
        if profile.system in naming:
            found[profile.system][day][dict(profile.dimensions).get(REGION, "")] += int(count)
    return found


def _profiles(connection: Connection) -> Mapping[int, Profile]:
    rows = connection.execute(select(PROFILE.c.id, PROFILE.c.body))
    return {row.id: Profile.from_text(row.body) for row in rows}


def weights_on(regions: RegionDays, today: date) -> Mapping[str, Mapping[str, int]]:
    """Which regions the readings of the 28 days before a day named, by system."""
    wanted = range(today.toordinal() - PACE_DAYS, today.toordinal())
    found: dict[str, dict[str, int]] = {}
    for system, days in regions.items():
        weights: dict[str, int] = defaultdict(int)
        for number in wanted:
            for region, count in days.get(number, {}).items():
                weights[region] += count
        found[system] = weights
    return found


def stocks(connection: Connection, seats: Iterable[SeatState]) -> Sequence[SeatStock]:
    """Seats as they were last counted, with who joined; idle ones are those without an active holder."""
    return [
        SeatStock(
            system=one.system,
            sku=one.sku,
            purchased=one.purchased,
            idle=None if one.active is None else max(0, one.purchased - one.active),
            joined=_joined(connection, one),
        )
        for one in seats
    ]


def _joined(connection: Connection, seats: SeatState) -> int:
    """Persons whose first seat of the SKU began within the 28 days up to the count."""
    columns: Any = SEAT_HOLDING.c
    first = func.min(columns.assigned_on)
    begins = (
        select(columns.person)
        .where(columns.system == seats.system, columns.sku == seats.sku)
        .group_by(columns.person)
        .having(
            first > (seats.observed_on - ACTIVE_WITHIN).toordinal(),
            first <= seats.observed_on.toordinal(),
        )
    )
    return int(connection.execute(select(func.count()).select_from(begins.subquery("joined"))).scalar_one())
