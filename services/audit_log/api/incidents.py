"""Incidents for people and programs: listed with their clocks, opened, told to others, closed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from services.audit_log.adapters.ai_register.incident_desk import (
    Accepted,
    IncidentDesk,
    Reason,
    Refused,
    Teller,
    use_cases_in_use,
)
from services.audit_log.adapters.ai_register.incident_files import list_incidents
from services.audit_log.adapters.reads import Reads
from services.audit_log.api.asking import AcceptLanguage, LanguageText, Text, html, reader_of
from services.audit_log.domain.ai_register.incidents import NewEnd, NewIncident, NewNotification, local_moment
from services.audit_log.web.incidents import IncidentsPage, document
from services.shared.access import Holder, NotAllowedError, Role
from services.shared.clock import Clock
from services.shared.events import describe
from services.shared.events.envelope import Fact
from services.shared.http import check_token_header, form_of, holder_of, person_of
from services.shared.store import Store
from services.shared.web.words import Words, preferred

_WHO: tuple[Role, ...] = ("reviewer", "auditor", "admin")
_STATUS: Mapping[Reason, int] = {
    "unknown": 404, "elsewhere": 403, "taken": 409, "closed": 409, "untold": 409, "future": 422,
    "before_awareness": 422, "no_unit": 422,
}  # fmt: skip
Said = Literal["opened", "notified", "closed"]
WRONG = (*_STATUS, "words")
"""Why something was not done, as the page says it: a reason, or that the words of the form cannot be used."""
Done = Callable[[], Accepted | Refused]


class IncidentRoutes:
    """The routes over one store.

    Args:
        store: the log's database.
        reads: is told who looked.
        clock: for clocks, and when something was told.
    """

    def __init__(self, store: Store, reads: Reads, clock: Clock) -> None:
        self._store, self._reads, self._clock = store, reads, clock
        self.desk = IncidentDesk(store, clock)

    def listed(self, request: Request, state: str | None) -> dict[str, Any]:
        """Incidents for programs."""
        now = self._clock.now()
        with self._store.reading() as connection:
            found = list_incidents(connection, still_open=None if state is None else state == "open")
        self._reads.note(reader_of(request), "page", {"state": state} if state else {}, len(found))
        return {"incidents": [document(file, now) for file in found]}

    def page(
        self, request: Request, words: Words, *, given: Mapping[str, str], wrong: str | None = None,
        said: Said | None = None,
    ) -> HTMLResponse:  # fmt: skip
        """The page. `given`: what the form of a new incident begins with; `wrong`: why something was not done."""
        now = self._clock.now()
        with self._store.reading() as connection:
            shown = IncidentsPage(list_incidents(connection), use_cases_in_use(connection, now), now)
        self._reads.note(reader_of(request), "page", {}, len(shown.files))
        return html(
            "incidents.html.jinja", words, 422 if wrong else 200, path="/incidents", shown=shown, given=given,
            form_token=_form_token(request), wrong=wrong, said=said,
        )  # fmt: skip


def add_incidents(router: APIRouter, store: Store, reads: Reads, clock: Clock) -> None:
    """Add the routes to the log's router."""
    routes = IncidentRoutes(store, reads, clock)
    _add_for_programs(router, routes)
    _add_page(router, routes)
    _add_forms(router, routes)


def _add_for_programs(router: APIRouter, routes: IncidentRoutes) -> None:
    @router.get("/api/v1/incidents", tags=["reviews"])
    def incidents(
        request: Request, state: Annotated[Literal["open", "closed"] | None, Query()] = None
    ) -> dict[str, Any]:
        """Incidents with the clocks of Article 73, those opened last before the others."""
        return routes.listed(request, state)

    @router.post("/api/v1/incidents", tags=["reviews"], status_code=202)
    def open_one(request: Request, told_us: NewIncident) -> dict[str, Any]:
        """Open an incident. Accepted: it is in the list when the log holds it, within seconds.

        `to_suspend` names its use case where that is in use still: whoever keeps the register suspends it.
        """
        teller = _program(request)
        done = _answer(lambda: routes.desk.open(teller, told_us))
        return {"incident_id": done.incident_id, "state": "accepted", "to_suspend": done.to_suspend}

    @router.post("/api/v1/incidents/notify", tags=["reviews"], status_code=202)
    def notify_one(request: Request, told_us: NewNotification) -> dict[str, Any]:
        """Say who was told of an incident, and when. The provider is told first, then the authority."""
        teller = _program(request)
        return _accepted(_answer(lambda: routes.desk.notify(teller, told_us)))

    @router.post("/api/v1/incidents/close", tags=["reviews"], status_code=202)
    def close_one(request: Request, told_us: NewEnd) -> dict[str, Any]:
        """Close an incident: when provider and authority were told, or with `not_reportable`."""
        teller = _program(request)
        return _accepted(_answer(lambda: routes.desk.close(teller, told_us)))


