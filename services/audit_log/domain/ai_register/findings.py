"""Findings about uses of AI, systems and incidents: which to open, which to close, each once. Pure.

The same thing (kind, use case or system, what it is about) is one finding for as long as it lasts. Should it come back
after it was mended, it is a new one. What a person settled stays settled, unless it grew graver. A warning that becomes
severe is told anew, and the warning closes. A newer policy never closes what was overdue: only a person does, or the
record that was missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Literal, NamedTuple

from services.audit_log.domain.ai_register.incidents import Clock, IncidentFile, clocks
from services.audit_log.domain.ai_register.obligations import (
    OTHERS,
    Missing,
    Uncovered,
    in_production,
    is_covered,
    is_on_record,
)
from services.audit_log.domain.ai_register.sightings import Seen, Sighting
from services.audit_log.domain.telling import SOURCE
from services.shared.events.envelope import event_id
from services.shared.events.outcomes import Finding, FindingClosed, FindingClosing, FindingKind, FindingOpened
from services.shared.events.register import UNALLOCATED, LegalRecord, Policy, UseCase
from services.shared.periods import day_start

KINDS: Sequence[FindingKind] = ("record_missing", "uncovered_use", "incident_late")
"""The kinds that are decided here."""

GRAVER = "it has grown severe since; see the finding that says so"
USE_ENDED = "the use case has ended, or is not in production any more"
NOT_ASKED = "the policy no longer asks for it"


class Wanted(NamedTuple):
    """Something a person must look at. `subject`: the use case, system or incident; `due_at`: since when, or by when.

    `once`: it is told once whatever comes (a clock that ran out stays so).
    """

    kind: FindingKind
    subject: str
    use_case: str | None
    system: str | None
    unit: str
    about: str
    severe: bool
    due_at: datetime | None = None
    once: bool = False


class Known(NamedTuple):
    """A finding that the log holds; `reason`: why it was closed, None while it is open."""

    finding: Finding
    reason: str | None


class Closing(NamedTuple):
    """Why a finding needs nobody any more."""

    reason: str
    note: str | None = None


_Key = tuple[str, str | None, str | None, str | None]


def of_missing(found: Missing) -> Wanted:
    """A record that is missing; severe from the day on by which it had to be there."""
    about, due = about_missing(found.record, found.legal_date), day_start(found.due)
    overdue = found.state == "overdue"
    return Wanted("record_missing", found.use_case, found.use_case, None, found.unit, about, overdue, due)


def about_missing(record: LegalRecord, legal_date: str) -> str:
    """What a missing record is called: the record, and the legal date of the policy."""
    return f"{record} {legal_date}"


def of_uncovered(found: Uncovered, owner: str | None = None) -> Wanted:
    """A use that no use case covers. `owner`: the unit that answers for the system, where the register knows one."""
    system, unit = found.seen.system, found.unit or owner or UNALLOCATED
    return Wanted("uncovered_use", system, None, system, unit, found.seen.about, found.severe)


def of_clock(file: IncidentFile, clock: Clock) -> Wanted:
    """A clock that ran out."""
    incident = file.incident
    about = f"{incident.incident_id} {clock.whom}"
    where = (incident.incident_id, incident.use_case, incident.system, incident.unit)
    return Wanted("incident_late", *where, about, severe=True, due_at=clock.due_at, once=True)


def to_open(
    wanted: Iterable[Wanted], known: Iterable[Known], policy: Policy | None, now: datetime
) -> list[FindingOpened]:
    """What is wanted and neither open nor settled by a person; `policy`: the one in force."""
    told: dict[_Key, list[Known]] = {}
    for one in known:
        told.setdefault(_key_of(one.finding), []).append(one)
    missing = [(one, told.get(_key(one), [])) for one in wanted]
    return [
        _opening(one, len(before), policy, now)
        for one, before in missing
        if not any(_answers(found, one) for found in before)
    ]


def to_close(known: Sequence[Known], answers: Mapping[str, Closing | None], now: datetime) -> list[FindingClosed]:
    """Open findings that `answers` (by finding id) says are answered, and those that a graver one took over."""
    open_now = [one.finding for one in known if one.reason is None]
    severe = {_key_of(finding) for finding in open_now if finding.severity == "severe"}
    closed: list[FindingClosed] = []
    for finding in open_now:
        answer = answers.get(finding.finding_id)
        if answer is None and finding.severity != "severe" and _key_of(finding) in severe:
            answer = Closing("resolved", GRAVER)
        if answer is not None:
            closed.append(_closing(finding, answer, now))
    return closed


def answer_missing(
    finding: Finding, wanted: frozenset[str], use_cases: Sequence[UseCase], today: date
) -> Closing | None:
    """Why a missing record is missed no more; `wanted`: what is still wanted of its use case."""
    record, _, _ = (finding.about or "").partition(" ")
    holding = [one for one in in_production(use_cases, today) if one.id == finding.use_case]
    if not holding:
        return Closing("resolved", USE_ENDED)
    if record in UseCase.model_fields and all(is_on_record(one, record) for one in holding):  # type: ignore[arg-type]  # what the log holds may be from another version
        return Closing("recorded")
    if finding.severity != "severe" and finding.about not in wanted:
        return Closing("resolved", NOT_ASKED)
    return None


def answer_uncovered(
    finding: Finding, wanted: frozenset[str], sightings: Iterable[Sighting], use_cases: Sequence[UseCase], today: date
) -> Closing | None:
    """Covered now; `wanted`: what is still wanted of its system.

    What was not seen proves nothing: the list of what was seen may be on its way to being made anew.
    """
    if finding.about in wanted:
        return None
    of_system = [one for one in sightings if one.seen.system == finding.system]
    seen = [one for one in of_system if finding.about in {one.seen.about, Seen(*one.seen[:2], OTHERS).about}]
    return Closing("recorded") if seen and _all_covered(finding, seen, use_cases, today) else None


def _all_covered(finding: Finding, seen: Iterable[Sighting], use_cases: Sequence[UseCase], today: date) -> bool:
    of_all = (finding.about or "").endswith(f" {OTHERS}")
    return of_all or all(is_covered(one, use_cases, today) for one in seen)


def answer_late(finding: Finding, files: Iterable[IncidentFile], now: datetime) -> Closing | None:
    """Told, though late."""
    for file in files:
        for clock in clocks(file, now):
            if clock.told_at is not None and of_clock(file, clock).about == finding.about:
                return Closing("recorded")
    return None


def _answers(known: Known, wanted: Wanted) -> bool:
    """Whether a finding of the same thing stands for what is wanted now."""
    grave_enough = known.finding.severity == "severe" or not wanted.severe
    return wanted.once or (grave_enough and known.reason in {None, "settled"})


def _key(wanted: Wanted) -> _Key:
    return wanted.kind, wanted.use_case, wanted.system, wanted.about


def _key_of(finding: Finding) -> _Key:
    return finding.kind, finding.use_case, finding.system, finding.about


def _opening(wanted: Wanted, epoch: int, policy: Policy | None, now: datetime) -> FindingOpened:
    severity: Literal["severe", "warning"] = "severe" if wanted.severe else "warning"
    name = event_id(wanted.kind, wanted.subject, wanted.about, severity, epoch)
    finding = Finding(
        finding_id=name,
        kind=wanted.kind,
        use_case=wanted.use_case,
        system=wanted.system,
        unit=wanted.unit,
        policy=policy.id if policy else None,
        policy_version=policy.version if policy else None,
        due_at=wanted.due_at,
        detected_at=now,
        severity=severity,
        about=wanted.about,
    )
    return FindingOpened(id=name, source=SOURCE, subject=_subject_of(finding), time=now, data=finding)


def _closing(finding: Finding, answer: Closing, now: datetime) -> FindingClosed:
    closing = {"finding_id": finding.finding_id, "closed_at": now, "reason": answer.reason, "note": answer.note}
    return FindingClosed(
        id=event_id(finding.finding_id, "closed"),
        source=SOURCE,
        subject=_subject_of(finding),
        time=now,
        data=FindingClosing.model_validate(closing),
    )


def _subject_of(finding: Finding) -> str:
    return finding.use_case or finding.system or finding.finding_id
