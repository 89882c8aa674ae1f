"""The ledger's page: pools, what changed afterwards, invoices, closed months; with what its pictures need. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from services.cost_alerts.adapters.history import Booked, Extent, Moved, Revised
from services.cost_alerts.adapters.pools import PoolMonth
from services.cost_alerts.adapters.restatements import Restated
from services.cost_alerts.domain.agreements.pool_state import PoolState
from services.cost_alerts.domain.invoices import Reconciliation
from services.shared.money import from_nano
from services.shared.periods import Month, helsinki_day
from services.shared.store.tables import instant

WIDTH, HEIGHT = 600, 140
"""Of a pool's picture, in its own units; the page stretches it."""

EXPLAINED = ("explained_fx", "explained_timing", "explained_discount", "explained_not")
"""The texts that name the parts of a difference, in their order."""

_HEADROOM = Decimal("1.06")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger answered, at one moment or nearly so."""

    pools: Sequence[PoolMonth]
    restated: Sequence[Restated]
    extents: Mapping[int, Extent]
    revised: Sequence[Revised]
    invoices: Sequence[Reconciliation]
    closed: Sequence[Booked]
    moved: Sequence[Moved]


@dataclass(frozen=True, slots=True)
class PoolUnit:
    """A unit's part of a pool, in euro; None where not known."""

    unit: str
    used: Decimal
    listed: Decimal | None
    allocated: Decimal | None
    marginal: Decimal | None


@dataclass(frozen=True, slots=True)
class PoolCard:
    """A pool with its picture: `line` of what was used, from the first day on; `pack_y`: how high the pack reaches.

    `dry_x`: where it ran dry, in per cent of the width; `next_unit` in `currency`, None: nobody knows.
    """

    pool: PoolMonth
    units: Sequence[PoolUnit]
    line: str
    area: str
    pack_y: int
    dry_x: int | None
    next_unit: Decimal | None

    @property
    def state(self) -> PoolState:
        return self.pool.state

    @property
    def dry_on(self) -> date | None:
        at = self.state.exhausted_at
        return None if at is None else helsinki_day(at)

    @property
    def name(self) -> str:
        return self.pool.key.removeprefix("pool:")


@dataclass(frozen=True, slots=True)
class Change:
    """A sum before and after, with bars in per cent of the longest beside it."""

    name: str
    before: Decimal
    after: Decimal
    before_bar: int
    after_bar: int

    @property
    def difference(self) -> Decimal:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Restating:
    """What a register version changed afterwards."""

    version: int
    published_at: datetime
    author: str | None
    approver: str | None
    reason: str | None
    extent: Extent
    units: Sequence[Change]
    total: Change


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a difference; `bar`: per cent of half the width, to the left when `amount` is negative."""

    name: str
    amount: Decimal
    bar: int


@dataclass(frozen=True, slots=True)
class InvoiceCard:
    """A vendor's month: invoice, ledger, and what explains the difference; None: no exchange rate."""

    one: Reconciliation
    invoiced: Decimal | None
    ledger: Decimal
    difference: Decimal | None
    pieces: Sequence[Piece]
    estimated: Decimal
    trued_up: Decimal

    @property
    def numbers(self) -> str:
        return ", ".join(bill.invoice.invoice_id for bill in self.one.billed)


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A closed month's books beside what is known now."""

    month: Month
    closed_at: datetime
    closed_by: str | None
    booked: Decimal
    incurred: Decimal

    @property
    def difference(self) -> Decimal:
        return self.incurred - self.booked


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What an open month books for a closed one."""

    booked_in: Month
    month: Month
    unit: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Everything the page shows, in its order."""

    month: Month
    pools: Sequence[PoolCard]
    restated: Sequence[Restating]
    revised: Sequence[tuple[Revised, Change]]
    invoices: Sequence[InvoiceCard]
    closed: Sequence[ClosedMonth]
    adjusted: Sequence[Adjusted]

    @property
    def dry(self) -> int:
        return sum(card.dry_on is not None for card in self.pools)

    @property
    def to_look_at(self) -> int:
        return sum(card.one.needs_a_person for card in self.invoices)

    @property
    def adjusted_total(self) -> Decimal:
        return sum((one.amount for one in self.adjusted), Decimal())


