"""How exposed the city is to changes of prices, by system: see `domain/whatif/exposure.py`."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.tables import ROLLUP, SEAT_COUNT, WORD
from services.cost_alerts.adapters.whatif.price_index import BASKET_DAYS, basket_of
from services.cost_alerts.adapters.whatif.register import book_of, facts_now, view_of
from services.cost_alerts.domain.view import Book, View
from services.cost_alerts.domain.whatif.basket import index, may_change
from services.cost_alerts.domain.whatif.exposure import (
    Exposure,
    Lately,
    Situation,
    by_time,
    counting,
    exposure,
    horizon,
    is_by_time,
)
from services.cost_alerts.domain.whatif.throughout import frozen, gone_on
from services.shared.events.prices import Contract, Tariff
from services.shared.store import Store

Seats = Mapping[str, Mapping[str, int]]
"""System → SKU → seats purchased, as counted last."""


def price_exposures(store: Store, today: date) -> Sequence[Exposure]:
    """What price changes of each system would cost in the 365 days from `today` on; systems that cost nothing left out.

    By system, in one consistent view. It reads the readings of 28 days of systems whose
    prices change within the days: not for every scrape.
    """
    with store.reading() as connection:
        return _Exposures.read(connection, today).all()


@dataclass(frozen=True, slots=True)
class _Exposures:
    connection: Connection
    today: date
    book: Book
    announced: View
    held: View
    published: Mapping[str, Collection[date]]
    lately: Mapping[str, Sequence[Lately]]
    seats: Seats

    @classmethod
    def read(cls, connection: Connection, today: date) -> "_Exposures":
        named = facts_now(connection)
        facts = [fact for _, fact in named]
        published: dict[str, set[date]] = defaultdict(set)
        for fact in facts:
            if isinstance(fact, Tariff | Contract):
                published[fact.system].add(fact.valid_from)
        announced, held = view_of(gone_on(facts, today)), view_of(frozen(facts, today))
        costs, seats = _lately(connection, today), seats_now(connection, today)
        return cls(connection, today, book_of(named), announced, held, published, costs, seats)

    def all(self) -> list[Exposure]:
        systems = sorted({*self.lately, *self.seats, *self.announced.contracts.systems()})
        found = [self._of(system) for system in systems]
        return [one for one in found if one.ten_percent_nano or one.announced_nano]

    def _of(self, system: str) -> Exposure:
        known = self.announced.systems.get(system)
        days = horizon(self.today)
        before = [self.today - timedelta(days=number) for number in range(BASKET_DAYS, 0, -1)]
        seats = self.seats.get(system, {})
        situation = Situation(
            system,
            system if known is None else known.vendor,
            self.today,
            self.lately.get(system, ()),
            BASKET_DAYS,
            self._levels(system, [*before, *days]),
            by_time(self.held, system, seats, days),
            by_time(self.announced, system, seats, days),
        )
        planned = counting(self.announced.planned, system, self.today, self.published.get(system, ()))
        return exposure(situation, planned, self._inside({one.unit for one in planned if one.unit is not None}))

    def _levels(self, system: str, days: Sequence[date]) -> Mapping[date, Fraction]:
        """The price index on rising days; empty where no price can change between them, and nothing need be read."""
        if not may_change(self.announced, system, days[0], days[-1]):
            return {}
        basket = basket_of(self.connection, self.book, system, self.today)
        return index(self.announced, basket, self.today, days).levels

    def _inside(self, units: Collection[str]) -> Mapping[str, Collection[str]]:
        tree = self.announced.units
        found: dict[str, list[str]] = {unit: [] for unit in units}
        for one in tree.defined(self.today):
            for above in tree.with_ancestors(one.id, self.today):
                if above in found:
                    found[above].append(one.id)
        return found


def _lately(connection: Connection, today: date) -> Mapping[str, Sequence[Lately]]:
    """What each system cost on the 28 days before `today`, by day, unit and SKU."""
    words = {name: WORD.alias(f"{name}_word") for name in ("system", "unit", "sku", "meter")}
    names = [words[name].c.text for name in words]
    query = select(*names, ROLLUP.c.day, ROLLUP.c.category, func.sum(ROLLUP.c.eur_nano))
    for name, word in words.items():
        query = query.join(word, word.c.id == ROLLUP.c[name])
    first, last = today - timedelta(days=BASKET_DAYS), today - timedelta(days=1)
    query = query.where(ROLLUP.c.day.between(first.toordinal(), last.toordinal()), ROLLUP.c.category != "Adjustment")
    found: dict[str, list[Lately]] = defaultdict(list)
    for row in connection.execute(query.group_by(*names, ROLLUP.c.day, ROLLUP.c.category)):
        system, unit, sku, meter, day, category, nano = tuple(row)
        found[system].append(Lately(date.fromordinal(day), unit, sku, is_by_time(category, meter), int(nano)))
    return found


def seats_now(connection: Connection, today: date) -> Seats:
    """The seats of every SKU as they were counted last, up to `today`."""
    columns = SEAT_COUNT.c
    order = (columns.system, columns.sku, columns.observed_on, columns.revision)
    query = select(columns.system, columns.sku, columns.purchased).where(columns.observed_on <= today.toordinal())
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for system, sku, purchased in connection.execute(query.order_by(*order)):
        found[system][sku] = purchased
    return found
