"""One overrun does not ring twice up the tree: which crossing of one look is told by the message of one below it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.cost_alerts.domain.budgets.amount import first_day
from services.cost_alerts.domain.budgets.crossing import Standing, crossing_id
from services.cost_alerts.domain.budgets.scope import encloses
from services.cost_alerts.domain.foresight.forecast import Range
from services.cost_alerts.domain.view import View
from services.shared.events.outcomes import Crossing
from services.shared.money import EXACT, from_nano


@dataclass(frozen=True, slots=True)
class Told:
    """A crossing as it is recorded, and, when it speaks, those above it that its message tells too, lowest first.

    `forecast`: of the budget's year, with the limits that a crossing does not keep.
    """

    crossing: Crossing
    also: Sequence[Crossing] = ()
    forecast: Range | None = None

    @property
    def recipients(self) -> Sequence[str]:
        """Every role that gets the message, once."""
        roles = (role for one in (self.crossing, *self.also) for role in one.recipients)
        return tuple(dict.fromkeys(roles))


def told(crossings: Sequence[Crossing], standings: Mapping[str, Standing], view: View) -> Sequence[Told]:
    """The crossings of one look, in their order, those that are told from below no longer spoken.

    `standings`: budget id → how it stood when they were decided.

    A crossing is told from below when all that the lower budget counts, the upper one counts too, and without the
    lower one's excess (what it has beyond its own threshold's money) the upper one would not have crossed. Of several
    such the one with the largest excess tells; a chain is told by its lowest. A budget that crosses by the use of
    several, or one whose threshold the lower one has only just reached, speaks for itself.
    """
    teller = _tellers(crossings, standings, view)
    recorded = {id(one): _recorded(one, teller.get(id(one))) for one in crossings}
    also: dict[int, list[Crossing]] = {id(one): [] for one in crossings}
    for one in _rising(crossings, standings, view):
        if (speaks := teller.get(id(one))) is not None:
            also[id(speaks)].append(recorded[id(one)])
    return [Told(recorded[id(one)], also[id(one)], standings[one.budget].forecast) for one in crossings]


def _tellers(crossings: Sequence[Crossing], standings: Mapping[str, Standing], view: View) -> Mapping[int, Crossing]:
    """Crossing → the one below whose message tells it; by identity, for a crossing has no key of its own.

    The one with the largest excess is told by nobody itself: what stands below it stands below the upper one too.
    """
    found: dict[int, Crossing] = {}
    below: list[Crossing] = []
    for one in _rising(crossings, standings, view):
        if (lower := _cause_of(one, below, standings, view)) is not None:
            found[id(one)] = lower
        below.append(one)
    return found


def _rising(crossings: Sequence[Crossing], standings: Mapping[str, Standing], view: View) -> list[Crossing]:
    """Those that would speak, each after all that stand below it."""
    speaking = [one for one in crossings if one.spoken]
    return sorted(speaking, key=lambda one: (sum(_above(one, low, standings, view) for low in speaking), one.budget))


def _cause_of(
    upper: Crossing, below: Sequence[Crossing], standings: Mapping[str, Standing], view: View
) -> Crossing | None:
    """The crossing below without whose excess the upper one would not have come."""
    enough = _beyond(upper, standings)
    causes = [one for one in below if _above(upper, one, standings, view) and _beyond(one, standings) > enough]
    return max(causes, key=lambda one: _beyond(one, standings), default=None)


def _above(upper: Crossing, lower: Crossing, standings: Mapping[str, Standing], view: View) -> bool:
    over, under = standings[upper.budget], standings[lower.budget]
    day = max(over.day, first_day(over.budget))
    return upper.measure == lower.measure and encloses(over.budget, under.budget, view, day)


def _beyond(crossing: Crossing, standings: Mapping[str, Standing]) -> Decimal:
    """What a budget has beyond the threshold's money, euro: never negative, for it has crossed it."""
    value = standings[crossing.budget].value_nano(crossing.measure)
    assert value is not None, "a crossing is decided by a value"
    return EXACT.subtract(from_nano(value), EXACT.multiply(crossing.amount_eur, crossing.threshold))


def _recorded(crossing: Crossing, teller: Crossing | None) -> Crossing:
    if teller is None:
        return crossing
    return crossing.model_copy(update={"spoken": False, "told_by": crossing_id(teller)})
