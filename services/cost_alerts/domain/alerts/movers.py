"""What moved a cost, and until when what is left lasts: what a message says of why and how long."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from services.cost_alerts.domain.alerts.letter import Language, Mover, Named
from services.cost_alerts.domain.view import View
from services.shared.events.register import Unit
from services.shared.money import from_nano

STRETCH_DAYS = 28
"""Four whole weeks beside the four before them: each has every weekday as often as the other."""

MOST_MOVERS = 3
_LANGUAGES: Sequence[Language] = ("fi", "sv", "en")


class Compared(NamedTuple):
    """What a unit's use of a SKU cost in two stretches that follow each other; 10⁻⁹ euro."""

    unit: str
    system: str
    sku: str
    before_nano: int
    after_nano: int

    @property
    def change(self) -> int:
        return self.after_nano - self.before_nano


def movers(compared: Iterable[Compared], view: View, day: date) -> Sequence[Mover]:
    """The three that changed most, the largest change first; what stood still has moved nothing."""
    changed = sorted((one for one in compared if one.change), key=lambda one: (-abs(one.change), *one[:3]))
    return [
        Mover(
            unit=named_unit(view, one.unit, day),
            system=named_system(view, one.system),
            sku=one.sku,
            before_eur=from_nano(one.before_nano),
            after_eur=from_nano(one.after_nano),
        )
        for one in changed[:MOST_MOVERS]
    ]


def named_unit(view: View, unit: str, day: date) -> Named:
    """A unit with its names on a day; as it was last, where it has ended; by its id alone, where nobody knows it."""
    known = view.units.on(unit, day) or _latest(view, unit)
    if known is None:
        return Named(id=unit, name={})
    return Named(id=unit, name=known.name, cost_centre=known.cost_centre)


def named_system(view: View, system: str) -> Named:
    """A system with its names, by its id alone where the register does not name it."""
    known = view.systems.get(system)
    name = {} if known is None else known.name
    return Named(id=system, name=dict.fromkeys(_LANGUAGES, name) if isinstance(name, str) else name)


def within(view: View, unit: str | None, days: Sequence[date]) -> Callable[[str], bool]:
    """Whether a unit stood below `unit` (or is it) on one of these days; None: every unit does."""
    seen: dict[str, bool] = {}

    def is_within(one: str) -> bool:
        if one not in seen:
            seen[one] = any(unit in view.units.with_ancestors(one, day) for day in days)
        return seen[one]

    return (lambda _: True) if unit is None else is_within


def lasts_until(left_nano: int, spent_nano: int, today: date, last: date) -> date | None:
    """The day on which what is left is used up, at the rate of the last 28 complete days; None: it lasts beyond `last`.

    `left_nano`: what is left this morning; `spent_nano`: what those days have used. Nothing left: yesterday.
    """
    if left_nano <= 0:
        return today - timedelta(days=1)
    if spent_nano <= 0:
        return None
    days = left_nano * STRETCH_DAYS // spent_nano
    if days > (last - today).days:
        return None
    return today + timedelta(days=days)


def _latest(view: View, unit: str) -> Unit | None:
    lives = [one for one in view.units.all() if one.id == unit]
    return max(lives, key=lambda one: one.valid_from, default=None)