def ledger_page(month: Month, found: Found) -> LedgerPage:
    """Put together what the ledger answered."""
    return LedgerPage(
        month,
        [pool_card(one) for one in found.pools],
        [_restating(one, found.extents[one.version]) for one in found.restated if one.version in found.extents],
        [(one, change) for one, change in zip(found.revised, _revisions(found.revised), strict=True)],
        [invoice_card(one) for one in found.invoices],
        [
            ClosedMonth(
                one.month,
                instant(one.cut_off),
                one.closed_by,
                from_nano(one.booked_nano),
                from_nano(one.incurred_nano),
            )
            for one in found.closed
        ],
        [Adjusted(one.booked_in, one.month, one.unit, from_nano(one.eur_nano)) for one in found.moved],
    )


def pool_card(pool: PoolMonth) -> PoolCard:
    """A pool's picture: days go right, what was used goes up, and the pack is a level line."""
    state = pool.state
    most = max(state.size, state.used, Decimal(1)) * _HEADROOM
    points = list(_points(pool, most))
    line = " ".join(f"{x},{y}" for x, y in points)
    end = points[-1][0]
    return PoolCard(
        pool,
        [_pool_unit(unit, pool) for unit in state.units],
        line,
        f"0,{HEIGHT} {line} {end},{HEIGHT}",
        _up(state.size, most),
        _crossing(points, _up(state.size, most)) if state.exhausted_at is not None else None,
        None if state.next_unit is None else from_nano(round(state.next_unit)),
    )


def _points(pool: PoolMonth, most: Decimal) -> Iterator[tuple[int, int]]:
    yield 0, HEIGHT
    for one in pool.days:
        yield (
            _across(pool.state, one.day + _ONE_DAY, WIDTH),
            _up(pool.state.size - one.left + one.beyond, most),
        )


def _crossing(points: Sequence[tuple[int, int]], level: int) -> int:
    """Where a rising line reaches a level, in per cent of the width."""
    for (left, low), (right, high) in pairwise(points):
        if high <= level:
            return (left + (right - left) * (low - level) // max(low - high, 1)) * 100 // WIDTH
    return points[-1][0] * 100 // WIDTH


def _across(state: PoolState, day: date, width: int) -> int:
    """Where the beginning of a day lies between the first day of a cycle and the end of its last."""
    whole = (state.last_day - state.first_day).days + 1
    return min(max((day - state.first_day).days, 0), whole) * width // whole


def _up(amount: Decimal, most: Decimal) -> int:
    return HEIGHT - int(amount * HEIGHT / most)


def _pool_unit(unit: str, pool: PoolMonth) -> PoolUnit:
    use = pool.state.units[unit]
    listed, allocated, marginal = (
        None if one is None else from_nano(one) for one in (use.listed, use.allocated, use.marginal)
    )
    return PoolUnit(unit, use.quantity, listed, allocated, marginal)


def _restating(one: Restated, extent: Extent) -> Restating:
    sums = {unit: (before, after) for unit, (before, after) in sorted(one.by_unit.items())}
    total = (sum(before for before, _ in sums.values()), sum(after for _, after in sums.values()))
    return Restating(
        one.version,
        instant(one.published_at),
        one.author,
        one.approver,
        one.reason,
        extent,
        changes(sums),
        changes({"": total})[0],
    )


def _revisions(revised: Sequence[Revised]) -> list[Change]:
    return changes({str(place): (one.before_nano, one.after_nano) for place, one in enumerate(revised)})


def changes(sums: Mapping[str, tuple[int, int]]) -> list[Change]:
    """Sums in 10⁻⁹ euro, before and after, with their bars; the longest bar is the largest of all."""
    longest = max((abs(one) for pair in sums.values() for one in pair), default=0) or 1
    return [
        Change(name, from_nano(before), from_nano(after), abs(before) * 100 // longest, abs(after) * 100 // longest)
        for name, (before, after) in sums.items()
    ]


def invoice_card(one: Reconciliation) -> InvoiceCard:
    """An invoice's parts, scaled by the largest of them."""
    parts = dict(zip(EXPLAINED, (one.fx_nano, one.timing_nano, one.discount_nano, one.unexplained_nano), strict=True))
    known = {} if one.invoiced_nano is None else parts
    longest = max((abs(nano) for nano in known.values()), default=0) or 1
    return InvoiceCard(
        one,
        None if one.invoiced_nano is None else from_nano(one.invoiced_nano),
        from_nano(one.ledger_nano),
        None if one.difference_nano is None else from_nano(one.difference_nano),
        [Piece(name, from_nano(nano), abs(nano) * 100 // longest) for name, nano in known.items()],
        from_nano(one.estimated_nano),
        from_nano(one.trued_up_nano),
    )
