"""How fresh the exchange rates are that charges are made with."""

import math
from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.closing import sums_of
from services.cost_alerts.adapters.sums import in_month
from services.cost_alerts.adapters.tables import BASIS, CHARGE, PERIOD_CHARGE, ROLLUP
from services.cost_alerts.domain.exchange import EUR, Exchange
from services.cost_alerts.domain.freshness import is_old
from services.shared.periods import Month

_USED_WITHIN = timedelta(days=31)


def rate_ages(connection: Connection, exchange: Exchange, today: date) -> Mapping[str, float]:
    """Currency of charges of the last 31 days → days since its newest rate; infinite when it never had one."""
    query = (
        select(ROLLUP.c.currency)
        .where(ROLLUP.c.day >= (today - _USED_WITHIN).toordinal(), ROLLUP.c.currency.not_in(("", EUR)))
        .group_by(ROLLUP.c.currency)
        .having(func.sum(ROLLUP.c.charges) != 0)
        .order_by(ROLLUP.c.currency)
    )
    found: dict[str, float] = {}
    for currency in connection.execute(query).scalars():
        rate = exchange.before(currency, today + timedelta(days=1))
        published = None if rate is None else rate.published_on
        found[currency] = math.inf if published is None else (today - published).days
    return found


def old_rate_nano(connection: Connection, month: Month) -> int:
    """10⁻⁹ euro of a month's present charges whose rate is older than four banking days."""
    days = (
        select(BASIS.c.day, BASIS.c.rate_day).where(in_month(BASIS.c.day, month), BASIS.c.rate_day.is_not(None))
    ).distinct()
    old = [
        (row.day, row.rate_day)
        for row in connection.execute(days)
        if is_old(date.fromordinal(row.rate_day), date.fromordinal(row.day))
    ]
    return sum(_made_with(connection, day, rate_day) for day, rate_day in old)


def _made_with(connection: Connection, day: int, rate_day: int) -> int:
    """10⁻⁹ euro of the present charges of a day with the rate of another."""
    total = 0
    for table in (CHARGE, PERIOD_CHARGE):
        query = (
            select(func.sum(sums_of(table)[0]))
            .join(BASIS, BASIS.c.id == table.c.basis)
            .where(BASIS.c.day == day, BASIS.c.rate_day == rate_day, table.c.superseded_at.is_(None))
        )
        total += int(connection.execute(query).scalar() or 0)
    return total
