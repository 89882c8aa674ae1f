"""Prepaid pools ahead: the day on which one runs dry, and what use beyond it will cost.

Use inside a pool costs nothing more and use beyond it does, so the cost of it cannot be carried forward from the past.
What is forecast is the quantity; the money follows from what is left, and from what a unit beyond the pool costs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from services.cost_alerts.domain.agreements.reckoning import as_decimal
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.forecast import Range, Reason
from services.shared.money import ExactDecimal

_DAY = timedelta(days=1)
_NEARLY = 1 - 1e-9
"""Of an exact size: what floats of its days may add up to."""


class PoolOutlook(BaseModel):
    """A pool in the cycle that `made_on` falls in, as forecast in the morning of that day.

    Attributes:
        key: of its agreement, for example `pool:copilot-2026/messages`.
        meter: what it counts, or the currency that it is an amount of; so do `size` and `left`.
        size: what it held as the cycle began, with what was carried over.
        left: what is left after the days before `made_on`.
        first_day, last_day: of the cycle, inclusive.
        dry_low, dry_mid, dry_high: the day on which nothing is left, at the earliest (the high limit of use), as
            expected, and at the latest (the low limit); all three the day on which it ran dry, where nothing is left
            already; None: it lasts to the end of the cycle.
        overage_low_nano, overage_mid_nano, overage_high_nano: what use beyond it will still cost until `last_day`,
            10⁻⁹ euro; None: nobody knows, for that use has no price.
        reason: why nothing is forecast; all the above about the future is then None, but not that nothing is left.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    system: str
    meter: str
    made_on: date
    first_day: date
    last_day: date
    size: ExactDecimal
    left: ExactDecimal
    dry_low: date | None = None
    dry_mid: date | None = None
    dry_high: date | None = None
    overage_low_nano: int | None = None
    overage_mid_nano: int | None = None
    overage_high_nano: int | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Refill:
    """A cycle of a pool: its days (inclusive), and what it holds as it begins."""

    first: date
    last: date
    size: Fraction


@dataclass(frozen=True, slots=True)
class PoolUse:
    """A pool as it stands, and who used how much of it.

    Attributes:
        cycles: from the one of today on, rising, without gaps; `size` of the first includes what was carried over.
        used: what was taken from the first of them on days before today.
        carries_over: whether what is left of a cycle goes on to the next.
        history: unit, system and project → use by day, inside and beyond; the last day is yesterday.
        unit_nano: what a unit beyond the pool costs today, 10⁻⁹ euro; None: not known, or the vendor refuses it.
    """

    key: str
    system: str
    meter: str
    cycles: Sequence[Refill]
    used: Fraction
    carries_over: bool
    history: Mapping[Where, FloatArray]
    unit_nano: float | None

    @property
    def left(self) -> Fraction:
        return max(Fraction(0), self.cycles[0].size - self.used)


class Use(NamedTuple):
    """Total use of a pool of the first h + 1 days from today on, with its 80 % limits."""

    mid: FloatArray
    low: FloatArray
    high: FloatArray


def first_day_dry(use: FloatArray, left: float, today: date, last: date) -> date | None:
    """The first day up to `last` at whose end a running total has reached what was left; None: it lasts."""
    reached = np.nonzero(use[: (last - today).days + 1] >= left)[0]
    return today + int(reached[0]) * _DAY if reached.size else None


def dried_on(pool: PoolUse, today: date) -> date | None:
    """The day on which the present cycle of a pool ran dry; None: something is left."""
    if pool.left:
        return None
    days = (today - pool.cycles[0].first).days
    daily = (
        np.sum([values[-days:] for values in pool.history.values()], axis=0) if days and pool.history else np.zeros(0)
    )
    used = float(pool.used) - daily.sum() + np.cumsum(daily)
    reached = np.nonzero(used >= float(pool.cycles[0].size) * _NEARLY)[0]
    return today - (len(daily) - int(reached[0])) * _DAY if reached.size else today


def beyond(pool: PoolUse, use: FloatArray, today: date) -> FloatArray:
    """How much of a running total of use lies beyond the pool on each day from today on, through all its cycles.

    A day takes from what its cycle still holds; what is not taken is lost at the cycle's end, or carried over.
    """
    over = np.zeros(len(use))
    left, before = float(pool.left), 0.0
    for number, cycle in enumerate(pool.cycles):
        at = slice(max(0, (cycle.first - today).days), (cycle.last - today).days + 1)
        if number:
            left = float(cycle.size) + (left if pool.carries_over else 0.0)
        taken = use[at]
        if not taken.size:
            break
        over[at] = np.diff(np.maximum(0.0, taken - before - left), prepend=0.0)
        left = max(0.0, left - (float(taken[-1]) - before))
        before = float(taken[-1])
    return np.maximum(0.0, over)


def scaled(use: Use, limit: FloatArray, days: int) -> FloatArray:
    """The expected path of use, stretched so that its total after `days` days is that of a limit."""
    at = days - 1
    if use.mid[at] <= 0:
        return limit
    stretched: FloatArray = use.mid / use.mid[at] * limit[at]
    return stretched


def overage(pool: PoolUse, use: Use, today: date, days: int, prices: FloatArray) -> Range | None:
    """What use beyond the pool costs on the first `days` days from today on; None where it has no price.

    `prices`: of each day, beside today's (1: the same).
    """
    if pool.unit_nano is None:
        return None
    paths = (scaled(use, use.low, days), use.mid, scaled(use, use.high, days))
    costs = (float((beyond(pool, path[:days], today) * prices[:days]).sum()) * pool.unit_nano for path in paths)
    low, mid, high = (round(cost) for cost in costs)
    return Range(min(low, mid), mid, max(mid, high))


def outlook(pool: PoolUse, use: Use | None, today: date, prices: FloatArray) -> PoolOutlook:
    """Where the present cycle of a pool leads; `use` None: there is not enough data to say."""
    cycle = pool.cycles[0]
    told = PoolOutlook(
        key=pool.key,
        system=pool.system,
        meter=pool.meter,
        made_on=today,
        first_day=cycle.first,
        last_day=cycle.last,
        size=as_decimal(cycle.size),
        left=as_decimal(pool.left),
    )
    already = dried_on(pool, today)
    if use is None:
        return told.model_copy(
            update={"reason": "not_enough_data", "dry_low": already, "dry_mid": already, "dry_high": already}
        )
    days = min((cycle.last - today).days + 1, len(use.mid))
    cost = overage(pool, use, today, days, prices) or (None, None, None)
    left = float(pool.left)
    dry = [already or first_day_dry(path, left, today, cycle.last) for path in (use.high, use.mid, use.low)]
    return told.model_copy(
        update=dict(zip(("dry_low", "dry_mid", "dry_high"), dry, strict=True))
        | dict(zip(("overage_low_nano", "overage_mid_nano", "overage_high_nano"), cost, strict=True))
    )


def shares(pool: PoolUse, days: int) -> Iterator[tuple[Where, float]]:
    """Whose use it is: each part of the last `days` days' use, adding up to 1; nothing where there was none."""
    used = {where: max(0.0, float(values[-days:].sum())) for where, values in pool.history.items()}
    whole = sum(used.values())
    if whole > 0:
        yield from ((where, amount / whole) for where, amount in used.items() if amount)
