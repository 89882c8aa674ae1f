"""The ledger's page, and the same for programs: pools, days that were told again, what closed months book late."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse

from services.cost_alerts.adapters import history
from services.cost_alerts.adapters.history import Moved, Revised
from services.cost_alerts.adapters.invoices import InvoiceQueries
from services.cost_alerts.adapters.pools import PoolMonth, pools
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.restatements import restated
from services.cost_alerts.api.asking import LanguageText, MonthText, month_or_present
from services.cost_alerts.web.ledger import Found, ledger_page
from services.cost_alerts.web.naming import system_namer, unit_namer
from services.shared.clock import Clock
from services.shared.money import as_text, from_nano, nano_text
from services.shared.periods import Month, helsinki_day, timestamp
from services.shared.store import Store
from services.shared.store.tables import instant
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Words, preferred


def add_ledger(router: APIRouter, store: Store, queries: LedgerQueries, clock: Clock) -> None:
    """Add the routes to the ledger's router."""

    @router.get("/ledger", tags=["pages"], response_class=HTMLResponse)
    def page(
        month: MonthText = None,
        lang: LanguageText = None,
        accept_language: Annotated[str | None, Header()] = None,
    ) -> HTMLResponse:
        """Prepaid pools, what changed afterwards, invoices, closed months; in Finnish, Swedish or English."""
        now = clock.now()
        today = helsinki_day(now)
        wanted = month_or_present(month, today)
        words, view = Words(lang or preferred(accept_language)), queries.view()
        text = render(
            "ledger.html.jinja",
            path="/ledger",
            words=words,
            languages=LANGUAGES,
            now=now,
            earlier=wanted.previous,
            later=wanted.next if wanted < Month.of(today) else None,
            shown=ledger_page(wanted, found(store, wanted)),
            unit_name=unit_namer(words, view.units.defined(today)),
            system_name=system_namer(words, view.systems),
        )
        return HTMLResponse(text, headers={"content-language": words.language, "vary": "accept-language"})

    @router.get("/api/v1/pools", tags=["costs"])
    def prepaid(month: MonthText = None) -> dict[str, Any]:
        """Prepaid pools in a month: used, left, when they ran dry; allocated beside marginal cost by unit."""
        wanted = month_or_present(month, helsinki_day(clock.now()))
        return {"month": str(wanted), "pools": [pool_document(one) for one in pools(store, wanted)]}

    @router.get("/api/v1/revisions", tags=["costs"])
    def revisions() -> dict[str, Any]:
        """Days that a vendor or an application told again, with their cost before and after; the newest first."""
        with store.reading() as connection:
            return {"revisions": [revision_document(one) for one in history.revised(connection)]}

    @router.get("/api/v1/adjustments", tags=["costs"])
    def adjustments() -> dict[str, Any]:
        """What open months book for closed ones, by month and unit."""
        with store.reading() as connection:
            return {"adjustments": [adjustment_document(one) for one in history.moved(connection)]}


def found(store: Store, month: Month) -> Found:
    """What the page shows, asked of the ledger."""
    with store.reading() as connection:
        changed, extents = restated(connection), history.extents(connection)
        revised, moved = history.revised(connection), history.moved(connection)
    invoices = InvoiceQueries(store).reconciliations()
    return Found(pools(store, month), changed, extents, revised, invoices, history.closed_months(store), moved)


def pool_document(one: PoolMonth) -> dict[str, Any]:
    """A pool for programs; money and quantities as text, null where not known."""
    state = one.state
    return {
        "pool": one.key.removeprefix("pool:"),
        "system": one.system,
        "meter": one.meter,
        "first_day": state.first_day.isoformat(),
        "last_day": state.last_day.isoformat(),
        "size": as_text(state.size),
        "used": as_text(state.used),
        "left": as_text(state.left),
        "beyond": as_text(state.beyond),
        "price": {"amount": as_text(state.price), "currency": state.price_currency},
        "next_unit": _next_unit(one),
        "exhausted_at": None if state.exhausted_at is None else timestamp(state.exhausted_at),
        "units": {
            unit: {
                "used": as_text(use.quantity),
                "list_eur": nano_text(use.listed),
                "allocated_eur": nano_text(use.allocated),
                "marginal_eur": nano_text(use.marginal),
            }
            for unit, use in state.units.items()
        },
    }


def _next_unit(one: PoolMonth) -> Mapping[str, Any] | None:
    state = one.state
    if state.next_unit is None:
        return None
    return {"amount": as_text(from_nano(round(state.next_unit))), "currency": state.currency}


def revision_document(one: Revised) -> dict[str, Any]:
    """A day that was told again, for programs."""
    return {
        "source": one.source,
        "system": one.system,
        "day": one.day.isoformat(),
        "recorded_at": timestamp(instant(one.recorded_at)),
        "readings": one.readings,
        "before_eur": nano_text(one.before_nano),
        "after_eur": nano_text(one.after_nano),
    }


def adjustment_document(one: Moved) -> dict[str, Any]:
    """What an open month books for a closed one, for programs."""
    return {
        "booked_in": str(one.booked_in),
        "month": str(one.month),
        "unit": one.unit,
        "eur": nano_text(one.eur_nano),
    }
