"""What all agreements have in common: cycles, what is known of one at a moment, and the parts it is charged in.

An agreement's charges of a cycle are a pure function of the register and of what was known at a moment; their history
is that function at every moment at which something became known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from services.cost_alerts.domain.agreements.seating import Observed
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.pricing import Amounts, Line
from services.cost_alerts.domain.use import Use
from services.cost_alerts.domain.view import View
from services.shared.events.usage import Invoice


class Cycle(NamedTuple):
    """A stretch of time, half-open, UTC, that an agreement is reckoned over; `agreement` is its key."""

    agreement: str
    system: str
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Metered:
    """A paid reading as an agreement sees it; `quantities` in the order of the profile's meters.

    `cost`: what the vendor reported, in `use.reported_currency`.
    """

    use: Use
    quantities: tuple[Decimal, ...]
    cost: Decimal | None
    estimated: bool


@dataclass(frozen=True, slots=True)
class Spent:
    """What a unit's use of a system cost on a day by all other charges of one currency; the estimated ones apart.

    `nano`: 10⁻⁹ of `currency`, in which it was priced (empty: in none).
    """

    day: date
    owner: Owner
    system: str
    eur_nano: int
    estimated: bool = False
    currency: str = ""
    nano: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What was known at a moment about a cycle of a system.

    Attributes:
        today: the last Helsinki day that had begun; what is charged by time alone is charged up to it, inclusive.
        metered: paid readings that begin in the cycle, in the order of (start, source, reading id).
        seats: SKU → counts and holdings.
        invoices: of the system's vendor for the cycle's month, in the order of their ids.
        spent: what all other charges of the cycle's days add up to, for agreements that compare with it.
    """

    today: date
    metered: Sequence[Metered] = ()
    seats: Mapping[str, Observed] = field(default_factory=dict)
    invoices: Sequence[Invoice] = ()
    spent: Sequence[Spent] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """What one unit pays of one day. `amounts`: 10⁻⁹ of the line's currency, and euro; None where unknown.

    `sku`: what was used or bought. `quantity`: metered units, or what else the line counts (seats, hours); nought for
    a sum of money that counts nothing. `list_nano`: the list price of what was used, 10⁻⁹ of the line's currency; None
    where there is none.
    """

    day: date
    sku: str
    line: Line
    quantity: Decimal
    amounts: Amounts
    list_nano: int | None = None
    estimated: bool = False

    @property
    def effect(self) -> tuple[object, ...]:
        """What a reader of the ledger would notice; parts of equal effect are one and the same to the books."""
        return (self.day, self.sku, self.line.effect, self.quantity, self.amounts, self.list_nano, self.estimated)


class Agreement(Protocol):
    """One way of charging by the period, of one register version."""

    @property
    def key(self) -> str:
        """Names it for good, across register versions; for example `pool:copilot-2026/messages`."""
        ...

    @property
    def system(self) -> str: ...

    def cycles(self, first: date, last: date) -> Iterable[Cycle]:
        """The cycles with Helsinki days from `first` to `last`, inclusive, rising."""
        ...

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        """What the cycle is charged, as far as is known.

        Each part's (day, sku, line, estimated) is unlike every other's; readings of other cycles are not counted.
        """
        ...
