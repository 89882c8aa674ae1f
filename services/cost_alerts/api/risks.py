"""The risks to predictability, for programs: each with its figure, its limit, and what can be done."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from fastapi import APIRouter

from services.cost_alerts.adapters.risks import RiskFigures, read_risks
from services.cost_alerts.domain.risks.risk import WHAT_TO_DO, Risk
from services.cost_alerts.domain.risks.seats import IdleSeats
from services.shared.clock import Clock
from services.shared.money import nano_text
from services.shared.periods import timestamp
from services.shared.store import Store

_PLACES = 6


def add_risks(router: APIRouter, store: Store, clock: Clock) -> None:
    """Add the route to the ledger's router."""

    @router.get("/api/v1/risks", tags=["costs"])
    def risks() -> dict[str, Any]:
        """Every risk with its figure, limit and state, read from the ledger now; idle seats in three figures."""
        return risks_document(read_risks(store, clock.now()))


def risks_document(found: RiskFigures) -> dict[str, Any]:
    """The risks for programs; shares and money as text, null where not known."""
    return {
        "made_at": timestamp(found.made_at),
        "risks": [_risk(one) for one in found.risks],
        "idle_seats": _idle(found.facts.idle),
    }


def _risk(one: Risk) -> dict[str, Any]:
    return {
        "risk": one.name,
        "about": one.about or None,
        "measure": one.limit.measure,
        "figure": figure_text(one.figure),
        "near": figure_text(one.limit.near),
        "limit": figure_text(one.limit.over),
        "state": one.state,
        "eur": nano_text(one.eur_nano),
        "what_to_do": WHAT_TO_DO[one.name],
    }


def _idle(found: Sequence[IdleSeats]) -> list[dict[str, Any]]:
    return [
        {
            "system": one.system,
            "sku": one.sku,
            "idle": one.idle,
            "until": one.until.isoformat(),
            "exposed_eur": nano_text(one.exposed_nano),
            "reassignable_eur": nano_text(one.reassignable_nano),
            "reducible_eur": nano_text(one.reducible_nano),
        }
        for one in found
    ]


def figure_text(figure: Fraction | None) -> str | None:
    """A share to six decimals, as text, without noughts at its end."""
    if figure is None:
        return None
    text = f"{float(figure):.{_PLACES}f}"
    return text.rstrip("0").rstrip(".")
