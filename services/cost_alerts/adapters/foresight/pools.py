"""Prepaid pools as they stand, from the charges of the period: no reading is looked at, however many there are."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, select

from services.cost_alerts.adapters.foresight.sums import LATELY_DAYS
from services.cost_alerts.adapters.tables import BASIS, PERIOD_CHARGE, WORD
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.pool import Pools
from services.cost_alerts.domain.agreements.reckoning import noon
from services.cost_alerts.domain.agreements.terms import FAR, Held
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.pools import PoolUse, Refill
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Pool
from services.shared.money import NANO
from services.shared.store.tables import micros


class _Row(NamedTuple):
    """A charge for the use of a pool. `listed`: 10⁻⁹ of `currency`; `inside`: it was prepaid."""

    cycle: int
    day: int
    where: Where
    sku: str
    meter: str
    quantity: Decimal
    listed: int | None
    eur_nano: int
    currency: str
    inside: bool


class Days(NamedTuple):
    """From the `first` day looked back at to `today` (exclusive), and on to `until` (inclusive)."""

    first: date
    today: date
    until: date


@dataclass(frozen=True, slots=True)
class Pooled:
    """The pools in force, and what use beyond them cost, by place and day (ordinal): it is in the ledger's sums."""

    pools: Sequence[PoolUse] = ()
    beyond: Mapping[Where, Mapping[int, int]] = field(default_factory=dict)


def pooled(connection: Connection, view: View, days: Days) -> Pooled:
    """The pools that are in force today, with their use on the days before.

    Their cycles go on to `until` as if contracts that end were renewed as they are.
    """
    found, beyond = [], defaultdict[Where, defaultdict[int, int]](lambda: defaultdict(int))
    for system in sorted(view.contracts.systems()):
        for pool in agreements(view, system):
            held = _held(pool, days.today) if isinstance(pool, Pools) else None
            if held is None or not isinstance(pool, Pools):
                continue
            rows = list(_rows(connection, pool, days.today))
            found.append(_use(view, pool, held, rows, days))
            for row in rows:
                if row.eur_nano:
                    beyond[row.where][row.day] += row.eur_nano
    return Pooled(found, beyond)


def _held(pool: Pools, day: date) -> Held[Pool] | None:
    return next((one for one in pool.stretches if one.first <= day < one.until), None)


def _rows(connection: Connection, pool: Pools, today: date) -> Iterator[_Row]:
    unit, project, sku, meter = (WORD.alias(f"{name}_word") for name in ("unit", "project", "sku", "meter"))
    charge = PERIOD_CHARGE.c
    query = (
        select(
            charge.cycle, charge.day, unit.c.text, project.c.text, sku.c.text, meter.c.text, charge.quantity,
            charge.list_nano, charge.eur_nano, BASIS.c.currency, BASIS.c.tariff,
        )
        .join(BASIS, BASIS.c.id == charge.basis)
        .join(unit, unit.c.id == BASIS.c.unit)
        .join(project, project.c.id == BASIS.c.project)
        .join(sku, sku.c.id == BASIS.c.sku)
        .join(meter, meter.c.id == BASIS.c.meter)
        .where(charge.agreement == pool.key, charge.superseded_at.is_(None), BASIS.c.category == "Usage")
        .where(charge.day < today.toordinal())
    )  # fmt: skip
    name = pool.key.partition(":")[2]
    for row in connection.execute(query):
        cycle, day, of_unit, of_project, of_sku, of_meter, quantity, listed, eur_nano, currency, tariff = tuple(row)
        where = Where(of_unit, pool.system, of_project)
        yield _Row(
            cycle, day, where, of_sku, of_meter, Decimal(quantity), listed, eur_nano or 0, currency, tariff == name
        )


def _use(view: View, pool: Pools, held: Held[Pool], rows: Sequence[_Row], days: Days) -> PoolUse:
    counted = [_counted(view, pool, held.term, row) for row in rows]
    starts, cycles = _cycles(pool, held, days)
    used = (amount for row, amount in zip(rows, counted, strict=True) if row.inside and row.cycle == starts)
    return PoolUse(
        key=pool.key,
        system=pool.system,
        meter=held.term.meter or held.term.burns or "",
        cycles=cycles,
        used=sum(used, Fraction(0)),
        carries_over=held.term.carries_over,
        history=_history(rows, counted, days),
        unit_nano=_unit_nano(view, held.term, list(zip(rows, counted, strict=True)), days.today),
    )


def _counted(view: View, pool: Pools, term: Pool, row: _Row) -> Fraction:
    """What a charge takes from its pool: its quantity, or, of a pool of money, its contracted price."""
    if term.measure == "quantity":
        return Fraction(row.quantity)
    return _contracted(view, pool.system, row)


def _contracted(view: View, system: str, row: _Row) -> Fraction:
    """What the use of a charge costs by tariff and contract, in units of its currency."""
    off = view.contracts.off(system, row.sku, row.meter, noon(date.fromordinal(row.day)))
    return Fraction(row.listed or 0, NANO) * (1 - Fraction(off))


def _cycles(pool: Pools, held: Held[Pool], days: Days) -> tuple[int, Sequence[Refill]]:
    """The instant that charges of the present cycle are named by, and the cycles from it on."""
    cycle = held.cycle(held.span(days.today))
    found: list[Refill] = []
    day = days.today
    while day <= days.until:
        of_day = _held(pool, day) or _going_on(pool.stretches[-1], day)
        span = of_day.span(day, of_day.term.every)
        found.append(Refill(span.first, span.last, Fraction(of_day.term.size)))
        day = span.until
    if held.term.carries_over:
        begun = sum(1 for _ in _spans(held, found[0].last))
        found[0] = replace(found[0], size=found[0].size * begun)
    return micros(cycle.starts), found


def _spans(held: Held[Pool], last: date) -> Iterator[date]:
    """The first days of the cycles of a term that is carried over, up to one that ends on a day."""
    day = held.first
    while day <= last:
        yield day
        day = held.span(day, held.term.every).until


def _going_on(held: Held[Pool], day: date) -> Held[Pool]:
    """A term that has ended, as if it went on: in terms of the same length, or without an end."""
    if held.term.every != "once":
        return replace(held, until=FAR)
    length = held.until - held.first
    behind = (day - held.first) // length
    return replace(held, first=held.first + behind * length, until=held.first + (behind + 1) * length)


def _history(rows: Sequence[_Row], counted: Sequence[Fraction], days: Days) -> Mapping[Where, FloatArray]:
    first, count = days.first.toordinal(), (days.today - days.first).days
    found: dict[Where, FloatArray] = defaultdict(lambda: np.zeros(count))
    for row, amount in zip(rows, counted, strict=True):
        if 0 <= row.day - first < count:
            found[row.where][row.day - first] += float(amount)
    return found


def _unit_nano(view: View, term: Pool, rows: Sequence[tuple[_Row, Fraction]], today: date) -> float | None:
    """What a unit beyond the pool costs, as the use of the last four weeks would be priced; 10⁻⁹ euro."""
    if term.overage == "none":
        return None
    since = (today - timedelta(days=LATELY_DAYS)).toordinal()
    euro = quantity = Fraction(0)
    for row, amount in rows:
        rate = view.exchange.before(row.currency, today) if row.currency else None
        if row.day >= since and row.listed is not None and rate is not None:
            euro += _contracted(view, row.where.system, row) / Fraction(rate.per_euro)
            quantity += amount
    return float(euro / quantity * NANO) if quantity > 0 else None
