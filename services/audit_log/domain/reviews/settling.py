"""Closing a finding by a person's word: who has looked into it says what was found. Pure."""

import re
from datetime import datetime
from typing import NamedTuple

from services.audit_log.domain.reviews.case import Case
from services.audit_log.domain.reviews.duty import Rulebook
from services.audit_log.domain.telling import SOURCE
from services.shared.events import event_id
from services.shared.events.outcomes import Finding, FindingClosed, FindingClosing

LEAST_LETTERS = 10
"""Shorter words say nothing to who reads them in a year."""
MOST_CHARACTERS = 256
"""What a name in an event may hold."""

_LETTER = re.compile(r"[^\W\d_]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_ADDRESS = re.compile(r"\S@\S")
_IDENTITY_CODE = re.compile(r"\b[0-3]\d[01]\d\d{2}[-+A-FU-Y]\d{3}[0-9A-Z]\b", re.IGNORECASE)


class Settlement(NamedTuple):
    """Whoever `closed_by` names (a pseudonym, or the id of a token) says that a finding needs nobody any more."""

    finding_id: str
    note: str
    closed_by: str


def took_part(person: str, case: Case, rules: Rulebook) -> bool:
    """Whether somebody asked for the output, used it or reviewed it: nobody settles a finding about themselves."""
    asked = [case.output.requester] if case.output else []
    names = [*asked, *(known.review.reviewer for known in case.reviews), *(known.use.actor for known in case.uses)]
    return rules.person(person) in {rules.person(name) for name in names if name}


def note_of(text: str) -> str:
    """The note as it will stand in the log: in one line.

    Raises:
        ValueError: it says too little, too much, or holds an address or a personal identity code. The sentence says
            what to write, and nothing of what was written.
    """
    note = " ".join(_CONTROL.sub(" ", text).split())
    if len(_LETTER.findall(note)) < LEAST_LETTERS:
        raise ValueError(
            f"found a note of fewer than {LEAST_LETTERS} letters; say what was looked at and what was found"
        )
    if len(note) > MOST_CHARACTERS:
        raise ValueError(
            f"found a note of {len(note)} characters; {MOST_CHARACTERS} fit, so name a record for the rest"
        )
    if _ADDRESS.search(note) or _IDENTITY_CODE.search(note):
        raise ValueError("found an address or an identity code in the note; name a record instead of a person")
    return note


def settled(finding: Finding, settlement: Settlement, now: datetime) -> FindingClosed:
    """The word that closes it. Its id is the one of any closing of this finding, so that there is only one."""
    data = FindingClosing(
        finding_id=finding.finding_id,
        output_id=finding.output_id,
        closed_at=now,
        reason="settled",
        closed_by=settlement.closed_by,
        note=settlement.note,
    )
    subject = finding.output_id or finding.use_case or finding.system or finding.finding_id
    return FindingClosed(id=event_id(finding.finding_id, "closed"), source=SOURCE, subject=subject, time=now, data=data)
