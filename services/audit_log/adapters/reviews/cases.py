"""The projections: cases, findings, and the register as far as reviews need it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.audit_log.adapters.holds import clear_holds
from services.audit_log.adapters.noted import NOTED
from services.audit_log.adapters.reviews.joined import read_joined
from services.audit_log.adapters.tables import REVIEWS, case_file, decision, finding, register_fact, register_staged
from services.audit_log.domain.reviews.duty import Rulebook
from services.audit_log.domain.reviews.folding import REVIEWED_STATES, WAITING_STATES, Case, State
from services.audit_log.domain.reviews.judging import due_of, is_demanded
from services.audit_log.ports import AT_ONCE, Judged, RegisterNews
from services.shared.events.envelope import Event, Fact
from services.shared.events.outcomes import FindingClosed, FindingOpened
from services.shared.events.register import (
    BenefitReported,
    Policy,
    PolicyPublished,
    RegisterChange,
    ReviewerMandate,
    ReviewerMandated,
    SystemDefined,
    UnitDefined,
    UseCase,
    UseCaseRegistered,
)
from services.shared.periods import helsinki_day
from services.shared.store import Transaction, chunks
from services.shared.store.tables import micros

_AT_ONCE = 500
_COLUMNS = (
    "output_id", "document", "state", "system", "unit", "use_case", "risk_class", "model", "waits", "generated_at",
    "due_at", "next_look", "content_hash",
)  # fmt: skip
_MARKED = ("state", "waits", "next_look")
_REJECTED = '"decision":"rejected"'
"""What stands in the document of a case that somebody rejected."""

FactKind = Literal["policy", "use_case", "mandate", "unit", "system", "benefit"]
_KINDS: Mapping[type, FactKind] = {
    PolicyPublished: "policy",
    UseCaseRegistered: "use_case",
    ReviewerMandated: "mandate",
    UnitDefined: "unit",
    SystemDefined: "system",
    BenefitReported: "benefit",
}
_MODELS: Mapping[str, type[Fact]] = {"policy": Policy, "use_case": UseCase, "mandate": ReviewerMandate}
_OF_REVIEWS = sorted(_MODELS)


class SqlCaseFiles:
    """See `CaseFiles`."""

    def load(self, tx: Transaction, output_ids: Sequence[str]) -> dict[str, Case]:
        return read_cases(tx.connection, output_ids)

    def save(self, tx: Transaction, judged: Sequence[Judged]) -> None:
        rows = [_row(*one) for one in judged]
        tx.bulk_put(case_file, _COLUMNS, sorted(rows, key=itemgetter(0)))

    def mark(self, tx: Transaction, judged: Sequence[Judged]) -> None:
        if not judged:
            return
        named = case_file.c.output_id == bindparam("named")
        change = update(case_file).where(named).values({name: bindparam(name) for name in _MARKED})
        rows = [
            {"named": case.output_id, "state": state, "waits": int(state in WAITING_STATES), "next_look": next_look}
            for case, state, next_look in judged
        ]
        tx.connection.execute(change, sorted(rows, key=itemgetter("named")))

    def waiting(self, tx: Transaction, now: datetime, limit: int) -> list[Case]:
        columns = case_file.c.next_look, case_file.c.output_id, case_file.c.document
        query = select(*columns).where(case_file.c.next_look < now).order_by(case_file.c.next_look).limit(limit)
        rows = tx.connection.execute(query).all()  # by all of the order no index goes: all that wait would be sorted
        return [Case.model_validate_json(row.document) for row in sorted(rows, key=itemgetter(0, 1))]

    def affected(self, tx: Transaction, news: RegisterNews) -> Iterator[Sequence[Case]]:
        concerned = case_file.c.use_case.in_(news.use_cases) | case_file.c.unit.in_(news.units)
        if news.rules:
            concerned |= case_file.c.state.not_in(sorted(REVIEWED_STATES))
        return _portions(tx, concerned)

    def naming(self, tx: Transaction, pseudonyms: Sequence[str]) -> Iterator[Sequence[Case]]:
        return _portions(tx, or_(*(case_file.c.document.contains(f'"{one}"', autoescape=True) for one in pseudonyms)))

    def rejected(self, tx: Transaction, contents: Sequence[str]) -> list[Case]:
        found: list[Case] = []
        for some in chunks(contents, _AT_ONCE):
            same = case_file.c.content_hash.in_(some) & case_file.c.document.contains(_REJECTED)
            found += _read(tx, select(case_file.c.document).where(same).order_by(case_file.c.output_id))
        return found

    def of_content(self, tx: Transaction, case: Case) -> list[Case]:
        if case.output is None or case.output.content_hash is None:
            return []
        same = case_file.c.content_hash == case.output.content_hash
        later = case_file.c.generated_at >= case.output.generated_at
        return _read(tx, select(case_file.c.document).where(same, later).order_by(case_file.c.output_id))

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

    def note(self, tx: Transaction, index: int, event: Event) -> None:
        keep = NOTED.get(type(event))
        if keep is not None:
            keep(tx, index, event)

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

    def apply_register(self, tx: Transaction, version: int, moment: datetime) -> RegisterNews:
        day = helsinki_day(moment)
        due = register_staged.c.version <= version
        staged = tx.connection.execute(select(register_staged).where(due).order_by(register_staged.c.version)).all()
        facts = [fact for row in staged for fact in _apply(tx, row, day)]
        tx.connection.execute(delete(register_staged).where(due))
        mandates = [fact for fact in facts if isinstance(fact, ReviewerMandate)]
        use_cases = {fact.id for fact in facts if isinstance(fact, UseCase)}
        return RegisterNews(
            any(isinstance(fact, Policy | UseCase) for fact in facts),
            frozenset(use_cases.union(*(found.use_cases for found in mandates))),
            frozenset(found.unit for found in mandates),
        )

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


def read_cases(connection: Connection, output_ids: Sequence[str]) -> dict[str, Case]:
    """The cases that exist among these."""
    found: dict[str, Case] = {}
    for some in chunks(output_ids, _AT_ONCE):
        query = select(case_file.c.output_id, case_file.c.document).where(case_file.c.output_id.in_(some))
        found |= {row.output_id: Case.model_validate_json(row.document) for row in connection.execute(query)}
    return found


def read_rulebook(connection: Connection) -> Rulebook:
    """What the register, as the log has it, says about reviews, and which names mean the same person."""
    query = (
        select(register_fact.c.kind, register_fact.c.document)
        .where(register_fact.c.kind.in_(_OF_REVIEWS))
        .order_by(register_fact.c.kind, register_fact.c.fact_id)
    )
    facts = tuple((row.kind, row.document) for row in connection.execute(query))
    return _rulebook(facts)._replace(joined=read_joined(connection, "person"))


def read_facts(connection: Connection, kind: FactKind) -> list[tuple[str, str]]:
    """(id, JSON) of every fact of a kind that the register, as the log has it, holds now."""
    query = select(register_fact.c.fact_id, register_fact.c.document).where(register_fact.c.kind == kind)
    return [(row.fact_id, row.document) for row in connection.execute(query.order_by(register_fact.c.fact_id))]


@lru_cache(maxsize=4)
def _rulebook(facts: tuple[tuple[str, str], ...]) -> Rulebook:
    """Read once for as long as it holds; batches come more often than registers."""
    read = [(kind, _MODELS[kind].model_validate_json(document)) for kind, document in facts]
    return Rulebook(
        policies=tuple(fact for _, fact in read if isinstance(fact, Policy)),
        use_cases=tuple(fact for _, fact in read if isinstance(fact, UseCase)),
        mandates=tuple(fact for _, fact in read if isinstance(fact, ReviewerMandate)),
    )


def open_counts(connection: Connection) -> list[tuple[str, str, int]]:
    """(unit, kind, open findings)."""
    query = (
        select(finding.c.unit, finding.c.kind, func.count())
        .where(finding.c.closed_seq.is_(None))
        .group_by(finding.c.unit, finding.c.kind)
        .order_by(finding.c.unit, finding.c.kind)
    )
    return [(unit, kind, count) for unit, kind, count in connection.execute(query)]


def is_undecided(connection: Connection) -> bool:
    """Whether something is still to be said of a case: whoever waits for the log to catch up waits for that too."""
    query = select(case_file.c.output_id).where(case_file.c.next_look <= AT_ONCE).limit(1)
    return connection.execute(query).first() is not None


def list_cases(connection: Connection, *, state: str | None, after: str, limit: int) -> Sequence[Row[Any]]:
    """Outputs by their id, from `after` on, exclusive."""
    query = select(case_file).where(case_file.c.output_id > after).order_by(case_file.c.output_id).limit(limit)
    return connection.execute(query.where(case_file.c.state == state) if state else query).all()


def _row(case: Case, state: State, next_look: datetime | None) -> tuple[Any, ...]:
    output, duty = case.output, case.duty
    due = due_of(case) if is_demanded(case) else None
    return (
        case.output_id,
        case.model_dump_json(exclude_defaults=True),
        state,
        output.system if output else "",
        duty.unit if duty else "",
        case.use_case or "",
        duty.risk_class if duty else "",
        (output and output.model) or "",
        int(state in WAITING_STATES),
        micros(output.generated_at) if output else None,
        micros(due) if due else None,
        micros(next_look) if next_look else None,
        output.content_hash if output else None,
    )


def _put(tx: Transaction, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those of the same key."""
    if not rows:
        return
    key = [column.name for column in table.primary_key]
    statement = _insert(tx, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    tx.connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)


