"""What counts towards a budget: its unit with the units below it, narrowed by system, vendor, project or programme."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from services.cost_alerts.domain.view import View
from services.shared.events.plans import Budget


class Where(NamedTuple):
    """Where a cost stands. `project`: empty where it has none."""

    unit: str
    system: str
    project: str


class Counting:
    """Which budgets of a register version a cost counts towards; remembers the tree by unit and day, and kinds of cost.

    The tree is taken as it is on the day of the cost: a reorganisation moves only later days. Systems, vendors and
    programmes are not dated: as the version has them.
    """

    def __init__(self, budgets: Iterable[Budget], view: View) -> None:
        self._view = view
        self._budgets = list(budgets)
        self._of_unit: defaultdict[tuple[int, str], list[Budget]] = defaultdict(list)
        for budget in self._budgets:
            self._of_unit[budget.period, budget.unit].append(budget)
        self._years = {year for year, _ in self._of_unit}
        self._above: dict[tuple[str, date], Sequence[str]] = {}
        self._of_kind: dict[tuple[str, str], frozenset[str]] = {}

    def counted(self, where: Where, day: date) -> list[str]:
        """The ids of the budgets that a cost counts towards, those of its own unit first."""
        if day.year not in self._years:
            return []
        kind = self._fitting(where.system, where.project)
        return [one for one in self._over(where.unit, day) if one in kind]

    def _fitting(self, system: str, project: str) -> frozenset[str]:
        """The ids of all budgets that are for this kind of cost, whoever pays it."""
        found = self._of_kind.get((system, project))
        if found is None:
            found = frozenset(one.id for one in self._budgets if fits(one, self._view, system, project))
            self._of_kind[system, project] = found
        return found

    def _over(self, unit: str, day: date) -> Sequence[str]:
        found = self._above.get((unit, day))
        if found is None:
            chain = self._view.units.with_ancestors(unit, day)
            found = [budget.id for one in chain for budget in self._of_unit.get((day.year, one), ())]
            self._above[unit, day] = found
        return found


def counted(budgets: Iterable[Budget], view: View, where: Where, day: date) -> list[str]:
    """The ids of the budgets that one cost counts towards; who asks about many keeps a `Counting`."""
    return Counting(budgets, view).counted(where, day)


def fits(budget: Budget, view: View, system: str, project: str) -> bool:
    """Whether a system's cost on a project is of the kind that the budget is narrowed to."""
    return (
        budget.system in (None, system)
        and budget.project in (None, project)
        and (budget.vendor is None or _vendor_of(system, view) == budget.vendor)
        and (budget.programme is None or _belongs(budget.programme, view, system, project))
    )


def narrowed_to(budget: Budget) -> Sequence[str]:
    """The ids and names that a budget is narrowed to, none when it is of all that its unit costs."""
    given = (budget.system, budget.vendor, budget.project, budget.programme)
    return tuple(one for one in given if one is not None)


def encloses(upper: Budget, lower: Budget, view: View, day: date) -> bool:
    """Whether all that counts towards `lower` on `day` counts towards `upper` too, by what both say; never itself.

    Of two budgets that enclose each other, the one whose id comes first is the lower.
    """
    if not _holds(upper, lower, view, day):
        return False
    return not _holds(lower, upper, view, day) or lower.id < upper.id


def _holds(upper: Budget, lower: Budget, view: View, day: date) -> bool:
    return (
        upper.id != lower.id
        and upper.period == lower.period
        and upper.unit in view.units.with_ancestors(lower.unit, day)
        and _holds_kind(upper, lower, view)
    )


def _holds_kind(upper: Budget, lower: Budget, view: View) -> bool:
    """Whether whatever fits the narrowing of `lower` fits that of `upper`. Where nobody can tell, it does not."""
    vendors = {lower.vendor, None if lower.system is None else _vendor_of(lower.system, view)}
    return (
        upper.system in (None, lower.system)
        and upper.project in (None, lower.project)
        and (upper.vendor is None or upper.vendor in vendors)
        and (upper.programme in (None, lower.programme) or _is_of_programme(upper.programme, lower, view))
    )


def _is_of_programme(programme: str | None, lower: Budget, view: View) -> bool:
    return programme is not None and _belongs(programme, view, lower.system or "", lower.project or "")


def _belongs(programme: str, view: View, system: str, project: str) -> bool:
    found = view.programmes.get(programme)
    return found is not None and (system in found.systems or project in found.projects)


def _vendor_of(system: str, view: View) -> str | None:
    known = view.systems.get(system)
    return None if known is None else known.vendor
