"""What charges by the period are made of, and where they are kept."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

from sqlalchemy import Connection

from services.cost_alerts.domain.agreements.agreement import Spent
from services.cost_alerts.domain.agreements.seating import Count, Holding
from services.cost_alerts.ports.ledger import Basis, Mark, Work
from services.shared.events.usage import Invoice, SeatCount, SeatHolding
from services.shared.periods import Month
from services.shared.store import Transaction


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

    def take(self, work: Work, without: Collection[str] = ()) -> Sequence[Mark]:
        """Take away every mark of the system that waits longest, of all but those `without`; none when nothing waits.

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


class InvoiceBook(Protocol):
    """Invoices as they came, with every revision."""

    def add(self, tx: Transaction, invoices: Sequence[tuple[Invoice, int]]) -> None:
        """Keep revisions with their recorded times (microseconds); of one revision the first counts."""
        ...

    def revisions(self, tx: Transaction, vendor: str, invoice_id: str) -> Sequence[Invoice]:
        """Every revision of one invoice, rising."""
        ...
