"""The page behind the link of a message: what the alert is about, and one button."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from services.cost_alerts.adapters.alerts import AlertState, CrossingState
from services.cost_alerts.domain.alerts.letter import Briefing, Letter
from services.cost_alerts.domain.alerts.movers import named_system, named_unit
from services.cost_alerts.domain.view import View
from services.cost_alerts.web.letters.telling import Links, tell
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Words


def acknowledging_page(
    words: Words, state: AlertState | CrossingState, role: str, view: View, *, today: date, action: str
) -> str:
    """The page for a role. `action`: where the button leads, the token in it."""
    told = tell(_letter(state, view, today), role, words.language, Links("/"))
    shown: Mapping[str, Any] = {
        "subject": told.subject,
        "lead": told.lead,
        "facts": told.facts,
        "raised_at": state.raised_at,
        "over_at": _over_at(state),
        "done": state.acknowledged,
    }
    return render("acknowledge.html.jinja", words=words, languages=LANGUAGES, role=role, action=action, **shown)


def refused_page() -> str:
    """For whoever holds no such link; in all languages, since nobody knows who it is."""
    return render("refused.html.jinja", all=[Words(language) for language in LANGUAGES])


def _letter(state: AlertState | CrossingState, view: View, today: date) -> Letter:
    if isinstance(state, CrossingState):
        briefing = Briefing(unit=named_unit(view, state.crossing.unit, today), system=None)
        return Letter(alert_id=state.alert_id, decided_at=state.raised_at, crossing=state.crossing, briefing=briefing)
    found = state.condition
    unit = None if found.unit is None else named_unit(view, found.unit, today)
    system = None if found.system is None else named_system(view, found.system)
    briefing = Briefing(unit=unit, system=system)
    return Letter(alert_id=found.alert_id, decided_at=state.raised_at, condition=found, briefing=briefing)


def _over_at(state: AlertState | CrossingState) -> datetime | None:
    return state.resolved_at if isinstance(state, AlertState) else None
