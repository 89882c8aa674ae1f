"""The route that sets invoices beside the ledger."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.cost_alerts.adapters.invoices import InvoiceQueries
from services.cost_alerts.api.asking import month_asked
from services.shared.store import Store


def add_invoices(router: APIRouter, store: Store) -> None:
    """Put the route into the ledger's router."""
    queries = InvoiceQueries(store)

    @router.get("/api/v1/invoices", tags=["costs"])
    def invoices(
        month: Annotated[str | None, Query(description="YYYY-MM; default: every month that has an invoice")] = None,
    ) -> dict[str, Any]:
        """Invoices and ledger by vendor and month, with what explains the difference; as `valvomo invoices --json`."""
        return {
            "reconciliations": [
                one.document() for one in queries.reconciliations(None if month is None else month_asked(month))
            ]
        }
