"""This output: what it is, what is demanded of it, its reviews, its life, and the form in which a person decides."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from services.audit_log import web
from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.cases import read_cases, read_rulebook
from services.audit_log.adapters.reviews.desk import Desk, is_told, with_those_below
from services.audit_log.adapters.reviews.findings import WantedFindings, find_findings
from services.audit_log.adapters.reviews.findings import told as finding_told
from services.audit_log.adapters.reviews.timeline import Life, read_life
from services.audit_log.api.asking import AcceptLanguage, LanguageText, Plain, html, reader_of
from services.audit_log.api.queue import sign_in_url, unit_names, you_of
from services.audit_log.domain.reviews.case import Case, Opening
from services.audit_log.domain.reviews.deciding import DECISIONS, ONE_BY_ONE, REASONS, SHOWN, needs_confirming
from services.audit_log.domain.reviews.duty import Rulebook
from services.audit_log.domain.reviews.hurdles import (
    Refused,
    Reviewer,
    earlier_review,
    hurdle_of,
    lease_of,
    own_opening,
)
from services.audit_log.domain.reviews.judging import due_of, is_demanded, judge
from services.audit_log.web.life import marks, reason, told
from services.audit_log.web.reviewing import You, host_of, names_of, refusal_in_words, rule_in_words
from services.shared.clock import Clock
from services.shared.http import holder_of
from services.shared.periods import timestamp
from services.shared.store import Store
from services.shared.web.words import Words, preferred

_SCRIPT = (Path(web.__file__).parent / "static" / "hash.js").read_bytes()
_FINDINGS = 200
OutputId = Annotated[Plain, Query(alias="id", min_length=1, description="of the output")]


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that is told about one output."""

    case: Case
    rules: Rulebook
    life: Life
    findings: list[dict[str, Any]]
    units: dict[str, str]
    hurdle: Refused | None
    held: Opening | None
    you: You


def add_timeline(router: APIRouter, store: Store, reads: Reads, clock: Clock, desk: Desk) -> None:
    """Add the routes about one output to the log's router."""

    @router.get("/reviews/hash.js", tags=["pages"])
    def script() -> Response:
        """The program that hashes an edited text in the browser."""
        return Response(_SCRIPT, media_type="text/javascript; charset=utf-8")

    @router.get("/reviews/output", tags=["pages"], response_class=HTMLResponse)
    def output_page(
        request: Request,
        output_id: OutputId,
        *,
        taken: Plain | None = None,
        ended: Annotated[bool, Query()] = False,
        lang: LanguageText = None,
        accepted: AcceptLanguage = None,
    ) -> HTMLResponse:
        """One output with its life, and the form in which a reviewer decides about it."""
        now, words = clock.now(), Words(lang or preferred(accepted))
        with store.reading() as connection:
            found = _find(connection, request, output_id, words, now)
        reads.note(reader_of(request), "page", {"output": output_id}, 1)
        in_log = None if taken is None else is_told(found.case, taken, ended=ended)
        return html(
            "output.html.jinja", words, path="/reviews/output", taken=in_log, has_key=desk.key.is_here,
            sign_in=sign_in_url(request), **_shown(found, words, now),
        )  # fmt: skip

    @router.get("/api/v1/outputs/one", tags=["reviews"])
    def output(request: Request, output_id: OutputId) -> dict[str, Any]:
        """One output: what it is, its duty, reviews with why they count or not, uses, findings, and its entries."""
        now = clock.now()
        with store.reading() as connection:
            found = _find(connection, request, output_id, Words("en"), now)
        reads.note(reader_of(request), "outputs", {"output": output_id}, 1)
        return _as_json(found, now)


