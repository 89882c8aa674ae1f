"""The route that sets invoices beside the ledger."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from services.cost_alerts.adapters.invoices import InvoiceQueries
from services.shared.periods import Month
from services.shared.store import Store


def add_invoices(router: APIRouter, store: Store) -> None:
    """Put the route into the ledger's router."""
    queries = InvoiceQueries(store)

    @router.get("/api/v1/invoices", tags=["costs"])
    def invoices(
        month: Annotated[str | None, Query(description="YYYY-MM; default: every month that has an invoice")] = None,
    ) -> dict[str, Any]:
        """Invoices and ledger by vendor and month, with what explains the difference; as `valvomo invoices --json`."""
        return {"reconciliations": [one.document() for one in queries.reconciliations(_month(month))]}


def _month(text: str | None) -> Month | None:
    try:
        return None if text is None else Month.parse(text)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
