"""What a plan would cost a month, from what comparable use here really was: low, mid and high.

Use is looked at in money of today's prices, per active person and month, or per use. The mid is the mean over all of
it; the limits are the 10 % and 90 % quantiles of the means of groups, for a plan is a group: users of one unit use as
much alike as they use unlike others. Where there are too few such groups, as many are drawn from single persons as
there are persons, and the limits are the quantiles of their means. Fewer than five persons are never looked at alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from random import Random
from typing import Literal, NamedTuple

from services.cost_alerts.domain.agreements.agreement import Metered
from services.cost_alerts.domain.agreements.reckoning import as_decimal, noon
from services.cost_alerts.domain.view import View
from services.cost_alerts.domain.whatif.basket import (
    Basket,
    Kind,
    Position,
    by_nobody,
    kind_of,
    measured,
    prices,
)
from services.shared.periods import Month
from services.shared.privacy import FEWEST_PERSONS

FEWEST_GROUPS = 5
"""So many groups must there be for quantiles of their means."""
FEWEST_SINGLE = 20
"""So many persons must there be to draw groups from, when there are too few units."""
DRAWN = 500
"""So many groups are drawn; always the same, so that the same ledger gives the same estimate."""
COUNT_USES = ("requests", "conversations", "messages")
"""The meters whose quantity is a number of uses."""

_NOUGHT, _TENTH = Fraction(0), Fraction(1, 10)

By = Literal["groups", "persons"]
Why = Literal["no_history", "no_persons", "too_few_persons", "no_uses_counted", "too_few_weeks"]


class Limits(NamedTuple):
    """An estimate: `low` ≤ `mid` ≤ `high`."""

    low: Fraction
    mid: Fraction
    high: Fraction


@dataclass(frozen=True, slots=True)
class Used:
    """A reading of comparable use: whose (None: not told), of which unit, and what it is worth at today's prices."""

    person: str | None
    unit: str
    metered: Metered
    worth: Fraction


@dataclass(frozen=True, slots=True)
class Intensity:
    """How much one user uses in a month, or one use is.

    Attributes:
        worth: 10⁻⁹ euro by today's prices, before pools and tiers.
        basket: the mean use behind it.
        by: what the limits are quantiles of.
        persons, groups: how many it rests on; `persons` 0 where nothing tells who used it.
    """

    worth: Limits
    basket: Basket
    by: By
    persons: int
    groups: int


def quantile(values: Iterable[Fraction], part: Fraction) -> Fraction:
    """The quantile of some values, at least one, between two neighbours in proportion."""
    rising = sorted(values)
    at = part * (len(rising) - 1)
    below = int(at)
    above = min(below + 1, len(rising) - 1)
    return rising[below] + (rising[above] - rising[below]) * (at - below)


Rates = Mapping[tuple[Kind, str], Fraction]
"""What one unit of a meter of a kind of use costs on the average, 10⁻⁹ euro."""


def rates(view: View, basket: Basket, today: date) -> Rates:
    """What a basket's use costs by the unit today; what has no price is left out.

    What is priced by the month has the mean price of all that is counted together.
    """
    found = prices(view, basket, today, today)
    return {
        (kind_of(one.use), meter): found[place] / Fraction(quantity)
        for number, one in enumerate(basket)
        for meter, quantity in measured(view, one)
        if quantity and (place := Position(one.use.profile.sku, meter, number)) in found
    }


Means = Mapping[tuple[str, str], Fraction]
"""What one unit of a meter of a SKU costs on the average of all that was used of it, 10⁻⁹ euro."""


def means(view: View, basket: Basket, known: Rates) -> Means:
    """The mean rate of each SKU and meter in a basket, by what is priced of it."""
    cost: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    units: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for one in basket:
        for meter, quantity in measured(view, one):
            rate = known.get((kind_of(one.use), meter))
            if rate is not None:
                cost[one.use.profile.sku, meter] += rate * Fraction(quantity)
                units[one.use.profile.sku, meter] += Fraction(quantity)
    return {key: cost[key] / units[key] for key in cost if units[key]}


def worth(view: View, one: Metered, known: Rates, otherwise: Means) -> Fraction | None:
    """What a reading is worth at these rates; None where a part of it has none.

    `otherwise`: for what is told without all that a price depends on, as readings are that only tell who used what.
    """
    kind, sku = kind_of(one.use), one.use.profile.sku
    parts = [
        (known.get((kind, meter), otherwise.get((sku, meter))), quantity)
        for meter, quantity in measured(view, one)
        if quantity
    ]
    if any(rate is None for rate, _ in parts):
        return None
    return sum((rate * Fraction(quantity) for rate, quantity in parts if rate is not None), _NOUGHT)


