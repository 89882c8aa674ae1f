"""What the page of incidents shows: each with its clocks, and who must be told next. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, get_args

from services.audit_log.domain.ai_register.incidents import Clock, IncidentFile, clocks, next_clock, told_out_of_order
from services.shared.events.outcomes import IncidentKind, Notification
from services.shared.periods import timestamp

KINDS: tuple[IncidentKind, ...] = get_args(IncidentKind)
WHOM: tuple[str, ...] = get_args(Notification.model_fields["whom"].annotation)


class IncidentLine(NamedTuple):
    """One incident with its clocks, and whether the authority was told before the provider."""

    file: IncidentFile
    clocks: Sequence[Clock]
    next: Clock | None
    out_of_order: bool

    @property
    def others(self) -> Sequence[Notification]:
        """Who else was told."""
        return [one for one in self.file.notified if one.whom not in {clock.whom for clock in self.clocks}]


@dataclass(frozen=True, slots=True)
class IncidentsPage:
    """All that the template asks for. `in_use`: the use cases that are not suspended now."""

    files: Sequence[IncidentFile]
    in_use: Collection[str]
    now: datetime
    kinds: tuple[IncidentKind, ...] = KINDS
    whom: tuple[str, ...] = WHOM

    @property
    def open(self) -> Sequence[IncidentLine]:
        """Open ones, the clock that ends first before the others."""
        lines = [self._line(file) for file in self.files if file.end is None]
        return sorted(lines, key=lambda line: (line.next is None, line.next.due_at if line.next else self.now))

    @property
    def closed(self) -> Sequence[IncidentLine]:
        return [self._line(file) for file in self.files if file.end is not None]

    @property
    def late(self) -> int:
        """Clocks that ran out, and still nobody was told."""
        return sum(clock.state == "late" for file in self.files for clock in clocks(file, self.now))

    @property
    def running(self) -> Sequence[Clock]:
        """Clocks that still run, the one that ends first before the others."""
        found = [clock for file in self.files for clock in clocks(file, self.now) if clock.state == "due"]
        return sorted(found, key=lambda clock: clock.due_at)

    @property
    def to_suspend(self) -> Sequence[str]:
        """The use cases of open incidents that are in use still (Article 26(5))."""
        found = {file.incident.use_case for file in self.files if file.end is None}
        return sorted(one for one in found if one is not None and one in self.in_use)

    def _line(self, file: IncidentFile) -> IncidentLine:
        return IncidentLine(file, clocks(file, self.now), next_clock(file, self.now), told_out_of_order(file))


def document(file: IncidentFile, now: datetime) -> dict[str, Any]:
    """An incident for programs: what the entries say, and its clocks at `now`."""
    return {
        **file.incident.model_dump(mode="json"),
        "opened_entry": file.opened_seq,
        "closed_entry": file.closed_seq,
        "clocks": [
            {
                "whom": clock.whom,
                "due_at": timestamp(clock.due_at),
                "told_at": timestamp(clock.told_at) if clock.told_at else None,
                "state": clock.state,
            }
            for clock in clocks(file, now)
        ],
        "told_out_of_order": told_out_of_order(file),
        "notified": [one.model_dump(mode="json") for one in file.notified],
        "closed": file.end.model_dump(mode="json") if file.end else None,
    }
