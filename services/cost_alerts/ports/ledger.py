"""The ledger inside one transaction: what handlers write and ask, in rows that go to the driver as they are made.

Instants are microseconds since 1970 UTC, days ordinals, money 10⁻⁹ units.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book, Scope
from services.shared.store import Transaction


class Basis(NamedTuple):
    """What charges of a day have in common. `currency` is empty where nothing is priced.

    `cost_centre` and `project` are empty where there is none, `vat_rate` where it is not known. `nano_per_unit` and
    `list_per_unit` are fractions as text: what is paid and the list price, 10⁻⁹ of the currency per metered unit.
    `agreement`: the pool, tiers or other agreement by which the reading is paid; its own amounts are then nought.
    """

    day: int
    unit: str
    system: str
    sku: str
    meter: str
    category: str
    estimated: int
    currency: str
    register_version: int
    rule: str | None
    tariff: str | None
    tariff_version: int | None
    nano_per_unit: str | None
    rate: str | None
    rate_day: int | None
    reason: str | None
    cost_centre: str
    project: str
    vat_rate: str
    list_per_unit: str | None
    credit_tariff: str | None
    credit_tariff_version: int | None
    agreement: str | None


class ReadingRow(NamedTuple):
    """A revision of a reading as the ledger keeps it; `quantities` in the order of its profile's meters."""

    number: int
    source: int
    reading_id: str
    revision: int
    recorded_at: int
    starts_at: int
    ends_at: int
    day: int
    profile: int
    quantities: str
    cost: str | None
    cost_currency: str | None
    finality: int
    purpose: int
    retracted: int
    pricing: int
    register_version: int


class ChargeRow(NamedTuple):
    """A charge; `superseded_at` None: it is current."""

    reading: int
    version: int
    basis: int
    nano: int | None
    eur_nano: int | None
    recorded_at: int
    superseded_at: int | None
    lead: int


ChargeValues = tuple[int, int, int, int | None, int | None, int, int | None, int]
"""A `ChargeRow` without its names: made three times per reading, and a plain tuple is made in a quarter of the time."""


class Sums(NamedTuple):
    """What is added to a rollup, or taken away."""

    eur_nano: int
    nano: int
    charges: int
    readings: int
    unpriced: int


class ConflictRow(NamedTuple):
    """A revision that came with two contents, and when the second was recorded."""

    source: str
    reading_id: str
    revision: int
    recorded_at: int


RollupChange = tuple[int, int, Sums]
"""(shard, basis number, sums)."""


class Adjustment(NamedTuple):
    """A late change to a closed month: `booked_in` is the month (year × 12 + month − 1) whose books take it."""

    booked_in: int
    shard: int
    basis: int
    sums: Sums


class Mark(NamedTuple):
    """Days (ordinals, inclusive) of a system about which something is known from an instant on.

    `about`: `usage`, `seats`, `register`, `invoice` or `day`; an agreement is made again for those it depends on.
    `closing`: a cut-off now divides what was recorded. `spent`, `minimum`: such charges by the period have changed. Or
    one cycle of one agreement is named, which alone is made again. System `*`: every system.
    """

    about: str
    system: str
    first_day: int
    last_day: int
    recorded_from: int


class Work(Protocol):
    """The ledger inside one transaction, with the register version that it prices by held still."""

    tx: Transaction
    book: Book
    generation: int
    """Rises when numbers of words, profiles or bases were lost with a transaction: whoever keeps some must forget."""

    def shard(self, partition: int) -> int:
        """Which part of the rollups a partition of the bus adds to."""
        ...

    def word(self, text: str) -> int:
        """The number of a text."""
        ...

    def profiles(self, profiles: Sequence[Profile]) -> Sequence[int]:
        """Their numbers, in order."""
        ...

    def profile(self, number: int) -> Profile: ...

    def basis(self, basis: Basis) -> int:
        """Its number."""
        ...

    def enter_bases(self, bases: Sequence[Basis]) -> None:
        """Give numbers to those that have none, all at once."""
        ...

    def basis_of(self, number: int) -> Basis: ...

    def find(self, digests: Sequence[bytes]) -> Mapping[bytes, int]:
        """Name digest → number of the readings that are known."""
        ...

    def enter(self, digests: Sequence[bytes]) -> Sequence[int]:
        """Numbers for new names, rising."""
        ...

    def readings(self, numbers: Sequence[int]) -> Mapping[int, ReadingRow]: ...

    def earlier(self, number: int, revision: int) -> ReadingRow | None:
        """A revision that does not stand any more, or never did."""
        ...

    def add_readings(self, rows: Sequence[ReadingRow]) -> None: ...

    def replace_readings(self, old: Sequence[ReadingRow], new: Sequence[ReadingRow]) -> None:
        """Put `new` in the place of `old`, which goes into the history."""
        ...

    def repriced(self, rows: Sequence[ReadingRow]) -> None:
        """Keep their `pricing` and `register_version`; all else stands."""
        ...

    def add_late(self, rows: Sequence[ReadingRow]) -> None:
        """Keep revisions that came after a higher one, in the history only."""
        ...

    def add_conflict(self, conflict: "ConflictRow") -> None:
        """Keep a conflict; of one revision only the first."""
        ...

    def add_charges(self, rows: Sequence[ChargeValues]) -> None:
        """Keep new charges; that those of their readings changed is noted for who publishes them."""
        ...

    def add_unsent(self, cycles: Iterable[tuple[str, int]]) -> None:
        """Note that charges of these cycles, (agreement, microsecond of its beginning), changed, to be published."""
        ...

    def charges_after(self, since: Mapping[int, int]) -> Sequence[ChargeRow]:
        """Reading number → instant: its charges that are current or were superseded after that instant."""
        ...

    def close_charges(self, rows: Sequence[ChargeRow]) -> None:
        """Write the `superseded_at` of these charges."""
        ...

    def add_sums(self, changes: Sequence[RollupChange]) -> None:
        """Add to the rollups and to the budgets that the newest register counts them towards."""
        ...

    def add_adjustments(self, adjustments: Sequence[Adjustment]) -> None:
        """Add to the books of open months what changed in closed ones."""
        ...

    def add_marks(self, marks: Sequence[Mark]) -> None:
        """Mark days to be charged again by the period."""
        ...

    def restatable(
        self, above: int, up_to: int, limit: int, scopes: Sequence[Scope], version: int
    ) -> Sequence[ReadingRow]:
        """Paid readings above number `above`, to `up_to`, in these scopes, priced before `version`; by number."""
        ...

    def last_number(self) -> int:
        """The highest reading number so far, 0 when there is none."""
        ...


OpenWork = Callable[[Transaction], Work]
"""Begins work in a transaction: holds the register version still, and takes up or drops what was remembered."""
