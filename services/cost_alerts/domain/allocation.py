"""Which unit pays: the person's own placement on that day, then the rules in their order, else nobody."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from services.cost_alerts.domain.use import Profile
from services.shared.events.register import UNALLOCATED, AllocationRule, Match, Placement


@dataclass(frozen=True, slots=True)
class Owner:
    """A unit, and by which rule it pays: `placement`, a rule's id, or None when nothing fitted."""

    unit: str
    rule: str | None


NOBODY = Owner(UNALLOCATED, None)


class Allocation:
    """The placements and rules of one register version."""

    def __init__(self, placements: Iterable[Placement], rules: Iterable[AllocationRule]) -> None:
        self._placements: dict[str, list[Placement]] = defaultdict(list)
        for placement in sorted(placements, key=lambda one: (one.valid_from, one.unit), reverse=True):
            self._placements[placement.person].append(placement)
        self._rules = sorted(rules, key=lambda rule: (rule.order, rule.id))

    def owner(self, profile: Profile, day: date) -> Owner:
        """Who pays for a use on a Helsinki day."""
        for placement in self._placements.get(profile.person or "", ()):
            if placement.holds_on(day):
                return Owner(placement.unit, "placement")
        for rule in self._rules:
            if rule.holds_on(day) and _fits(rule.match, profile):
                return Owner(rule.unit, rule.id)
        return NOBODY


def _fits(match: Match, profile: Profile) -> bool:
    return (
        match.person in (None, profile.person)
        and match.account in (None, profile.account)
        and match.system in (None, profile.system)
        and match.environment in (None, profile.environment)
        and match.tags.items() <= dict(profile.tags).items()
    )
