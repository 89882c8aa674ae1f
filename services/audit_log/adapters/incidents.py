"""Telling the log of incidents: events by the outbox, each once. What there is, the log alone says."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeVar

from sqlalchemy import Connection, select

from services.audit_log.adapters.cases import SqlCaseFiles, read_rulebook
from services.audit_log.adapters.incident_files import read_incident
from services.audit_log.adapters.tables import case_file
from services.audit_log.domain.incidents import IncidentFile, why_not_closed
from services.audit_log.domain.telling import SOURCE
from services.audit_log.handlers import message_of
from services.shared.events import Event, event_id
from services.shared.events.outcomes import (
    Incident,
    IncidentClosed,
    IncidentEnd,
    IncidentNotified,
    IncidentOpened,
    Notification,
)
from services.shared.store import Transaction

NOT_REPORTABLE = "not reportable: "
"""How the outcome of an incident begins that was closed because nobody had to be told."""

_GRACE = timedelta(minutes=5)
"""So far ahead of ours may the clock be that a moment was read from."""

_E = TypeVar("_E", bound=Event)
Reason = Literal["unknown", "elsewhere", "taken", "closed", "untold", "future", "before_awareness"]


class Refused(NamedTuple):
    """Why nothing was told; `sentence` for programs."""

    reason: Reason
    sentence: str


class Place(NamedTuple):
    """Where an incident belongs, as far as an output or a use case tells."""

    use_case: str | None
    system: str | None
    unit: str | None


def place_of(connection: Connection, output_id: str | None, use_case: str | None) -> Place:
    """What the log knows of an output, or else of a use case; what it does not know is None."""
    found = Place(use_case, None, None)
    if output_id:
        query = select(case_file.c.use_case, case_file.c.system, case_file.c.unit)
        row = connection.execute(query.where(case_file.c.output_id == output_id)).first()
        found = Place(use_case or row.use_case or None, row.system or None, row.unit or None) if row else found
    known = [one for one in read_rulebook(connection).use_cases if one.id == found.use_case]
    unit = known[-1].unit if known else None
    system = known[-1].systems[0] if known and len(known[-1].systems) == 1 else None
    return Place(found.use_case, found.system or system, found.unit or unit)


def open_incident(tx: Transaction, wanted: Incident, now: datetime) -> Refused | None:
    """Tell the log of an incident; why not, or None when it is on its way."""
    if wanted.aware_at > now + _GRACE:
        return _future("aware-at")
    taken = Refused("taken", f"an incident {wanted.incident_id} is known already; expected an id that was never used")
    if read_incident(tx.connection, wanted.incident_id) is not None:
        return taken
    name = event_id("incident.opened", wanted.incident_id)
    return None if _tell(tx, _told(IncidentOpened, name, wanted, now), now) else taken


def notify_incident(tx: Transaction, wanted: Notification, now: datetime, units: frozenset[str]) -> Refused | None:
    """Tell the log who was told of an incident; why not, or None."""
    found = _found(tx.connection, wanted.incident_id, units)
    if isinstance(found, Refused):
        return found
    if wanted.notified_at > now + _GRACE:
        return _future("notified-at")
    if wanted.notified_at < found.incident.aware_at:
        return Refused("before_awareness", "found a notification from before anybody was aware of the incident")
    name = event_id("incident.notified", wanted.incident_id, wanted.whom, wanted.notified_at)
    if not _tell(tx, _told(IncidentNotified, name, wanted, now), now):
        return Refused("taken", f"that the {wanted.whom} was told then is on record already")
    return None


def close_incident(
    tx: Transaction, wanted: IncidentEnd, now: datetime, units: frozenset[str], *, not_reportable: bool
) -> Refused | None:
    """Tell the log that an incident is over; why not, or None. See `why_not_closed`."""
    found = _found(tx.connection, wanted.incident_id, units)
    if isinstance(found, Refused):
        return found
    why = why_not_closed(found, wanted.closed_at, not_reportable=not_reportable)
    if why is not None:
        return Refused("closed" if found.end else "untold", why)
    name = event_id("incident.closed", wanted.incident_id)
    if not _tell(tx, _told(IncidentClosed, name, wanted, now), now):
        return Refused("closed", f"the incident {wanted.incident_id} was closed before")
    return None


def _found(connection: Connection, incident_id: str, units: frozenset[str]) -> IncidentFile | Refused:
    found = read_incident(connection, incident_id)
    if found is None:
        return Refused(
            "unknown", "found no incident of this id in the log; what was told just now is there in a moment"
        )
    if units and found.incident.unit not in units:
        return Refused("elsewhere", "your role does not hold in this incident's unit; who has it there must do this")
    return found


def _future(what: str) -> Refused:
    return Refused("future", f"found a moment in the future as {what}; expected when it was, with its time zone")


def _told(kind: type[_E], name: str, data: Incident | Notification | IncidentEnd, now: datetime) -> _E:
    return kind(id=name, source=SOURCE, subject=data.incident_id, time=now, data=data)  # type: ignore[call-arg]  # each kind has its own default type


def _tell(tx: Transaction, event: Event, now: datetime) -> bool:
    """Whether nobody has told this yet; then it leaves by the outbox."""
    if not SqlCaseFiles().decided_first(tx, [event.id], now):
        return False
    tx.send([message_of(event)])
    return True
