"""The ledger's routes: the page that people open first, and costs for scripts."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import HTMLResponse

from services.cost_alerts.adapters.overview import sendings, unpriced_use
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.api.asking import LanguageText, MonthText, month_or_present
from services.cost_alerts.domain.report import Basis, By
from services.cost_alerts.web.naming import system_namer, unit_namer
from services.cost_alerts.web.overview import Found, overview
from services.shared.clock import Clock
from services.shared.periods import Month, helsinki_day
from services.shared.store import Store
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Words, preferred

_SHOWN_ALERTS = 20


def add_overview(router: APIRouter, store: Store, queries: LedgerQueries, clock: Clock) -> None:
    """The first page, and what it is made of."""
    _add_page(router, store, queries, clock)
    _add_costs(router, queries, clock)


def _add_page(router: APIRouter, store: Store, queries: LedgerQueries, clock: Clock) -> None:
    @router.get("/", tags=["pages"], response_class=HTMLResponse)
    def page(
        month: MonthText = None,
        lang: LanguageText = None,
        accept_language: Annotated[str | None, Header()] = None,
    ) -> HTMLResponse:
        """Units with cost, budget, run-rate outlook and open findings; in Finnish, Swedish or English."""
        now = clock.now()
        today = helsinki_day(now)
        wanted = month_or_present(month, today)
        words = Words(lang or preferred(accept_language))
        shown = overview(wanted, today, _found(store, queries, wanted, today))
        text = render(
            "overview.html.jinja",
            path="/",
            words=words,
            languages=LANGUAGES,
            now=now,
            is_past=wanted < Month.of(today),
            earlier=wanted.previous,
            later=wanted.next if wanted < Month.of(today) else None,
            shown=shown,
            alerts=shown.alerts[:_SHOWN_ALERTS],
            unit_name=unit_namer(words, (line.unit for line in shown.units if line.unit is not None)),
            system_name=system_namer(words, queries.view().systems),
        )
        return HTMLResponse(text, headers={"content-language": words.language, "vary": "accept-language"})


def _found(store: Store, queries: LedgerQueries, month: Month, today: date) -> Found:
    return Found(
        queries.view().units,
        queries.daily_costs(month),
        queries.month_costs(month),
        queries.budgets(today),
        queries.findings_open(),
        unpriced_use(store, month),
        queries.crossings(),
        sendings(store),
    )


def _add_costs(router: APIRouter, queries: LedgerQueries, clock: Clock) -> None:
    @router.get("/api/v1/costs", tags=["costs"])
    def costs(
        month: MonthText = None,
        by: By = "unit",
        basis: Basis = "booked",
        as_known_on: Annotated[date | None, Query(description="as it was known at the end of that day")] = None,
    ) -> dict[str, Any]:
        """A month's cost, exact; the same document as `valvomo report --format json`."""
        wanted = month_or_present(month, helsinki_day(clock.now()))
        return queries.report(wanted, by=by, basis=basis, as_known_on=as_known_on).document()
