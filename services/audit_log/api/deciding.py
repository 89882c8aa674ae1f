"""Where people review: forms of the pages, and the same for programs in a signed-in person's name."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from services.audit_log.adapters.reviews.desk import Desk, Taken, Verdict
from services.audit_log.api.asking import html
from services.audit_log.domain.reviews.deciding import REASONS, SHOWN, Decision, Said
from services.audit_log.domain.reviews.hurdles import Refused, Remit, Reviewer
from services.audit_log.domain.reviews.several import Choice, Several
from services.audit_log.domain.reviews.several import Shown as ShownOutput
from services.audit_log.web.life import reason
from services.audit_log.web.reviewing import You, host_of, refusal_in_words
from services.shared.events.envelope import ContentHash, Id, Sha256
from services.shared.http import check_token_header, form_lists, form_of, person_of
from services.shared.periods import timestamp
from services.shared.web.words import LANGUAGES, Words, preferred

PATIENCE_SECONDS = 3.0
"""So long a form's answer waits for the log to hold what was done, so that the next page shows it."""
_LOOK_EVERY_SECONDS = 0.05
_HEX = frozenset("0123456789abcdef")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST = 128
_DECIDING = frozenset({
    "lang", "output", "review", "hash", "decision", "reason", "adverse", "edited", "shown", "confirm",
})  # fmt: skip


class Opened(BaseModel):
    """An output to be opened for review."""

    model_config = ConfigDict(extra="forbid")

    output_id: Id


class Declined(BaseModel):
    """An opened output that is handed back."""

    model_config = ConfigDict(extra="forbid")

    output_id: Id
    review_id: Id
    reason: str | None = None


class Decided(BaseModel):
    """A decision. `content_hash`: of the output as it was shown; `edited_sha256`: of the text as the reviewer left it.

    `confirm`: said by who was asked twice, where the rule asks for it.
    """

    model_config = ConfigDict(extra="forbid")

    output_id: Id
    review_id: Id
    content_hash: ContentHash | None
    decision: Decision
    reason: str | None = None
    adverse: bool | None = None
    evidence_shown: tuple[str, ...] = ()
    edited_sha256: Sha256 | None = None
    confirm: bool = False


class Ticked(BaseModel):
    """One of several outputs, and the content hash of what was shown of it."""

    model_config = ConfigDict(extra="forbid")

    output_id: Id
    content_hash: ContentHash | None


class DecidedAtOnce(BaseModel):
    """A decision about several outputs of one use case."""

    model_config = ConfigDict(extra="forbid")

    outputs: Annotated[list[Ticked], Field(max_length=100_000)]
    decision: Decision
    reason: str | None = None
    evidence_shown: tuple[str, ...] = ()


def add_deciding(router: APIRouter, desk: Desk) -> None:
    """Add the routes by which people review to the log's router."""
    _add_for_programs(router, desk)
    forms = _Forms(desk)
    for name in ("open", "decide", "decline", "bulk"):
        router.add_api_route(
            f"/reviews/{name}", getattr(forms, name), methods=["POST"], tags=["pages"], response_class=HTMLResponse
        )


def _add_for_programs(router: APIRouter, desk: Desk) -> None:
    @router.post("/api/v1/reviews/open", tags=["reviews"], status_code=202)
    def open_output(request: Request, asked: Opened) -> Response:
        """Open an output for review: it is kept for the signed-in person for as long as the policy says."""
        return _answer(desk.open(_by_program(request), asked.output_id))

    @router.post("/api/v1/reviews/decide", tags=["reviews"], status_code=202)
    def decide(request: Request, asked: Decided) -> Response:
        """Decide about an output that the signed-in person has opened. Accepted: it counts when the log holds it."""
        said = Said(asked.decision, asked.reason, asked.adverse, asked.evidence_shown, asked.edited_sha256)
        verdict = Verdict(asked.output_id, asked.review_id, said, asked.content_hash, asked.confirm)
        return _answer(desk.decide(_by_program(request), verdict))

    @router.post("/api/v1/reviews/decline", tags=["reviews"], status_code=202)
    def decline(request: Request, asked: Declined) -> Response:
        """Hand an opened output back, so that somebody else reviews it."""
        reviewer = _by_program(request)
        refused = _fault_of_reason(asked.reason)
        return _answer(refused or desk.decline(reviewer, asked.output_id, asked.review_id, asked.reason))

    @router.post("/api/v1/reviews/bulk", tags=["reviews"], status_code=202)
    def decide_at_once(request: Request, asked: DecidedAtOnce) -> Response:
        """Decide about several outputs of one use case alike, as far as their rule allows it.

        Each gets a review of its own. Where one of them will not do, none is reviewed, and `outputs` says why.
        """
        said = Said(asked.decision, asked.reason, None, asked.evidence_shown)
        wanted = [ShownOutput(one.output_id, one.content_hash) for one in asked.outputs]
        found = desk.decide_at_once(_by_program(request), wanted, said)
        return _answer(found) if isinstance(found, Taken) else _refused_several(found, len(wanted))


