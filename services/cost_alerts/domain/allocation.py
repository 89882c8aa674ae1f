"""Which unit pays: the person's own placement on that day, then the rules in their order, else nobody."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from services.cost_alerts.domain.units import Units
from services.cost_alerts.domain.use import Profile
from services.shared.events.dated import Dated
from services.shared.events.register import UNALLOCATED, AllocationRule, Match, Placement


@dataclass(frozen=True, slots=True)
class Owner:
    """A unit, and by which rule it pays: `placement`, a rule's id, or None when nothing fitted.

    `cost_centre` and `project` are empty where there is none.
    """

    unit: str
    rule: str | None
    cost_centre: str = ""
    project: str = ""


NOBODY = Owner(UNALLOCATED, None)


class Allocation:
    """The placements, rules and units of one register version."""

    def __init__(self, placements: Iterable[Placement], rules: Iterable[AllocationRule], units: Units) -> None:
        self._placements: dict[str, list[Placement]] = defaultdict(list)
        for placement in sorted(placements, key=lambda one: (one.valid_from, one.unit), reverse=True):
            self._placements[placement.person].append(placement)
        self._rules = sorted(rules, key=lambda rule: (rule.order, rule.id))
        self._units = units
        self._edges = _edges([*self._rules, *units.all()])
        self._edges_of = {person: _edges(found) for person, found in self._placements.items()}

    def owner(self, profile: Profile, day: date) -> Owner:
        """Who pays for a use on a Helsinki day."""
        rule = self._rule(profile, day)
        project = "" if rule is None or rule.project is None else rule.project
        placed = self._placed(profile.person, day)
        if placed is not None:
            return self.unit_owner(placed, "placement", day, project)
        return NOBODY if rule is None else self.unit_owner(rule.unit, rule.id, day, project)

    def unit_owner(self, unit: str, rule: str | None, day: date, project: str = "") -> Owner:
        """A unit as who pays on `day`, with its cost centre."""
        found = self._units.on(unit, day)
        return Owner(unit, rule, "" if found is None or found.cost_centre is None else found.cost_centre, project)

    def headcount(self, day: date) -> Mapping[str, int]:
        """Unit → persons placed in it on `day`."""
        return Counter(self.placed(day).values())

    def placed(self, day: date) -> Mapping[str, str]:
        """Person → the unit in which they are placed on `day`."""
        found = ((person, self._placed(person, day)) for person in self._placements)
        return {person: unit for person, unit in found if unit is not None}

    def segment(self, person: str | None, day: date) -> tuple[int, int]:
        """Days of one segment have the same owner for a profile of this person."""
        return bisect_right(self._edges, day), bisect_right(self._edges_of.get(person or "", ()), day)

    def _placed(self, person: str | None, day: date) -> str | None:
        placements = self._placements.get(person or "", ())
        return next((placement.unit for placement in placements if placement.holds_on(day)), None)

    def _rule(self, profile: Profile, day: date) -> AllocationRule | None:
        return next((rule for rule in self._rules if rule.holds_on(day) and _fits(rule.match, profile)), None)


def _edges(facts: Iterable[Dated]) -> list[date]:
    """The days on which any of these begins or ends."""
    return sorted({edge for fact in facts for edge in (fact.valid_from, fact.valid_to) if edge is not None})


_TAG_OF = {"api_key": "api_key", "project": "project", "group": "security_group"}


def _fits(match: Match, profile: Profile) -> bool:
    tags = dict(profile.tags)
    return (
        match.person in (None, profile.person)
        and match.account in (None, profile.account)
        and match.system in (None, profile.system)
        and match.sku in (None, profile.sku)
        and match.environment in (None, profile.environment)
        and match.tags.items() <= tags.items()
        and all(getattr(match, member) in (None, tags.get(tag)) for member, tag in _TAG_OF.items())
        and (match.path is None or tags.get("page_path", "").startswith(match.path))
    )
