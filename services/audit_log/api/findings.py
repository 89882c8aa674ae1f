"""Findings for people and programs: listed, counted, settled."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.findings import (
    Refusal,
    WantedFindings,
    count_findings,
    count_open,
    find_findings,
    settle,
    told,
)
from services.audit_log.adapters.reviews.shares import latest_months, review_shares
from services.audit_log.api.asking import (
    LARGEST,
    AcceptLanguage,
    EmptyIsNone,
    LanguageText,
    Limit,
    Plain,
    Text,
    html,
    reader_of,
)
from services.audit_log.domain.reviews.settling import Settlement, note_of
from services.audit_log.web.findings import FindingsPage
from services.shared.access import LOOKING_AT_PEOPLE, Holder, NotAllowedError, Role
from services.shared.clock import Clock
from services.shared.events.outcomes import FindingKind
from services.shared.http import check_token_header, form_of, holder_of, person_of
from services.shared.store import Store
from services.shared.web.words import Words, preferred

_PAGE = 50
_MONTHS = 3
_JUDGES: tuple[Role, ...] = ("auditor", "admin")
_LONGEST_AGE = 36_500
_LONGEST_ID = 192
_WRONG_NOTE = "finding_note_wrong"
_REFUSAL_TEXTS: Mapping[Refusal, str] = {
    "unknown": "finding_refused_unknown",
    "elsewhere": "finding_refused_elsewhere",
    "own": "finding_refused_own",
    "closed": "finding_refused_closed",
    "early": "finding_refused_early",
}
TOLD = (_WRONG_NOTE, *_REFUSAL_TEXTS.values())
"""The names of the texts that say on the page why something was not done."""
_REFUSALS: Mapping[Refusal, tuple[int, str]] = {
    "unknown": (404, "found no finding of this id; GET /api/v1/findings lists them"),
    "elsewhere": (403, "your role does not hold in this finding's unit; who has it there must settle it"),
    "own": (403, "you asked for this output, used it or reviewed it; somebody else must settle what was found"),
    "closed": (409, "this finding is closed already; what closed it first stands"),
    "early": (503, "the log is still catching up; try again when /api/v1/status says that it has"),
}


After = Annotated[int, Query(ge=-1, le=LARGEST)]


class Asked(BaseModel):
    """What a request looks for; all of it must hold. A form sends its empty fields, too."""

    model_config = ConfigDict(frozen=True)

    state: Literal["open", "closed", "all"] | None = None
    kind: FindingKind | None = None
    severity: Literal["note", "warning", "severe"] | None = None
    unit: str | None = None
    use_case: str | None = None
    system: str | None = None
    output: str | None = None
    older_than: int | None = None

    def given(self) -> dict[str, str]:
        """The parameters that say the same again."""
        return {name: str(value) for name, value in self.model_dump(exclude_none=True).items()}


def asked_of(  # noqa: PLR0917  # FastAPI asks by name
    state: Annotated[Literal["open", "closed", "all"] | None, EmptyIsNone, Query()] = None,
    kind: Annotated[FindingKind | None, EmptyIsNone, Query()] = None,
    severity: Annotated[Literal["note", "warning", "severe"] | None, EmptyIsNone, Query()] = None,
    unit: Text = None,
    use_case: Text = None,
    system: Text = None,
    output: Text = None,
    older_than: Annotated[
        Annotated[int, Field(ge=0, le=_LONGEST_AGE)] | None,
        EmptyIsNone,
        Query(description="days since it was detected, at least"),
    ] = None,
) -> Asked:
    """The filters of a request."""
    return Asked(
        state=state, kind=kind, severity=severity, unit=unit, use_case=use_case, system=system, output=output,
        older_than=older_than,
    )  # fmt: skip


Filters = Annotated[Asked, Depends(asked_of)]


class SettleRequest(BaseModel):
    """Who has looked into a finding says so: the note says what was found, without names."""

    model_config = ConfigDict(extra="forbid")

    finding_id: Plain
    note: Annotated[str, Field(max_length=2_000)]


class FindingRoutes:
    """The routes over one store.

    Args:
        store: the log's database.
        reads: is told who looked at what.
        clock: for ages, and when something was settled.
        may_decide: whether all that the bus held at the first start was read.
    """

    def __init__(self, store: Store, reads: Reads, clock: Clock, may_decide: Callable[[Connection], bool]) -> None:
        self._store, self._reads, self._clock, self._may_decide = store, reads, clock, may_decide

    def wanted(self, asked: Asked) -> WantedFindings:
        """The filter that the database understands."""
        since = None if asked.older_than is None else self._clock.now() - timedelta(days=asked.older_than)
        return WantedFindings(
            kind=asked.kind, severity=asked.severity, unit=asked.unit, use_case=asked.use_case, system=asked.system,
            output=asked.output, still_open={"open": True, "closed": False}.get(asked.state or ""), older_than=since,
        )  # fmt: skip

    def listed(self, request: Request, asked: Asked, after: int, limit: int) -> dict[str, Any]:
        """A page of findings for programs."""
        with self._store.reading() as connection:
            rows = find_findings(connection, self.wanted(asked), after=after, limit=limit)
        self._reads.note(reader_of(request), "findings", asked.given(), len(rows))
        following = rows[-1].opened_seq if len(rows) == limit else None
        with_persons = bool(LOOKING_AT_PEOPLE & holder_of(request).roles)
        return {"findings": [told(row, with_persons=with_persons) for row in rows], "next": following}

    def settle(self, holder: Holder, finding_id: str, note: str) -> Refusal | None:
        """Close a finding by a person's word."""
        settlement = Settlement(finding_id, note_of(note), holder.person or holder.token_id)
        now = self._clock.now()
        with self._store.transaction() as tx:
            if not self._may_decide(tx.connection):
                return "early"
            return settle(tx, settlement, now, units=holder.units)

    def page(
        self, request: Request, asked: Asked, after: int, words: Words, *, wrong: str | None = None, done: bool = False
    ) -> HTMLResponse:
        """The page; `wrong`: the name of the text that says why something was not done."""
        now = self._clock.now()
        asked = asked if asked.state else asked.model_copy(update={"state": "open"})
        with self._store.reading() as connection:
            wanted = self.wanted(asked)
            rows = find_findings(connection, wanted, after=after, limit=_PAGE + 1)
            found = count_findings(connection, wanted)
            counts = count_open(connection, now)
            shares = review_shares(connection, latest_months(now, _MONTHS), now)
        self._reads.note(reader_of(request), "page", asked.given(), len(rows[:_PAGE]))
        shown = FindingsPage(counts, [told(row, with_persons=False) for row in rows[:_PAGE]], shares, now=now)
        following = {**asked.given(), "after": str(rows[_PAGE - 1].opened_seq)} if len(rows) > _PAGE else None
        return html(
            "findings.html.jinja", words, 422 if wrong else 200, path="/findings", shown=shown, given=asked.given(),
            found=found, form_token=_form_token(request), older=following, wrong=wrong, done=done,
        )  # fmt: skip


