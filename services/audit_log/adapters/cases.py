"""The projections: cases, findings, and the register as far as reviews need it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.audit_log.adapters.holds import clear_holds
from services.audit_log.adapters.noted import NOTED
from services.audit_log.adapters.tables import REVIEWS, case_file, decision, finding, register_fact, register_staged
from services.audit_log.domain.duty import Rulebook
from services.audit_log.domain.review import REVIEWED_STATES, WAITING_STATES, Case, State
from services.audit_log.ports import Judged
from services.shared.events.envelope import Event
from services.shared.events.outcomes import FindingClosed, FindingOpened
from services.shared.events.register import (
    Policy,
    PolicyPublished,
    RegisterChange,
    ReviewerMandate,
    ReviewerMandated,
    UseCase,
    UseCaseRegistered,
)
from services.shared.store import Transaction, chunks
from services.shared.store.tables import micros

_AT_ONCE = 500
_NOW = datetime(1970, 1, 1, tzinfo=UTC)
"""The next look of a case that was touched: before any moment."""

_KINDS: dict[type, str] = {PolicyPublished: "policy", UseCaseRegistered: "use_case", ReviewerMandated: "mandate"}


class SqlCaseFiles:
    """See `CaseFiles`."""

    def load(self, tx: Transaction, output_ids: Sequence[str]) -> dict[str, Case]:
        found: dict[str, Case] = {}
        for some in chunks(output_ids, _AT_ONCE):
            query = select(case_file.c.output_id, case_file.c.document).where(case_file.c.output_id.in_(some))
            found |= {row.output_id: Case.model_validate_json(row.document) for row in tx.connection.execute(query)}
        return found

    def save(self, tx: Transaction, judged: Sequence[Judged]) -> None:
        _put(tx, case_file, [_row(case, judgement.state, judgement.next_look) for case, judgement in judged])

    def touch(self, tx: Transaction, cases: Sequence[Case]) -> None:
        _put(tx, case_file, [_row(case, None, _NOW) for case in cases])

    def waiting(self, tx: Transaction, now: datetime, limit: int) -> list[Case]:
        query = (
            select(case_file.c.document)
            .where(case_file.c.next_look < now)
            .order_by(case_file.c.next_look, case_file.c.output_id)
            .limit(limit)
        )
        return [Case.model_validate_json(document) for document in tx.connection.execute(query).scalars()]

    def unsettled(self, tx: Transaction) -> Iterator[Sequence[Case]]:
        after = ""
        while True:
            query = (
                select(case_file.c.output_id, case_file.c.document)
                .where(case_file.c.output_id > after, case_file.c.state.not_in(sorted(REVIEWED_STATES)))
                .order_by(case_file.c.output_id)
                .limit(_AT_ONCE)
            )
            rows = tx.connection.execute(query).all()
            if not rows:
                return
            after = rows[-1].output_id
            yield [Case.model_validate_json(row.document) for row in rows]

    def note_opened(self, tx: Transaction, index: int, event: FindingOpened) -> None:
        data = event.data
        row = {
            "finding_id": data.finding_id,
            "output_id": data.output_id,
            "kind": data.kind,
            "severity": data.severity or "warning",
            "unit": data.unit,
            "use_case": data.use_case or "",
            "system": data.system or "",
            "detected_at": data.detected_at,
            "opened_seq": index,
            "opened": data.model_dump_json(),
        }
        tx.connection.execute(_insert(tx, finding).values(row).on_conflict_do_nothing())

    def note_closed(self, tx: Transaction, index: int, event: FindingClosed) -> None:
        still_open = (finding.c.finding_id == event.data.finding_id) & finding.c.closed_seq.is_(None)
        tx.connection.execute(
            update(finding).where(still_open).values(closed_seq=index, closed=event.data.model_dump_json())
        )

    def note(self, tx: Transaction, index: int, event: Event) -> bool:
        keep = NOTED.get(type(event))
        if keep is not None:
            keep(tx, index, event)
        return keep is not None

    def stage(self, tx: Transaction, change: RegisterChange) -> None:
        kind = _KINDS.get(type(change))
        if kind is None:
            return
        fact = change.data.fact
        row = {
            "version": change.data.version,
            "kind": kind,
            "fact_id": change.data.fact_id,
            "document": fact.model_dump_json() if fact else None,
        }
        _put(tx, register_staged, [row])

    def apply_register(self, tx: Transaction, version: int) -> None:
        due = register_staged.c.version <= version
        for row in tx.connection.execute(select(register_staged).where(due).order_by(register_staged.c.version)).all():
            _apply(tx, row)
        tx.connection.execute(delete(register_staged).where(due))

    def rulebook(self, tx: Transaction) -> Rulebook:
        return read_rulebook(tx.connection)

    def decided_first(self, tx: Transaction, message_ids: Sequence[str], now: datetime) -> set[str]:
        known: set[str] = set()
        for some in chunks(message_ids, _AT_ONCE):
            query = select(decision.c.message_id).where(decision.c.message_id.in_(some))
            known |= set(tx.connection.execute(query).scalars())
        new = dict.fromkeys(name for name in message_ids if name not in known)
        tx.bulk_insert(decision, ("message_id", "decided_at"), [(name, micros(now)) for name in new])
        return set(new)

    def clear(self, tx: Transaction) -> None:
        for table in REVIEWS:
            tx.connection.execute(delete(table))
        clear_holds(tx)


def read_rulebook(connection: Connection) -> Rulebook:
    """What the register, as the log has it, says about reviews."""
    rows = connection.execute(select(register_fact).order_by(register_fact.c.kind, register_fact.c.fact_id)).all()
    documents: dict[str, list[str]] = {kind: [] for kind in _KINDS.values()}
    for row in rows:
        documents[row.kind].append(row.document)
    return Rulebook(
        policies=tuple(map(Policy.model_validate_json, documents["policy"])),
        use_cases=tuple(map(UseCase.model_validate_json, documents["use_case"])),
        mandates=tuple(map(ReviewerMandate.model_validate_json, documents["mandate"])),
    )


def state_counts(connection: Connection) -> list[tuple[str, State, int]]:
    """(system, state, outputs), for outputs that are known."""
    query = (
        select(case_file.c.system, case_file.c.state, func.count())
        .where(case_file.c.state.not_in(["", "unknown_output"]))
        .group_by(case_file.c.system, case_file.c.state)
        .order_by(case_file.c.system, case_file.c.state)
    )
    return [(system, state, count) for system, state, count in connection.execute(query)]


def due_counts(connection: Connection, now: datetime) -> list[tuple[str, State, int]]:
    """(system, state, outputs) of those whose review was due by `now`."""
    query = (
        select(case_file.c.system, case_file.c.state, func.count())
        .where(case_file.c.due_at <= now)
        .group_by(case_file.c.system, case_file.c.state)
    )
    return [(system, state, count) for system, state, count in connection.execute(query)]


def open_counts(connection: Connection) -> list[tuple[str, str, int]]:
    """(unit, kind, open findings)."""
    query = (
        select(finding.c.unit, finding.c.kind, func.count())
        .where(finding.c.closed_seq.is_(None))
        .group_by(finding.c.unit, finding.c.kind)
        .order_by(finding.c.unit, finding.c.kind)
    )
    return [(unit, kind, count) for unit, kind, count in connection.execute(query)]


def list_findings(connection: Connection, *, still_open: bool | None, after: int, limit: int) -> Sequence[Row[Any]]:
    """Findings by the index of the entry that opened them, from `after` on, exclusive."""
    query = select(finding).where(finding.c.opened_seq > after).order_by(finding.c.opened_seq).limit(limit)
    if still_open is not None:
        query = query.where(finding.c.closed_seq.is_(None) if still_open else finding.c.closed_seq.is_not(None))
    return connection.execute(query).all()


def list_cases(connection: Connection, *, state: str | None, after: str, limit: int) -> Sequence[Row[Any]]:
    """Outputs by their id, from `after` on, exclusive."""
    query = select(case_file).where(case_file.c.output_id > after).order_by(case_file.c.output_id).limit(limit)
    return connection.execute(query.where(case_file.c.state == state) if state else query).all()


def _row(case: Case, state: State | None, next_look: datetime | None) -> dict[str, Any]:
    row = {
        "output_id": case.output_id,
        "document": case.model_dump_json(exclude_defaults=True),
        "system": case.output.system if case.output else "",
        "unit": case.duty.unit if case.duty else "",
        "use_case": (case.output and case.output.use_case) or "",
        "risk_class": case.duty.risk_class if case.duty else "",
        "model": (case.output and case.output.model) or "",
        "generated_at": case.output.generated_at if case.output else None,
        "content_hash": case.output.content_hash if case.output else None,
        "due_at": case.duty.due_at if case.duty else None,
        "next_look": next_look,
    }
    return row if state is None else {**row, "state": state, "waits": int(state in WAITING_STATES)}


def _put(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those of the same key; a state that is not given stays, at first empty."""
    if not rows:
        return
    key = [column.name for column in table.primary_key]
    statement = _insert(tx, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    values = [{"state": "", "waits": 0, **row} if table is case_file else row for row in rows]
    tx.connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), values)


def _insert(tx: Transaction, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if tx.dialect == "sqlite" else postgresql.insert(table)


def _apply(tx: Transaction, row: Row[Any]) -> None:
    if row.document is None:
        same = (register_fact.c.kind == row.kind) & (register_fact.c.fact_id == row.fact_id)
        tx.connection.execute(delete(register_fact).where(same))
    else:
        _put(tx, register_fact, [{"kind": row.kind, "fact_id": row.fact_id, "document": row.document}])
