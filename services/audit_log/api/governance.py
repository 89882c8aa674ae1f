"""Shares, indicators and the quarter's report, for people and programs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator, StringConstraints

from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.quarter import Quarter, read_quarter
from services.audit_log.adapters.reviews.shares import latest_months, review_shares
from services.audit_log.api.asking import AcceptLanguage, LanguageText, Text, in_language, reader_of
from services.audit_log.domain.reviews.quarter import QuarterReport
from services.audit_log.domain.reviews.sampling import SamplePeriod, parse_period, period_of
from services.audit_log.web.report import ReportPage, as_document
from services.shared.clock import Clock
from services.shared.periods import helsinki_day
from services.shared.store import Store
from services.shared.web.rendering import render
from services.shared.web.words import LANGUAGES, Words, preferred

MOST_OUTPUTS = 50_000
"""A quarter of more outputs takes longer than a browser waits: the command makes that report."""
_MONTHS = 3
_ONE_DAY = timedelta(days=1)


def quarter_of(text: str) -> SamplePeriod:
    """The quarter of this name.

    Raises:
        ValueError: it names none.
    """
    found = parse_period(text)
    if found.kind != "quarter":
        raise ValueError(f"found {text!r}; a quarter is written 2026-Q4")
    return found


def _readable(text: str | None) -> str | None:
    if text:
        quarter_of(text)
    return text or None


QuarterText = Annotated[
    # The length is of the text alone: what an empty field becomes has none.
    Annotated[str, StringConstraints(max_length=7)] | None,
    AfterValidator(_readable),
    Query(description="2026-Q4; otherwise the newest that is over"),
]


def add_governance(router: APIRouter, store: Store, reads: Reads, clock: Clock) -> None:
    """Add the routes to the log's router."""
    _add_shares(router, store, clock)
    _add_report(router, store, reads, clock)


def _add_shares(router: APIRouter, store: Store, clock: Clock) -> None:
    @router.get("/api/v1/governance/shares", tags=["reviews"])
    def shares(
        months: Annotated[int, Query(ge=1, le=36)] = _MONTHS, unit: Text = None, use_case: Text = None
    ) -> dict[str, Any]:
        """Of outputs whose review was due: how many were reviewed in time, late, or not, by month of the due time.

        `low` and `high`: Wilson's interval (95 %) of the share in time.
        """
        now = clock.now()
        with store.reading() as connection:
            found = review_shares(connection, latest_months(now, months), now)
        wanted = [one for one in found if unit in (None, one.unit) and use_case in (None, one.use_case)]
        return {"shares": [one.told() for one in wanted]}


def _add_report(router: APIRouter, store: Store, reads: Reads, clock: Clock) -> None:
    def report(request: Request, quarter: str | None) -> QuarterReport:
        now = clock.now()
        period = quarter_of(quarter) if quarter else last_quarter(clock)
        with store.reading() as connection:
            outputs = Quarter(connection, period, now).outputs()
            if outputs > MOST_OUTPUTS:
                raise HTTPException(
                    422,
                    f"found {outputs} outputs in {period.name}, more than a page can wait for ({MOST_OUTPUTS}); "
                    f"make the report with: valvomo audit report --quarter {period.name} --html FILE",
                )
            made = read_quarter(connection, period, now)
        reads.note(reader_of(request), "page", {"since": str(period.first_day), "until": str(period.last_day)}, outputs)
        return made

    @router.get("/api/v1/governance/report", tags=["reviews"])
    def report_document(request: Request, quarter: QuarterText = None) -> dict[str, Any]:
        """The quarter for the auditor: population, samples, deviations, and what could not be tested."""
        return as_document(report(request, quarter))

    @router.get("/governance/report", tags=["pages"], response_class=HTMLResponse)
    def report_page(
        request: Request, quarter: QuarterText = None, lang: LanguageText = None, accepted: AcceptLanguage = None
    ) -> HTMLResponse:
        """The same as a page to print, in three languages."""
        words = Words(lang or preferred(accepted))
        text = report_html(report(request, quarter), words, quarters=recent_quarters(clock))
        return in_language(text, words)


def report_html(made: QuarterReport, words: Words, *, quarters: Mapping[str, bool] | None = None) -> str:
    """The report as a page. `quarters`: others to choose from, and whether they are over."""
    return render(
        "report.html.jinja", words=words, languages=LANGUAGES, path="/governance/report", shown=ReportPage(made),
        report=made, quarters=quarters or {},
    )  # fmt: skip


def last_quarter(clock: Clock) -> SamplePeriod:
    """The newest quarter that is over."""
    running = period_of(helsinki_day(clock.now()), "quarter")
    return _before(running)


def recent_quarters(clock: Clock) -> dict[str, bool]:
    """The running quarter and the four before it → whether each is over."""
    period = period_of(helsinki_day(clock.now()), "quarter")
    names = {period.name: False}
    for _ in range(4):
        period = _before(period)
        names[period.name] = True
    return names


def _before(period: SamplePeriod) -> SamplePeriod:
    return period_of(period.first_day - _ONE_DAY, "quarter")
