"""A cycle of an agreement as it was known at a moment: the questions of the periods' worker, asked without writing."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple, cast

from sqlalchemy import Connection, select

from services.cost_alerts.adapters.periods import SqlPeriods
from services.cost_alerts.adapters.tables import BASIS, PERIOD_CHARGE, PROFILE, WORD
from services.cost_alerts.domain.agreements.agreement import Agreement, Cycle, Known, Metered
from services.cost_alerts.domain.agreements.seating import Observed
from services.cost_alerts.domain.explaining.by_period import Moment
from services.cost_alerts.domain.invoices import of_month
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book
from services.cost_alerts.handlers.cycles import RANK, Today, Uses, kind_of
from services.cost_alerts.handlers.shelf import all_agreements
from services.cost_alerts.ports.ledger import Basis, Work
from services.cost_alerts.ports.periods import PeriodRow, Version
from services.shared.events.usage import Invoice
from services.shared.periods import Month, day_start, helsinki_day
from services.shared.store import Transaction
from services.shared.store.tables import instant, micros

_INSTANT = timedelta(microseconds=1)
_UNKNOWN = -1


class Looking:
    """As much of a `Work` and of its `Transaction` as questions need; it enters nothing."""

    dialect = "none"

    def __init__(self, connection: Connection, book: Book) -> None:
        self.connection = connection
        self.book = book
        self._profiles: dict[int, Profile] = {}

    @property
    def tx(self) -> "Looking":
        return self

    @property
    def as_work(self) -> Work:
        return cast("Work", self)

    @property
    def as_transaction(self) -> Transaction:
        return cast("Transaction", self)

    def word(self, text: str) -> int:
        """The number of a text; one that no word has, when the ledger does not know it."""
        found = self.connection.execute(select(WORD.c.id).where(WORD.c.text == text)).scalar()
        return _UNKNOWN if found is None else int(found)

    def profile(self, number: int) -> Profile:
        if number not in self._profiles:
            query = select(PROFILE.c.body).where(PROFILE.c.id == number)
            self._profiles[number] = Profile.from_text(self.connection.execute(query).scalar_one())
        return self._profiles[number]


class Name(NamedTuple):
    """Which reading a metered one is; the order of use."""

    starts_at: int
    source: str
    reading_id: str
    revision: int


class CycleAt(NamedTuple):
    """An agreement with its cycle at a moment, and the names of what was metered, by identity."""

    agreement: Agreement
    at: Moment
    names: Mapping[int, Name]


class Cycles:
    """Cycles at moments, over one connection."""

    def __init__(self, connection: Connection, book: Book) -> None:
        self._looking = Looking(connection, book)
        self._book = book
        self._periods = SqlPeriods()

    def rows(self, agreement: str, cycle: int) -> Sequence[tuple[PeriodRow, Basis]]:
        """The charges of a cycle with their history, of whatever systems its contract is on."""
        here = (PERIOD_CHARGE.c.agreement == agreement, PERIOD_CHARGE.c.cycle == cycle)
        query = select(WORD.c.text).distinct().join(BASIS, BASIS.c.system == WORD.c.id)
        systems = query.join(PERIOD_CHARGE, PERIOD_CHARGE.c.basis == BASIS.c.id).where(*here)
        return [
            row
            for system in sorted(self._looking.connection.execute(systems).scalars())
            for row in self._periods.rows(self._looking.as_work, agreement, system, cycle)
        ]

    def at(self, key: str, system: str, starts: int, moment: int) -> CycleAt | None:
        """A cycle, named by the microsecond it begins at; None where the register of then does not know it."""
        view = self._book.view(self._book.version_at(instant(moment)))
        seen = self._periods.seats(self._looking.as_transaction, system)
        for agreement in all_agreements(view, system, seen):
            if agreement.key == key:
                day = helsinki_day(instant(starts))
                for cycle in agreement.cycles(day, day):
                    if micros(cycle.starts) == starts:
                        return self._known(agreement, cycle, moment)
        return None

    def containing(self, key: str, system: str, start: int, version: int) -> int | None:
        """The beginning of an agreement's cycle that an instant lies in."""
        day = helsinki_day(instant(start))
        for agreement in all_agreements(self._book.view(version), system):
            if agreement.key == key:
                for cycle in agreement.cycles(day, day):
                    if cycle.starts <= instant(start) < cycle.ends:
                        return micros(cycle.starts)
        return None

    def _known(self, agreement: Agreement, cycle: Cycle, moment: int) -> CycleAt:
        days = days_of(cycle)
        metered, names = self._metered(cycle.system, days, moment)
        looking, at = self._looking, instant(moment)
        seen = self._periods.seats(looking.as_transaction, cycle.system)
        kind = kind_of(agreement.key)
        known = Known(
            Today(self._periods.days(looking.as_transaction)).at(moment),
            metered,
            {sku: Observed.at(at, one.counts, one.holdings) for sku, one in seen.items()},
            [one for one, _ in self.invoices(agreement.key, days, moment)] if kind == "invoice" else (),
            self._periods.spent(looking.as_work, cycle.system, days, moment, kind) if kind in RANK else (),
        )
        view = self._book.view(self._book.version_at(at))
        return CycleAt(agreement, Moment(view, cycle, known), names)

    def invoices(self, key: str, days: tuple[date, date], moment: int) -> list[tuple[Invoice, int]]:
        """The invoices of an invoice agreement that stood at a moment, with their recorded times, by id."""
        vendor, _, _ = key.removeprefix("invoice:").rpartition("/")
        month = Month.of(days[0])
        told = self._periods.invoices(self._looking.as_transaction, vendor, month)
        came = {(one.invoice_id, one.revision): micros(at) for one, at in reversed(told) if micros(at) <= moment}
        standing = of_month([one for one, at in told if micros(at) <= moment], month)
        return [(one, came[one.invoice_id, one.revision]) for one in standing]

    def _metered(self, system: str, days: tuple[date, date], moment: int) -> tuple[list[Metered], dict[int, Name]]:
        found: list[tuple[Name, Metered]] = []
        for told in _by_number(self._periods.versions(self._looking.as_work, system, days)):
            known = Uses(told, self._looking.as_work, system, days).sweep()(moment)
            if known:
                stands = max((one for one in told if one.recorded_at <= moment), key=lambda one: one.revision)
                found.append((Name(stands.starts_at, stands.source, stands.reading_id, stands.revision), known[0]))
        found.sort(key=lambda one: one[0])
        return [metered for _, metered in found], {id(metered): name for name, metered in found}

    def causes(self, key: str, system: str, days: tuple[date, date], moment: int) -> Iterator[str]:
        """What became known of a cycle on the Helsinki day of a moment, until then; a part of a sentence each."""
        since = micros(day_start(helsinki_day(instant(moment))))
        told = self._periods.versions(self._looking.as_work, system, days)
        revisions = sum(since <= one.recorded_at <= moment for one in told)
        if revisions:
            yield f"{revisions:,} revisions of readings were recorded"
        for day, at in self._periods.days(self._looking.as_transaction):
            if since <= micros(at) <= moment:
                yield f"{day} had begun"
        if kind_of(key) == "invoice":
            for one, recorded in self.invoices(key, days, moment):
                if since <= recorded <= moment:
                    yield f"the invoice {one.invoice_id} was recorded"
        for version in self._book.touching_days(system, *days):
            if since <= micros(self._book.published_at(version)) <= moment:
                yield f"register version {version} was published"
        if kind_of(key) == "seats":
            yield from self._seats_told(system, since, moment)

    def _seats_told(self, system: str, since: int, moment: int) -> Iterator[str]:
        seen = self._periods.seats(self._looking.as_transaction, system)
        told = [one.recorded_at for sku in seen.values() for one in sku.counts]
        told += [one.recorded_at for sku in seen.values() for one in sku.holdings]
        count = sum(since <= micros(at) <= moment for at in told)
        if count:
            yield f"{count:,} observations of seats were recorded"


def days_of(cycle: Cycle) -> tuple[date, date]:
    """The Helsinki days of a cycle, inclusive."""
    return helsinki_day(cycle.starts), helsinki_day(cycle.ends - _INSTANT)


def _by_number(versions: Sequence[Version]) -> Iterator[list[Version]]:
    found: dict[int, list[Version]] = defaultdict(list)
    for one in versions:
        found[one.number].append(one)
    yield from found.values()
