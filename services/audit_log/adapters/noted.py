"""Events that are about no single output, and what keeps something of each: one line per kind."""

from collections.abc import Callable, Mapping
from typing import Any

from services.audit_log.adapters.ai_register.costs import fold_cost
from services.audit_log.adapters.ai_register.incident_files import fold_incident
from services.audit_log.adapters.holds import fold_hold
from services.audit_log.adapters.reviews.joined import fold_joining
from services.audit_log.adapters.reviews.sampling import fold_commitment, fold_draw, fold_reveal
from services.audit_log.adapters.roles import fold_role
from services.shared.events.governance import (
    CaseMerged,
    PseudonymsJoined,
    SampleCommitted,
    SampleDrawn,
    SampleRevealed,
)
from services.shared.events.log import LogHoldPlaced, LogHoldReleased
from services.shared.events.outcomes import IncidentClosed, IncidentNotified, IncidentOpened, RoleChanged, UseCaseCosted
from services.shared.store import Transaction

NOTED: Mapping[type, Callable[[Transaction, int, Any], None]] = {
    LogHoldPlaced: fold_hold,
    LogHoldReleased: fold_hold,
    RoleChanged: fold_role,
    PseudonymsJoined: fold_joining,
    CaseMerged: fold_joining,
    SampleCommitted: fold_commitment,
    SampleRevealed: fold_reveal,
    SampleDrawn: fold_draw,
    UseCaseCosted: fold_cost,
    IncidentOpened: fold_incident,
    IncidentNotified: fold_incident,
    IncidentClosed: fold_incident,
}
"""Kind of event → what folds it: (transaction, index of the entry, event)."""
