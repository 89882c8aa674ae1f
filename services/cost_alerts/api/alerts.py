"""The routes on alerts: what was told and what became of it, and the page on which a role acknowledges one."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from services.cost_alerts.adapters.alerts import (
    Acknowledged,
    AlertState,
    CrossingState,
    SqlAlerts,
    alert_of,
    alert_states,
    crossing_states,
)
from services.cost_alerts.adapters.keys import acknowledgement_key
from services.cost_alerts.adapters.overview import sendings
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.domain.alerts.acknowledging import PATH, is_token, link_path
from services.cost_alerts.handlers.acknowledging import acknowledge
from services.cost_alerts.web.acknowledging import acknowledging_page, refused_page
from services.cost_alerts.web.overview import AlertLine, alert_lines
from services.shared.clock import Clock
from services.shared.events.outcomes import Acknowledgement
from services.shared.money import as_text
from services.shared.periods import helsinki_day, timestamp
from services.shared.store import Store
from services.shared.web.words import Language, Words, preferred

_MOST_CHARACTERS = 256


def add_alerts(router: APIRouter, store: Store, queries: LedgerQueries, clock: Clock) -> None:
    """Add the routes to the ledger's router."""
    _add_for_programs(router, store, queries)
    _add_acknowledging(router, store, queries, clock)


def _add_for_programs(router: APIRouter, store: Store, queries: LedgerQueries) -> None:
    @router.get("/api/v1/alerts", tags=["costs"])
    def alerts(
        state: Annotated[
            Literal["open", "all"], Query(description="of the conditions: what holds now, or all")
        ] = "all",
    ) -> dict[str, Any]:
        """Thresholds that were passed (`alerts`) and conditions that somebody should act on, each newest first."""
        lines = alert_lines(queries.crossings(), sendings(store))
        with store.reading() as connection:
            conditions = alert_states(connection, also_over=state == "all")
            seen = {one.alert_id: one.acknowledged for one in crossing_states(connection)}
        return {
            "alerts": [crossing_line(one, seen.get(one.decided.alert_id)) for one in lines],
            "conditions": [alert_document(one) for one in conditions],
        }

    @router.get("/api/v1/alerts/{alert_id}", tags=["costs"])
    def alert(alert_id: str) -> dict[str, Any]:
        """One alert: a threshold that was passed, or a condition."""
        with store.reading() as connection:
            found = alert_of(connection, alert_id[:_MOST_CHARACTERS])
        if found is None:
            raise HTTPException(404, "found no alert of this id; GET /api/v1/alerts lists them all with their ids")
        return document_of(found)


class _Link(BaseModel):
    """What the link of a message carries."""

    alert: str = Field(max_length=_MOST_CHARACTERS)
    role: str = Field(max_length=_MOST_CHARACTERS)
    token: str = Field(max_length=_MOST_CHARACTERS)
    lang: Language | None = None


def _add_acknowledging(router: APIRouter, store: Store, queries: LedgerQueries, clock: Clock) -> None:
    key = acknowledgement_key(store)

    def page(link: _Link, accept_language: str | None, *, acknowledges: bool) -> HTMLResponse:
        found = _found(store, key, link)
        if found is None:
            return HTMLResponse(refused_page(), HTTPStatus.FORBIDDEN)
        now = clock.now()
        if acknowledges:
            told = Acknowledgement(alert_id=found.alert_id, role=link.role, via="link")
            acknowledge(store, SqlAlerts(), told, now)
            found = _found(store, key, link) or found
        words = Words(link.lang or preferred(accept_language))
        action = f"/{link_path(key, link.alert, link.role)}"
        text = acknowledging_page(words, found, link.role, queries.view(), today=helsinki_day(now), action=action)
        return HTMLResponse(text, headers={"content-language": words.language, "vary": "accept-language"})

    @router.get(PATH, tags=["pages"], response_class=HTMLResponse)
    def look(
        link: Annotated[_Link, Depends()], accept_language: Annotated[str | None, Header()] = None
    ) -> HTMLResponse:
        """What the alert is about, and a button. Looking changes nothing: programs follow links in mails."""
        return page(link, accept_language, acknowledges=False)

    @router.post(PATH, tags=["pages"], response_class=HTMLResponse)
    def press(
        link: Annotated[_Link, Depends()], accept_language: Annotated[str | None, Header()] = None
    ) -> HTMLResponse:
        """The role acknowledges the alert; the first one counts."""
        return page(link, accept_language, acknowledges=True)


def _found(store: Store, key: bytes, link: _Link) -> AlertState | CrossingState | None:
    """The alert of a link; None when the link was not made for this role by us."""
    if not is_token(key, link.alert, link.role, link.token):
        return None
    with store.reading() as connection:
        return alert_of(connection, link.alert)


def document_of(found: AlertState | CrossingState) -> dict[str, Any]:
    """An alert or a crossing, for programs."""
    return alert_document(found) if isinstance(found, AlertState) else crossing_document(found)


def alert_document(state: AlertState) -> dict[str, Any]:
    """A condition that was told, for programs; figures as text, null where not known."""
    found = state.condition
    return {
        "alert_id": found.alert_id,
        "kind": found.kind,
        "severity": found.severity,
        "state": "open" if state.resolved_at is None else "over",
        "unit": found.unit,
        "system": found.system,
        "about": found.about,
        "since": found.since.isoformat(),
        "until": None if found.until is None else found.until.isoformat(),
        "figures": {name: as_text(value) for name, value in found.figures.items()},
        "recipients": list(found.recipients),
        "raised_at": timestamp(state.raised_at),
        "resolved_at": None if state.resolved_at is None else timestamp(state.resolved_at),
        "acknowledged": _acknowledged(state.acknowledged),
    }


def crossing_document(state: CrossingState) -> dict[str, Any]:
    """A threshold that was passed, for programs."""
    crossing = state.crossing
    return {
        "alert_id": state.alert_id,
        "kind": "threshold_crossed",
        "measure": crossing.measure,
        "budget": crossing.budget,
        "unit": crossing.unit,
        "period": crossing.period,
        "threshold": as_text(crossing.threshold),
        "used_eur": as_text(crossing.used_eur),
        "amount_eur": as_text(crossing.amount_eur),
        "decided_at": timestamp(state.raised_at),
        "spoken": crossing.spoken,
        "recipients": list(crossing.recipients),
        "acknowledged": _acknowledged(state.acknowledged),
    }


def crossing_line(line: AlertLine, acknowledged: Acknowledged | None) -> dict[str, Any]:
    """A crossing with what became of its messages."""
    decided = line.decided
    state = CrossingState(decided.alert_id, decided.crossing, decided.decided_at, acknowledged)
    messages = {"sent": line.sent, "waiting": line.waiting, "given_up": line.given_up}
    return {**crossing_document(state), "messages": messages}


def _acknowledged(found: Acknowledged | None) -> Mapping[str, str] | None:
    return None if found is None else {"role": found.role, "via": found.via, "at": timestamp(found.at)}
