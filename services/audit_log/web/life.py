"""What the page of one output shows of its life: every entry in words, and its moments on a line. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from services.audit_log.adapters.reviews.timeline import Step
from services.audit_log.domain.reviews.case import Case
from services.audit_log.domain.reviews.deciding import REASONS
from services.shared.web.words import Words

KINDS = (
    "ai_output_generated", "ai_output_used", "ai_output_superseded", "ai_output_deleted", "ai_output_voided",
    "ai_review_requested", "ai_review_opened", "ai_review_decided", "ai_review_declined", "ai_review_escalated",
    "ai_sample_drawn", "finding_opened", "finding_closed",
)  # fmt: skip
"""Kinds of entries that have words of their own; any other is told as what it is called."""

_MARKS, _APART = 20, 3.5
"""So many moments have room on the line, so far (per cent of it) from each other."""

MarkKind = Literal["made", "due", "reviewed", "used"]
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """An entry in words. `kind`: of `KINDS`, or `other`."""

    index: int
    when: datetime
    kind: str
    what: str
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the line of a life; `at` per cent of its length, stretched so that each can be seen."""

    kind: MarkKind
    moment: datetime
    at: float


def told(step: Step, words: Words) -> Told:
    """One entry about an output."""
    name = step.type.removeprefix("valvomo.").removesuffix(".v1").replace(".", "_")
    kind = name if name in KINDS else "other"
    data = step.event.get("data")
    details = _DETAILS[kind](data, words) if kind in _DETAILS and isinstance(data, dict) else iter(())
    shown = (step.type,) if kind == "other" else tuple(detail for detail in details if detail)
    return Told(step.index, step.ingest_time, kind, words("rev_step_" + kind), shown)


def marks(case: Case) -> list[Mark]:
    """When it was made, due, reviewed and used, in the order of time, at most `_MARKS`; none covers another."""
    found = sorted(_moments(case), key=lambda one: one[1])[:_MARKS]
    if not found:
        return []
    first, length = found[0][1], (found[-1][1] - found[0][1]).total_seconds()
    free = 100.0 - _APART * (len(found) - 1)
    places = [free * (moment - first).total_seconds() / length if length else 0.0 for _, moment in found]
    return [
        Mark(kind, moment, place + _APART * at)
        for at, (place, (kind, moment)) in enumerate(zip(places, found, strict=True))
    ]


def _moments(case: Case) -> Iterator[tuple[MarkKind, datetime]]:
    if case.output is not None:
        yield "made", case.output.generated_at
    if case.duty is not None and case.duty.due_at is not None:
        yield "due", case.duty.due_at
    for known in case.reviews:
        yield "reviewed", known.review.decided_at
    for known_use in case.uses:
        yield "used", known_use.use.used_at


def _generated(data: Data, words: Words) -> Iterator[str]:
    del words
    yield from (str(data[name]) for name in ("system", "model") if data.get(name))


def _used(data: Data, words: Words) -> Iterator[str]:
    yield words("rev_use_" + data["kind"])
    yield _moment(data, "used_at", words)


def _deleted(data: Data, words: Words) -> Iterator[str]:
    yield words("rev_deleted_" + data["reason"])
    yield _moment(data, "deleted_at", words)


def _voided(data: Data, words: Words) -> Iterator[str]:
    del words
    yield from (str(data[name]) for name in ("reason", "approver") if data.get(name))


def _superseded(data: Data, words: Words) -> Iterator[str]:
    del words
    yield str(data.get("superseded_by") or "")


def _requested(data: Data, words: Words) -> Iterator[str]:
    yield words("rev_because_" + data["because"])
    if data.get("due_at"):
        yield words("rev_due_at", moment=_moment(data, "due_at", words))


def _opened(data: Data, words: Words) -> Iterator[str]:
    del words
    yield str(data.get("reviewer") or "")


def _decided(data: Data, words: Words) -> Iterator[str]:
    yield words("rev_decision_" + data["decision"])
    yield reason(data.get("reason_code"), words)
    yield str(data.get("reviewer") or "")


def _declined(data: Data, words: Words) -> Iterator[str]:
    yield reason(data.get("reason_code"), words)
    yield str(data.get("reviewer") or "")


def _escalated(data: Data, words: Words) -> Iterator[str]:
    yield str(data.get("role") or "")
    yield words("rev_due_at", moment=_moment(data, "due_at", words))


def _drawn(data: Data, words: Words) -> Iterator[str]:
    del words
    yield str(data.get("period") or "")


def _finding_opened(data: Data, words: Words) -> Iterator[str]:
    yield words(str(data["kind"]))


def _finding_closed(data: Data, words: Words) -> Iterator[str]:
    yield words("finding_reason_" + data["reason"])
    yield str(data.get("note") or "")


_DETAILS: Mapping[str, Callable[[Data, Words], Iterator[str]]] = {
    "ai_output_generated": _generated,
    "ai_output_used": _used,
    "ai_output_superseded": _superseded,
    "ai_output_deleted": _deleted,
    "ai_output_voided": _voided,
    "ai_review_requested": _requested,
    "ai_review_opened": _opened,
    "ai_review_decided": _decided,
    "ai_review_declined": _declined,
    "ai_review_escalated": _escalated,
    "ai_sample_drawn": _drawn,
    "finding_opened": _finding_opened,
    "finding_closed": _finding_closed,
}


def reason(code: object, words: Words) -> str:
    """A reason code in words; one that another program gave, as it is; none: nothing."""
    known = any(code in codes for codes in REASONS.values())
    return words("rev_reason_" + str(code)) if known else str(code or "")


def _moment(data: Data, name: str, words: Words) -> str:
    return words.moment(datetime.fromisoformat(data[name]))