def _judge(request: Request) -> Holder:
    """Who asks by a program, with the units in which they may settle: those of another role do not count.

    Raises:
        NotAllowedError: they may not settle, or the request does not prove that it comes from our page (403).
    """
    check_token_header(request)
    holder = holder_of(request)
    if not holder.roles & set(_JUDGES):
        raise NotAllowedError(f"settling needs one of: {' or '.join(_JUDGES)}", 403)
    return person_of(request, *_JUDGES) if holder.person else holder


def _comparable(text: str) -> str:
    """What a database can compare; any other text is the id of no finding."""
    return text if len(text) <= _LONGEST_ID and text.isprintable() else ""


def _form_token(request: Request) -> str | None:
    """What the forms of who may settle must bring; None: this reader may not."""
    try:
        return person_of(request, *_JUDGES).form_token
    except NotAllowedError:
        return None


def add_findings(
    router: APIRouter, store: Store, reads: Reads, clock: Clock, may_decide: Callable[[Connection], bool]
) -> None:
    """Add the routes to the log's router."""
    routes = FindingRoutes(store, reads, clock, may_decide)
    _add_for_programs(router, routes)
    _add_for_people(router, routes)


def _add_for_programs(router: APIRouter, routes: FindingRoutes) -> None:
    @router.get("/api/v1/findings", tags=["reviews"])
    def findings(request: Request, asked: Filters, after: After = -1, limit: Limit = 100) -> dict[str, Any]:
        """Findings in the order in which they were opened; `next` is the `after` of the next page."""
        return routes.listed(request, asked, after, limit)

    @router.post("/api/v1/findings/settle", tags=["reviews"], status_code=202)
    def settle_one(request: Request, told_us: SettleRequest) -> dict[str, str]:
        """Close a finding, because its caller (an auditor or administrator) has looked into it and says so.

        Accepted: the finding is closed when the log holds the word, within seconds. What closes it first stands.
        """
        try:
            refusal = routes.settle(_judge(request), told_us.finding_id, told_us.note)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        if refusal:
            raise HTTPException(*_REFUSALS[refusal])
        return {"finding_id": told_us.finding_id, "state": "accepted"}


def _add_for_people(router: APIRouter, routes: FindingRoutes) -> None:
    @router.get("/findings", tags=["pages"], response_class=HTMLResponse)
    def findings_page(  # noqa: PLR0917  # FastAPI asks by name
        request: Request,
        asked: Filters,
        after: After = -1,
        lang: LanguageText = None,
        accepted: AcceptLanguage = None,
        settled: Annotated[bool | None, Query()] = None,
    ) -> HTMLResponse:
        """Open findings by kind, unit and age; a list with filters; the share reviewed; in three languages."""
        return routes.page(request, asked, after, Words(lang or preferred(accepted)), done=bool(settled))

    @router.post("/findings/settle", tags=["pages"], response_model=None)
    async def settle_on_page(
        request: Request, lang: LanguageText = None, accepted: AcceptLanguage = None
    ) -> HTMLResponse | RedirectResponse:
        """An auditor or administrator closes a finding with a note; back to the page of findings."""
        holder = person_of(request, *_JUDGES)
        form = await form_of(request)
        words = Words(lang or preferred(accepted))
        try:
            refusal = await run_in_threadpool(
                routes.settle, holder, _comparable(form.get("finding_id", "")), form.get("note", "")
            )
        except ValueError:
            return await run_in_threadpool(routes.page, request, Asked(), -1, words, wrong=_WRONG_NOTE)
        if refusal:
            return await run_in_threadpool(routes.page, request, Asked(), -1, words, wrong=_REFUSAL_TEXTS[refusal])
        return RedirectResponse(f"/findings?lang={words.language}&settled=true", 303)
