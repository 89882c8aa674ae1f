"""Planned changes, laid over what is expected without them: each one's euro by day, in the order in which they come.

A change whose day has come counts no more: what it did is in the ledger. A later change is reckoned on top of the
earlier ones, so that all of them add up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

import numpy as np

from services.cost_alerts.domain.agreements.seating import Product
from services.cost_alerts.domain.agreements.seats import day_parts, holder
from services.cost_alerts.domain.agreements.split import Payers
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.tariff import ANY_SKU
from services.cost_alerts.domain.view import View
from services.shared.events.plans import PlannedChange
from services.shared.money import NANO
from services.shared.periods import Month


@dataclass(frozen=True, slots=True)
class Stream:
    """What is expected of one place and SKU without plans (`*`: whatever SKU): euro of each day from today on.

    `is_use`: it grows and shrinks with use. `at_list_price`: a change of the list price changes it.
    """

    where: Where
    sku: str
    eur: FloatArray
    is_use: bool = False
    at_list_price: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What a change adds, by place: euro of each day from today on. `is_priced`: whether all of it has a price."""

    change: PlannedChange
    added: Sequence[Stream]
    is_priced: bool = True


def counting(view: View, today: date, until: date) -> list[PlannedChange]:
    """The changes that begin after `today` and by `until`, in the order in which they come.

    A price on whose first day a published price of the system begins is that very change, and not counted twice.
    """
    found = (one for one in view.planned if today < one.valid_from <= until and not _is_published(view, one))
    return sorted(found, key=lambda one: (one.valid_from, one.id))


def _is_published(view: View, change: PlannedChange) -> bool:
    if change.kind != "price":
        return False
    contracts = (one.fact.valid_from for one in view.contracts.on(change.system))
    return change.valid_from in {*view.tariffs.first_days(change.system), *contracts}


def planned(
    view: View, changes: Sequence[PlannedChange], streams: Iterable[Stream], today: date, days: int
) -> list[Planned]:
    """What each change adds to the streams and to the changes before it; `changes` as `counting` gives them."""
    standing, found = list(streams), []
    for change in changes:
        one = _effect(view, change, standing, today, days)
        found.append(one)
        standing += one.added
    return found


def ramp(change: PlannedChange, today: date, days: int) -> FloatArray:
    """How much of a change holds on each day from today on, from 0 to 1."""
    begins = (change.valid_from - today).days
    since = np.arange(days) - begins
    if not change.ramp_days:
        return (since >= 0).astype(np.float64)
    grown: FloatArray = np.clip((since + 1) / change.ramp_days, 0.0, 1.0)
    return grown


def _effect(view: View, change: PlannedChange, standing: Sequence[Stream], today: date, days: int) -> Planned:
    part = ramp(change, today, days)
    if change.kind == "seats":
        return _of_seats(view, change, part, today)
    if change.monthly_eur is not None:
        daily = np.array([float(change.monthly_eur) / month.days for month in _months(today, days)])
        where = Where(_payer(view, change).unit, change.system, "")
        return Planned(change, [Stream(where, change.sku, daily * part, is_use=True)])
    concerned = (one for one in standing if _concerns(view, change, one, today))
    return Planned(change, [_changed(change, one, part) for one in concerned])


def _concerns(view: View, change: PlannedChange, one: Stream, today: date) -> bool:
    if one.where.system != change.system or change.sku not in (ANY_SKU, one.sku):
        return False
    if not is_for(view, change, one.where, today):
        return False
    return change.kind == "ending" or (one.at_list_price if change.kind == "price" else one.is_use)


def is_for(view: View, change: PlannedChange, where: Where, today: date) -> bool:
    """Whether a change is for a place's unit, or one above it as the tree is today."""
    return change.unit is None or change.unit in view.units.with_ancestors(where.unit, today)


def _changed(change: PlannedChange, one: Stream, part: FloatArray) -> Stream:
    more = -1.0 if change.factor is None else float(change.factor) - 1.0
    return Stream(one.where, one.sku, one.eur * part * more, one.is_use, one.at_list_price)


def _of_seats(view: View, change: PlannedChange, part: FloatArray, today: date) -> Planned:
    assert change.seats is not None
    owner, payers = _payer(view, change), Payers(view)
    prices = [
        _seat_price(payers, change, owner, today + timedelta(days=int(number))) if share else 0.0
        for number, share in enumerate(part)
    ]
    priced = np.array([0.0 if one is None else one for one in prices])
    where = Where(owner.unit, change.system, owner.project)
    stream = Stream(where, change.sku, priced * part * change.seats, at_list_price=change.price is None)
    return Planned(change, [stream], is_priced=None not in prices)


def _seat_price(payers: Payers, change: PlannedChange, owner: Owner, day: date) -> float | None:
    """What one seat costs on a day, euro: as the plan says, or by the tariff in force then; None: nobody knows."""
    if change.price is not None and change.currency is not None:
        rate = payers.view.exchange.before(change.currency, day)
        return None if rate is None else float(Fraction(change.price) / Month.of(day).days / Fraction(rate.per_euro))
    euro = [part.amounts[1] for part in day_parts(payers, Product(change.system, change.sku), day, 1, {owner: 1})]
    return None if None in euro else sum(one or 0 for one in euro) / NANO


def _payer(view: View, change: PlannedChange) -> Owner:
    """The unit that the plan names, else who pays for what nobody in particular uses."""
    if change.unit is not None:
        return view.allocation.unit_owner(change.unit, "planned", change.valid_from)
    return view.allocation.owner(holder(Product(change.system, change.sku), None), change.valid_from)


def _months(today: date, days: int) -> Iterator[Month]:
    return (Month.of(today + timedelta(days=number)) for number in range(days))
