"""Which agreement charges a use by the period, and the lines of a use: by the unit, or left to an agreement.

A reading that an agreement charges has lines of nought that name it; the money stands in the charges of the period.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.domain.contracts import CREDITS, DatedContract
from services.cost_alerts.domain.exchange import EUR, ONE_TO_ONE
from services.cost_alerts.domain.pricing import Line, rounded_up
from services.cost_alerts.domain.rating import (
    Step,
    blank_line,
    charged_meters,
    credit_step,
    is_reported,
    step,
    unit_line,
)
from services.cost_alerts.domain.tariff import ANY_SKU, DatedTariff
from services.cost_alerts.domain.use import Use
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Pool
from services.shared.money import NANO

NOTHING_METERED = "nothing metered"


@dataclass(frozen=True, slots=True)
class Covering:
    """That an agreement charges a meter of a use by the period, and how the use counts in it.

    Attributes:
        agreement: its key.
        per_unit: what one metered unit counts as: 1 where the agreement counts the meter itself; else credits, or
            whole units of the money that the pool is of.
        round_to: the metered quantity is first rounded up to whole multiples of it.
        contract, pool: of a pool; None where the agreement is a tariff by the month.
        tariff: of a tariff by the month, the one in force at the reading's start; of a pool, None.
        factor: what the prices of `tariff` are multiplied by for this use.
        card: the tariff that turned the meter into credits, if one did.
        of_reading: what counts is the cost that the vendor reported, not a metered quantity.
    """

    agreement: str
    per_unit: Fraction = Fraction(1)
    round_to: Decimal | None = None
    contract: DatedContract | None = None
    pool: Pool | None = None
    tariff: DatedTariff | None = None
    factor: Fraction = Fraction(1)
    card: DatedTariff | None = None
    of_reading: bool = False

    def counted(self, quantity: Decimal) -> Fraction:
        """What a metered quantity (or a reported cost) counts as, exactly."""
        return rounded_up(quantity, self.round_to) * self.per_unit


def lines(view: View, use: Use) -> tuple[Line, ...]:
    """The lines of a use, in the order of its meters; one for the whole reading where the vendor's own cost counts."""
    blank = blank_line(view, use)
    if not use.profile.meters and not is_reported(view, use):
        return (replace(blank, reason=NOTHING_METERED, of_reading=True),)
    return tuple(_line(view, use, meter, blank) for meter in charged_meters(view, use))


def _line(view: View, use: Use, meter: str, blank: Line) -> Line:
    found = covering(view, use, meter)
    return unit_line(view, use, meter, blank) if found is None else _by_agreement(replace(blank, meter=meter), found)


def _by_agreement(line: Line, found: Covering) -> Line:
    """A line of nought, in euro: it waits for no exchange rate."""
    return replace(
        line,
        currency=EUR,
        nano_per_unit=Fraction(0),
        rate=ONE_TO_ONE.per_euro,
        of_reading=found.of_reading,
        agreement=found.agreement,
    )


def coverings(view: View, use: Use) -> Iterator[tuple[int, Covering]]:
    """The meters of a use that agreements charge: their positions in its profile (0: the reported cost), rising."""
    for position, meter in enumerate(charged_meters(view, use)):
        found = covering(view, use, meter)
        if found is not None:
            yield position, found


def covering(view: View, use: Use, meter: str) -> Covering | None:
    """The agreement that charges `meter` (one of `charged_meters`) of a use by the period; None: charged by the unit.

    A pool in force at the reading's start goes first, the most special one: with a named SKU before `*`, of a quantity
    before of money, then by contract and id. Otherwise a tariff by the month. A pool of a meter needs no tariff; one of
    credits needs the tariff that turns the meter into them; one of money the price in its currency.
    """
    first = None if is_reported(view, use) else step(view, use, use.profile.sku, meter)
    first = None if isinstance(first, str) else first
    return _pooled(view, use, meter, first) or (first and _by_month(view, use, first))


class _Fit(NamedTuple):
    """A pool that covers a use. `per_unit`: see `Covering`; `card`: whether by way of credits."""

    contract: DatedContract
    pool: Pool
    per_unit: Fraction
    in_credits: bool = False

    @property
    def rank(self) -> tuple[bool, bool, str, str]:
        return (self.pool.sku == ANY_SKU, self.pool.measure == "cost", self.contract.fact.id, self.pool.id)


def _pooled(view: View, use: Use, meter: str, first: Step | None) -> Covering | None:
    pools = view.contracts.pools(use.profile.system, use.start)
    fits = [fit for one in pools if (fit := _fit(view, use, meter, first, one)) is not None]
    if not fits:
        return None
    fit = min(fits, key=lambda one: one.rank)
    return Covering(
        f"pool:{fit.contract.fact.id}/{fit.pool.id}",
        fit.per_unit,
        first.tariff.round_to if first else None,
        fit.contract,
        fit.pool,
        card=first.tariff if first and fit.in_credits else None,
        of_reading=is_reported(view, use),
    )


def _fit(view: View, use: Use, meter: str, first: Step | None, offered: tuple[DatedContract, Pool]) -> _Fit | None:
    pool = offered[1]
    of_sku = pool.sku in (ANY_SKU, use.profile.sku)
    if pool.measure == "cost":
        line = unit_line(view, use, meter)
        burns = of_sku and line.currency == pool.burns and line.nano_per_unit is not None
        return _Fit(*offered, (line.nano_per_unit or Fraction(0)) / NANO) if burns else None
    if is_reported(view, use):
        return None
    if of_sku and pool.meter == meter:
        return _Fit(*offered, Fraction(1))
    credit = first and first.tariff.fact.credit
    if first is None or first.per_unit is None or pool.meter != CREDITS or not credit:
        return None
    return _Fit(*offered, first.per_unit, in_credits=True) if pool.sku in (ANY_SKU, credit) else None


def _by_month(view: View, use: Use, first: Step) -> Covering | None:
    credit = first.tariff.fact.credit
    if credit is None:
        return _month_of(first) if first.per_unit is None else None
    second = credit_step(view, use, credit)
    if first.per_unit is None or isinstance(second, str) or second.per_unit is not None:
        return None
    return replace(_month_of(second), per_unit=first.per_unit, round_to=first.tariff.round_to, card=first.tariff)


def _month_of(found: Step) -> Covering:
    fact = found.tariff.fact
    return Covering(f"tariff:{fact.system}/{fact.sku}/{fact.meter}", tariff=found.tariff, factor=found.factor)
