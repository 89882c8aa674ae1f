"""What AI brings for its cost, for programs."""

from typing import Any

from fastapi import APIRouter

from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.value import value_of
from services.cost_alerts.api.asking import MonthText, month_or_present
from services.cost_alerts.web.value import value_document
from services.shared.clock import Clock
from services.shared.periods import helsinki_day
from services.shared.store import Store


def add_value(router: APIRouter, store: Store, queries: LedgerQueries, clock: Clock) -> None:
    """Add the route to the ledger's router."""

    @router.get("/api/v1/value", tags=["costs"])
    def value(month: MonthText = None) -> dict[str, Any]:
        """Results of uses of AI beside their cost, twelve months; and what paid licences add to the base ones."""
        today = helsinki_day(clock.now())
        return value_document(value_of(store, queries.view(), month_or_present(month, today), today))
