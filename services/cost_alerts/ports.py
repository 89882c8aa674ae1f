"""What the handlers need from outside, in their words. One adapter keeps it: `adapters/ledger.py`, on both stores.

Instants are microseconds since 1970 UTC, days ordinals, money 10⁻⁹ units: rows go to the driver as they are made.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from services.cost_alerts.domain.agreements.agreement import Spent
from services.cost_alerts.domain.agreements.seating import Count, Holding
from services.cost_alerts.domain.budget import Known
from services.cost_alerts.domain.closing import Closings
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book, Scope
from services.shared.events.outcomes import Crossing, Finding, FindingClosing, PostingBatch
from services.shared.events.register import RegisterVersion
from services.shared.events.usage import Invoice, SeatCount, SeatHolding
from services.shared.periods import Month
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


class Observations(Protocol):
    """What was observed of seats."""

    def add(
        self, tx: Transaction, counts: Sequence[tuple[SeatCount, int]], holdings: Sequence[tuple[SeatHolding, int]]
    ) -> None:
        """Keep observations with their recorded times (microseconds); the days they touch are marked to be charged."""
        ...


class Version(NamedTuple):
    """A revision of a reading, as the agreements of a cycle are told of it. `source` is spelled out."""

    number: int
    source: str
    reading_id: str
    revision: int
    recorded_at: int
    starts_at: int
    day: int
    profile: int
    quantities: str
    cost: str | None
    cost_currency: str | None
    finality: int
    purpose: int
    retracted: int


class PeriodRow(NamedTuple):
    """A charge of a cycle; `superseded_at` None: it is current."""

    day: int
    recorded_at: int
    basis: int
    quantity: str
    nano: int | None
    eur_nano: int | None
    list_nano: int | None
    superseded_at: int | None


class Seen(NamedTuple):
    """Everything observed of the seats of one SKU."""

    counts: Sequence[Count]
    holdings: Sequence[Holding]


class Reach(NamedTuple):
    """The first and last day of all readings and invoices, the last day that has begun, and whether invoices exist."""

    first_used: date
    last_used: date
    begun: date
    invoiced: bool


class PeriodBook(Protocol):
    """What the charges by the period are made from, and those charges. Days are inclusive."""

    def pending(self, connection: Connection) -> int:
        """How many marks wait."""
        ...

    def take(self, work: Work) -> Sequence[Mark]:
        """Take away every mark of the system that waits longest; none when nothing waits.

        Whoever writes something and its mark in one transaction can be sure: the mark is taken before what it is about
        is read, or by a later step.
        """
        ...

    def days(self, tx: Transaction) -> Sequence[tuple[date, datetime]]:
        """Helsinki days that have begun, and when that was recorded; in the order of recording."""
        ...

    def reach(self, tx: Transaction) -> "Reach":
        """Where there can be charges at all."""
        ...

    def seats(self, tx: Transaction, system: str) -> Mapping[str, Seen]:
        """What was observed of a system's seats, by SKU."""
        ...

    def versions(self, work: Work, system: str, days: tuple[date, date], since: int = 0) -> Sequence[Version]:
        """Every revision of every reading that was ever told to be of these days of a system; see `count`.

        `since`: only those that were recorded at this instant or later.
        """
        ...

    def count(self, work: Work, system: str, days: tuple[date, date]) -> int:
        """How many `versions` there are. None ever goes away, so whoever has as many has them all."""
        ...

    def invoices(self, tx: Transaction, vendor: str, month: Month) -> Sequence[tuple[Invoice, datetime]]:
        """Every revision of the vendor's invoices that ever were for a month, with their recorded times, rising."""
        ...

    def spent(self, work: Work, system: str, days: tuple[date, date], at: int, without: str) -> Sequence[Spent]:
        """What a system cost on these days as known at an instant; by day and owner.

        Agreements of the kind `without`, and those that compare with it, do not count.
        """
        ...

    def instants(self, work: Work, system: str, days: tuple[date, date], without: str) -> Sequence[int]:
        """The instants at which other charges by the period of these days began or ended."""
        ...

    def rows(self, work: Work, agreement: str, system: str, cycle: int) -> Sequence[tuple[PeriodRow, Basis]]:
        """The charges of a cycle, which is named by the instant it begins at, with their history."""
        ...

    def replace(
        self, tx: Transaction, agreement: str, cycle: int, gone: Sequence[PeriodRow], came: Sequence[PeriodRow]
    ) -> None:
        """Take rows of a cycle away and put others in."""
        ...


class Days(Protocol):
    """Helsinki days that have begun, as the outcomes tell them."""

    def last(self, connection: Connection) -> date | None:
        """The last day that is known or was told."""
        ...

    def tell(self, tx: Transaction, day: date) -> None:
        """Keep that a day was told; it counts once the outcomes bring it back."""
        ...

    def begun(self, tx: Transaction, days: Sequence[tuple[date, int]]) -> None:
        """Keep days with their recorded times (microseconds), and mark what is charged by time alone."""
        ...


class StagedFact(NamedTuple):
    """One fact on its way: `kind` is its model's name, `body` its JSON, None when the fact is gone."""

    kind: str
    fact_id: str
    body: str | None


