"""The last months priced again under another register, beside what the ledger says they cost."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters import seats
from services.cost_alerts.adapters.tables import ROLLUP, SEAT_COUNT, WORD
from services.cost_alerts.adapters.whatif.change_file import Register
from services.cost_alerts.adapters.whatif.readings import begun_day, stored
from services.cost_alerts.adapters.whatif.register import book_of, facts_now, two_versions
from services.cost_alerts.domain.agreements.seating import Observed
from services.cost_alerts.domain.view import Book
from services.cost_alerts.domain.whatif.change import AFTER, BEFORE, Change, laid_over
from services.cost_alerts.domain.whatif.comparing import Comparison, Total, Where, compared, totals
from services.cost_alerts.domain.whatif.pricing import Costs, Days, Usage, priced, reach
from services.shared.errors import ConfigurationError
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import AllocationRule
from services.shared.periods import Month
from services.shared.store import Store

Tell = Callable[[int, int], None]
"""Is told how many systems were priced again, and how many there are."""

_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def last_months(today: date, count: int) -> list[Month]:
    """The last full Helsinki months before `today`, rising."""
    found = [Month.of(today).previous]
    while len(found) < count:
        found.append(found[-1].previous)
    return found[::-1]


def register_now(store: Store, today: date, months: Sequence[Month]) -> Register:
    """What a change of these months is checked against."""
    with store.reading() as connection:
        facts = facts_now(connection)
        counted = connection.execute(select(SEAT_COUNT.c.system, SEAT_COUNT.c.sku).distinct())
        return Register(
            book_of(facts).view(BEFORE),
            {fact.id for _, fact in facts if isinstance(fact, Tariff | Contract | AllocationRule)},
            {(row.system, row.sku) for row in counted},
            today,
            months[-1].next.first_day,
        )


def simulate(store: Store, change: Change, months: Sequence[Month], tell: Tell) -> Comparison:
    """What the change would have done in these months (rising, one after the other), in one consistent view.

    Raises:
        ConfigurationError: the ledger knows of no cost in these months.
    """
    days = (months[0].first_day, months[-1].next.first_day - timedelta(days=1))
    with store.reading() as connection:
        facts = facts_now(connection)
        ledger, corrections = _ledger(connection, days)
        if not ledger:
            raise ConfigurationError(
                f"found no cost from {months[0]} to {months[-1]}; expected months that the ledger has figures of: "
                "ask for others with --months, or let the collectors run first"
            )
        again = _Again(connection, two_versions(laid_over(facts, change, days)), change, days)
        wanted = change.systems(fact for _, fact in facts)
        systems = sorted({where.system for where in ledger} if wanted is None else wanted)
        before: dict[Where, Total] = {}
        after: dict[Where, Total] = {}
        for number, system in enumerate(systems):
            tell(number, len(systems))
            one, other = again.both(system)
            before.update(totals(one, system))
            after.update(totals(other, system))
        tell(len(systems), len(systems))
    return compared(months, ledger, corrections, before, after)


@dataclass(frozen=True, slots=True)
class _Again:
    """Prices systems under both versions of a register."""

    connection: Connection
    book: Book
    change: Change
    days: Days

    def both(self, system: str) -> tuple[Costs, Costs]:
        """What a system cost on the days, without the change and with it."""
        seen = observed(self.connection, system)
        would_be = _with_seats(seen, system, self.change.seats or {})
        views = (self.book.view(BEFORE), self.book.view(AFTER))
        needed = [reach(view, system, seen, self.days) for view in views]
        read = stored(self.connection, system, (min(one[0] for one in needed), max(one[1] for one in needed)))
        metered = [one.metered(self.book) for one in read]
        today = begun_day(self.connection)
        before, after = Usage(system, metered, seen, today), Usage(system, metered, would_be, today)
        return priced(views[0], before, self.days), priced(views[1], after, self.days)


def observed(connection: Connection, system: str) -> Mapping[str, Observed]:
    """Everything that is known now of a system's seats, by SKU."""
    return {sku: Observed.at(_EVER, seen.counts, seen.holdings) for sku, seen in seats.seen(connection, system).items()}


def _with_seats(
    seen: Mapping[str, Observed], system: str, wanted: Mapping[tuple[str, str], int]
) -> dict[str, Observed]:
    found = dict(seen)
    for (of_system, sku), purchased in wanted.items():
        if of_system == system and sku in found:
            counts = {day: replace(count, purchased=purchased) for day, count in found[sku].counts.items()}
            found[sku] = replace(found[sku], counts=counts)
    return found


def _ledger(connection: Connection, days: Days) -> tuple[dict[Where, Total], dict[Where, int]]:
    """What these days cost by month, unit and system as incurred; and what of it are corrections by invoices."""
    unit, system = WORD.alias("unit_word"), WORD.alias("system_word")
    names = (ROLLUP.c.day, unit.c.text, system.c.text, ROLLUP.c.category)
    query = (
        select(*names, func.sum(ROLLUP.c.eur_nano), func.sum(ROLLUP.c.unpriced))
        .join(unit, unit.c.id == ROLLUP.c.unit)
        .join(system, system.c.id == ROLLUP.c.system)
        .where(ROLLUP.c.day.between(days[0].toordinal(), days[1].toordinal()))
        .group_by(*names)
        .having(func.sum(ROLLUP.c.charges) != 0)
    )
    found: dict[Where, Total] = {}
    corrections: dict[Where, int] = defaultdict(int)
    for row in connection.execute(query):
        day, its_unit, its_system, category, nano, unpriced = tuple(row)
        where = Where(Month.of(date.fromordinal(day)), its_unit, its_system)
        before = found.get(where, Total())
        found[where] = Total(before.eur_nano + int(nano), before.unpriced + int(unpriced))
        if category == "Adjustment":
            corrections[where] += int(nano)
    return found, corrections
