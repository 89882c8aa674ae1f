"""Findings as people look for them: filtered, counted, and settled by who has looked into one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, case, func, select

from services.audit_log.adapters.reviews.cases import SqlCaseFiles, read_rulebook
from services.audit_log.adapters.reviews.desk import with_those_below
from services.audit_log.adapters.tables import finding
from services.audit_log.domain.reviews.settling import Settlement, settled, took_part
from services.audit_log.handlers import say_once
from services.shared.events.outcomes import Finding, FindingKind
from services.shared.store import Transaction

AGES = (timedelta(days=1), timedelta(days=7), timedelta(days=30))
"""The ages at which findings are counted apart: under a day, a week, thirty days, and older."""


@dataclass(frozen=True, slots=True)
class WantedFindings:
    """What is looked for; what is None does not matter. `older_than`: detected before that moment."""

    kind: FindingKind | None = None
    severity: Literal["note", "warning", "severe"] | None = None
    unit: str | None = None
    use_case: str | None = None
    system: str | None = None
    output: str | None = None
    still_open: bool | None = None
    older_than: datetime | None = None


class FindingCount(NamedTuple):
    """Open findings of a kind, unit, severity and age: `age` is the place in `AGES` that it is still under, or 3."""

    kind: FindingKind
    unit: str
    severity: str
    age: int
    open: int


def find_findings(connection: Connection, wanted: WantedFindings, *, after: int, limit: int) -> Sequence[Row[Any]]:
    """Findings by the index of the entry that opened them, from `after` on, exclusive."""
    query = select(finding).where(finding.c.opened_seq > after, *_conditions(wanted)).order_by(finding.c.opened_seq)
    return connection.execute(query.limit(limit)).all()


def count_findings(connection: Connection, wanted: WantedFindings) -> int:
    """How many fit."""
    count: int = connection.execute(select(func.count()).select_from(finding).where(*_conditions(wanted))).scalar_one()
    return count


def _conditions(wanted: WantedFindings) -> list[ColumnElement[bool]]:
    columns = {
        finding.c.kind: wanted.kind,
        finding.c.severity: wanted.severity,
        finding.c.unit: wanted.unit,
        finding.c.use_case: wanted.use_case,
        finding.c.system: wanted.system,
        finding.c.output_id: wanted.output,
    }
    found = [column == value for column, value in columns.items() if value is not None]
    if wanted.still_open is not None:
        found.append(finding.c.closed_seq.is_(None) if wanted.still_open else finding.c.closed_seq.is_not(None))
    if wanted.older_than is not None:
        found.append(finding.c.detected_at < wanted.older_than)
    return found


def count_open(connection: Connection, now: datetime) -> list[FindingCount]:
    """All open findings, counted by kind, unit, severity and age."""
    age = case(
        *((finding.c.detected_at > now - limit, place) for place, limit in enumerate(AGES)), else_=len(AGES)
    ).label("age")
    columns = (finding.c.kind, finding.c.unit, finding.c.severity, age)
    query = select(*columns, func.count()).where(finding.c.closed_seq.is_(None)).group_by(*columns).order_by(*columns)
    return [FindingCount(*row) for row in connection.execute(query)]


def oldest_open(connection: Connection) -> list[tuple[str, datetime]]:
    """(kind, when the oldest open finding of it was detected)."""
    query = (
        select(finding.c.kind, func.min(finding.c.detected_at))
        .where(finding.c.closed_seq.is_(None))
        .group_by(finding.c.kind)
        .order_by(finding.c.kind)
    )
    return [(kind, detected) for kind, detected in connection.execute(query)]


Refusal = Literal["unknown", "elsewhere", "own", "closed", "early"]


def settle(tx: Transaction, settlement: Settlement, now: datetime, units: frozenset[str]) -> Refusal | None:
    """Close a finding because a person has looked into it; why not, or None when it is done.

    The word leaves by the outbox and counts when the log holds it. Whatever closes a finding first stands. `units`:
    where the person's role holds, and below; empty: everywhere.
    """
    row = tx.connection.execute(select(finding).where(finding.c.finding_id == settlement.finding_id)).first()
    if row is None:
        return "unknown"
    if units and row.unit not in with_those_below(tx.connection, units):
        return "elsewhere"
    case = SqlCaseFiles().load(tx, [row.output_id]).get(row.output_id) if row.output_id else None
    if case is not None and took_part(settlement.closed_by, case, read_rulebook(tx.connection)):
        return "own"
    event = settled(Finding.model_validate_json(row.opened), settlement, now)
    return "closed" if row.closed_seq is not None or not say_once(SqlCaseFiles(), tx, [event], now) else None


def told(row: Row[Any], *, with_persons: bool) -> dict[str, Any]:
    """A finding for programs: what opened it, what closed it, and the entries that say so.

    Without persons, who settled it is left out; the entry that says so is for who may look at people.
    """
    closed = json.loads(row.closed) if row.closed else None
    if closed and not with_persons:
        closed.pop("closed_by", None)
    return {**json.loads(row.opened), "opened_entry": row.opened_seq, "closed_entry": row.closed_seq, "closed": closed}
