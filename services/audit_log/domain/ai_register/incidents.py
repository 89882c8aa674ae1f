"""The clocks of an incident: by when the provider and the authority must have been told (Articles 26(5) and 73). Pure.

A deployer tells first the provider and then the authority, at once; Article 73 says by when at the latest: 15 days from
becoming aware, 2 for a widespread infringement or critical infrastructure, 10 for a death. Days are counted as
Regulation (EEC, Euratom) 1182/71 counts them: calendar days, the day of awareness is not counted, the last one runs to
its midnight in Helsinki. Its extensions over holidays (Article 3(4) and (5)) are not used: the law says *immediately*,
and so the clock here never runs longer than any reading of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from services.shared.events.envelope import Fact, Id, Name, Utc
from services.shared.events.outcomes import Incident, IncidentEnd, IncidentKind, Notification
from services.shared.periods import HELSINKI, day_start, helsinki_day, utc

DAYS: Mapping[IncidentKind, int | None] = {"serious": 15, "widespread": 2, "death": 10, "other": None}
"""Calendar days from awareness; None: no clock of Article 73."""

Told = Literal["provider", "authority"]
IN_ORDER: Sequence[Told] = ("provider", "authority")
"""Who must be told, in this order (Article 26(5))."""

ClockState = Literal["due", "done", "done_late", "late", "stopped"]
"""`due`: not told yet, and there is time. `stopped`: the incident was closed while there was time, and nobody was told.
"""


class NewIncident(Fact):
    """What somebody says who opens an incident. What an output or a use case tells already may be left out."""

    incident_id: Id | None = None
    kind: IncidentKind
    what: Name
    aware_at: Utc
    unit: Id | None = None
    use_case: Id | None = None
    system: Id | None = None
    output_id: Id | None = None


class NewNotification(Fact):
    """What somebody says who told somebody of an incident. `reference`: the record number of what was sent."""

    incident_id: Id
    whom: Literal["provider", "importer", "distributor", "authority", "data_protection", "persons"]
    notified_at: Utc
    reference: Name | None = None


class NewEnd(Fact):
    """What somebody says who closes an incident. `not_reportable`: nobody had to be told after all."""

    incident_id: Id
    outcome: Name
    not_reportable: bool = False


class Clock(NamedTuple):
    """By when somebody must be told. `told_at`: when that was, for the first time."""

    whom: Told
    due_at: datetime
    told_at: datetime | None
    state: ClockState

    @property
    def last_day(self) -> date:
        """The last day (Helsinki), which counts to its midnight."""
        return helsinki_day(self.due_at - timedelta(microseconds=1))

    @property
    def is_late(self) -> bool:
        """Whether nobody was told by the clock's end, whatever came later."""
        return self.state in {"late", "done_late"}


class IncidentFile(NamedTuple):
    """All that the log says about one incident. `opened_seq`, `closed_seq`: the entries."""

    incident: Incident
    notified: tuple[Notification, ...] = ()
    end: IncidentEnd | None = None
    opened_seq: int = 0
    closed_seq: int | None = None


def clock_end(kind: IncidentKind, aware_at: datetime) -> datetime | None:
    """The moment (UTC) at which the last day has passed; None: this kind has no clock."""
    days = DAYS[kind]
    return None if days is None else day_start(helsinki_day(aware_at) + timedelta(days=days + 1))


def clocks(file: IncidentFile, now: datetime) -> tuple[Clock, ...]:
    """The clocks of an incident at `now`, in the order in which they are to be told; none where it has none."""
    due = clock_end(file.incident.kind, file.incident.aware_at)
    if due is None:
        return ()
    return tuple(
        Clock(whom, due, told, _state(due, told, file.end, now)) for whom in IN_ORDER for told in [_told(file, whom)]
    )


def told_out_of_order(file: IncidentFile) -> bool:
    """Whether the authority was told before the provider."""
    provider, authority = _told(file, "provider"), _told(file, "authority")
    return authority is not None and (provider is None or authority < provider)


def next_clock(file: IncidentFile, now: datetime) -> Clock | None:
    """Who is to be told next; None: nobody."""
    return next((clock for clock in clocks(file, now) if clock.state in {"due", "late"}), None)


def why_not_closed(file: IncidentFile, closed_at: datetime, *, not_reportable: bool) -> str | None:
    """Why an incident may not be closed, in a sentence; None: it may.

    Args:
        file: the incident.
        closed_at: when it would be closed.
        not_reportable: whoever closes it says that Article 73 asks for nothing after all.
    """
    if file.end is not None:
        return f"the incident {file.incident.incident_id} was closed before"
    waiting = [clock.whom for clock in clocks(file, closed_at) if clock.told_at is None]
    if not waiting or not_reportable:
        return None
    return (
        f"nobody was told of the incident {file.incident.incident_id} yet among: {', '.join(waiting)}. Tell them and "
        "say so, or say that nothing had to be reported"
    )


def unanswered(files: Iterable[IncidentFile], now: datetime) -> list[tuple[IncidentFile, Clock]]:
    """Clocks that ran out, those answered later among them."""
    return [(file, clock) for file in files for clock in clocks(file, now) if clock.is_late]


def _told(file: IncidentFile, whom: Told) -> datetime | None:
    return min((one.notified_at for one in file.notified if one.whom == whom), default=None)


def _state(due: datetime, told: datetime | None, end: IncidentEnd | None, now: datetime) -> ClockState:
    if told is not None:
        return "done" if told < due else "done_late"
    if end is not None and end.closed_at < due:
        return "stopped"
    return "due" if now < due else "late"


def local_moment(text: str) -> datetime:
    """The moment (UTC) that a person writes: RFC 3339, or without a time zone as Helsinki's clocks show it.

    Of the hour that comes twice in autumn the first is meant: the clock then ends no later.

    Raises:
        ValueError: it is neither.
    """
    moment = datetime.fromisoformat(text)
    return utc(moment if moment.tzinfo else moment.replace(tzinfo=HELSINKI))
