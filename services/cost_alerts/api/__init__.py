"""The ledger's routes: pages for people, and what scripts ask."""

from fastapi import APIRouter

from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.api.alerts import add_alerts
from services.cost_alerts.api.budgets import add_budgets
from services.cost_alerts.api.explain import add_explain
from services.cost_alerts.api.forecasts import add_forecasts
from services.cost_alerts.api.foresight import Risks, add_foresight
from services.cost_alerts.api.history import add_history
from services.cost_alerts.api.invoices import add_invoices
from services.cost_alerts.api.ledger import add_ledger
from services.cost_alerts.api.overview import add_overview
from services.cost_alerts.api.risks import add_risks
from services.cost_alerts.api.value import add_value
from services.shared.clock import Clock
from services.shared.store import Store


def make_router(store: Store, queries: LedgerQueries, clock: Clock, risks: Risks) -> APIRouter:
    """The routes over the ledger's database. `risks`: as they were read last."""
    router = APIRouter()
    add_overview(router, store, queries, clock)
    add_foresight(router, store, queries, clock, risks)
    add_budgets(router, queries, clock)
    add_forecasts(router, store)
    add_alerts(router, store, queries, clock)
    add_ledger(router, store, queries, clock)
    add_invoices(router, store)
    add_history(router, store)
    add_explain(router, store)
    add_risks(router, store, clock)
    add_value(router, store, queries, clock)
    return router
