"""What the periods' worker is to do: a cycle of an agreement to be made again, as marks ask for it."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Cycle
from services.cost_alerts.handlers.cycles import RANK, USED_ONLY, kind_of
from services.cost_alerts.ports.ledger import Mark
from services.cost_alerts.ports.periods import Reach
from services.shared.periods import helsinki_day
from services.shared.store.tables import micros

INSTANT = timedelta(microseconds=1)
_CYCLE = "cycle"


class Task(NamedTuple):
    """A cycle of an agreement, named by the instant it begins at, to be made again as known from `since` on."""

    rank: int
    key: str
    starts: int
    first_day: int
    last_day: int
    since: int

    @property
    def days(self) -> tuple[date, date]:
        return date.fromordinal(self.first_day), date.fromordinal(self.last_day)

    def mark(self, system: str) -> Mark:
        """What lets another step go on with this."""
        return Mark(f"{_CYCLE} {self.starts} {self.key}", system, self.first_day, self.last_day, self.since)

    @classmethod
    def of(cls, mark: Mark) -> "Task | None":
        """The task that `mark` wrote; None for a mark of anything else."""
        about = mark.about.split(" ", 2)
        if about[0] != _CYCLE:
            return None
        rank = RANK.get(kind_of(about[2]), 0)
        return cls(rank, about[2], int(about[1]), mark.first_day, mark.last_day, mark.recorded_from)

    def with_more(self, other: "Task") -> "Task":
        """This and another task of the same cycle in one."""
        first, last = min(self.first_day, other.first_day), max(self.last_day, other.last_day)
        return self._replace(first_day=first, last_day=last, since=min(self.since, other.since))


def merged(marks: Iterable[Mark]) -> list[Mark]:
    """Marks about the same days as one, from the earliest instant of all."""
    found: dict[tuple[str, int, int], Mark] = {}
    for mark in marks:
        same = (mark.about, mark.first_day, mark.last_day)
        if same not in found or mark.recorded_from < found[same].recorded_from:
            found[same] = mark
    return list(found.values())


def clamped(mark: Mark, kind: str, reach: Reach) -> tuple[date, date] | None:
    """The days of a mark that lie in cycles which can have charges at all; None when there are none.

    What costs by time alone is cut by its contract at the one end, by the last day that has begun at the other. The
    first day of a mark always stays: its cycle may have earlier days.
    """
    if kind == "invoice" and not reach.invoiced:
        return None
    first, last = date.fromordinal(mark.first_day), date.fromordinal(mark.last_day)
    if kind in USED_ONLY:
        first = max(first, reach.first_used)
    return (first, max(first, min(last, max(reach.begun, reach.last_used)))) if first <= last else None


def task_of(cycle: Cycle, mark: Mark) -> Task:
    first, last = helsinki_day(cycle.starts).toordinal(), helsinki_day(cycle.ends - INSTANT).toordinal()
    key = cycle.agreement
    rank = RANK.get(kind_of(key), 0)
    return Task(rank, key, micros(cycle.starts), first, last, mark.recorded_from)
