"""Of outputs whose review was due: how many were reviewed in time, late or never, by unit, use case, class, month."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, select

from services.audit_log.adapters.tables import case_file
from services.audit_log.domain.reviews.statistics import wilson
from services.shared.periods import Month, helsinki_day

IN_TIME: frozenset[str] = frozenset({"approved", "edited", "rejected", "used_rejected"})
"""Reviewed before the due time and before use; that somebody used what was rejected is another matter."""
LATE: frozenset[str] = frozenset({"late_reviewed", "reviewed_after_use"})
MISSING: frozenset[str] = frozenset({"overdue", "used_unreviewed", "deleted_unreviewed"})
DUE = IN_TIME | LATE | MISSING

_Key = tuple[str, str, str, str]


class ReviewShare(NamedTuple):
    """Outputs of one month (of their due time), unit, use case and class; empty texts: not known."""

    month: str
    unit: str
    use_case: str
    risk_class: str
    in_time: int
    late: int
    missing: int

    @property
    def due(self) -> int:
        return self.in_time + self.late + self.missing

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval (95 %) of the share that was reviewed in time."""
        return wilson(self.in_time, self.due)

    def told(self) -> dict[str, Any]:
        """For programs."""
        low, high = self.interval
        share = {"share_in_time": round(self.in_time / self.due, 4), "low": round(low, 4), "high": round(high, 4)}
        return {**self._asdict(), "due": self.due, **share}


def latest_months(now: datetime, count: int) -> list[Month]:
    """The Helsinki month of `now` and those before it, `count` in all, the earliest first."""
    months = [Month.of(helsinki_day(now))]
    while len(months) < count:
        months.insert(0, months[0].previous)
    return months


def review_shares(connection: Connection, months: Sequence[Month], now: datetime) -> list[ReviewShare]:
    """The shares of outputs that were due in these months, by `now`; in the order of month, unit, use case, class."""
    counted: defaultdict[_Key, Counter[str]] = defaultdict(Counter)
    for month in months:
        for use_case, unit, state, _, risk_class, count in _counts(connection, month, now):
            if state in DUE:
                counted[str(month), unit, use_case, risk_class][state] += count
    return [
        ReviewShare(*key, *(sum(states[state] for state in kind) for kind in (IN_TIME, LATE, MISSING)))
        for key, states in sorted(counted.items())
    ]


def _counts(connection: Connection, month: Month, now: datetime) -> list[Any]:
    """Grouped in the order of an index, so that nothing is sorted."""
    columns = (
        case_file.c.use_case, case_file.c.unit, case_file.c.state, case_file.c.system, case_file.c.risk_class
    )  # fmt: skip
    within = case_file.c.due_at >= month.period.start, case_file.c.due_at < min(month.period.end, now)
    return list(connection.execute(select(*columns, func.count()).where(*within).group_by(*columns)))


class OutputCount(NamedTuple):
    """Outputs of one use case, unit, state, system and class; `due`: of those, by now; `first_due`: of the earliest."""

    use_case: str
    unit: str
    state: str
    system: str
    risk_class: str
    outputs: int
    due: int
    first_due: datetime | None


def count_outputs(connection: Connection, now: datetime) -> list[OutputCount]:
    """All outputs that are known, by what they are now. Grouped in the order of an index: one walk along it."""
    columns = (
        case_file.c.use_case, case_file.c.unit, case_file.c.state, case_file.c.system, case_file.c.risk_class
    )  # fmt: skip
    due = func.sum(case((case_file.c.due_at <= now, 1), else_=0))
    query = select(*columns, func.count(), due, func.min(case_file.c.due_at)).group_by(*columns)
    counted = [OutputCount(*row) for row in connection.execute(query)]
    return [one for one in counted if one.state not in ("", "unknown_output")]


def added(shares: Sequence[ReviewShare]) -> ReviewShare:
    """Several together."""
    in_time, late, missing = (sum(getattr(one, name) for one in shares) for name in ("in_time", "late", "missing"))
    return ReviewShare("", "", "", "", in_time, late, missing)
