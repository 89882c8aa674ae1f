"""Alerts in SQL: what was told of conditions, who acknowledged, and what sources told of their windows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.cost_alerts.adapters.tables import ACKNOWLEDGED, ALERT, COLLECTED, CROSSING
from services.cost_alerts.domain.alerts.situation import Topic
from services.cost_alerts.ports.alerts import Windows
from services.shared.events.outcomes import Acknowledgement, Condition, Crossing
from services.shared.store import Transaction
from services.shared.store.tables import instant


class SqlAlerts:
    """See `Alerts` and `Collections`."""

    def raised(self, tx: Transaction, conditions: Sequence[tuple[Condition, int]]) -> None:
        rows = [(one.alert_id, one.model_dump_json(), at) for one, at in conditions]
        tx.bulk_insert(ALERT, ("id", "body", "raised_at"), rows, ignore_conflicts=True)
        for alert_id, body, at in rows:  # one that was told to be over before
            nameless = (ALERT.c.id == alert_id, ALERT.c.raised_at.is_(None))
            tx.connection.execute(update(ALERT).where(*nameless).values(body=body, raised_at=at))

    def resolved(self, tx: Transaction, alerts: Sequence[tuple[str, int]]) -> None:
        tx.bulk_insert(ALERT, ("id", "resolved_at"), alerts, ignore_conflicts=True)
        for alert_id, at in alerts:
            here = (ALERT.c.id == alert_id, ALERT.c.resolved_at.is_(None))
            tx.connection.execute(update(ALERT).where(*here).values(resolved_at=at))

    def acknowledged(self, tx: Transaction, told: Sequence[tuple[Acknowledgement, int]]) -> int:
        rows = [(one.alert_id, one.role, one.via, at) for one, at in told]
        return tx.bulk_insert(ACKNOWLEDGED, ("alert", "role", "via", "at"), rows, ignore_conflicts=True)

    def completed(self, tx: Transaction, windows: Sequence[Windows]) -> None:
        tx.bulk_insert(COLLECTED, Windows._fields, sorted(set(windows)), ignore_conflicts=True)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who acknowledged an alert first, when, and how: `link` or `command`."""

    role: str
    via: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AlertState:
    """What was told of a condition, and what became of it. `resolved_at` None: it still holds."""

    condition: Condition
    raised_at: datetime
    resolved_at: datetime | None
    acknowledged: Acknowledged | None

    @property
    def alert_id(self) -> str:
        return self.condition.alert_id


@dataclass(frozen=True, slots=True)
class CrossingState:
    """A threshold that was told, and who acknowledged it."""

    alert_id: str
    crossing: Crossing
    raised_at: datetime
    acknowledged: Acknowledged | None


def open_alerts(connection: Connection) -> Mapping[Topic, Condition]:
    """The conditions that were told and are not over; of two about the same, the later one."""
    query = select(ALERT.c.body).where(ALERT.c.resolved_at.is_(None), ALERT.c.raised_at.is_not(None))
    rows = connection.execute(query.order_by(ALERT.c.raised_at, ALERT.c.id))
    conditions = [Condition.model_validate_json(row.body) for row in rows]
    return {(one.kind, one.about): one for one in conditions}


def told_alerts(connection: Connection) -> Collection[str]:
    """The ids of all alerts that were raised, and of those that are known to be over."""
    return set(connection.execute(select(ALERT.c.id)).scalars())


def alert_states(connection: Connection, *, also_over: bool = False) -> Sequence[AlertState]:
    """The alerts that are open (`also_over`: and those that were), newest first."""
    query = _alerts().order_by(ALERT.c.raised_at.desc(), ALERT.c.id)
    if not also_over:
        query = query.where(ALERT.c.resolved_at.is_(None))
    return [_state(row) for row in connection.execute(query)]


def alerts_named(connection: Connection, name: str) -> Sequence[AlertState | CrossingState]:
    """The alerts and crossings whose id begins with `name`."""
    alerts = connection.execute(_alerts().where(ALERT.c.id.startswith(name, autoescape=True)).order_by(ALERT.c.id))
    crossings = connection.execute(
        _crossings().where(CROSSING.c.id.startswith(name, autoescape=True)).order_by(CROSSING.c.id)
    )
    return [*map(_state, alerts), *map(_crossing_state, crossings)]


def alert_of(connection: Connection, alert_id: str) -> AlertState | CrossingState | None:
    """The alert or crossing of this id."""
    found = connection.execute(_alerts().where(ALERT.c.id == alert_id)).first()
    if found is not None:
        return _state(found)
    crossing = connection.execute(_crossings().where(CROSSING.c.id == alert_id)).first()
    return None if crossing is None else _crossing_state(crossing)


def crossing_states(connection: Connection) -> Sequence[CrossingState]:
    """Every crossing that was told, newest first."""
    rows = connection.execute(_crossings().order_by(CROSSING.c.decided_at.desc(), CROSSING.c.id))
    return [_crossing_state(row) for row in rows]


_WHO = (ACKNOWLEDGED.c.role, ACKNOWLEDGED.c.via, ACKNOWLEDGED.c.at)


def _alerts() -> Any:  # noqa: ANN401  # a select
    joined = ALERT.outerjoin(ACKNOWLEDGED, ACKNOWLEDGED.c.alert == ALERT.c.id)
    return (
        select(ALERT.c.body, ALERT.c.raised_at, ALERT.c.resolved_at, *_WHO)
        .select_from(joined)
        .where(ALERT.c.raised_at.is_not(None))
    )


def _crossings() -> Any:  # noqa: ANN401  # a select
    joined = CROSSING.outerjoin(ACKNOWLEDGED, ACKNOWLEDGED.c.alert == CROSSING.c.id)
    return select(CROSSING.c.id, CROSSING.c.body, CROSSING.c.decided_at, *_WHO).select_from(joined)


def _state(row: Row[Any]) -> AlertState:
    over = None if row.resolved_at is None else instant(row.resolved_at)
    return AlertState(Condition.model_validate_json(row.body), instant(row.raised_at), over, _acknowledged(row))


def _crossing_state(row: Row[Any]) -> CrossingState:
    return CrossingState(row.id, Crossing.model_validate_json(row.body), instant(row.decided_at), _acknowledged(row))


def _acknowledged(row: Row[Any]) -> Acknowledged | None:
    return None if row.role is None else Acknowledged(row.role, row.via, instant(row.at))