def per_person(used: Sequence[Used]) -> Intensity | Why:
    """How much an active person uses in a month in which they use it at all."""
    told = [one for one in used if one.person is not None]
    if not used:
        return "no_history"
    if not told:
        return "no_persons"
    worth_of: dict[tuple[str, Month], Fraction] = defaultdict(Fraction)
    unit_of: dict[tuple[str, Month], str] = {}
    for one in told:
        key = (one.person or "", Month.of(one.metered.use.day))
        worth_of[key] += one.worth
        unit_of[key] = one.unit
    persons = len({person for person, _ in worth_of})
    groups = _groups(worth_of, unit_of)
    mean = sum(worth_of.values(), _NOUGHT) / len(worth_of)
    if len(groups) < FEWEST_GROUPS and persons < FEWEST_SINGLE:
        return "too_few_persons"
    basket = _mean_of(told, Fraction(1, len(worth_of)))
    if len(groups) >= FEWEST_GROUPS:
        return Intensity(_around(mean, groups, _TENTH), basket, "groups", persons, len(groups))
    return Intensity(_around(mean, _drawn(list(worth_of.values()), persons), _TENTH), basket, "persons", persons, 0)


def _drawn(values: Sequence[Fraction], size: int) -> Sequence[Fraction]:
    """The means of groups of so many, drawn from these values; in whole 10⁻⁹ euro, or it would take minutes."""
    rng, nano = Random(DRAWN), [round(value) for value in values]  # noqa: S311  # nothing here is a secret
    return [Fraction(sum(rng.choices(nano, k=size)), size) for _ in range(DRAWN)]


def _groups(
    worth: Mapping[tuple[str, Month], Fraction], unit_of: Mapping[tuple[str, Month], str]
) -> Sequence[Fraction]:
    """The mean of each unit in each month, of those with enough active persons."""
    members: dict[tuple[str, Month], list[Fraction]] = defaultdict(list)
    for key, value in worth.items():
        members[unit_of[key], key[1]].append(value)
    return [sum(found, _NOUGHT) / len(found) for found in members.values() if len(found) >= FEWEST_PERSONS]


def per_use(used: Sequence[Used]) -> Intensity | Why:
    """How much one use takes, as counted by week and unit."""
    if not used:
        return "no_history"
    counted = [one for one in used if uses_in(one.metered)]
    uses = sum((uses_in(one.metered) for one in counted), _NOUGHT)
    if not uses:
        return "no_uses_counted"
    by_week: dict[tuple[str, tuple[int, int]], list[Fraction]] = defaultdict(lambda: [_NOUGHT, _NOUGHT])
    for one in counted:
        week = one.metered.use.day.isocalendar()
        sums = by_week[one.unit, (week.year, week.week)]
        sums[0] += one.worth
        sums[1] += uses_in(one.metered)
    if len(by_week) < FEWEST_GROUPS:
        return "too_few_weeks"
    mean = sum((one.worth for one in counted), _NOUGHT) / uses
    limits = _around(mean, [taken / many for taken, many in by_week.values()], _TENTH)
    return Intensity(limits, _mean_of(counted, 1 / uses), "groups", 0, len(by_week))


def uses_in(metered: Metered) -> Fraction:
    """How many uses a reading counts; nought where nothing counts them."""
    consumed = dict(zip(metered.use.profile.meters, metered.quantities, strict=True))
    return next((Fraction(consumed[meter]) for meter in COUNT_USES if meter in consumed), _NOUGHT)


def _around(mean: Fraction, values: Sequence[Fraction], tail: Fraction) -> Limits:
    low, high = quantile(values, tail), quantile(values, 1 - tail)
    return Limits(min(low, mean), mean, max(high, mean))


def _mean_of(used: Iterable[Used], part: Fraction) -> Basket:
    """The use of all of these added up by kind, times a part."""
    return scaled(by_nobody(one.metered for one in used), part)


def as_billed(found: Intensity, billed: Basket, worth_billed: Fraction) -> Intensity:
    """The same intensity of the use that is paid: told of persons by readings that are not, and so have no prices."""
    return replace(found, basket=scaled(billed, found.worth.mid / worth_billed if worth_billed else _NOUGHT))


def scaled(basket: Basket, by: Fraction) -> Basket:
    """A basket so many times over."""
    return [
        replace(
            one,
            quantities=tuple(as_decimal(Fraction(quantity) * by) for quantity in one.quantities),
            cost=None if one.cost is None else as_decimal(Fraction(one.cost) * by),
        )
        for one in basket
    ]


def spread_over(basket: Basket, month: Month) -> list[Metered]:
    """A month's use as readings of its days, as much on each of them, in the order of agreements."""
    days = [date.fromordinal(month.first_day.toordinal() + number) for number in range(month.days)]
    a_day = scaled(basket, Fraction(1, len(days)))
    return [replace(one, use=replace(one.use, start=noon(day), day=day)) for day in days for one in a_day]
