"""Of outputs whose review was due: how many were reviewed in time, late or never, by unit, use case, class, month."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, func, literal, select

from services.audit_log.adapters.tables import case_file
from services.audit_log.domain.statistics import wilson
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
    counted: defaultdict[_Key, dict[str, int]] = defaultdict(dict)
    for month, unit, use_case, risk_class, state, count in _counts(connection, months, now):
        if state in DUE:
            counted[month, unit, use_case, risk_class][state] = count
    return [
        ReviewShare(*key, *(sum(states.get(state, 0) for state in kind) for kind in (IN_TIME, LATE, MISSING)))
        for key, states in sorted(counted.items())
    ]


def _counts(connection: Connection, months: Sequence[Month], now: datetime) -> list[Any]:
    if not months:
        return []
    end = min(months[-1].period.end, now)
    named = [(case_file.c.due_at < month.period.end, str(month)) for month in months[:-1]]
    month = case(*named, else_=str(months[-1])) if named else literal(str(months[-1]))
    columns = (month.label("month"), case_file.c.unit, case_file.c.use_case, case_file.c.risk_class, case_file.c.state)
    query = (
        select(*columns, func.count())
        .where(case_file.c.due_at >= months[0].period.start, case_file.c.due_at < end)
        .group_by(*columns)
    )
    return list(connection.execute(query))


class DueCount(NamedTuple):
    """Outputs whose review was due by now, of one use case, unit, system and state."""

    use_case: str
    unit: str
    system: str
    state: str
    outputs: int


def due_by_now(connection: Connection, now: datetime) -> list[DueCount]:
    """All outputs whose review was due by `now`, however long ago."""
    columns = (case_file.c.use_case, case_file.c.unit, case_file.c.system, case_file.c.state)
    query = select(*columns, func.count()).where(case_file.c.due_at <= now).group_by(*columns)
    return [DueCount(*row) for row in connection.execute(query)]


def added(shares: Sequence[ReviewShare]) -> ReviewShare:
    """Several together."""
    in_time, late, missing = (sum(getattr(one, name) for one in shares) for name in ("in_time", "late", "missing"))
    return ReviewShare("", "", "", "", in_time, late, missing)
