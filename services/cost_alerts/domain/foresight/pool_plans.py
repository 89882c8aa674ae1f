"""Planned changes of what is prepaid: more use empties a pool sooner, and what lies beyond it costs more.

What a plan adds is what use beyond the pool then costs more (or less): inside, nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import numpy as np

from services.cost_alerts.domain.budgets.scope import Where
from services.cost_alerts.domain.foresight.arrays import FloatArray
from services.cost_alerts.domain.foresight.coming import SHARE_DAYS, Draining
from services.cost_alerts.domain.foresight.planned import Stream, is_for, ramp
from services.cost_alerts.domain.foresight.pools import Use, beyond, shares
from services.cost_alerts.domain.tariff import ANY_SKU
from services.cost_alerts.domain.view import View
from services.shared.events.plans import PlannedChange
from services.shared.money import NANO


def planned_pools(
    view: View, changes: Sequence[PlannedChange], pools: Sequence[Draining], today: date
) -> tuple[list[Draining], Mapping[str, list[Stream]]]:
    """The pools as they will be drained with all changes, and, by the id of each change, what it adds by place.

    Only changes of a whole system (`*`) are laid over its pools: which SKU empties a pool is not known ahead.
    """
    standing, added = list(pools), dict[str, list[Stream]]()
    for change in changes:
        for number, one in enumerate(standing):
            concerned = dict(_concerned(view, change, one, today))
            if concerned and one.use is not None:
                standing[number] = after = _changed(change, one, one.use, sum(concerned.values()), today)
                more = _cost(after, today) - _cost(one, today)
                added.setdefault(change.id, []).extend(_parted(change, more, concerned))
    return standing, added


def _concerned(view: View, change: PlannedChange, one: Draining, today: date) -> Iterator[tuple[Where, float]]:
    """Whose part of a pool's use a change is about."""
    is_about = change.kind in {"price", "ending"} or (change.kind == "rollout" and change.factor is not None)
    if is_about and change.system == one.pool.system and change.sku == ANY_SKU:
        for where, share in shares(one.pool, SHARE_DAYS):
            if is_for(view, change, where, today):
                yield where, share


def _changed(change: PlannedChange, one: Draining, use: Use, share: float, today: date) -> Draining:
    more = -1.0 if change.factor is None else float(change.factor) - 1.0
    growth = 1.0 + ramp(change, today, len(one.prices)) * share * more
    if change.kind == "price":
        return one._replace(prices=one.prices * growth)
    return one._replace(use=Use(*(np.cumsum(np.diff(path, prepend=0.0) * growth) for path in use)))


def _cost(one: Draining, today: date) -> FloatArray:
    """What use beyond a pool is expected to cost on each day ahead, euro; nought where it has no price."""
    if one.use is None or one.pool.unit_nano is None:
        return np.zeros(len(one.prices))
    euro: FloatArray = beyond(one.pool, one.use.mid, today) * one.prices * (one.pool.unit_nano / NANO)
    return euro


def _parted(change: PlannedChange, more: FloatArray, concerned: Mapping[Where, float]) -> Iterator[Stream]:
    whole = sum(concerned.values())
    for where, share in concerned.items():
        yield Stream(where, change.sku, more * (share / whole), is_use=True, at_list_price=True)