def _find(connection: Connection, request: Request, output_id: str, words: Words, now: datetime) -> _Found:
    case = read_cases(connection, [output_id]).get(output_id)
    if case is None:
        raise HTTPException(404, "found no such output; GET /api/v1/outputs lists them, the log may be behind the bus")
    rules = read_rulebook(connection)
    you = you_of(request, rules, now)
    hurdle, held = None, None
    if you.person is not None and you.standing != "no_role":
        units = holder_of(request).acting_as(frozenset({"reviewer"})).units
        reviewer = Reviewer(you.person, with_those_below(connection, units))
        hurdle, held = _of_reviewer(case, reviewer, rules, now)
    rows = find_findings(connection, WantedFindings(output=output_id), after=-1, limit=_FINDINGS)
    findings, units_named = [finding_told(row, with_persons=True) for row in rows], unit_names(connection, words)
    return _Found(case, rules, read_life(connection, output_id), findings, units_named, hurdle, held, you)


def _of_reviewer(
    case: Case, reviewer: Reviewer, rules: Rulebook, now: datetime
) -> tuple[Refused | None, Opening | None]:
    """Why a reviewer cannot open it, and what they have open."""
    hurdle, held = hurdle_of(case, reviewer, rules, now), own_opening(case, reviewer.person, rules)
    holds = held is not None and lease_of(case, held) >= now and (hurdle is None or hurdle.code == "leased")
    return hurdle, held if holds else None


def _shown(found: _Found, words: Words, now: datetime) -> dict[str, Any]:
    case, output, duty = found.case, found.case.output, found.case.duty
    due = due_of(case) if is_demanded(case) else None
    state = judge(case, now).state
    unit = (duty.unit if duty else None) or (output.unit if output else None)
    return {
        "case": case,
        "state": state,
        "due": due,
        "late": state == "overdue",
        "host": host_of(output.content_ref if output else None),
        "rule": rule_in_words(duty, words) if duty else [],
        "names": names_of(found.rules, words),
        "unit": found.units.get(unit, unit) if unit else None,
        "findings": [_finding(one) for one in found.findings],
        "reviews": [{"known": known, "reason": reason(known.review.reason_code, words)} for known in case.reviews],
        "marks": marks(case),
        "life": found.life,
        "steps": [told(step, words) for step in found.life.steps],
        **_deciding(found, words),
    }


def _deciding(found: _Found, words: Words) -> dict[str, Any]:
    case, held, duty, person = found.case, found.held, found.case.duty, found.you.person
    risk_class = duty.risk_class if duty else "unclassified"
    return {
        "you": found.you,
        "held": held,
        "held_until": lease_of(case, held) if held else None,
        "hurdle": refusal_in_words(found.hurdle, words) if found.hurdle else None,
        "replaces": earlier_review(case, person, found.rules) if person else None,
        "reasons": REASONS,
        "decisions": DECISIONS,
        "shown": SHOWN,
        "asks_adverse": risk_class in ONE_BY_ONE,
        "asks_twice": needs_confirming(duty.rule if duty else None, risk_class),
    }


def _finding(one: dict[str, Any]) -> dict[str, Any]:
    closed = one.get("closed") or {}
    moment = datetime.fromisoformat(one["detected_at"])
    return {
        "kind": one["kind"],
        "detected_at": moment,
        "reason": closed.get("reason"),
        "opened_entry": one["opened_entry"],
    }


def _as_json(found: _Found, now: datetime) -> dict[str, Any]:
    case = found.case
    due, judgement = due_of(case) if is_demanded(case) else None, judge(case, now)
    return {
        "output_id": case.output_id,
        "state": judgement.state,
        "flags": sorted(judgement.flags),
        "due_at": timestamp(due) if due else None,
        "output": case.output.model_dump(mode="json") if case.output else None,
        "duty": case.duty.model_dump(mode="json") if case.duty else None,
        "openings": [one.model_dump(mode="json") for one in case.openings],
        "reviews": [one.model_dump(mode="json") for one in case.reviews],
        "uses": [one.model_dump(mode="json") for one in case.uses],
        "findings": found.findings,
        "entries": [
            {"index": step.index, "ingest_time": timestamp(step.ingest_time), "type": step.type}
            for step in found.life.steps
        ],
        "known_entries": found.life.known,
        "log_size": found.life.size,
    }
