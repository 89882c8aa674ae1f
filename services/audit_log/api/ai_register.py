"""The AI register: pages and JSON for the city's own people, and the public register, which anybody may read."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Header, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BeforeValidator

from services.audit_log.adapters.ai_register.versions import read_versions
from services.audit_log.adapters.ai_register.view import RegisterViews
from services.audit_log.adapters.reads import Reads
from services.audit_log.api.asking import AcceptLanguage, LanguageText, Plain, Text, html, reader_of
from services.audit_log.domain.ai_register.view import FEWEST_OUTPUTS, View
from services.audit_log.web.ai_register import (
    RegisterPage,
    given_of,
    record_lines,
    register_document,
    sentences,
    use_of,
)
from services.audit_log.web.public_register import public_page, public_register
from services.shared.clock import Clock
from services.shared.events.governance import RiskClass
from services.shared.store import Store
from services.shared.web.words import LANGUAGES, Language, Words, preferred

Class = Annotated[RiskClass | None, BeforeValidator(lambda given: given or None), Query(description="of use cases")]
Place = Annotated[int, Query(ge=0, le=10**6, description="how many uses stand on the pages before")]
Known = Annotated[str | None, Header(alias="if-none-match")]

_LINKS: Mapping[Language, str] = {one: f"/public/ai-register?lang={one}" for one in LANGUAGES}
_JSON_LINK = "/public/ai-register.json"
_PUBLIC_HEADERS = {
    "cache-control": "public, max-age=60",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}


@dataclass(frozen=True, slots=True)
class PublicSettings:
    """That the register is public, and where people may write (None: the city's registry, without an address)."""

    contact: str | None


def add_ai_register(router: APIRouter, store: Store, reads: Reads, clock: Clock, public: PublicSettings | None) -> None:
    """Add the routes to the log's router; `public` None: nothing is shown to who has not signed in."""
    views = RegisterViews(store, clock)
    _add_for_programs(router, views)
    _add_for_people(router, store, reads, views, is_public=public is not None)
    if public is not None:
        _add_for_everybody(router, PublicDocuments(views, public.contact))


def _add_for_programs(router: APIRouter, views: RegisterViews) -> None:
    @router.get("/api/v1/ai-register", tags=["register"])
    def register(after: BackgroundTasks, unit: Text = None, risk_class: Class = None) -> dict[str, Any]:
        """The uses of AI that hold today, by unit, the prohibited and the high-risk ones of each first.

        Numbers are at most some minutes old: see `as_of`.
        """
        after.add_task(views.renew)
        return register_document(RegisterPage(views.newest(), unit, risk_class))


def _add_for_people(router: APIRouter, store: Store, reads: Reads, views: RegisterViews, *, is_public: bool) -> None:
    @router.get("/ai-register", tags=["pages"], response_class=HTMLResponse)
    def page(  # noqa: PLR0917  # FastAPI asks by name
        after: BackgroundTasks,
        unit: Text = None,
        risk_class: Class = None,
        place: Place = 0,
        lang: LanguageText = None,
        accepted: AcceptLanguage = None,
    ) -> HTMLResponse:
        """Units with their uses of AI, the prohibited and the high-risk ones first; in three languages."""
        after.add_task(views.renew)
        shown = RegisterPage(views.newest(), unit, risk_class, place)
        return html(
            "ai_register.html.jinja", Words(lang or preferred(accepted)), path="/ai-register", shown=shown,
            given=given_of(shown), public=is_public, few=FEWEST_OUTPUTS,
        )  # fmt: skip

    @router.get("/ai-register/use-case", tags=["pages"], response_class=HTMLResponse)
    def use_page(
        request: Request,
        after: BackgroundTasks,
        name: Annotated[Plain, Query(alias="id")],
        lang: LanguageText = None,
        accepted: AcceptLanguage = None,
    ) -> HTMLResponse:
        """Everything about one use of AI: what is on record, what is missing, how it was changed; three languages."""
        after.add_task(views.renew)
        words = Words(lang or preferred(accepted))
        entry, use = _known(views.newest(), name)
        with store.reading() as connection:
            versions = read_versions(connection, use.id)
        reads.note(reader_of(request), "page", {"use_case": use.id}, len(versions))
        return html(
            "ai_register_use.html.jinja", words, path="/ai-register/use-case", use=use, entry=entry,
            records=list(record_lines(entry)) if entry else [], versions=versions,
            sentences=sentences(entry, words) if entry else [], few=FEWEST_OUTPUTS,
        )  # fmt: skip


def _known(view: View, name: str) -> Any:  # noqa: ANN401  # an entry or None, and the use case
    found = use_of(view, name)
    if found is None:
        raise HTTPException(404, "the register has no use case of this id; see /ai-register")
    return found


@dataclass(frozen=True, slots=True)
class Document:
    """Bytes with the name of their content."""

    body: bytes
    etag: str
    media_type: str


class PublicDocuments:
    """The public register's documents, each made once per view: nobody's asking costs much."""

    def __init__(self, views: RegisterViews, contact: str | None) -> None:
        self._views, self._contact = views, contact
        self._one_at_a_time = Lock()
        self._made: tuple[View, dict[str, Document]] | None = None

    def renew(self) -> None:
        self._views.renew()

    def json(self) -> Document:
        """The register as JSON."""
        return self._document("json")

    def page(self, language: Language) -> Document:
        """The register as a page."""
        return self._document(language)

    def _document(self, kind: str) -> Document:
        view = self._views.newest()
        with self._one_at_a_time:
            if self._made is None or self._made[0] is not view:
                self._made = view, {}
            documents = self._made[1]
            if kind not in documents:
                documents[kind] = self._make(view, kind)
            return documents[kind]

    def _make(self, view: View, kind: str) -> Document:
        register = public_register(view, self._contact)
        # the moment is no content: what has not changed since is not sent again
        unchanged = register.model_dump_json(exclude={"made_at"})
        etag = f'"{sha256(f"{kind} {unchanged}".encode()).hexdigest()[:32]}"'
        if kind == "json":
            return Document(register.model_dump_json(indent=1).encode(), etag, "application/json")
        language = next(one for one in LANGUAGES if one == kind)
        text = public_page(register, language, _LINKS, _JSON_LINK)
        return Document(text.encode(), etag, "text/html; charset=utf-8")


def _add_for_everybody(router: APIRouter, documents: PublicDocuments) -> None:
    @router.get("/public/ai-register.json", tags=["public"])
    def as_json(after: BackgroundTasks, known: Known = None) -> Response:
        """The public AI register; its schema: docs/schemas/public/ai-register.schema.json."""
        after.add_task(documents.renew)
        return _answer(documents.json(), known, {})

    @router.get("/public/ai-register", tags=["public"], response_class=HTMLResponse)
    def as_page(
        after: BackgroundTasks, lang: LanguageText = None, accepted: AcceptLanguage = None, known: Known = None
    ) -> Response:
        """The public AI register as a page, in three languages."""
        after.add_task(documents.renew)
        language = lang or preferred(accepted)
        headers = {"content-language": language, "vary": "accept-language"}
        return _answer(documents.page(language), known, headers)


def _answer(document: Document, known: str | None, headers: Mapping[str, str]) -> Response:
    """The document, or that the asker has it already (RFC 9110, 13.1.2)."""
    told = {**_PUBLIC_HEADERS, **headers, "etag": document.etag}
    tags = {one.strip().removeprefix("W/") for one in (known or "").split(",")}
    if document.etag in tags or "*" in tags:
        return Response(status_code=304, headers=told)
    return Response(document.body, headers=told, media_type=document.media_type)
