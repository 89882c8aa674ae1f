"""The seats' worker: days whose counts, holders or prices changed are charged again, from everything observed."""

from collections.abc import Sequence
from datetime import date

from services.cost_alerts.domain.pricing import Line
from services.cost_alerts.domain.seats import DayCharge, Product, SeatLedger, marked_days
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.handlers.charging import NO_LEAD, basis_of, sums_of
from services.cost_alerts.ports import OpenWork, RollupChange, SeatBook, SeatRow, Sums, Work
from services.shared.periods import day_start
from services.shared.store import Store
from services.shared.store.tables import micros

NAME = "seats"
PAUSE_SECONDS = 0.5
DAYS_AT_ONCE = 40

SHARD = -1
"""The part of the rollups that this worker alone adds to."""


class SeatWorker:
    """Charges seats by the day, for a `Loop`; one process at a time."""

    def __init__(self, store: Store, begin: OpenWork, book: SeatBook) -> None:
        self._store = store
        self._begin = begin
        self._book = book

    def step(self) -> float:
        """Charge some days again; how long to pause, in seconds."""
        with self._store.exclusive(NAME) as alone:
            more = alone and self._some_days()
        return 0.0 if more else PAUSE_SECONDS

    def _some_days(self) -> bool:
        with self._store.reading() as connection:
            if not self._book.has_dirty(connection):
                return False
        with self._store.transaction() as tx:
            work = self._begin(tx)
            product = self._book.next_dirty(tx)
            if product is None:
                return False
            # Marks first: an observation that is saved between the two comes with a mark that stays for the next step.
            marks = self._book.take_marks(tx, product)
            counts, holdings = self._book.observed(tx, product)
            days = marked_days(marks, [count.observed_on for count in counts])
            self._book.put_back(tx, product, days[DAYS_AT_ONCE:])
            ledger = SeatLedger(work.book, product, counts, holdings)
            for day in days[:DAYS_AT_ONCE]:
                self._charge_again(work, product, day, ledger.history(day))
            return True

    def _charge_again(self, work: Work, product: Product, day: date, history: Sequence[DayCharge]) -> None:
        before = self._book.charges(work.tx, product, day)
        rows = _rows(work, product, day, history)
        if sorted(before, key=_row_key) == sorted(rows, key=_row_key):
            return
        self._book.replace(work.tx, product, day, rows)
        work.add_sums([*_changes(before, -1), *_changes(rows, 1)])


def _row_key(row: SeatRow) -> tuple[int, int]:
    return (row.recorded_at, row.basis)


def _changes(rows: Sequence[SeatRow], sign: int) -> list[RollupChange]:
    """What the current rows add to the rollups, or take away. An unpriced part counts as one unpriced item."""
    found = []
    for row in rows:
        if row.superseded_at is None:
            sums = sums_of(row.nano, row.eur_nano, NO_LEAD)._replace(unpriced=int(row.eur_nano is None))
            found.append((SHARD, row.basis, Sums(*(sign * value for value in sums))))
    return found


def _rows(work: Work, product: Product, day: date, history: Sequence[DayCharge]) -> list[SeatRow]:
    rows: list[SeatRow] = []
    for index, charge in enumerate(history):
        until = micros(history[index + 1].recorded_at) if index + 1 < len(history) else None
        for part in charge.parts:
            basis = _basis(work, product, day, part.line, charge.version)
            rows.append(SeatRow(micros(charge.recorded_at), basis, part.seats, *part.amounts, until))
    return rows


def _basis(work: Work, product: Product, day: date, line: Line, version: int) -> int:
    use = Use(Profile(product.system, product.sku, (line.meter,)), day_start(day), day)
    return work.basis(basis_of(line, use, version, estimated=False))
