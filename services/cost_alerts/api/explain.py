"""The routes from a figure to its charges, and from a charge to all that is behind it."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from services.cost_alerts.adapters.explain import Explainer, NotFoundError
from services.cost_alerts.adapters.explaining.finding import Asked
from services.cost_alerts.api.asking import month_asked
from services.cost_alerts.domain.report import Basis
from services.shared.store import Store

_MOST = 1_000


def add_explain(router: APIRouter, store: Store) -> None:
    """Add the routes to the ledger's router. Nobody's pseudonym is told here, and no entry of the audit log."""
    explainer = Explainer(store)

    @router.get("/api/v1/charges", tags=["costs"])
    def charges(
        month: Annotated[str, Query(description="YYYY-MM, counted in Helsinki")],
        *,
        unit: str | None = None,
        system: str | None = None,
        meter: str | None = None,
        day: date | None = None,
        basis: Basis = "booked",
        skip: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 20,
    ) -> dict[str, Any]:
        """What a figure of a report is made of, the charges of the most euro first, with their ids."""
        return explainer.figure(Asked(month_asked(month), basis, unit, system, meter, day), skip=skip, limit=limit)

    @router.get("/api/v1/charges/explain", tags=["costs"])
    def explain(
        charge: Annotated[str, Query(description="a charge's id, or at least six letters of how it begins")],
    ) -> dict[str, Any]:
        """A charge's arithmetic, payer, versions and documents; `valvomo ledger explain` tells its log entries too."""
        try:
            return explainer.charge(charge).document
        except NotFoundError as error:
            raise HTTPException(404, str(error)) from None
