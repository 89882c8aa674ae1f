"""Where prepaid pools stand in a month, worked out from the readings as they are known now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.tables import DAY, PROFILE, READING, WORD
from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Metered
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.pool import Pools
from services.cost_alerts.domain.agreements.pool_state import PoolState, pool_state
from services.cost_alerts.domain.agreements.reckoning import as_decimal
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.domain.view import View
from services.cost_alerts.handlers.charging import BILLING, FINAL
from services.shared.periods import HELSINKI, Month, helsinki_day
from services.shared.store import Store
from services.shared.store.tables import instant

_MIDDLE = time(12)


@dataclass(frozen=True, slots=True)
class PoolDay:
    """A day of a pool: what was left at its end, and what had been used beyond the pool until then."""

    day: date
    left: Decimal
    beyond: Decimal


@dataclass(frozen=True, slots=True)
class PoolMonth:
    """A pool as it stands in a month; `days`: those on which it was used, rising."""

    key: str
    system: str
    meter: str
    state: PoolState
    days: Sequence[PoolDay]


def pools(store: Store, month: Month) -> Sequence[PoolMonth]:
    """Every pool that the newest register has in a month, by system and key, in one consistent view."""
    with store.reading() as connection:
        book = load_book(connection)
        view = book.view(book.newest)
        today = _today(connection)
        return [
            one
            for system in sorted(view.contracts.systems())
            for pool in agreements(view, system)
            if isinstance(pool, Pools) and (one := _in_month(connection, view, pool, month, today)) is not None
        ]


def _today(connection: Connection) -> date:
    number = connection.execute(select(func.max(DAY.c.day)).where(DAY.c.recorded_at > 0)).scalar()
    return date.min if number is None else date.fromordinal(number)


def _in_month(connection: Connection, view: View, pool: Pools, month: Month, today: date) -> PoolMonth | None:
    """The pool's cycle that the middle of a month lies in; None where there is none, or it has not begun."""
    cycle = _cycle(pool, month)
    if cycle is None or today < helsinki_day(cycle.starts):
        return None
    known = Known(today, _metered(connection, cycle))
    state = pool_state(pool, view, cycle, known)
    if state is None:
        return None
    term = pool.stretches[-1].term
    return PoolMonth(
        pool.key, pool.system, term.meter or term.burns or "", state, list(_days(pool, view, cycle, known))
    )


def _cycle(pool: Pools, month: Month) -> Cycle | None:
    day = month.first_day + timedelta(days=month.days // 2)
    moment = datetime.combine(day, _MIDDLE, HELSINKI)
    return next((one for one in pool.cycles(day, day) if one.starts <= moment < one.ends), None)


def _metered(connection: Connection, cycle: Cycle) -> list[Metered]:
    """The paid readings of a cycle, by start, source and reading id."""
    first, last = (helsinki_day(moment).toordinal() for moment in (cycle.starts, cycle.ends))
    query = (
        select(READING, PROFILE.c.body)
        .join(PROFILE, PROFILE.c.id == READING.c.profile)
        .join(WORD, WORD.c.id == PROFILE.c.system)
        .where(WORD.c.text == cycle.system, READING.c.day.between(first, last))
        .where(READING.c.purpose == BILLING, READING.c.retracted == 0)
    )
    sources: Mapping[int, str] = {
        row.id: row.text
        for row in connection.execute(select(WORD).where(WORD.c.id.in_(select(READING.c.source).distinct())))
    }
    profiles: dict[str, Profile] = {}
    rows = sorted(connection.execute(query), key=lambda row: (row.starts_at, sources[row.source], row.reading_id))
    found = []
    for row in rows:
        profile = profiles.setdefault(row.body, Profile.from_text(row.body))
        use = Use(profile, instant(row.starts_at), date.fromordinal(row.day), row.cost_currency)
        cost = None if row.cost is None else Decimal(row.cost)
        found.append(Metered(use, tuple(map(Decimal, row.quantities.split())), cost, row.finality != FINAL))
    return found


def _days(pool: Pools, view: View, cycle: Cycle, known: Known) -> Iterator[PoolDay]:
    """How the pool that `pool_state` tells of went down, day by day."""
    filled = pool.filled(view, cycle, known)
    now = next((one for one in filled if known.today < one.span.until), filled[-1])
    ends: dict[date, tuple[Fraction, Fraction]] = {}
    beyond = Fraction(0)
    for burn in now.burns:
        beyond += burn.beyond
        ends[helsinki_day(burn.drawn.start)] = (burn.left, beyond)
    for day in sorted(ends):
        left, over = ends[day]
        yield PoolDay(day, as_decimal(left), as_decimal(over))
