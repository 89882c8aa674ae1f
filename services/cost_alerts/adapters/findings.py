"""Findings in SQL, as the outcomes tell them; a closing may come before its opening.

A finding about no output (about a use case, a system, an incident) has the empty text in the place of one.
"""

from collections.abc import Sequence

from sqlalchemy import update

from services.cost_alerts.adapters.tables import FINDING
from services.shared.events.outcomes import Finding, FindingClosing
from services.shared.store import Transaction
from services.shared.store.tables import micros


class SqlFindings:
    """See `Findings`."""

    def opened(self, tx: Transaction, findings: Sequence[Finding]) -> None:
        rows = [
            (one.finding_id, one.kind, one.system, one.unit, one.output_id or "", micros(one.detected_at))
            for one in findings
        ]
        tx.bulk_insert(FINDING, ("id", "kind", "system", "unit", "output_id", "opened_at"), rows, ignore_conflicts=True)
        for one in findings:
            values = {"kind": one.kind, "system": one.system, "unit": one.unit, "opened_at": micros(one.detected_at)}
            tx.connection.execute(update(FINDING).where(FINDING.c.id == one.finding_id).values(**values))

    def closed(self, tx: Transaction, closings: Sequence[FindingClosing]) -> None:
        rows = [(one.finding_id, one.output_id or "", micros(one.closed_at)) for one in closings]
        tx.bulk_insert(FINDING, ("id", "output_id", "closed_at"), rows, ignore_conflicts=True)
        for one in closings:
            here = (FINDING.c.id == one.finding_id, FINDING.c.closed_at.is_(None))
            tx.connection.execute(update(FINDING).where(*here).values(closed_at=micros(one.closed_at)))
