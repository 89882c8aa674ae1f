"""The log's pages: the search, one entry with its proof, and the script that verifies it in the browser."""

import base64
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from services.audit_log import web
from services.audit_log.adapters.entries import read_frontier
from services.audit_log.adapters.indexing import read_told
from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.search import Page, bodies_of, find
from services.audit_log.adapters.standing import read_standing
from services.audit_log.api.asking import AcceptLanguage, After, Before, Index, LanguageText, html, reader_of
from services.audit_log.api.entries import proof_of, whole_entry
from services.audit_log.domain.search import Filter
from services.audit_log.handlers import TOPICS
from services.audit_log.web.shown import STATES, Line, flat, given_in, is_silent, line_of, outputs_of, question
from services.shared.clock import Clock
from services.shared.events import event_types
from services.shared.store import Store
from services.shared.tlog.checkpoint import parse_checkpoint
from services.shared.tlog.note import parse_note
from services.shared.web.words import Words, preferred

_LINES = 50
_NEIGHBOURS = 50
_SCRIPT = (Path(web.__file__).parent / "static" / "verify.js").read_bytes()


def add_pages(router: APIRouter, store: Store, reads: Reads, clock: Clock) -> None:
    @router.get("/audit", tags=["pages"], response_class=HTMLResponse)
    def search_page(
        request: Request,
        after: After = -1,
        before: Before = None,
        lang: LanguageText = None,
        accepted: AcceptLanguage = None,
    ) -> HTMLResponse:
        """The newest entries that fit, a form to ask for others, and how the log stands."""
        given = given_in(request.query_params)
        wanted = question(given)
        with store.reading() as connection:
            standing = read_standing(connection)
            page = (
                find(connection, wanted, after=after, before=before, limit=_LINES, newest_first=True)
                if wanted
                else Page([], None, standing.indexed)
            )
            lines = _lines(connection, page.indexes)
        if wanted:
            reads.note(reader_of(request), "page", wanted.asked(), len(lines))
        words = Words(lang or preferred(accepted))
        rest = dict(zip(("after", "before"), map(str, page.next), strict=True)) if page.next else {}
        return html(
            "audit.html.jinja", words, path="/audit", given=given, wrong=wanted is None, lines=lines, standing=standing,
            older={"lang": words.language, **given, **rest} if rest else None, silent=is_silent(standing, clock.now()),
            types=sorted(event_types()), topics=TOPICS, states=STATES,
        )  # fmt: skip

    @router.get("/audit/verify.js", tags=["pages"])
    def script() -> Response:
        """The program that the page of an entry runs."""
        return Response(_SCRIPT, media_type="text/javascript; charset=utf-8")

    @router.get("/audit/entries/{index}", tags=["pages"], response_class=HTMLResponse)
    def entry_page(
        request: Request, index: Index, lang: LanguageText = None, accepted: AcceptLanguage = None
    ) -> HTMLResponse:
        """One entry: the event, where it stood, what else is about its output, the proof, and a way to verify it."""
        with store.reading() as connection:
            entry = whole_entry(connection, index)
            raw = base64.b64decode(entry["entry"])
            outputs = outputs_of(entry["event"])
            neighbours = _about(connection, outputs[0]) if outputs else []
            proof, size = _proof(connection, index), read_frontier(connection).size
        reads.note(reader_of(request), "page", {"index": str(index)}, 1)
        told = read_told(raw)
        assert told is not None, "whole_entry has read it"
        return html(
            "audit_entry.html.jinja", Words(lang or preferred(accepted)), path=f"/audit/entries/{index}", entry=entry,
            line=line_of(index, told), members=list(flat(entry["event"])), neighbours=neighbours, proof=proof,
            raw=raw.decode(errors="replace"), size=size,
        )  # fmt: skip


def _lines(connection: Connection, indexes: list[int]) -> list[Line]:
    told = ((index, read_told(body)) for index, body in bodies_of(connection, indexes).items())
    return [line_of(index, found) for index, found in told if found]


def _about(connection: Connection, output: str) -> list[Line]:
    return _lines(connection, find(connection, Filter(output=output), limit=_NEIGHBOURS).indexes)


def _proof(connection: Connection, index: int) -> dict[str, Any] | None:
    """The entry's proof; None when no checkpoint covers it yet."""
    try:
        found = proof_of(connection, index, None)
    except HTTPException:
        return None
    size = parse_checkpoint(parse_note(found["checkpoint"].encode()).text).size
    return {"path": found["proof"], "checkpoint": found["checkpoint"], "size": size}
