"""Telling the log of incidents: events by the outbox, each once. What there is, the log alone says."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeVar

from sqlalchemy import Connection, select

from services.audit_log.adapters.ai_register.incident_files import read_incident
from services.audit_log.adapters.reviews.cases import SqlCaseFiles, read_rulebook
from services.audit_log.adapters.reviews.desk import with_those_below
from services.audit_log.adapters.tables import case_file
from services.audit_log.domain.ai_register.incidents import (
    IncidentFile,
    NewEnd,
    NewIncident,
    NewNotification,
    why_not_closed,
)
from services.audit_log.domain.ai_register.obligations import in_production
from services.audit_log.domain.reviews.settling import note_of
from services.audit_log.domain.telling import SOURCE
from services.audit_log.handlers import say_once
from services.shared.clock import Clock
from services.shared.events import Event, event_id
from services.shared.events.outcomes import (
    Incident,
    IncidentClosed,
    IncidentEnd,
    IncidentNotified,
    IncidentOpened,
    Notification,
)
from services.shared.periods import helsinki_day
from services.shared.store import Store

NOT_REPORTABLE = "not reportable: "
"""How the outcome of an incident begins that was closed because nobody had to be told."""

_GRACE = timedelta(minutes=5)
"""So far ahead of ours may the clock be that a moment was read from."""

_E = TypeVar("_E", bound=Event)
Reason = Literal["unknown", "elsewhere", "taken", "closed", "untold", "future", "before_awareness", "no_unit"]


class Refused(NamedTuple):
    """Why nothing was told; `sentence` for programs."""

    reason: Reason
    sentence: str


class Accepted(NamedTuple):
    """It is on its way to the log. `to_suspend`: the use case that went wrong and is in use still (Article 26(5))."""

    incident_id: str
    to_suspend: str | None = None


class Teller(NamedTuple):
    """Who tells: a person's pseudonym, a role or a token's id; the units in and below which they may (empty: all)."""

    name: str
    units: frozenset[str] = frozenset()


class IncidentDesk:
    """Where incidents are opened, told to others and closed.

    Args:
        store: the log's database.
        clock: when something was told.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def open(self, teller: Teller, wanted: NewIncident) -> Accepted | Refused:
        """Tell the log of an incident.

        Raises:
            ValueError: the words cannot stand in the log; the sentence says why, and nothing of them.
        """
        now = self._clock.now()
        with self._store.transaction() as tx:
            incident = _incident(tx.connection, wanted, teller, now)
            if isinstance(incident, Refused):
                return incident
            if wanted.aware_at > now + _GRACE:
                return _future("aware_at")
            name = event_id("incident.opened", incident.incident_id)
            known = read_incident(tx.connection, incident.incident_id) is not None
            opened = _told(IncidentOpened, name, incident, now)
            if known or not say_once(SqlCaseFiles(), tx, [opened], now):
                return Refused("taken", "an incident of this id is known already; expected an id that was never used")
            in_use = use_cases_in_use(tx.connection, now)
        return Accepted(incident.incident_id, incident.use_case if incident.use_case in in_use else None)

    def notify(self, teller: Teller, wanted: NewNotification) -> Accepted | Refused:
        """Tell the log who was told of an incident."""

        def event(found: IncidentFile, now: datetime) -> Event | Refused:
            if wanted.notified_at > now + _GRACE:
                return _future("notified_at")
            if wanted.notified_at < found.incident.aware_at:
                return Refused("before_awareness", "found a notification from before anybody knew of the incident")
            name = event_id("incident.notified", wanted.incident_id, wanted.whom, wanted.notified_at)
            data = Notification(**wanted.model_dump(), told_by=teller.name)
            return _told(IncidentNotified, name, data, now)

        return self._tell_of(wanted.incident_id, teller, event, Refused("taken", "this is on record already"))

    def close(self, teller: Teller, wanted: NewEnd) -> Accepted | Refused:
        """Tell the log that an incident is over; see `why_not_closed`.

        Raises:
            ValueError: the words cannot stand in the log; the sentence says why, and nothing of them.
        """
        outcome = note_of(f"{NOT_REPORTABLE}{wanted.outcome}" if wanted.not_reportable else wanted.outcome)

        def event(found: IncidentFile, now: datetime) -> Event | Refused:
            why = why_not_closed(found, now, not_reportable=wanted.not_reportable)
            if why is not None:
                return Refused("closed" if found.end else "untold", why)
            data = IncidentEnd(incident_id=wanted.incident_id, closed_at=now, outcome=outcome, closed_by=teller.name)
            return _told(IncidentClosed, event_id("incident.closed", wanted.incident_id), data, now)

        return self._tell_of(wanted.incident_id, teller, event, Refused("closed", "this incident was closed before"))

    def _tell_of(
        self,
        incident_id: str,
        teller: Teller,
        event_of: Callable[[IncidentFile, datetime], Event | Refused],
        known: Refused,
    ) -> Accepted | Refused:
        now = self._clock.now()
        with self._store.transaction() as tx:
            found = read_incident(tx.connection, incident_id)
            if found is None:
                return Refused("unknown", "found no incident of this id in the log; a new one is there in a moment")
            if not _reaches(tx.connection, teller, found.incident.unit):
                return _elsewhere()
            event = event_of(found, now)
            if isinstance(event, Refused):
                return event
            return Accepted(incident_id) if say_once(SqlCaseFiles(), tx, [event], now) else known


