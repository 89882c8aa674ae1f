"""The register: facts are kept aside until a marker comes, then apply as a whole."""

from collections.abc import Sequence
from typing import cast, get_args, get_type_hints

from services.cost_alerts.ports import BudgetUse, RegisterBook, SeatBook, StagedFact
from services.shared.consumer import Delivered
from services.shared.events import REGISTER
from services.shared.events.envelope import Event
from services.shared.events.register import RegisterChange, RegisterPublished
from services.shared.store import Transaction
from services.shared.store.tables import micros

GROUP = "cost-alerts-register"

_CHANGES = get_args(RegisterChange)


def _kind_of(change: type[Event]) -> str:
    """The name of the fact's model: `UnitDefined` carries a `UnitChange`, whose `fact` is a `Unit` or None."""
    fact = get_type_hints(get_type_hints(change)["data"])["fact"]
    return str(get_args(fact)[0].__name__)


_KIND = {change: _kind_of(change) for change in _CHANGES}


class RegisterHandler:
    """Keeps every version of the register; see `Handler`.

    A marker above the version in force applies what waits, the last word on each fact counting; any other marker
    drops what waits: its publisher lost a race, or an interrupted one left it behind.
    """

    group = GROUP
    topics = (REGISTER.name,)

    def __init__(self, register: RegisterBook, seats: SeatBook, budgets: BudgetUse) -> None:
        self._register = register
        self._seats = seats
        self._budgets = budgets

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        waiting: list[StagedFact] = []
        for record, event in batch:
            if isinstance(event, RegisterPublished):
                self._register.stage(tx, waiting)
                waiting = []
                self._apply(tx, event.data.version, micros(record.ingest_time))
            elif isinstance(event, _CHANGES):
                waiting.append(_staged(cast("RegisterChange", event)))
        self._register.stage(tx, waiting)

    def _apply(self, tx: Transaction, version: int, published_at: int) -> None:
        book = self._register.apply(tx, version, published_at)
        if book is not None:
            self._seats.mark(tx, list(book.scopes(version - 1)))
            self._budgets.recount(tx, book)


def _staged(event: RegisterChange) -> StagedFact:
    data = event.data
    return StagedFact(_KIND[type(event)], data.fact_id, None if data.fact is None else data.fact.model_dump_json())
