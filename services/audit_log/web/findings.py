"""What the page of findings shows: open ones by kind, unit and age, a list, and the shares that were reviewed. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, get_args

from services.audit_log.adapters.reviews.findings import AGES, FindingCount
from services.audit_log.adapters.reviews.shares import ReviewShare, added
from services.shared.events.outcomes import FindingKind

KINDS: tuple[FindingKind, ...] = get_args(FindingKind)
SEVERITIES = ("severe", "warning", "note")
STATES = ("open", "closed", "all")
_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class KindLine(NamedTuple):
    """Open findings of one kind: in each unit and of each age, in the order of the table's columns."""

    kind: FindingKind
    severity: str
    by_unit: Sequence[int]
    by_age: Sequence[int]
    total: int
    per_cent: int
    """Of the most frequent kind: the length of a bar."""


class ShareLine(NamedTuple):
    """The share reviewed in time of a use case in a unit, with its interval in whole per cent, and the trend."""

    unit: str
    use_case: str
    risk_class: str
    whole: ReviewShare
    months: Sequence[ReviewShare | None]


@dataclass(frozen=True, slots=True)
class FindingsPage:
    """All that the template asks for."""

    counts: Sequence[FindingCount]
    found: Sequence[Mapping[str, Any]]
    shares: Sequence[ReviewShare]
    now: datetime
    kinds: tuple[FindingKind, ...] = KINDS
    severities: tuple[str, ...] = SEVERITIES
    states: tuple[str, ...] = STATES

    @property
    def units(self) -> Sequence[str]:
        return sorted({one.unit for one in self.counts})

    @property
    def open(self) -> int:
        return sum(one.open for one in self.counts)

    @property
    def severe(self) -> int:
        return sum(one.open for one in self.counts if one.severity == "severe")

    @property
    def old(self) -> int:
        """Open for longer than the longest age that is told apart."""
        return sum(one.open for one in self.counts if one.age == len(AGES))

    @property
    def lines(self) -> Sequence[KindLine]:
        """By severity, then the most frequent first."""
        by_kind: defaultdict[FindingKind, list[FindingCount]] = defaultdict(list)
        for one in self.counts:
            by_kind[one.kind].append(one)
        most = max((sum(one.open for one in found) for found in by_kind.values()), default=1)
        made = [_line(kind, found, self.units, most) for kind, found in by_kind.items()]
        return sorted(made, key=lambda line: (_RANK.get(line.severity, 1), -line.total, line.kind))

    @property
    def unit_totals(self) -> Sequence[int]:
        return [sum(one.open for one in self.counts if one.unit == unit) for unit in self.units]

    @property
    def age_totals(self) -> Sequence[int]:
        return _by_age(self.counts)

    @property
    def months(self) -> Sequence[str]:
        return sorted({one.month for one in self.shares})

    @property
    def share_lines(self) -> Sequence[ShareLine]:
        """By unit and use case; the worst kinds of silence are easier to see in one order than sorted by share."""
        found: defaultdict[tuple[str, str, str], dict[str, ReviewShare]] = defaultdict(dict)
        for one in self.shares:
            found[one.unit, one.use_case, one.risk_class][one.month] = one
        return [
            ShareLine(*key, added(list(months.values())), [months.get(month) for month in self.months])
            for key, months in sorted(found.items())
        ]

    @property
    def whole_share(self) -> ReviewShare | None:
        """Of all that was due in these months."""
        return added(self.shares) if self.shares else None

    def days_old(self, finding: Mapping[str, Any]) -> int:
        """Whole days since a finding was detected."""
        return (self.now - self.detected(finding)).days

    def detected(self, finding: Mapping[str, Any]) -> datetime:
        return datetime.fromisoformat(finding["detected_at"])


def _line(kind: FindingKind, found: Sequence[FindingCount], units: Sequence[str], most: int) -> KindLine:
    by_unit: Counter[str] = Counter()
    for one in found:
        by_unit[one.unit] += one.open
    total = by_unit.total()
    severity = min((one.severity for one in found), key=lambda one: _RANK.get(one, 1))
    return KindLine(kind, severity, [by_unit[unit] for unit in units], _by_age(found), total, round(100 * total / most))


def _by_age(found: Sequence[FindingCount]) -> Sequence[int]:
    ages = Counter[int]()
    for one in found:
        ages[one.age] += one.open
    return [ages[place] for place in range(len(AGES) + 1)]