def use_cases_in_use(connection: Connection, now: datetime) -> frozenset[str]:
    """The use cases in production that nobody has suspended."""
    known = in_production(read_rulebook(connection).use_cases, helsinki_day(now))
    return frozenset(one.id for one in known if not one.is_suspended_at(now))


def _incident(connection: Connection, wanted: NewIncident, teller: Teller, now: datetime) -> Incident | Refused:
    """With what the log knows of its output or use case."""
    told = _of_output(connection, wanted.output_id) if wanted.output_id else {}
    use_case = wanted.use_case or told.get("use_case") or None
    known = next((one for one in read_rulebook(connection).use_cases if one.id == use_case), None)
    only = known.systems[0] if known and len(known.systems) == 1 else None
    unit = wanted.unit or told.get("unit") or (known.unit if known else None)
    if unit is None:
        return Refused("no_unit", "found no unit, and neither the output nor the use case tells one; expected unit")
    if not _reaches(connection, teller, unit):
        return _elsewhere()
    return Incident(
        incident_id=wanted.incident_id or f"incident-{helsinki_day(now)}-{secrets.token_hex(3)}",
        kind=wanted.kind,
        use_case=use_case,
        system=wanted.system or told.get("system") or only,
        output_id=wanted.output_id,
        unit=unit,
        aware_at=wanted.aware_at,
        what=note_of(wanted.what),
        opened_by=teller.name,
    )


def _of_output(connection: Connection, output_id: str) -> dict[str, str]:
    query = select(case_file.c.use_case, case_file.c.system, case_file.c.unit).where(case_file.c.output_id == output_id)
    row = connection.execute(query).first()
    return {name: value for name, value in row._mapping.items() if value} if row else {}  # noqa: SLF001  # so it is called


def _reaches(connection: Connection, teller: Teller, unit: str) -> bool:
    return not teller.units or unit in with_those_below(connection, teller.units)


def _elsewhere() -> Refused:
    return Refused("elsewhere", "your role does not hold in this incident's unit; who has it there must do this")


def _future(what: str) -> Refused:
    return Refused("future", f"found a moment in the future as {what}; expected when it was, with its time zone")


def _told(kind: type[_E], name: str, data: Incident | Notification | IncidentEnd, now: datetime) -> _E:
    return kind(id=name, source=SOURCE, subject=data.incident_id, time=now, data=data)  # type: ignore[call-arg]  # each kind has its own default type