class _Forms:
    """What the forms of the pages are sent to."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def open(self, request: Request) -> Response:
        """Open an output for review, and go back to its page."""
        reviewer, form = _reviewer(request), await form_of(request)
        found = await run_in_threadpool(self._desk.open, reviewer, _text(form, "output"))
        return await self._back(request, form, found, ended=False)

    async def decide(self, request: Request) -> Response:
        """Decide about an opened output; where the rule asks for it, only when it is confirmed."""
        reviewer, lists = _reviewer(request), await form_lists(request)
        form = await form_of(request)
        verdict = _verdict(form, lists.get("shown", []))
        found = await run_in_threadpool(self._desk.decide, reviewer, verdict)
        if isinstance(found, Refused) and found.code == "unconfirmed":
            return _confirming(_words(request, form), _you(request), {**lists, "confirm": ["yes"]}, verdict)
        return await self._back(request, form, found, ended=True)

    async def decline(self, request: Request) -> Response:
        """Hand an opened output back."""
        reviewer, form = _reviewer(request), await form_of(request)
        why = _text(form, "reason") or None
        refused = _fault_of_reason(why)
        if refused is None:
            call = (reviewer, _text(form, "output"), _text(form, "review"), why)
            return await self._back(request, form, await run_in_threadpool(self._desk.decline, *call), ended=True)
        return await self._back(request, form, refused, ended=True)

    async def bulk(self, request: Request) -> Response:
        """Show several outputs with a form to decide about them at once; or decide."""
        reviewer, lists = _reviewer(request), await form_lists(request)
        form = await form_of(request)
        names, hashes = [_plain(one) for one in lists.get("output", [])], lists.get("hash", [])
        words, you = _words(request, form), _you(request)
        if form.get("confirm") != "yes" or len(names) != len(hashes):
            looked = await run_in_threadpool(self._desk.look_at, reviewer, names)
            return _bulk_page(words, you, looked, len(names), asked=False)
        wanted = [ShownOutput(name, shown or None) for name, shown in zip(names, hashes, strict=True)]
        said = Said(form.get("decision"), _text(form, "reason") or None, None, tuple(lists.get("shown", [])))
        found = await run_in_threadpool(self._desk.decide_at_once, reviewer, wanted, said)
        if isinstance(found, Several):
            return _bulk_page(words, you, found, len(names), asked=True)
        await self._until_told(names[0], found.review_ids[0], ended=True)
        return RedirectResponse(f"/reviews?{urlencode({'lang': words.language, 'done': len(names)})}", 303)

    async def _back(
        self, request: Request, form: Mapping[str, str], found: Taken | Refused, *, ended: bool
    ) -> Response:
        words, output_id = _words(request, form), _text(form, "output")
        if isinstance(found, Refused):
            return html(
                "review_refused.html.jinja", words, found.status, path="/reviews/output" if output_id else "/reviews",
                sentence=refusal_in_words(found, words), output_id=output_id,
            )  # fmt: skip
        await self._until_told(output_id, found.review_ids[0], ended=ended)
        taken = {"taken": found.review_ids[0], "ended": str(ended).lower()}
        query = urlencode({"id": output_id, "lang": words.language, **taken})
        return RedirectResponse(f"/reviews/output?{query}#decide", 303)

    async def _until_told(self, output_id: str, review_id: str, *, ended: bool) -> None:
        """Wait until the log holds it, within patience: then the next page shows it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while loop.time() < end:
            if await run_in_threadpool(self._desk.knows, output_id, review_id, ended=ended):
                return
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


def _by_program(request: Request) -> Reviewer:
    check_token_header(request)
    return _reviewer(request)


