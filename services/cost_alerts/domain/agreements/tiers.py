"""Tariffs whose price depends on the other readings of the month: tiers, and packages that last for the month.

One count per tariff's system, SKU (`*`: all SKUs together) and meter and month; each reading is priced by the tariff
in force when it began, and the count runs on over a change of price.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part
from services.cost_alerts.domain.agreements.gathering import Gathering
from services.cost_alerts.domain.agreements.using import Drawn, Kind, Reader
from services.cost_alerts.domain.pricing import Line
from services.cost_alerts.domain.rating import at_price
from services.cost_alerts.domain.tariff import DatedTariff
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Tariff
from services.shared.events.usage import FIRST_DAY, LAST_DAY
from services.shared.periods import Month, day_start

_DAY = timedelta(days=1)


class Piece(NamedTuple):
    """A piece of a reading: how much of what is counted it is, how much of that is paid, at which price per unit."""

    counted: Fraction
    paid: Fraction
    price: Fraction


@dataclass(frozen=True, slots=True)
class Monthly:
    """One count of a system's monthly tariffs under one register version. `tariffs`: those of the key, by their start.

    Months are of the time zone of the first of them.
    """

    key: str
    system: str
    tariffs: Sequence[DatedTariff]
    reader: Reader

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.tariffs[0].fact.time_zone)

    def cycles(self, first: date, last: date) -> Iterator[Cycle]:
        # A day more on either side: a month of another zone begins on the Helsinki day before or after.
        day = FIRST_DAY if first <= FIRST_DAY else first - _DAY
        until = LAST_DAY if last >= LAST_DAY else last + _DAY
        month = Month.of(day)
        while month.first_day <= until:
            cycle = self._cycle(month)
            if any(
                tariff.starts < cycle.ends and cycle.starts < (tariff.ends or cycle.ends) for tariff in self.tariffs
            ):
                yield cycle
            month = month.next

    def _cycle(self, month: Month) -> Cycle:
        starts, ends = (day_start(day, self.zone) for day in (month.first_day, month.next.first_day))
        return Cycle(self.key, self.system, starts, ends)

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        gathering = Gathering()
        for one, line, piece in self.pieces(view, cycle, known):
            gathering.add(
                one.kind,
                line,
                one.owner,
                piece.counted,
                piece.paid,
                paid=True,
                estimated=one.reading.estimated,
            )
        return gathering.parts()

    def pieces(self, view: View, cycle: Cycle, known: Known) -> Iterator[tuple[Drawn, Line, Piece]]:
        """What is counted of each reading, in their order, with the line that it is charged by; by nobody yet."""
        if cycle != self._cycle(Month.of(cycle.starts.astimezone(self.zone).date())):
            return
        drawn = list(self.reader.under(view).drawn(self.key, cycle, known.metered))
        total = sum((one.counted for one in drawn), Fraction(0))
        lines = _Lines(view)
        before, paid = Fraction(0), Fraction(0)
        for one in drawn:
            for piece in _pieces(one, before, paid, total):
                yield one, lines.line(one, piece.price), piece
                paid += piece.paid
            before += one.counted


def _pieces(one: Drawn, before: Fraction, paid: Fraction, total: Fraction) -> Iterator[Piece]:
    """The pieces of a reading after `before` units of a month's `total`; `paid`: the units already paid for."""
    fact = _tariff(one).fact
    if fact.model == "graduated":
        yield from _graduated(fact, before, before + one.counted)
    elif fact.model == "volume":
        yield Piece(one.counted, one.counted, _tier_of(fact, total))
    else:
        assert fact.price is not None
        yield Piece(one.counted, _opened(fact, before + one.counted - paid), Fraction(fact.price) / Fraction(fact.per))


def _tariff(one: Drawn) -> DatedTariff:
    assert one.covering.tariff is not None
    return one.covering.tariff


def _graduated(fact: Tariff, start: Fraction, end: Fraction) -> Iterator[Piece]:
    """From unit `start` (exclusive) to `end` (inclusive), cut at the edges of the tiers."""
    for tier in fact.tiers:
        edge = end if tier.up_to is None else min(end, Fraction(tier.up_to))
        if edge > start:
            yield Piece(edge - start, edge - start, Fraction(tier.price) / Fraction(fact.per))
            start = edge


def _tier_of(fact: Tariff, total: Fraction) -> Fraction:
    """The price of the tier that a month's sum falls in; a tier ends at its edge, inclusive."""
    tier = next(tier for tier in fact.tiers if tier.up_to is None or total <= Fraction(tier.up_to))
    return Fraction(tier.price) / Fraction(fact.per)


def _opened(fact: Tariff, missing: Fraction) -> Fraction:
    """The units of the packages that are opened for `missing` units, which no opened package has room for."""
    assert fact.round_up is not None
    to = Fraction(fact.round_up.to)
    return -(-missing // to) * to if missing > 0 else Fraction(0)


class _Lines:
    """Lines ready made: one per kind of use, meter and price; by nobody yet."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._made: dict[tuple[Kind, str, Fraction], Line] = {}

    def line(self, one: Drawn, price: Fraction) -> Line:
        """How a piece at a tier's price is charged: factors and discounts upon it, and the rate of its day."""
        key = (one.kind, one.meter, price)
        if key not in self._made:
            self._made[key] = self._make(one, price)
        return self._made[key]

    def _make(self, one: Drawn, price: Fraction) -> Line:
        tariff, card, use = _tariff(one), one.covering.card, one.kind.use
        credit = None if card is None else card.fact.credit
        off = self._view.contracts.off(use.profile.system, use.profile.sku, one.meter, use.start, credit)
        first = card or tariff
        line = replace(
            one.kind.blank(),
            meter=tariff.fact.meter,
            tariff=first.id,
            tariff_version=first.version,
            currency=tariff.fact.currency,
            credit_tariff=tariff.id if card else None,
            credit_tariff_version=tariff.version if card else None,
            round_to=None if tariff.fact.round_up is None else tariff.fact.round_up.to,
        )
        return at_price(self._view, line, price * one.covering.factor, off, use.day)
