"""What the ledger's days have cost, read by one grouped query: what forecasts carry on from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from sqlalchemy import BigInteger, Connection, and_, case, cast, func, select

from services.cost_alerts.adapters.tables import BASIS, PERIOD_CHARGE, ROLLUP, WORD
from services.cost_alerts.domain.agreements.fixed import HOURS
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.consumption import Spent
from services.cost_alerts.domain.foresight.fixed import Shares

LATELY_DAYS = 28
"""Whose use and whose shares of late stand for those to come."""


def spent(connection: Connection, first: date, today: date) -> Spent:
    """What each place cost on the days from `first` to the one before `today`."""
    words = {row.id: row.text for row in connection.execute(select(WORD.c.id, WORD.c.text))}
    hours = next((number for number, text in words.items() if text == HOURS), -1)
    is_use = and_(ROLLUP.c.category == "Usage", ROLLUP.c.meter != hours)
    place = (ROLLUP.c.unit, ROLLUP.c.system, ROLLUP.c.project)
    sums = (
        func.sum(ROLLUP.c.eur_nano),
        func.sum(case((is_use, ROLLUP.c.eur_nano), else_=0)),
        func.sum(case((ROLLUP.c.category == "Adjustment", ROLLUP.c.eur_nano), else_=0)),
    )
    query = (
        select(*place, ROLLUP.c.day, *(cast(one, BigInteger) for one in sums))
        .where(ROLLUP.c.day >= first.toordinal(), ROLLUP.c.day < today.toordinal())
        .group_by(*place, ROLLUP.c.day)
    )
    found = np.array([tuple(row) for row in connection.execute(query)], dtype=np.int64).reshape(-1, 7)
    keys, rows = np.unique(found[:, :3], axis=0, return_inverse=True)
    shape = (len(keys), max(0, (today - first).days))
    made = [np.zeros(shape, dtype=np.int64) for _ in range(3)]
    for number, array in enumerate(made):
        array[rows.reshape(-1), found[:, 3] - first.toordinal()] = found[:, 4 + number]
    places = [Where(*(words[int(number)] for number in key)) for key in keys]
    return Spent(first, places, *made)


@dataclass(frozen=True, slots=True)
class Lately:
    """How costs were parted in the last weeks: by agreement, and, where one charged nothing yet, by system."""

    by_agreement: Mapping[str, Shares]
    by_system: Mapping[str, Shares]

    def shares(self, agreement: str, system: str) -> Shares | None:
        """See `SharesOf`."""
        return self.by_agreement.get(agreement) or self.by_system.get(system)


def lately(connection: Connection, today: date) -> Lately:
    """How what is shared by use was parted on the four weeks before `today`."""
    days = (today - timedelta(days=LATELY_DAYS)).toordinal(), today.toordinal() - 1
    return Lately(_by_agreement(connection, days), _by_system(connection, days))


def _by_agreement(connection: Connection, days: tuple[int, int]) -> Mapping[str, Shares]:
    """Agreement → what its price was charged to whom."""
    unit, system, project, meter = (WORD.alias(f"{name}_word") for name in ("unit", "system", "project", "meter"))
    names = (PERIOD_CHARGE.c.agreement, unit.c.text, system.c.text, project.c.text)
    is_price = (BASIS.c.category == "Purchase") | (meter.c.text == HOURS)
    query = (
        select(*names, cast(func.sum(PERIOD_CHARGE.c.eur_nano), BigInteger))
        .join(BASIS, BASIS.c.id == PERIOD_CHARGE.c.basis)
        .join(unit, unit.c.id == BASIS.c.unit)
        .join(system, system.c.id == BASIS.c.system)
        .join(project, project.c.id == BASIS.c.project)
        .join(meter, meter.c.id == BASIS.c.meter)
        .where(PERIOD_CHARGE.c.superseded_at.is_(None), PERIOD_CHARGE.c.day.between(*days), is_price)
        .group_by(*names)
    )
    return _shares([(row[0], Where(*row[1:4]), row[4]) for row in connection.execute(query)])


def _by_system(connection: Connection, days: tuple[int, int]) -> Mapping[str, Shares]:
    """System → what its use cost whom."""
    unit, system, project = (WORD.alias(f"{name}_word") for name in ("unit", "system", "project"))
    names = (unit.c.text, system.c.text, project.c.text)
    query = (
        select(*names, cast(func.sum(ROLLUP.c.eur_nano), BigInteger))
        .join(unit, unit.c.id == ROLLUP.c.unit)
        .join(system, system.c.id == ROLLUP.c.system)
        .join(project, project.c.id == ROLLUP.c.project)
        .where(ROLLUP.c.day.between(*days), ROLLUP.c.category == "Usage")
        .group_by(*names)
    )
    return _shares([(row[1], Where(*row[:3]), row[3]) for row in connection.execute(query)])


def _shares(rows: Sequence[tuple[str, Where, int | None]]) -> Mapping[str, Shares]:
    found: dict[str, dict[Where, int]] = {}
    for key, where, nano in rows:
        if nano is not None and nano > 0:
            found.setdefault(key, {})[where] = nano
    return found


def by_sku(connection: Connection, today: date) -> Mapping[Where, Mapping[str, float]]:
    """Place → SKU → its part of what the use of the four weeks before `today` cost; parts add up to 1."""
    unit, system, project, sku = (WORD.alias(f"{name}_word") for name in ("unit", "system", "project", "sku"))
    names = (unit.c.text, system.c.text, project.c.text, sku.c.text)
    days = (today - timedelta(days=LATELY_DAYS)).toordinal(), today.toordinal() - 1
    query = (
        select(*names, cast(func.sum(ROLLUP.c.eur_nano), BigInteger))
        .join(unit, unit.c.id == ROLLUP.c.unit)
        .join(system, system.c.id == ROLLUP.c.system)
        .join(project, project.c.id == ROLLUP.c.project)
        .join(sku, sku.c.id == ROLLUP.c.sku)
        .where(ROLLUP.c.day.between(*days), ROLLUP.c.category == "Usage")
        .group_by(*names)
    )
    found: dict[Where, dict[str, int]] = {}
    for row in connection.execute(query):
        if row[4] > 0:
            found.setdefault(Where(*row[:3]), {})[row[3]] = row[4]
    return {where: _parts(costs) for where, costs in found.items()}


def _parts(costs: Mapping[str, int]) -> Mapping[str, float]:
    whole = sum(costs.values())
    return {sku: nano / whole for sku, nano in costs.items()}
