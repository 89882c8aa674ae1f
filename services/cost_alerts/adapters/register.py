"""The register in the ledger's database: facts of every version, staged ones, and who may price meanwhile."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, select, update

from services.cost_alerts.adapters.closing import close_month, load_closings
from services.cost_alerts.adapters.tables import PERIOD_DIRTY, REGISTER_STATE, REGISTER_VERSION
from services.cost_alerts.adapters.tables import REGISTER_FACT as FACTS
from services.cost_alerts.adapters.tables import REGISTER_STAGED as STAGED
from services.cost_alerts.domain.closing import Closings
from services.cost_alerts.domain.view import Book, FactVersion, Scope
from services.cost_alerts.ports.ledger import Mark
from services.cost_alerts.ports.register import StagedFact
from services.shared.events.envelope import Fact
from services.shared.events.plans import BenefitResult, Budget, PlannedChange, Programme, Vendor
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import (
    AllocationRule,
    FxRates,
    Placement,
    RegisterVersion,
    System,
    Unit,
    UseCase,
)
from services.shared.store import Transaction
from services.shared.store.tables import instant

KINDS: dict[str, type[Fact]] = {
    kind.__name__: kind
    for kind in (
        Unit, Placement, System, AllocationRule, Tariff, Contract, FxRates,
        Budget, Vendor, Programme, PlannedChange, UseCase, BenefitResult,
    )
}  # fmt: skip
"""The kinds of facts that the ledger prices, places, budgets and forecasts by; it keeps no others."""

_EVERY = "*"
"""The system of a mark that is about every system; the periods' worker spreads it."""


class BookShelf:
    """The register as one thread read it last; read again when its version has changed, or a month was closed."""

    def __init__(self) -> None:
        self._book: Book | None = None

    def hold(self, tx: Transaction) -> Book:
        """The register of the version in force, which stays in force until this transaction ends."""
        query = select(REGISTER_STATE.c.version, REGISTER_STATE.c.closings)
        version, closings = tx.connection.execute(query.with_for_update(read=True)).one()
        book = self._book
        if book is None or book.newest != version or len(book.closings.cut_offs) != closings:
            book = self._book = load_book(tx.connection)
        return book


def load_book(connection: Connection) -> Book:
    """Every version of the register, and the closed months."""
    versions = connection.execute(select(REGISTER_VERSION.c.version, REGISTER_VERSION.c.published_at))
    published = {row.version: instant(row.published_at) for row in versions}
    facts = connection.execute(select(FACTS)).all()
    return Book(
        published,
        (
            FactVersion(row.fact_id, row.since, row.until, KINDS[row.kind].model_validate_json(row.body))
            for row in facts
        ),
        load_closings(connection),
    )


class SqlRegister:
    """See `RegisterBook`."""

    def stage(self, tx: Transaction, changes: Sequence[StagedFact]) -> None:
        last_words = {(change.kind, change.fact_id): change.body for change in changes if change.kind in KINDS}
        for kind, fact_id in last_words:
            tx.connection.execute(delete(STAGED).where(STAGED.c.kind == kind, STAGED.c.fact_id == fact_id))
        rows = [(*key, body) for key, body in last_words.items()]
        tx.bulk_insert(STAGED, ("kind", "fact_id", "body"), rows)

    def apply(self, tx: Transaction, marker: RegisterVersion, published_at: int) -> Book | None:
        version = marker.version
        in_force = tx.connection.execute(select(REGISTER_STATE.c.version).with_for_update()).scalar_one()
        staged = tx.connection.execute(select(STAGED)).all() if version > in_force else []
        tx.connection.execute(delete(STAGED))
        if version <= in_force:
            return None
        self._put_in_force(tx, version, [StagedFact(*row) for row in staged])
        columns = ("version", "published_at", "author", "approver", "reason")
        row = (version, published_at, marker.author, marker.approver, marker.reason)
        tx.bulk_insert(REGISTER_VERSION, columns, [row])
        tx.connection.execute(update(REGISTER_STATE).values(version=version))
        return load_book(tx.connection)

    def close_month(self, tx: Transaction, month: int, cut_off: int, closed_by: str | None) -> Closings | None:
        return close_month(tx, month, cut_off, closed_by)

    def mark(self, tx: Transaction, about: str, scopes: Sequence[Scope], recorded_from: int) -> None:
        marks = {
            Mark(about, scope.system or _EVERY, scope.first.toordinal(), scope.last.toordinal(), recorded_from)
            for scope in scopes
        }
        tx.bulk_insert(PERIOD_DIRTY, Mark._fields, sorted(marks))

    def _put_in_force(self, tx: Transaction, version: int, staged: Sequence[StagedFact]) -> None:
        standing = select(FACTS.c.kind, FACTS.c.fact_id, FACTS.c.body).where(FACTS.c.until.is_(None))
        before = {(row.kind, row.fact_id): row.body for row in tx.connection.execute(standing)}
        changed = [fact for fact in staged if before.get((fact.kind, fact.fact_id)) != fact.body]
        for fact in changed:
            same = and_(FACTS.c.kind == fact.kind, FACTS.c.fact_id == fact.fact_id, FACTS.c.until.is_(None))
            tx.connection.execute(update(FACTS).where(same).values(until=version))
        rows = [(fact.kind, fact.fact_id, version, fact.body) for fact in changed if fact.body is not None]
        tx.bulk_insert(FACTS, ("kind", "fact_id", "since", "body"), rows)
