"""The ledger in figures, as the watch over conditions sees it: sums by day, and what they leave open asked singly."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select

from services.cost_alerts.adapters.alerts import open_alerts, told_alerts
from services.cost_alerts.adapters.briefing import briefing_of
from services.cost_alerts.adapters.pools import pools
from services.cost_alerts.adapters.register import load_book
from services.cost_alerts.adapters.restatements import readings_left
from services.cost_alerts.adapters.tables import (
    COLLECTED,
    DAY,
    PROFILE,
    READING,
    READING_HISTORY,
    REGISTER_STATE,
    ROLLUP,
    WORD,
)
from services.cost_alerts.domain.alerts import anomalies, silence
from services.cost_alerts.domain.alerts.actions import ACTIONS, PATHS
from services.cost_alerts.domain.alerts.found import named
from services.cost_alerts.domain.alerts.letter import Briefing, Point
from services.cost_alerts.domain.alerts.movers import STRETCH_DAYS
from services.cost_alerts.domain.alerts.situation import (
    Arrivals,
    Completed,
    Drying,
    Priced,
    Rise,
    Situation,
    Unpriced,
    Use,
)
from services.cost_alerts.domain.view import View
from services.cost_alerts.ports.alerts import Seen
from services.shared.events.outcomes import Condition
from services.shared.periods import Month, helsinki_day
from services.shared.store import Store
from services.shared.store.tables import instant, micros

USE_DAYS = 7 * anomalies.WEEKS + 2 * 7
"""The weeks by which a day is held to be usual, before each of the days that may stand out."""

UNPRICED_DAYS = 56
"""So far back the beginning of what is unpriced now is looked for."""

STILL_COMING = timedelta(minutes=10)
FORESEEN_FOR = timedelta(hours=6)
"""So long what costs more time to foresee is believed, unless the register or the day changes."""

Rises = Callable[[Store, date], Sequence[Rise]]
Pools = Callable[[Store, date], Sequence[Drying]]


class _Foreseen(NamedTuple):
    version: int
    day: date
    at: datetime
    rises: Sequence[Rise]


class SqlLookout:
    """See `Lookout`. `rises` may take seconds and is asked some times a day; `drying` is asked at every look."""

    def __init__(self, store: Store, rises: Rises, drying: Pools) -> None:
        self._store, self._rises, self._drying = store, rises, drying
        self._view: View | None = None
        self._foreseen: _Foreseen | None = None

    def see(self, now: datetime) -> Seen:
        today = helsinki_day(now)
        rises, drying = self._risen(today, now), self._drying(self._store, today)
        with self._store.reading() as connection:
            view = self._newest(connection)
            used = _used(connection, today)
            situation = Situation(
                today=today,
                view=view,
                open=open_alerts(connection),
                used=used,
                arrivals=_arrivals(connection, used, now),
                completed=_completed(connection, today),
                running=_running(connection, today),
                unpriced=_unpriced(connection, today),
                priced=_priced(connection, today),
                restating=readings_left(connection) > 0,
                rises=rises,
                drying=drying,
            )
            return Seen(situation, told_alerts(connection))

    def brief(self, situation: Situation, condition: Condition) -> Briefing:
        is_pool = condition.kind == "pool_running_dry"
        chart = self._left(condition.about, situation.today) if is_pool else None
        with self._store.reading() as connection:
            return briefing_of(
                connection,
                situation.view,
                situation.today,
                condition.unit,
                condition.system,
                actions=ACTIONS[condition.kind],
                lasts_until=condition.until if is_pool else None,
                path=PATHS[condition.kind],
                chart=chart,
            )

    def _left(self, about: str, today: date) -> Sequence[Point]:
        """What was left of a pool by day, in what it counts."""
        found = next((one for one in pools(self._store, Month.of(today)) if named(one.key) == about), None)
        return [] if found is None else [Point(day=one.day, eur=one.left) for one in found.days]

    def _newest(self, connection: Connection) -> View:
        version = _version(connection)
        if self._view is None or self._view.version != version:
            self._view = load_book(connection).view(version)
        return self._view

    def _risen(self, today: date, now: datetime) -> Sequence[Rise]:
        with self._store.reading() as connection:
            version = _version(connection)
        known = self._foreseen
        if known is None or (known.version, known.day) != (version, today) or now - known.at >= FORESEEN_FOR:
            known = self._foreseen = _Foreseen(version, today, now, self._rises(self._store, today))
        return known.rises


def _version(connection: Connection) -> int:
    version: int = connection.execute(select(REGISTER_STATE.c.version)).scalar_one()
    return version


def _used(connection: Connection, today: date) -> Sequence[Use]:
    """Use of the last weeks by unit, system and day: what it cost, and its readings."""
    unit, system = WORD.alias("unit_word"), WORD.alias("system_word")
    cost = func.sum(case((ROLLUP.c.category == "Usage", ROLLUP.c.eur_nano), else_=0))
    names = (unit.c.text, system.c.text, ROLLUP.c.day)
    query = (
        select(*names, cost, func.sum(ROLLUP.c.readings))
        .join(unit, unit.c.id == ROLLUP.c.unit)
        .join(system, system.c.id == ROLLUP.c.system)
        .where(ROLLUP.c.day >= today.toordinal() - USE_DAYS, ROLLUP.c.day <= today.toordinal())
        .group_by(*names)
    )
    return [
        Use(row[0], row[1], date.fromordinal(row[2]), int(row[3]), int(row[4])) for row in connection.execute(query)
    ]


def _unpriced(connection: Connection, today: date) -> Sequence[Unpriced]:
    system, sku = WORD.alias("system_word"), WORD.alias("sku_word")
    names, count = (system.c.text, sku.c.text, ROLLUP.c.day), func.sum(ROLLUP.c.unpriced)
    query = (
        select(*names, count)
        .join(system, system.c.id == ROLLUP.c.system)
        .join(sku, sku.c.id == ROLLUP.c.sku)
        .where(ROLLUP.c.day > today.toordinal() - UNPRICED_DAYS, ROLLUP.c.unpriced != 0)
        .group_by(*names)
    )
    return [Unpriced(row[0], row[1], date.fromordinal(row[2]), int(row[3])) for row in connection.execute(query)]


def _priced(connection: Connection, today: date) -> Sequence[Priced]:
    words = {name: WORD.alias(f"{name}_word") for name in ("system", "sku", "meter")}
    names = [word.c.text for word in words.values()]
    query = select(*names, func.sum(ROLLUP.c.eur_nano))
    for name, word in words.items():
        query = query.join(word, word.c.id == ROLLUP.c[name])
    recent = ROLLUP.c.day >= today.toordinal() - STRETCH_DAYS
    found = connection.execute(query.where(recent).group_by(*names).having(func.sum(ROLLUP.c.charges) > 0))
    return [Priced(row[0], row[1], row[2], int(row[3])) for row in found]


def _completed(connection: Connection, today: date) -> Sequence[Completed]:
    query = select(COLLECTED).where(COLLECTED.c.told_on > today.toordinal() - silence.WEEKS * 7)
    rows = connection.execute(query.order_by(COLLECTED.c.name, COLLECTED.c.told_on))
    return [Completed(row.name, row.source, date.fromordinal(row.told_on)) for row in rows]


def _running(connection: Connection, today: date) -> Sequence[date]:
    query = select(DAY.c.day).where(DAY.c.day > today.toordinal() - silence.WEEKS * 7).order_by(DAY.c.day)
    return [date.fromordinal(day) for day in connection.execute(query).scalars()]


def _arrivals(connection: Connection, used: Sequence[Use], now: datetime) -> dict[str, Arrivals]:
    """How the readings of those systems came in that seem silent: the others need not be asked about."""
    days: defaultdict[str, set[date]] = defaultdict(set)
    for use in used:
        if use.readings > 0:
            days[use.system].add(use.day)
    today = helsinki_day(now)
    return {system: _arrival(connection, system, today, now) for system in silence.suspects(days, today)}


def _arrival(connection: Connection, system: str, today: date, now: datetime) -> Arrivals:
    """By the first and the last reading of each day, which the index finds: a system has millions."""
    first, last = func.min(READING.c.number), func.max(READING.c.number)
    query = (
        select(READING.c.day, first, last)
        .join(PROFILE, PROFILE.c.id == READING.c.profile)
        .join(WORD, WORD.c.id == PROFILE.c.system)
        .where(WORD.c.text == system, READING.c.day > today.toordinal() - silence.WEEKS * 7)
        .group_by(READING.c.day)
    )
    ends = {row[0]: (row[1], row[2]) for row in connection.execute(query)}
    known = _recorded(connection, [number for both in ends.values() for number in both])
    firsts = {day: helsinki_day(instant(known[first][0])).toordinal() for day, (first, _) in ends.items()}
    begun = min(firsts.values(), default=0)
    coming = any(known[last][0] > micros(now - STILL_COMING) for _, last in ends.values())
    return Arrivals(
        delays=[came - day - 1 for day, came in firsts.items() if came > begun],
        still_coming=coming,
        sources=frozenset(source for _, source in known.values()),
    )


def _recorded(connection: Connection, numbers: Sequence[int]) -> dict[int, tuple[int, str]]:
    """Reading number → when its first revision was recorded (microseconds), and its source."""
    found: dict[int, tuple[int, str]] = {}
    query: Any = select(READING.c.number, READING.c.recorded_at, WORD.c.text).join(WORD, WORD.c.id == READING.c.source)
    for number, at, source in connection.execute(query.where(READING.c.number.in_(numbers))):
        found[number] = (at, source)
    earlier = select(READING_HISTORY.c.number, func.min(READING_HISTORY.c.recorded_at)).group_by(
        READING_HISTORY.c.number
    )
    for number, at in connection.execute(earlier.where(READING_HISTORY.c.number.in_(numbers))):
        found[number] = (min(at, found[number][0]), found[number][1])
    return found