class RegisterBook(Protocol):
    """The register's facts on their way to becoming a version."""

    def stage(self, tx: Transaction, changes: Sequence[StagedFact]) -> None:
        """Keep changes until a marker comes; the last word on a fact counts."""
        ...

    def apply(self, tx: Transaction, marker: RegisterVersion, published_at: int) -> Book | None:
        """Put everything staged into force as that version, alone: nobody prices meanwhile. The register as it now is.

        None when the version is not above the one in force: what was staged is then dropped.
        """
        ...

    def close_month(self, tx: Transaction, month: int, cut_off: int, closed_by: str | None) -> Closings | None:
        """Close a month (year × 12 + month − 1), alone; what was recorded after the cut-off moves to an open month.

        The closings as they now are; None when the month was closed before: the first closing stands.
        """
        ...

    def mark(self, tx: Transaction, about: str, scopes: Sequence[Scope], recorded_from: int) -> None:
        """Have what is charged by the period on these days made again, as known from an instant on."""
        ...


class BudgetUse(Protocol):
    """What counts towards each budget."""

    def recount(self, tx: Transaction, book: Book) -> None:
        """Add up again for every budget of the newest version; budgets or the tree of units have changed."""
        ...


class Restatements(Protocol):
    """Walks over the readings after a change of the register, and what each version changed."""

    def has_work(self, connection: Connection) -> bool:
        """Whether a walk is unfinished, or the register newer than the last one."""
        ...

    def unfinished(self, tx: Transaction) -> "Walk | None": ...

    def begin(self, tx: Transaction, walk: "Walk") -> None: ...

    def save(self, tx: Transaction, walk: "Walk") -> None:
        """Keep where a walk stands."""
        ...

    def newest(self, tx: Transaction) -> int:
        """The version that the last walk began for."""
        ...

    def is_settled(self, connection: Connection, version: int) -> bool:
        """Whether what is charged by the period follows the register up to this version too."""
        ...

    def versions(self, connection: Connection, since: int, until: int) -> Sequence[int]:
        """The register versions after `since`, up to `until` inclusive, rising."""
        ...

    def last_day(self, connection: Connection) -> int:
        """The last day (ordinal) of anything that was ever charged, 0 when nothing was."""
        ...

    def changes(self, connection: Connection, versions: Sequence[int]) -> Sequence["Change"]:
        """What these versions changed, each from just before it was published to just after; unchanged ones left out.

        A function of the charges with their history: asked again, and after a rebuild, it is the same.
        """
        ...

    def keep(self, tx: Transaction, changes: Sequence["Change"]) -> None:
        """Keep what versions changed, in the place of what was kept of them before."""
        ...

    def note_announced(self, tx: Transaction, version: int) -> None:
        """This restatement was announced, now or by an earlier life of this ledger."""
        ...

    def is_announced(self, tx: Transaction, version: int) -> bool: ...


class Change(NamedTuple):
    """What a register version changed: (unit, day) → 10⁻⁹ euro before and after; `readings`: how many were repriced."""

    version: int
    author: str | None
    approver: str | None
    reason: str | None
    readings: int
    amounts: Mapping[tuple[str, int], tuple[int, int]]


class Walk(NamedTuple):
    """A walk from register version `since` (exclusive) to `version`, over readings numbered up to `last`."""

    version: int
    since: int
    done_to: int
    last: int
    readings: int
    finished: bool


class Crossings(Protocol):
    """Thresholds that were told, and what may pass the next."""

    def state(self, connection: Connection) -> object:
        """Changes whenever a budget or its use has."""
        ...

    def known(self, tx: Transaction) -> Sequence[Known]: ...

    def keep(self, tx: Transaction, crossings: Sequence[tuple[Crossing, int]]) -> None:
        """Keep crossings with the time of their decision (microseconds); known ones stay as they are."""
        ...

    def used(self, tx: Transaction) -> Mapping[str, int]:
        """Budget id → 10⁻⁹ euro that count towards it."""
        ...


class Conflicts(Protocol):
    """Which conflicts the world was told of."""

    def anything_to_tell(self, connection: Connection) -> bool: ...

    def to_tell(self, tx: Transaction) -> Sequence[ConflictRow]: ...

    def told(self, tx: Transaction, conflicts: Sequence[ConflictRow]) -> None:
        """Keep that these were told, now or by an earlier life of the ledger."""
        ...


class Findings(Protocol):
    """Findings as the outcomes tell of them."""

    def opened(self, tx: Transaction, findings: Sequence[Finding]) -> None: ...

    def closed(self, tx: Transaction, closings: Sequence[FindingClosing]) -> None: ...


class PostingBook(Protocol):
    """What was handed to bookkeeping."""

    def keep(self, tx: Transaction, batches: Sequence[tuple[PostingBatch, int]]) -> int:
        """Keep parts of batches with the time they were made (microseconds); how many of them were new."""
        ...


class InvoiceBook(Protocol):
    """Invoices as they came, with every revision."""

    def add(self, tx: Transaction, invoices: Sequence[tuple[Invoice, int]]) -> None:
        """Keep revisions with their recorded times (microseconds); of one revision the first counts."""
        ...

    def revisions(self, tx: Transaction, vendor: str, invoice_id: str) -> Sequence[Invoice]:
        """Every revision of one invoice, rising."""
        ...
