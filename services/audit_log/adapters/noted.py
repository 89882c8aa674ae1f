"""Events that are about no single output, and what keeps something of each: one line per kind."""

from collections.abc import Callable, Mapping
from typing import Any

from services.audit_log.adapters.holds import fold_hold
from services.audit_log.adapters.use_case_costs import fold_cost
from services.shared.events.log import LogHoldPlaced, LogHoldReleased
from services.shared.events.outcomes import UseCaseCosted
from services.shared.store import Transaction

NOTED: Mapping[type, Callable[[Transaction, int, Any], None]] = {
    LogHoldPlaced: fold_hold,
    LogHoldReleased: fold_hold,
    UseCaseCosted: fold_cost,
}
"""Kind of event → what folds it: (transaction, index of the entry, event)."""
