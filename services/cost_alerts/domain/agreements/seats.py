"""Seats: a day's share of a monthly or yearly price for every purchased seat, split among the units of their holders.

A cycle is one Helsinki day. Its history is a function of everything observed about it and of the register, folded at
the end of each Helsinki day of recording: an observation of five hundred seats is one change of mind, not five hundred.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import takewhile

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part
from services.cost_alerts.domain.agreements.history import Row, evenings, history
from services.cost_alerts.domain.agreements.reckoning import checked, in_order, money, noon, parted, unpriced
from services.cost_alerts.domain.agreements.seating import METER, Count, Holding, Product, Seating, Told
from services.cost_alerts.domain.agreements.split import Payers, Weights, weights_on
from services.cost_alerts.domain.allocation import NOBODY, Owner
from services.cost_alerts.domain.pricing import Line
from services.cost_alerts.domain.rating import at_price
from services.cost_alerts.domain.tariff import DatedTariff
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book, View
from services.shared.events.prices import UnusedSeats
from services.shared.periods import Month, day_start, helsinki_day


@dataclass(frozen=True, slots=True)
class Seats:
    """The seats of one SKU under one register version."""

    product: Product
    payers: Payers

    @property
    def key(self) -> str:
        return f"seats:{self.product.system}/{self.product.sku}"

    @property
    def system(self) -> str:
        return self.product.system

    def cycles(self, first: date, last: date) -> Iterator[Cycle]:
        for number in range(first.toordinal(), last.toordinal() + 1):
            day = date.fromordinal(number)
            yield Cycle(self.key, self.system, day_start(day), day_start(day + timedelta(days=1)))

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        observed, day = known.seats.get(self.product.sku), helsinki_day(cycle.starts)
        purchased = None if observed is None else observed.purchased(day)
        if observed is None or not purchased:
            return ()
        payers = self.payers.under(view)
        held = Counter(payers.of(holder(self.product, person), day) for person in observed.holders(day))
        return day_parts(payers, self.product, day, purchased, held)


def holder(product: Product, person: str | None) -> Profile:
    """Whom a seat is given to; None: what the rules decide on a seat that nobody holds."""
    return Profile(product.system, product.sku, (METER,), person=person)


def day_parts(
    payers: Payers, product: Product, day: date, purchased: int, held: Mapping[Owner, int]
) -> tuple[Part, ...]:
    """The charges of one day: purchased × price ÷ days of the Helsinki month or year, rounded once, then split.

    `held`: seats by whose holders they are. Seats that nobody holds go by the contract's `unused_seats` or by the
    rules for the system. Parts add up exactly.
    """
    weights, seats = seat_weights(payers, product, day, purchased, held)
    line = _line(payers.view, product, day)
    per_day, listed = line.nano_per_unit or Fraction(0), line.list_per_unit or Fraction(0)
    whole = Part(day, product.sku, line, Decimal(seats), money(line, per_day * purchased), round(listed * purchased))
    whole = unpriced(whole, line.reason or "") if line.nano_per_unit is None else checked(whole)
    return in_order(parted(whole, weights))


def seat_weights(
    payers: Payers, product: Product, day: date, purchased: int, held: Mapping[Owner, int]
) -> tuple[Weights, int]:
    """Seats by who pays, as whole weights (a free seat may be parted among many), and how many seats they are."""
    occupied = sum(held.values())
    free = purchased - occupied
    if free <= 0:
        return held, occupied
    shares = _shares_of_free(payers, product, day, held)
    one = sum(shares.values())
    weights = Counter({owner: count * one for owner, count in held.items()})
    for owner, share in shares.items():
        weights[owner] += free * share
    return {owner: weight for owner, weight in weights.items() if weight}, purchased


def _shares_of_free(payers: Payers, product: Product, day: date, held: Mapping[Owner, int]) -> Weights:
    term = _unused_term(payers.view, product, day)
    nobody = holder(product, None)
    if term is None:
        return {payers.of(nobody, day): 1}
    if term.share.by == "usage":
        return held if any(held.values()) else {payers.of(nobody, day): 1}
    return weights_on(payers, term.share, day, {}, nobody)


def _unused_term(view: View, product: Product, day: date) -> UnusedSeats | None:
    for contract in view.contracts.at(product.system, noon(day)):
        for term in contract.fact.terms:
            if isinstance(term, UnusedSeats) and term.sku == product.sku:
                return term
    return None


def _line(view: View, product: Product, day: date) -> Line:
    """A seat's price for one day, or why there is none."""
    vat_rate = view.contracts.vat_rate(product.system, noon(day))
    line = Line(METER, "Purchase", NOBODY, vat_rate=vat_rate)
    tariff = view.tariffs.per_seat(product.system, product.sku, day)
    if isinstance(tariff, str):
        return replace(line, reason=tariff)
    off = view.contracts.off(product.system, product.sku, METER, noon(day))
    line = replace(line, tariff=tariff.id, tariff_version=tariff.version, currency=tariff.fact.currency)
    return at_price(view, line, price_of_day(tariff, day), off, day)


