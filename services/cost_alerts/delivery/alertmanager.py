"""What an Alertmanager is told: the alerts that are open, in SQL; and how it is told, over HTTP."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection

from services.cost_alerts.adapters.alerts import CrossingState, alert_states, crossing_states
from services.cost_alerts.adapters.budgets import budget_states
from services.cost_alerts.delivery.posting import Poster
from services.cost_alerts.domain.alerts.letter import Briefing, Letter
from services.cost_alerts.domain.alerts.movers import named_system, named_unit
from services.cost_alerts.domain.view import View
from services.shared.clock import Clock
from services.shared.periods import helsinki_day
from services.shared.store import Store

_HEADERS = {"content-type": "application/json"}


class OpenAlerts:
    """Conditions that are not resolved, and the most advanced crossing of each budget's present count.

    A crossing is open from its telling until a role acknowledges it, the budget's year ends or a new count begins.
    """

    def __init__(self, store: Store, view: Callable[[], View], clock: Clock) -> None:
        self._store, self._view, self._clock = store, view, clock

    def __call__(self) -> Sequence[Letter]:
        view, today = self._view(), helsinki_day(self._clock.now())
        with self._store.reading() as connection:
            return [*_crossings(connection, view, today), *_conditions(connection, view, today)]


def _crossings(connection: Connection, view: View, today: date) -> Iterator[Letter]:
    epochs = {(one.budget.id, one.budget.period): one.epoch for one in budget_states(connection, view, today)}
    counting = [
        one
        for one in crossing_states(connection)
        if one.crossing.spoken and one.crossing.period == today.year and one.crossing.epoch == epochs.get(_of(one))
    ]
    highest = {
        (one.crossing.budget, one.crossing.measure): one
        for one in sorted(counting, key=lambda one: (one.crossing.threshold, one.alert_id))
    }
    for one in highest.values():
        if one.acknowledged is None:
            briefing = Briefing(unit=named_unit(view, one.crossing.unit, today), system=None)
            yield Letter(alert_id=one.alert_id, decided_at=one.raised_at, crossing=one.crossing, briefing=briefing)


def _of(state: CrossingState) -> tuple[str, int]:
    return state.crossing.budget, state.crossing.period


def _conditions(connection: Connection, view: View, today: date) -> Iterator[Letter]:
    for one in reversed(alert_states(connection)):
        condition = one.condition
        briefing = Briefing(
            unit=None if condition.unit is None else named_unit(view, condition.unit, today),
            system=None if condition.system is None else named_system(view, condition.system),
            lasts_until=condition.until if condition.kind == "pool_running_dry" else None,
        )
        yield Letter(alert_id=one.alert_id, decided_at=one.raised_at, condition=condition, briefing=briefing)


def poster(url: SecretStr, to: Poster) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """Hand alerts to the Alertmanager whose base address this is."""
    address = SecretStr(f"{url.get_secret_value().rstrip('/')}/api/v2/alerts")

    def post(alerts: Sequence[Mapping[str, Any]]) -> None:
        to.post(address, json.dumps(alerts, ensure_ascii=False).encode(), _HEADERS)

    return post
