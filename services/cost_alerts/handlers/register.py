"""The register: facts are kept aside until a marker comes, then apply as a whole."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast, get_args, get_type_hints

from services.cost_alerts.domain.closing import cut_off_of, month_number
from services.cost_alerts.domain.view import FIRST_DAY, LAST_DAY, Scope
from services.cost_alerts.ports.register import BudgetUse, RegisterBook, StagedFact
from services.shared.consumer import Delivered
from services.shared.events import REGISTER
from services.shared.events.envelope import Event
from services.shared.events.register import (
    Closing,
    PeriodClosed,
    RegisterChange,
    RegisterPublished,
    RegisterVersion,
)
from services.shared.periods import Month
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
    drops what waits: its publisher lost a race, or an interrupted one left it behind. A closing counts at once.
    """

    group = GROUP
    topics = (REGISTER.name,)

    def __init__(self, register: RegisterBook, budgets: BudgetUse) -> None:
        self._register = register
        self._budgets = budgets

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        waiting: list[StagedFact] = []
        for record, event in batch:
            if isinstance(event, RegisterPublished):
                self._register.stage(tx, waiting)
                waiting = []
                self._apply(tx, event.data, micros(record.ingest_time))
            elif isinstance(event, PeriodClosed):
                self._close(tx, event.data, record.ingest_time)
            elif isinstance(event, _CHANGES):
                waiting.append(_staged(cast("RegisterChange", event)))
        self._register.stage(tx, waiting)

    def _apply(self, tx: Transaction, marker: RegisterVersion, published_at: int) -> None:
        book = self._register.apply(tx, marker, published_at)
        if book is not None:
            # From just before it on: what was known before a version and what it changed are told apart.
            self._register.mark(tx, "register", list(book.scopes(marker.version - 1)), published_at - 1)
            self._budgets.recount(tx, book)

    def _close(self, tx: Transaction, closing: Closing, ingested: datetime) -> None:
        cut_off = micros(cut_off_of(closing.cut_off, ingested))
        month = month_number(Month.parse(closing.month))
        closings = self._register.close_month(tx, month, cut_off, closing.closed_by)
        if closings is not None:
            self._register.mark(tx, "closing", [Scope(None, FIRST_DAY, LAST_DAY)], closings.cut_offs[month])


def _staged(event: RegisterChange) -> StagedFact:
    data = event.data
    return StagedFact(_KIND[type(event)], data.fact_id, None if data.fact is None else data.fact.model_dump_json())