def _add_page(router: APIRouter, routes: IncidentRoutes) -> None:
    @router.get("/incidents", tags=["pages"], response_class=HTMLResponse)
    def incidents_page(  # noqa: PLR0917  # FastAPI asks by name
        request: Request,
        output: Text = None,
        use_case: Text = None,
        said: Annotated[Said | None, Query()] = None,
        lang: LanguageText = None,
        accepted: AcceptLanguage = None,
    ) -> HTMLResponse:
        """Incidents with their clocks, and forms to open, notify and close; `output`, `use_case` begin a new one."""
        given = {name: value for name, value in (("output_id", output), ("use_case", use_case)) if value}
        return routes.page(request, Words(lang or preferred(accepted)), given=given, said=said)


def _add_forms(router: APIRouter, routes: IncidentRoutes) -> None:
    async def sent(
        request: Request, words: Words, said: Said, act: Callable[[Teller, Mapping[str, str]], Accepted | Refused]
    ) -> HTMLResponse | RedirectResponse:
        teller = _teller(person_of(request, *_WHO))
        form = {name: text.strip() for name, text in (await form_of(request)).items() if text.strip()}
        wrong: str | None = None
        try:
            done = await run_in_threadpool(act, teller, form)
            if isinstance(done, Refused):
                wrong = done.reason
        except ValueError:
            wrong = "words"
        if wrong is None:
            return RedirectResponse(f"/incidents?lang={words.language}&said={said}", 303)
        return await run_in_threadpool(lambda: routes.page(request, words, given=form, wrong=wrong))

    @router.post("/incidents/open", tags=["pages"], response_model=None)
    async def open_on_page(
        request: Request, lang: LanguageText = None, accepted: AcceptLanguage = None
    ) -> HTMLResponse | RedirectResponse:
        """Open an incident, as a person who signed in."""
        words = Words(lang or preferred(accepted))
        return await sent(request, words, "opened", lambda teller, form: routes.desk.open(teller, _new_incident(form)))

    @router.post("/incidents/notify", tags=["pages"], response_model=None)
    async def notify_on_page(
        request: Request, lang: LanguageText = None, accepted: AcceptLanguage = None
    ) -> HTMLResponse | RedirectResponse:
        """Say who was told, as a person who signed in."""
        words = Words(lang or preferred(accepted))
        return await sent(
            request, words, "notified", lambda teller, form: routes.desk.notify(teller, _new_notification(form))
        )

    @router.post("/incidents/close", tags=["pages"], response_model=None)
    async def close_on_page(
        request: Request, lang: LanguageText = None, accepted: AcceptLanguage = None
    ) -> HTMLResponse | RedirectResponse:
        """Close an incident, as a person who signed in."""
        words = Words(lang or preferred(accepted))
        return await sent(request, words, "closed", lambda teller, form: routes.desk.close(teller, _new_end(form)))


def _new_incident(form: Mapping[str, str]) -> NewIncident:
    return NewIncident.model_validate(_known(form, NewIncident) | {"aware_at": _moment(form, "aware_at")})


def _new_notification(form: Mapping[str, str]) -> NewNotification:
    moment = _moment(form, "notified_at")
    return NewNotification.model_validate(_known(form, NewNotification) | {"notified_at": moment})


def _new_end(form: Mapping[str, str]) -> NewEnd:
    return NewEnd.model_validate(_known(form, NewEnd))


def _known(form: Mapping[str, str], kind: type[Fact]) -> dict[str, object]:
    return {name: text for name, text in form.items() if name in kind.model_fields}


def _moment(form: Mapping[str, str], name: str) -> datetime:
    """The moment that a person wrote, in Helsinki's time unless they say otherwise."""
    return local_moment(form.get(name, ""))


def _form_token(request: Request) -> str | None:
    """What the forms of who may tell of incidents must bring; None: this reader may not."""
    try:
        return person_of(request, *_WHO).form_token
    except NotAllowedError:
        return None


def _program(request: Request) -> Teller:
    """Who asks by a program: a token, or a person whose request proves that it comes from our page.

    Raises:
        NotAllowedError: they have none of the roles (403).
    """
    check_token_header(request)
    holder = holder_of(request)
    if not holder.roles & set(_WHO):
        raise NotAllowedError(f"this needs one of: {' or '.join(_WHO)}", 403)
    return _teller(person_of(request, *_WHO) if holder.person else holder)


def _teller(holder: Holder) -> Teller:
    return Teller(holder.person or holder.token_id, holder.units)


def _answer(act: Done) -> Accepted:
    try:
        done = act()
    except ValidationError as error:
        raise HTTPException(422, describe(error)) from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    if isinstance(done, Refused):
        raise HTTPException(_STATUS[done.reason], done.sentence)
    return done


def _accepted(done: Accepted) -> dict[str, Any]:
    return {"incident_id": done.incident_id, "state": "accepted"}
