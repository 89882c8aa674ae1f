"""Who pays a shared cost, and in which parts: by use, by headcount, or by fixed weights. Parts always add up."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import TypeVar

from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.pricing import Amounts
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.events.prices import SplitKey
from services.shared.money import split_nano

Used = Mapping[Profile, Fraction]
"""How much each profile used of something in a cycle, by list value or by quantity."""

Weights = Mapping[Owner, int]

K = TypeVar("K")


@dataclass(slots=True)
class Payers:
    """Who pays under one register version, remembered: agreements ask for the same people day after day."""

    view: View
    _owners: dict[tuple[Profile, tuple[int, int]], Owner] = field(default_factory=dict)
    _heads: dict[date, Mapping[Owner, int]] = field(default_factory=dict)

    def under(self, view: View) -> "Payers":
        """These, or those of another register version."""
        return self if self.view is view else Payers(view)

    def of(self, profile: Profile, day: date) -> Owner:
        """Who pays for a use on a Helsinki day."""
        key = (profile, self.view.allocation.segment(profile.person, day))
        found = self._owners.get(key)
        if found is None:
            found = self._owners[key] = self.view.allocation.owner(profile, day)
        return found

    def heads(self, day: date) -> Mapping[Owner, int]:
        """Persons placed in each unit on a day."""
        if day not in self._heads:
            allocation = self.view.allocation
            counted = allocation.headcount(day)
            self._heads[day] = {allocation.unit_owner(unit, "headcount", day): count for unit, count in counted.items()}
        return self._heads[day]

    def fixed(self, weights: Mapping[str, Decimal], day: date) -> Mapping[Owner, int]:
        """Fixed weights as whole numbers; a unit that is not defined on the day is left out."""
        there = {unit: Fraction(weight) for unit, weight in weights.items() if self.view.units.on(unit, day)}
        return {
            self.view.allocation.unit_owner(unit, "fixed", day): weight for unit, weight in whole_weights(there).items()
        }


def weights_on(payers: Payers, share: SplitKey, day: date, used: Used, nobody: Profile) -> Weights:
    """The weights of a key on a Helsinki day, by who pays; `nobody`: whose rules decide where the key finds nobody.

    Use is counted over the whole cycle and given to whom its users belong on the day: a reorganisation moves the
    days after it, and leaves those before it alone.
    """
    match share.by:
        case "usage":
            found = _of_use(payers, used, day)
        case "headcount":
            found = payers.heads(day)
        case "fixed":
            found = payers.fixed(share.weights, day)
    return found if any(found.values()) else {payers.of(nobody, day): 1}


def _of_use(payers: Payers, used: Used, day: date) -> Weights:
    by_owner: dict[Owner, Fraction] = defaultdict(Fraction)
    for profile, amount in used.items():
        by_owner[payers.of(profile, day)] += amount
    return whole_weights({owner: amount for owner, amount in by_owner.items() if amount > 0})


def whole_weights(weights: Mapping[K, Fraction]) -> dict[K, int]:
    """The same weights as whole numbers, exactly in the same proportions; those of nought are left out."""
    scale = lcm(*(weight.denominator for weight in weights.values()))
    return {key: weight.numerator * (scale // weight.denominator) for key, weight in weights.items() if weight}


def split(amounts: Amounts, weights: Weights) -> dict[Owner, Amounts]:
    """Parts of both amounts that add up to them; in the order of who pays."""
    nano, eur_nano = (dict.fromkeys(weights) if one is None else split_nano(one, weights) for one in amounts)
    order = sorted(weights, key=lambda owner: (owner.unit, owner.cost_centre, owner.project, owner.rule or ""))
    return {owner: (nano[owner], eur_nano[owner]) for owner in order}