def _reviewer(request: Request) -> Reviewer:
    holder = person_of(request, "reviewer")
    return Reviewer(holder.person or "", holder.units)


def _you(request: Request) -> You:
    holder = person_of(request, "reviewer")
    return You("mandate", Remit(frozenset(), frozenset()), holder.person, holder.form_token or "")


def _answer(found: Taken | Refused) -> Response:
    if isinstance(found, Refused):
        return _problem(found)
    first = {"review_id": found.review_ids[0]} if len(found.review_ids) == 1 else {"review_ids": found.review_ids}
    return JSONResponse({**first, "new": found.new, "state": "accepted"}, 202)


def _problem(refused: Refused, count: int = 0, **more: object) -> Response:
    """A refusal as RFC 9457 writes it; `code` is for programs."""
    until = {"until": timestamp(refused.until)} if refused.until else {}
    told = {
        "type": "about:blank",
        "title": "Not recorded",
        "status": refused.status,
        "detail": refusal_in_words(refused, Words("en"), count),
        "code": refused.code,
        **until,
        **more,
    }
    return JSONResponse(told, refused.status, media_type="application/problem+json")


def _refused_several(found: Several, count: int) -> Response:
    assert found.refused is not None, "or they were taken"
    return _problem(found.refused, count, outputs=[_choice(choice) for choice in found.choices])


def _choice(choice: Choice) -> dict[str, Any]:
    words, refused = Words("en"), choice.refused
    told = {"code": refused.code, "detail": refusal_in_words(refused, words)} if refused else {}
    return {"output_id": choice.output_id, "eligible": refused is None, **told}


def _fault_of_reason(why: str | None) -> Refused | None:
    return None if why is None or why in REASONS["declined"] else Refused("reason_unknown")


def _verdict(form: Mapping[str, str], shown: Sequence[str]) -> Verdict:
    adverse = {"yes": True, "no": False}.get(form.get("adverse", ""))
    edited = form.get("edited", "").strip().lower()
    is_hash = len(edited) == 64 and _HEX.issuperset(edited)  # noqa: PLR2004  # hex digits of a SHA-256
    said = Said(form.get("decision"), _text(form, "reason") or None, adverse, tuple(shown), edited if is_hash else None)
    confirmed = form.get("confirm") == "yes"
    return Verdict(_text(form, "output"), _text(form, "review"), said, form.get("hash") or None, confirmed)


def _confirming(words: Words, you: You, lists: Mapping[str, Sequence[str]], verdict: Verdict) -> HTMLResponse:
    """What was sent, once more, with the confirmation that it lacked."""
    fields = [(name, one) for name, values in lists.items() if name in _DECIDING for one in values]
    return html(
        "review_confirm.html.jinja", words, path="/reviews/output", output_id=verdict.output_id, said=verdict.said,
        reason=reason(verdict.said.reason, words), fields=[("form_token", you.form_token), *fields],
    )  # fmt: skip


def _bulk_page(words: Words, you: You, found: Several, count: int, *, asked: bool) -> HTMLResponse:
    refused = found.refused
    may = bool(found.choices) and (refused is None or (asked and not any(one.refused for one in found.choices)))
    return html(
        "reviews_bulk.html.jinja", words, refused.status if refused else 200, path="/reviews", you=you, may=may,
        refused=refusal_in_words(refused, words, count) if refused else None, reasons=REASONS, shown=SHOWN,
        rows=[_row(choice, words) for choice in found.choices],
    )  # fmt: skip


def _row(choice: Choice, words: Words) -> dict[str, Any]:
    output = choice.case.output if choice.case else None
    link = output.content_ref if output else None
    return {
        "output_id": choice.output_id,
        "content_hash": (output.content_hash if output else None) or "",
        "link": link,
        "host": host_of(link),
        "opened": choice.opening is not None,
        "refused": refusal_in_words(choice.refused, words) if choice.refused else None,
    }


def _words(request: Request, form: Mapping[str, str]) -> Words:
    wanted = next((one for one in LANGUAGES if one == form.get("lang")), None)
    return Words(wanted or preferred(request.headers.get("accept-language")))


def _text(form: Mapping[str, str], name: str) -> str:
    return _plain(form.get(name, ""))


def _plain(given: str) -> str:
    """What was given; what no id can be (PostgreSQL refuses NUL in a text) is none."""
    text = given.strip()
    return "" if len(text) > _LONGEST or _CONTROL.search(text) else text
