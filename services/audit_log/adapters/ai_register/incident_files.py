"""Incidents as the log has them: folded from its entries, and read."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from services.audit_log.adapters.tables import incident
from services.audit_log.domain.ai_register.incidents import IncidentFile
from services.shared.events.outcomes import (
    Incident,
    IncidentClosed,
    IncidentEnd,
    IncidentNotified,
    IncidentOpened,
    Notification,
)
from services.shared.store import Transaction


def list_incidents(connection: Connection, *, still_open: bool | None = None) -> list[IncidentFile]:
    """Incidents, those opened last before the others."""
    query = select(incident).order_by(incident.c.opened_seq.desc())
    if still_open is not None:
        query = query.where(incident.c.closed_seq.is_(None) if still_open else incident.c.closed_seq.is_not(None))
    return [_file(row) for row in connection.execute(query)]


def read_incident(connection: Connection, incident_id: str) -> IncidentFile | None:
    """One incident, as the log has it."""
    row = connection.execute(select(incident).where(incident.c.incident_id == incident_id)).first()
    return _file(row) if row else None


def fold_incident(tx: Transaction, index: int, event: IncidentOpened | IncidentNotified | IncidentClosed) -> None:
    """What entry `index` says about an incident. The first opening and the first closing stand.

    What is told of an incident that nobody opened stays an entry and has no other effect.
    """
    known = tx.connection.execute(select(incident).where(incident.c.incident_id == event.data.incident_id)).first()
    same = update(incident).where(incident.c.incident_id == event.data.incident_id)
    if isinstance(event, IncidentOpened):
        if known is None:
            tx.connection.execute(insert(incident).values(_row(event.data, index)))
    elif isinstance(event, IncidentNotified):
        if known is not None:
            notified = [*json.loads(known.notified), event.data.model_dump(mode="json")]
            tx.connection.execute(same.values(notified=json.dumps(notified)))
    elif known is not None and known.closed_seq is None:
        tx.connection.execute(same.values(closed_seq=index, closed=event.data.model_dump_json()))


def _row(opened: Incident, index: int) -> dict[str, Any]:
    return {
        "incident_id": opened.incident_id, "unit": opened.unit, "aware_at": opened.aware_at, "opened_seq": index,
        "opened": opened.model_dump_json(), "notified": "[]",
    }  # fmt: skip


def _file(row: Any) -> IncidentFile:  # noqa: ANN401  # a row of the table
    notified: Sequence[Any] = json.loads(row.notified)
    return IncidentFile(
        Incident.model_validate_json(row.opened),
        tuple(Notification.model_validate(one) for one in notified),
        IncidentEnd.model_validate_json(row.closed) if row.closed else None,
        row.opened_seq,
        row.closed_seq,
    )
