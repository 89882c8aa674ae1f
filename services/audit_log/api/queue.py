"""The queue of outputs that wait for review: a page, and the same for programs."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.cases import read_rulebook
from services.audit_log.adapters.reviews.desk import read_units
from services.audit_log.adapters.reviews.queue import Item, Page, Wanted, count, read_page
from services.audit_log.api.asking import AcceptLanguage, LanguageText, Limit, html, reader_of
from services.audit_log.domain.reviews.duty import RISK_CLASSES, Rulebook
from services.audit_log.domain.reviews.hurdles import Remit, remit_of
from services.audit_log.web.reviewing import (
    FIELDS,
    WAITING,
    Asked,
    You,
    asked_in,
    choices_of,
    lines_of,
    names_of,
    next_of,
)
from services.shared.access import NotAllowedError
from services.shared.answers import SIGN_IN
from services.shared.clock import Clock
from services.shared.http import holder_of, person_of
from services.shared.periods import helsinki_day, timestamp
from services.shared.store import Store
from services.shared.web.words import Words, preferred

_LINES = 50
_NOTHING = Remit(frozenset(), frozenset())
_KNOWN = frozenset({*FIELDS, "limit"})


def add_queue(router: APIRouter, store: Store, reads: Reads, clock: Clock) -> None:
    """Add the queue's routes to the log's router."""

    @router.get("/reviews", tags=["pages"], response_class=HTMLResponse)
    def queue_page(
        request: Request,
        done: Annotated[int, Query(ge=0, le=10_000)] = 0,
        lang: LanguageText = None,
        accepted: AcceptLanguage = None,
    ) -> HTMLResponse:
        """What waits for a person, by its due time, with the words that say what is late."""
        now, words = clock.now(), Words(lang or preferred(accepted))
        with store.reading() as connection:
            rules = read_rulebook(connection)
            you = you_of(request, rules, now)
            asked = asked_in(request.query_params, you.remit)
            told = asked or Asked({}, Wanted(), None)
            page, counts = read_page(connection, told.wanted, told.after, _LINES), count(connection, told.wanted, now)
            units = unit_names(connection, words)
        reads.note(reader_of(request), "page", dict(told.given), len(page.items))
        begin = {"lang": words.language, **told.given}
        return html(
            "queue.html.jinja", words, path="/reviews", given=told.given, wrong=asked is None, you=you, counts=counts,
            lines=lines_of(page.items, you, now), choices=choices_of(rules, words), names=names_of(rules, words),
            units=units, classes=RISK_CLASSES, states=WAITING, first=told.after is None, done=done,
            begin=begin, following={**begin, **next_of(page.next)} if page.next else None, sign_in=sign_in_url(request),
            remit_use_cases=_joined(you.remit.use_cases, names_of(rules, words)),
            remit_units=_joined(you.remit.units, units),
        )  # fmt: skip

    @router.get("/api/v1/reviews/queue", tags=["reviews"])
    def queue(  # noqa: PLR0917  # FastAPI asks by name
        request: Request,
        unit: str = "",
        use_case: str = "",
        risk_class: str = "",
        system: str = "",
        state: str = "",
        mine: str = "",
        after: str = "",
        after_due: str = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Outputs that wait for review, by their due time; those without one last.

        `mine`: anything: only what the register's mandates let the signed-in person review. Give the members of `next`
        back as parameters for the next page. `open` and `overdue` count all that the filters find.
        """
        del unit, use_case, risk_class, system, state, after, after_due  # read together below
        if strange := sorted(set(request.query_params) - _KNOWN):
            raise HTTPException(
                422, f"found the parameter {strange[0][:40]!r}; expected of {', '.join(sorted(_KNOWN))}"
            )
        now = clock.now()
        with store.reading() as connection:
            rules = read_rulebook(connection)
            remit = remit_of(person_of(request).person or "", rules, helsinki_day(now)) if mine else _NOTHING
            asked = asked_in(request.query_params, remit)
            if asked is None:
                raise HTTPException(
                    422, "found a filter that cannot be read; risk_class, state and after_due have forms"
                )
            page, counts = read_page(connection, asked.wanted, asked.after, limit), count(connection, asked.wanted, now)
        reads.note(reader_of(request), "outputs", dict(asked.given), len(page.items))
        return {**_told(page), "open": counts.open, "overdue": counts.overdue}


def you_of(request: Request, rules: Rulebook, now: datetime) -> You:
    """Who looks, as far as reviewing goes."""
    try:
        holder = holder_of(request)
    except NotAllowedError:
        return You("none", _NOTHING)
    if holder.person is None:
        return You("none", _NOTHING)
    token = holder.form_token or ""
    if "reviewer" not in holder.roles:
        return You("no_role", _NOTHING, holder.person, token)
    remit = remit_of(holder.person, rules, helsinki_day(now))
    return You("no_mandate" if remit.is_empty else "mandate", remit, holder.person, token)


def unit_names(connection: Connection, words: Words) -> dict[str, str]:
    """Unit → its name."""
    return {name: words.name(unit.name, name) for name, unit in read_units(connection).items()}


def sign_in_url(request: Request) -> str:
    """Where to sign in, with the way back to this page."""
    at = str(request.scope.get(SIGN_IN, "/sign-in"))
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{at}?next={quote(back, safe='/')}"


def _joined(ids: Collection[str], names: Mapping[str, str]) -> str:
    return ", ".join(sorted(names.get(one, one) for one in ids))


def _told(page: Page) -> dict[str, Any]:
    return {"outputs": [_output(item) for item in page.items], "next": next_of(page.next) if page.next else None}


def _output(item: Item) -> dict[str, Any]:
    return {
        "output_id": item.output_id,
        "state": item.state,
        "system": item.system or None,
        "unit": item.unit or None,
        "use_case": item.use_case or None,
        "risk_class": item.risk_class or None,
        "model": item.model or None,
        "content_hash": item.content_hash,
        "generated_at": timestamp(item.generated_at) if item.generated_at else None,
        "due_at": timestamp(item.due_at) if item.due_at else None,
    }
