"""The page of what is to come: forecasts, budgets, plans, risks, open alerts."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse

from services.cost_alerts.adapters.alerts import alert_states
from services.cost_alerts.adapters.foresight import SqlForecasts
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.risks.watching import RiskFigures
from services.cost_alerts.adapters.value import value_of
from services.cost_alerts.api.asking import LanguageText
from services.cost_alerts.web.foresight import Found, foresight
from services.cost_alerts.web.naming import system_namer, unit_namer
from services.cost_alerts.web.overview import tree
from services.shared.clock import Clock
from services.shared.periods import Month, helsinki_day
from services.shared.store import Store
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Words, preferred

Risks = Callable[[], RiskFigures | None]
"""The risks as read last; None: not yet."""


def add_foresight(router: APIRouter, store: Store, queries: LedgerQueries, clock: Clock, risks: Risks) -> None:
    """Add the page to the ledger's router."""

    @router.get("/foresight", tags=["pages"], response_class=HTMLResponse)
    def page(
        lang: LanguageText = None,
        accept_language: Annotated[str | None, Header()] = None,
    ) -> HTMLResponse:
        """Where month, year and budgets are going, what makes that uncertain, and who must act."""
        now = clock.now()
        words = Words(lang or preferred(accept_language))
        view = queries.view()
        today = helsinki_day(now)
        text = render(
            "foresight.html.jinja",
            path="/foresight",
            words=words,
            languages=LANGUAGES,
            now=now,
            shown=foresight(_found(store, queries, today, risks())),
            unit_name=unit_namer(words, view.units.defined(today)),
            system_name=system_namer(words, view.systems),
        )
        return HTMLResponse(text, headers={"content-language": words.language, "vary": "accept-language"})


def _found(store: Store, queries: LedgerQueries, today: date, risks: RiskFigures | None) -> Found:
    view, kept = queries.view(), SqlForecasts()
    with store.reading() as connection:
        forecasts, tests, alerts = kept.newest(connection), kept.tests(connection), alert_states(connection)
    return Found(
        today,
        [(unit.id, depth) for unit, depth in tree(view.units.defined(today))],
        _summed(queries.daily_costs(Month.of(today))),
        forecasts,
        queries.budgets(today),
        view.planned,
        () if risks is None else risks.risks,
        alerts,
        tests,
        value_of(store, view, Month.of(today), today),
    )


def _summed(by_unit: Mapping[str, Mapping[date, int]]) -> Mapping[date, int]:
    whole: Counter[date] = Counter()
    for days in by_unit.values():
        whole.update(days)
    return whole
