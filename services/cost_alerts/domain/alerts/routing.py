"""Who is told of a condition: roles by the register, never addresses."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from services.cost_alerts.domain.alerts.found import Found
from services.cost_alerts.domain.alerts.situation import Situation
from services.cost_alerts.domain.view import View
from services.shared.events.plans import Budget


def recipients(situation: Situation, found: Found) -> tuple[str, ...]:
    """The owners of the systems it is about, and who watches the nearest budgets of its unit; each once.

    What nobody is named for goes to the recipients of the whole city's budgets. Nobody at all: nobody is told, and the
    alert is still recorded and shown.
    """
    view, today = situation.view, situation.today
    told = [*_owners(situation, found)]
    if found.unit is not None:
        told += _watchers(view, found.unit, found.system, today)
    if not told:
        told += _of_city(view, found.system, today)
    return tuple(dict.fromkeys(told))


def _owners(situation: Situation, found: Found) -> Iterator[str]:
    """Of a source: the owners of the systems that it tells of; where that is not known, of all systems."""
    systems = situation.view.systems
    if found.system is not None:
        named: Iterable[str] = [found.system]
    elif found.source is not None:
        fed = [name for name, how in sorted(situation.arrivals.items()) if found.source in how.sources]
        named = fed or sorted(systems)
    else:
        named = []
    yield from (systems[name].owner for name in named if name in systems)


def _watchers(view: View, unit: str, system: str | None, day: date) -> Sequence[str]:
    """The recipients of the budgets of the unit itself, or of the nearest above it that has any."""
    for one in view.units.with_ancestors(unit, day):
        found = [
            role for budget in view.budgets if _covers(view, budget, one, system, day) for role in budget.recipients
        ]
        if found:
            return found
    return []


def _of_city(view: View, system: str | None, day: date) -> Iterator[str]:
    for unit in view.units.defined(day):
        if unit.parent is None:
            yield from _watchers(view, unit.id, system, day)


def _covers(view: View, budget: Budget, unit: str, system: str | None, day: date) -> bool:
    """Whether a budget of the year is the unit's, and not narrowed to something else."""
    known = view.systems.get(system or "")
    return (
        budget.unit == unit
        and budget.period == day.year
        and budget.system in (None, system)
        and budget.vendor in (None, None if known is None else known.vendor)
        and budget.project is None
        and budget.programme is None
    )