def price_of_day(tariff: DatedTariff, day: date) -> Fraction:
    """What a seat costs on `day` by a tariff per month or year, before discounts."""
    assert tariff.fact.price is not None
    yearly = tariff.fact.model == "per_seat_year"
    days = (date(day.year + 1, 1, 1) - date(day.year, 1, 1)).days if yearly else Month.of(day).days
    return Fraction(tariff.fact.price) / Fraction(tariff.fact.per) / days


@dataclass(slots=True)
class _Holders:
    """Whose holders' seats are, under one register version; asked for every holder of every day, and so remembered."""

    product: Product
    payers: Payers
    _owners: dict[tuple[str, tuple[int, int]], Owner] = field(default_factory=dict)

    def owner(self, person: str, day: date) -> Owner:
        key = (person, self.payers.view.allocation.segment(person, day))
        found = self._owners.get(key)
        if found is None:
            found = self._owners[key] = self.payers.of(holder(self.product, person), day)
        return found


@dataclass(slots=True)
class _Sweep:
    """A day as it was known at rising moments: what was told since the last one changes it, nothing is made anew."""

    product: Product
    day: date
    told: list[Told]
    purchased: int | None = None
    holders: Counter[str] = field(default_factory=Counter)
    held: Counter[Owner] = field(default_factory=Counter)
    under: _Holders | None = None

    def parts_at(self, moment: datetime, under: _Holders) -> Sequence[Part]:
        news = list(takewhile(lambda one: one.recorded_at <= moment, self.told))
        del self.told[: len(news)]
        moved = [move for one in news for move in self._moved(one)]
        if under is not self.under:
            self.under = under
            self.held = Counter(under.owner(person, self.day) for person in self.holders)
        else:
            for person, seats in moved:
                self.held[under.owner(person, self.day)] += seats
        if not self.purchased:
            return ()
        return day_parts(under.payers, self.product, self.day, self.purchased, +self.held)

    def _moved(self, one: Told) -> Iterator[tuple[str, int]]:
        """Take in what was told; who now holds a seat (1) that did not before, and who no longer does (-1)."""
        self.purchased = one.purchased
        for person in one.came:
            self.holders[person] += 1
            if self.holders[person] == 1:
                yield person, 1
        for person in one.went:
            self.holders[person] -= 1
            if not self.holders[person]:
                del self.holders[person]
                yield person, -1


class SeatLedger:
    """The seats of one SKU of one system: everything observed, under every register version.

    The same as `Seats.parts` at each moment, in a fraction of the time.
    """

    def __init__(self, book: Book, product: Product, counts: Sequence[Count], holdings: Sequence[Holding]) -> None:
        self._book = book
        self._product = product
        self._seating = Seating(counts, holdings)
        self._under: dict[int, _Holders] = {}

    def history(self, day: date, cut_offs: Sequence[datetime] = ()) -> list[Row]:
        """How `day` was charged, from the first recorded day on; `cut_offs`: of closed months, as for `evenings`."""
        told = self._seating.told(day)
        first = next((one.recorded_at for one in told if one.purchased), None)
        if first is None:
            return []
        touching = list(self._book.touching(0, self._product.system, day))
        published = (self._book.published_at(version) for version in touching)
        moments = evenings([*(one.recorded_at for one in told), *published], cut_offs)
        sweep = _Sweep(self._product, day, told)
        return history(
            moments[bisect_left(moments, first) :],
            lambda moment: sweep.parts_at(moment, self._holders_at(moment, touching)),
        )

    def _holders_at(self, moment: datetime, touching: Sequence[int]) -> _Holders:
        """Who pays at the last version by `moment` that touches the day: versions between two such price it alike."""
        version = self._book.version_at(moment)
        pricing = max((one for one in touching if one <= version), default=0)
        if pricing not in self._under:
            self._under[pricing] = _Holders(self._product, Payers(self._book.view(pricing)))
        return self._under[pricing]
