"""The arithmetic of a reading's charge: quantity, rounding up, list price, factors, credits, discount, rate."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.domain.contracts import CREDITS
from services.cost_alerts.domain.explaining.steps import Piece, Step, in_currency, nothing, per_cent, shown
from services.cost_alerts.domain.pricing import Line
from services.cost_alerts.domain.rating import Step as Rated
from services.cost_alerts.domain.rating import charged_meters, credit_step, is_reported, step
from services.cost_alerts.domain.tariff import DatedTariff
from services.cost_alerts.domain.use import Use
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Tariff


def of_reading(view: View, use: Use, line: Line, quantity: Decimal) -> Piece:
    """How a charge of a reading comes about; `quantity`: metered units, or the cost that the vendor reported.

    What an agreement charges is nought here. Empty where there is no price at all.
    """
    if line.agreement is not None:
        return nothing(f"the agreement {line.agreement} charges this use, so that it costs nothing here")
    if line.nano_per_unit is None:
        return []
    start = Step("take", _taken(line, quantity), Fraction(quantity))
    rate = None if line.reason is not None else line.rate
    return [start, *price_steps(view, use, line), *in_currency(line.currency, rate, line.rate_day)]


def free(line: Line) -> Piece:
    """Nothing was used: it costs nothing, whatever its price."""
    return nothing(f"no {line.meter} were used")


def _taken(line: Line, quantity: Decimal) -> str:
    if line.of_reading:
        return f"the vendor reported {shown(quantity)} {line.currency}, which is taken as it is"
    return f"{shown(quantity)} {line.meter} were metered"


def price_steps(view: View, use: Use, line: Line) -> Iterator[Step]:
    """From metered units of `line` to money in its currency, discounts taken off; nothing for a reported cost."""
    if is_reported(view, use):
        return
    found = step(view, use, use.profile.sku, line.meter)
    assert isinstance(found, Rated)
    if found.tariff.round_to is not None:
        yield up_to(found.tariff.round_to, line.meter)
    yield from _rated(use, line.meter, found)
    credit = found.tariff.fact.credit
    if credit is not None:
        second = credit_step(view, use, credit)
        assert isinstance(second, Rated)
        yield from _rated(use, CREDITS, second)
    yield from discount(view.contracts.off(use.profile.system, use.profile.sku, line.meter, use.start, credit))


def up_to(multiple: Decimal, meter: str) -> Step:
    return Step("up_to", f"rounded up to whole multiples of {shown(multiple)} {meter}", Fraction(multiple))


def _rated(use: Use, meter: str, found: Rated) -> Iterator[Step]:
    """List price and factors of one tariff."""
    fact = found.tariff.fact
    price = found.tariff.price_at(use.size(meter) or Decimal(0)) * Fraction(fact.per)
    money = fact.currency or f"credits ({fact.credit})"
    tier = " for a request of this size" if fact.model == "by_request_size" else ""
    yield Step("times", f"{shown(price)} {money}{tier}, {named(found.tariff)}", price)
    yield from per(fact.per)
    yield from factors(fact, dict(use.profile.dimensions))


def named(tariff: DatedTariff) -> str:
    return f"by tariff {tariff.id} of register version {tariff.version}"


def per(units: Decimal) -> Iterator[Step]:
    """A price per so many units; nothing where it is per one."""
    if units != 1:
        yield Step("over", f"the price is per {shown(units)}", Fraction(units))


def factors(fact: Tariff, dimensions: Mapping[str, str]) -> Iterator[Step]:
    """What a tariff multiplies its price by for these dimensions, of which it has a factor for each."""
    for name, values in fact.multipliers.items():
        value = dimensions.get(name, "")
        yield Step("times", f"factor {shown(values[value])} for {name} {value}", Fraction(values[value]))


def discount(off: Decimal) -> Iterator[Step]:
    if off:
        yield Step("times", f"{per_cent(off)} off the list price, by contract", 1 - Fraction(off))


def unit_steps(view: View, use: Use, meter: str, line: Line) -> list[Step]:
    """`price_steps` of another meter than the line's own; the quantity is not rounded up any more."""
    if meter not in charged_meters(view, use):
        return []
    return [one for one in price_steps(view, use, replace(line, meter=meter)) if one.do != "up_to"]
