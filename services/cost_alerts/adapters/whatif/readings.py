"""Paid readings as they stand, in the order in which agreements are told of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, ScalarSelect, Select, func, select

from services.cost_alerts.adapters.tables import DAY, PROFILE, READING, WORD
from services.cost_alerts.domain.agreements.agreement import Metered
from services.cost_alerts.domain.agreements.reckoning import noon
from services.cost_alerts.domain.use import Profile, Sizes, Use
from services.cost_alerts.domain.view import Book
from services.cost_alerts.handlers.charging import BILLING, FINAL, PURPOSES
from services.cost_alerts.handlers.cycles import NEVER
from services.shared.money import EXACT
from services.shared.store.tables import instant


class Stored(NamedTuple):
    """A paid reading that stands; `order`: start, source, reading id."""

    order: tuple[int, str, str]
    day: date
    profile: Profile
    quantities: tuple[Decimal, ...]
    cost: Decimal | None
    cost_currency: str | None
    estimated: bool

    def metered(self, book: Book) -> Metered:
        """As an agreement of one of the versions of `book` sees it."""
        sizes = book.sizes(self.profile, self.quantities)
        use = Use(self.profile, instant(self.order[0]), self.day, self.cost_currency, sizes)
        return Metered(use, self.quantities, self.cost, self.estimated)


ATTRIBUTION = PURPOSES.index("attribution")
"""Of a reading that tells who used what is paid elsewhere."""


def stored(connection: Connection, system: str, days: tuple[date, date], purpose: int = BILLING) -> list[Stored]:
    """The readings of a system on these Helsinki days (inclusive), by start, source and reading id; the paid ones."""
    return sorted(_read(connection, system, days, purpose), key=lambda one: one.order)


def added_up(connection: Connection, book: Book, system: str, days: tuple[date, date]) -> Iterator[Metered]:
    """The paid use of a system on these days, added up by profile: few, however many readings there are."""
    profiles = _profiles(connection, system)
    sums: dict[tuple[int, str | None, Sizes], tuple[list[Decimal], Decimal]] = {}
    columns = ("profile", "quantities", "cost", "cost_currency")
    for number, texts, cost, currency in connection.execute(_wanted(columns, system, days, BILLING)):
        quantities = [Decimal(text) for text in texts.split()]
        key = (number, currency, book.sizes(profiles[number], quantities))
        before = sums.get(key)
        money = Decimal(cost or 0)
        sums[key] = (
            (quantities, money)
            if before is None
            else ([EXACT.add(one, more) for one, more in zip(before[0], quantities, strict=True)], before[1] + money)
        )
    for (number, currency, sizes), (quantities, money) in sums.items():
        use = Use(profiles[number], noon(days[1]), days[1], currency, sizes)
        yield Metered(use, tuple(quantities), money, estimated=False)


def _read(connection: Connection, system: str, days: tuple[date, date], purpose: int) -> Iterator[Stored]:
    profiles = _profiles(connection, system)
    sources = {row.id: row.text for row in connection.execute(_sources(days))}
    columns = ("profile", "source", "reading_id", "starts_at", "day", "quantities", "cost", "cost_currency", "finality")
    for row in connection.execute(_wanted(columns, system, days, purpose)):
        profile, source, reading_id, starts_at, day, quantities, cost, currency, finality = row
        yield Stored(
            (starts_at, sources[source], reading_id),
            date.fromordinal(day),
            profiles[profile],
            tuple(map(Decimal, quantities.split())),
            None if cost is None else Decimal(cost),
            currency,
            finality != FINAL,
        )


def _profiles(connection: Connection, system: str) -> Mapping[int, Profile]:
    known = select(PROFILE.c.id, PROFILE.c.body).where(PROFILE.c.system == _word(system))
    return {row.id: Profile.from_text(row.body) for row in connection.execute(known)}


def _wanted(columns: Sequence[str], system: str, days: tuple[date, date], purpose: int) -> Select[Any]:
    return select(*(READING.c[name] for name in columns)).where(
        READING.c.day.between(days[0].toordinal(), days[1].toordinal()),
        READING.c.profile.in_(select(PROFILE.c.id).where(PROFILE.c.system == _word(system))),
        READING.c.purpose == purpose,
        READING.c.retracted == 0,
    )


def _word(system: str) -> ScalarSelect[int]:
    return select(WORD.c.id).where(WORD.c.text == system).scalar_subquery()


def _sources(days: tuple[date, date]) -> Select[tuple[int, str]]:
    here = READING.c.day.between(days[0].toordinal(), days[1].toordinal())
    return select(WORD.c.id, WORD.c.text).where(WORD.c.id.in_(select(READING.c.source).where(here).distinct()))


def begun_day(connection: Connection) -> date:
    """The last Helsinki day that the ledger knows to have begun; before every day of use when it knows of none."""
    number = connection.execute(select(func.max(DAY.c.day)).where(DAY.c.recorded_at > 0)).scalar()
    return NEVER if number is None else date.fromordinal(number)