def _insert(tx: Transaction, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if tx.dialect == "sqlite" else postgresql.insert(table)


def _apply(tx: Transaction, row: Row[Any], day: date) -> list[Fact]:
    """Let one staged fact hold; what of it reviews need, as it was and as it is, where that changed.

    `day`: on which the register was published.
    """
    same = (register_fact.c.kind == row.kind) & (register_fact.c.fact_id == row.fact_id)
    before = tx.connection.execute(select(register_fact.c.document).where(same)).scalar()
    after = _ended(before, day) if row.kind == "mandate" and row.document is None else row.document
    if after is None:
        tx.connection.execute(delete(register_fact).where(same))
    else:
        _put(tx, register_fact, [{"kind": row.kind, "fact_id": row.fact_id, "document": after}])
    model = _MODELS.get(row.kind)
    if model is None or before == after:
        return []
    return [model.model_validate_json(found) for found in (before, after) if found is not None]


def _ended(document: str | None, day: date) -> str | None:
    """A mandate that the register no longer names: it ends with the day, and what was reviewed under it still counts.

    Somebody left, or was erased. Who must never have had it gets a `valid_to` in the register.
    """
    if document is None:
        return None
    mandate, end = ReviewerMandate.model_validate_json(document), day + timedelta(days=1)
    if mandate.valid_from >= end:
        return None
    ends = end if mandate.valid_to is None else min(mandate.valid_to, end)
    return mandate.model_copy(update={"valid_to": ends}).model_dump_json()


def _read(tx: Transaction, query: Select[Any]) -> list[Case]:
    return [Case.model_validate_json(document) for document in tx.connection.execute(query).scalars()]


def _portions(tx: Transaction, concerned: ColumnElement[bool]) -> Iterator[Sequence[Case]]:
    after = ""
    while True:
        query = select(case_file.c.document).where(concerned, case_file.c.output_id > after)
        portion = _read(tx, query.order_by(case_file.c.output_id).limit(_AT_ONCE))
        if not portion:
            return
        after = portion[-1].output_id
        yield portion
