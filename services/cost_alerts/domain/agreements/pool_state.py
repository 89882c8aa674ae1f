"""Where a prepaid pool stands: what is left, when it ran dry, and what each unit's use costs, seen in two ways.

Allocated: a unit's share of the price, and its use beyond the pool. Marginal: what its use has cost in addition, which
is nothing as long as the pool lasts. Who looks at the one alone is surprised by the other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part
from services.cost_alerts.domain.agreements.pool import Burn, Filled, Pools, unit_line
from services.cost_alerts.domain.agreements.reckoning import as_decimal
from services.cost_alerts.domain.agreements.using import worth
from services.cost_alerts.domain.exchange import EUR
from services.cost_alerts.domain.view import View
from services.shared.money import NANO


@dataclass(frozen=True, slots=True)
class UnitUse:
    """A unit's part of a pool. `quantity` in what the pool counts; money in 10⁻⁹ euro, None where unknown.

    `allocated`: its share of the price and its use beyond the pool; `marginal`: only the latter; `listed`: what all
    its use would have cost at list prices.
    """

    quantity: Decimal
    allocated: int | None
    marginal: int | None
    listed: int | None


@dataclass(frozen=True, slots=True)
class PoolState:
    """Where a pool stands: the cycle that the last begun day falls in. Quantities in what the pool counts.

    `size` includes what was carried over; `next_unit`: what one more unit costs, 10⁻⁹ of `currency` (None: nobody
    knows); `exhausted_at`: when the reading began that used more than was left.
    """

    first_day: date
    last_day: date
    size: Decimal
    used: Decimal
    left: Decimal
    beyond: Decimal
    price: Decimal
    price_currency: str
    next_unit: Fraction | None
    currency: str | None
    exhausted_at: datetime | None
    units: Mapping[str, UnitUse]


def pool_state(pool: Pools, view: View, cycle: Cycle, known: Known) -> PoolState | None:
    """Where a pool stands in its own cycle that the last begun day falls in, or in its last one; None before it begins.

    `cycle` is one of the pool's agreement.
    """
    filled = pool.filled(view, cycle, known)
    if not filled:
        return None
    now = next((one for one in filled if known.today < one.span.until), filled[-1])
    term = now.held.term
    next_unit, currency = _next_unit(now)
    return PoolState(
        first_day=now.span.first,
        last_day=now.span.last,
        size=as_decimal(now.size),
        used=as_decimal(sum((burn.drawn.counted for burn in now.burns), Fraction(0))),
        left=as_decimal(now.left),
        beyond=as_decimal(sum((burn.beyond for burn in now.burns), Fraction(0))),
        price=term.price,
        price_currency=term.currency,
        next_unit=next_unit,
        currency=currency,
        exhausted_at=_exhausted_at(now),
        units=_units(now, list(pool.charged(view, now, known))),
    )


def _exhausted_at(filled: Filled) -> datetime | None:
    if filled.left > 0:
        return None
    return next((burn.drawn.start for burn in filled.burns if burn.left <= 0), None)


def _next_unit(filled: Filled) -> tuple[Fraction | None, str | None]:
    """What one more unit of what the pool counts costs, as the last use of it would pay."""
    term = filled.held.term
    if filled.left > 0:
        return Fraction(0), EUR
    if term.overage == "none" or not filled.burns:
        return None, None
    if term.burns is not None:
        return Fraction(NANO), term.burns
    line = unit_line(term, filled.burns[-1].drawn)
    return line.nano_per_unit, line.currency


def _units(filled: Filled, parts: Iterable[Part]) -> Mapping[str, UnitUse]:
    """By unit: what it used, its share and its overage, and what its use was worth."""
    of_price: dict[str, list[Part]] = defaultdict(list)
    of_use: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        kind = of_price if part.line.category == "Purchase" else of_use
        kind[part.line.owner.unit].append(part)
    burns = _by_unit(filled)
    return {
        unit: UnitUse(
            quantity=as_decimal(sum((burn.drawn.counted for burn in burns.get(unit, ())), Fraction(0))),
            allocated=_euro([*of_price.get(unit, ()), *of_use.get(unit, ())]),
            marginal=_euro(of_use.get(unit, ())),
            listed=_worth(burns.get(unit, ())),
        )
        for unit in sorted({*of_price, *of_use, *burns})
    }


def _by_unit(filled: Filled) -> Mapping[str, list[Burn]]:
    found: dict[str, list[Burn]] = defaultdict(list)
    for burn in filled.burns:
        found[burn.drawn.owner.unit].append(burn)
    return found


def _euro(parts: Iterable[Part]) -> int | None:
    """The sum of all parts' euro; None when one of them is not known."""
    found = [part.amounts[1] for part in parts]
    known = [amount for amount in found if amount is not None]
    return sum(known) if len(known) == len(found) else None


def _worth(burns: Iterable[Burn]) -> int | None:
    found = [worth(burn.drawn)[1] for burn in burns]
    known = [value for value in found if value is not None]
    return round(sum(known, Fraction(0))) if len(known) == len(found) else None
