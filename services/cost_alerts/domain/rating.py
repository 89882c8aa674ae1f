"""What one unit of a meter costs a use, under a register version: list price, what is paid, or why there is no price.

Two steps where the vendor counts in credits of its own: from the meter to credits, and from a credit to money. Each is
a dated tariff, and each is named on the line.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.domain.contracts import CREDITS
from services.cost_alerts.domain.exchange import EUR, ONE_TO_ONE
from services.cost_alerts.domain.pricing import Line
from services.cost_alerts.domain.tariff import DatedTariff
from services.cost_alerts.domain.use import INPUT_SIDE, OF_TOKENS, REQUESTS, Use
from services.cost_alerts.domain.view import View
from services.shared.money import NANO

WHOLE_READING = "*"
"""The meter of a charge that is for a whole reading of several meters."""

BY_MONTH = "priced by the month"
"""The reason of a line by the unit whose price depends on the other readings of its month."""

SEVERAL_REQUESTS = "several requests in one reading, and the price depends on the size of each"
NO_SIZE = "the price depends on the size of the request, and nothing says it"

_ANY_SIZE = Decimal(0)


class Step(NamedTuple):
    """A tariff that holds for a use, what its prices are multiplied by, and what a unit costs in money or credits.

    `per_unit` is None where it depends on the other readings of the month.
    """

    tariff: DatedTariff
    factor: Fraction
    per_unit: Fraction | None


def is_reported(view: View, use: Use) -> bool:
    """Whether the cost that the vendor reported counts, and not our tariffs."""
    return view.price_from(use.profile.system) == "reported"


def charged_meters(view: View, use: Use) -> tuple[str, ...]:
    """The meters that a use is charged by, a line each: its own; where the reported cost counts, one for them all."""
    meters = use.profile.meters
    return (meters[0] if len(meters) == 1 else WHOLE_READING,) if is_reported(view, use) else meters


def blank_line(view: View, use: Use) -> Line:
    """A line without a price: who pays, and the VAT rate."""
    owner = view.allocation.owner(use.profile, use.day)
    return Line(WHOLE_READING, "Usage", owner, vat_rate=view.contracts.vat_rate(use.profile.system, use.start))


def unit_line(view: View, use: Use, meter: str, blank: Line | None = None) -> Line:
    """How a meter (one of `charged_meters`) is priced by the unit as if there were no pools: what use beyond one costs.

    `nano_per_unit` is what is paid per metered unit, discounts taken off; `list_per_unit` the list price; the quantity
    is first rounded up to `round_to`. What is priced by the month has the reason `BY_MONTH`. Where the vendor's own
    cost counts, a unit is a unit of that cost. `blank`: the `blank_line` of the use, where the caller has it.
    """
    line = replace(blank or blank_line(view, use), meter=meter)
    if is_reported(view, use):
        return _reported(view, use, replace(line, of_reading=True))
    found = step(view, use, use.profile.sku, meter)
    return replace(line, reason=found) if isinstance(found, str) else _in_money(view, use, line, found)


def _reported(view: View, use: Use, line: Line) -> Line:
    if use.reported_currency is None:
        return replace(line, reason="no reported cost")
    return in_euro(view, replace(line, currency=use.reported_currency, nano_per_unit=Fraction(NANO)), use.day)


def step(view: View, use: Use, sku: str, meter: str) -> Step | str:
    """The price of a meter by its tariff, or why there is none."""
    dimensions = dict(use.profile.dimensions)
    tariff = view.tariffs.metered(use.profile.system, sku, meter, dimensions, use.start)
    if isinstance(tariff, str):
        return tariff
    factor = tariff.factor(dimensions)
    if isinstance(factor, str):
        return factor
    if tariff.is_by_month:
        return Step(tariff, factor, None)
    size = use.size(meter) if tariff.fact.model == "by_request_size" else _ANY_SIZE
    return _why_no_size(use, meter) if size is None else Step(tariff, factor, tariff.price_at(size) * factor)


def _why_no_size(use: Use, meter: str) -> str:
    nothing_read = meter in OF_TOKENS and INPUT_SIDE.isdisjoint(use.profile.meters)
    return NO_SIZE if nothing_read or REQUESTS not in use.profile.meters else SEVERAL_REQUESTS


def _in_money(view: View, use: Use, line: Line, first: Step) -> Line:
    tariff, credit = first.tariff, first.tariff.fact.credit
    line = replace(line, tariff=tariff.id, tariff_version=tariff.version, round_to=tariff.round_to)
    if credit is not None:
        return _by_credits(view, use, line, first, credit)
    if first.per_unit is None:
        return replace(line, reason=BY_MONTH)
    return _contracted(view, use, line, (first.per_unit, tariff.fact.currency))


def _by_credits(view: View, use: Use, line: Line, first: Step, credit: str) -> Line:
    second = credit_step(view, use, credit)
    if isinstance(second, str):
        return replace(line, reason=f"credit {credit}: {second}")
    line = replace(line, credit_tariff=second.tariff.id, credit_tariff_version=second.tariff.version)
    if first.per_unit is None:
        return replace(line, reason=f"credit {credit}: round_up per month does not go with credits")
    if second.per_unit is None:
        return replace(line, reason=BY_MONTH)
    return _contracted(view, use, line, (first.per_unit * second.per_unit, second.tariff.fact.currency), credit)


def credit_step(view: View, use: Use, credit: str) -> Step | str:
    """The second step: what one credit costs, or why that is not known."""
    found = step(view, use, credit, CREDITS)
    if isinstance(found, str):
        return found
    if found.tariff.fact.credit is not None:
        return "itself priced in credits"
    return "its round_up belongs on the tariff of the meter" if found.tariff.round_to is not None else found


def _contracted(
    view: View, use: Use, line: Line, price: tuple[Fraction, str | None], credit: str | None = None
) -> Line:
    profile = use.profile
    off = view.contracts.off(profile.system, profile.sku, line.meter, use.start, credit)
    return at_price(view, replace(line, currency=price[1]), price[0], off, use.day)


def at_price(view: View, line: Line, list_price: Fraction, off: Decimal, day: date) -> Line:
    """`line` at a list price per unit in its currency, `off` taken from it, and the rate of a Helsinki day."""
    per_unit = list_price * NANO
    return in_euro(view, replace(line, list_per_unit=per_unit, nano_per_unit=per_unit * (1 - Fraction(off))), day)


def in_euro(view: View, line: Line, day: date) -> Line:
    """`line` with the rate of its currency last published before a Helsinki day, or the reason that there is none."""
    assert line.currency is not None
    rate = ONE_TO_ONE if line.currency == EUR else view.exchange.before(line.currency, day)
    if rate is None:
        return replace(line, reason="no exchange rate")
    return replace(line, rate=rate.per_euro, rate_day=rate.published_on)
