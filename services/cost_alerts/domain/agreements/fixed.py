"""What costs by time alone, used or not: fees, spread over the days of their cycle, and capacity by the hour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part
from services.cost_alerts.domain.agreements.reckoning import (
    as_decimal,
    checked,
    in_order,
    line_of_term,
    money,
    parted,
    share_of_day,
    unpriced,
)
from services.cost_alerts.domain.agreements.split import Payers, Used, Weights, weights_on
from services.cost_alerts.domain.agreements.termed import Termed
from services.cost_alerts.domain.agreements.terms import Held, Span, stretch_of
from services.cost_alerts.domain.agreements.using import Reader
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Capacity, Fee, Pool, SplitKey
from services.shared.money import NANO
from services.shared.periods import day_start

NO_END = "paid once, and the contract names no end to spread it to"
"""Why a price for a whole term has no share of a day."""

FEE, INDIRECT, HOURS = "fee", "indirect", "capacity_hours"
"""The meters that fees, shares of existing services, and capacity are charged under."""

_MINUTE, _MINUTES_OF_HOUR = timedelta(minutes=1), 60


@dataclass(frozen=True, slots=True)
class Fees(Termed[Fee]):
    """A fee of a contract under one register version; `stretches` rise."""

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        found = stretch_of(self.stretches, cycle)
        if found is None:
            return ()
        held, span = found
        fee = held.term
        used = used_for(fee.share, self.reader.under(view), cycle, known, fee.sku)
        made = spread(
            Spreading(view, self.payers.under(view), used, INDIRECT if fee.indirect else FEE), held, span, known.today
        )
        return in_order(replace(part, list_nano=part.amounts[0]) for part in made)


def used_for(share: SplitKey, reader: Reader, cycle: Cycle, known: Known, sku: str) -> Used:
    """Who used how much, where a key asks for it."""
    return reader.used(cycle, known.metered, sku) if share.by == "usage" else {}


@dataclass(frozen=True, slots=True)
class Spreading:
    """What a price is spread by: who pays, who used how much, and the meter it is charged under."""

    view: View
    payers: Payers
    used: Used
    meter: str

    def weights(self, held: Held[Fee] | Held[Pool] | Held[Capacity], day: date) -> Weights:
        nobody = Profile(held.system, held.term.sku, (self.meter,))
        return weights_on(self.payers, held.term.share, day, self.used, nobody)


def spread(by: Spreading, held: Held[Fee] | Held[Pool], span: Span, today: date) -> Iterator[Part]:
    """The price of a cycle by the day, up to `today`: the days of a whole cycle add up to it to the last 10⁻⁹."""
    term = held.term
    price = term.price if isinstance(term, Pool) else term.amount
    if not price:
        return
    if term.every == "once" and not held.ends:
        yield unpriced(_bare(by, held, span.first), NO_END)
        return
    for day in span.days(today):
        bare = _bare(by, held, day)
        position = (day - span.whole_first).days
        nano = share_of_day(Fraction(price) * NANO, position, span.whole_days)
        yield from parted(checked(replace(bare, amounts=money(bare.line, Fraction(nano)))), by.weights(held, day))


def _bare(by: Spreading, held: Held[Fee] | Held[Pool], day: date) -> Part:
    line = line_of_term(by.view, held, by.meter, "Purchase", day)
    return Part(day, held.term.sku, line, Decimal(0), (None, None))


@dataclass(frozen=True, slots=True)
class Capacities(Termed[Capacity]):
    """Capacity of a contract under one register version: every hour of a day of its zone, 23, 24 or 25."""

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        found = stretch_of(self.stretches, cycle)
        if found is None:
            return ()
        held, span = found
        used = used_for(held.term.share, self.reader.under(view), cycle, known, held.term.sku)
        by = Spreading(view, self.payers.under(view), used, HOURS)
        return in_order(part for day in span.days(known.today) for part in _of_day(by, held, day))


def _of_day(by: Spreading, held: Held[Capacity], day: date) -> Iterator[Part]:
    """The hours of a day at the price of an hour, rounded once, then parted; so are the hours."""
    term = held.term
    length = day_start(day + timedelta(days=1), held.zone) - day_start(day, held.zone)
    quantity = Fraction(length // _MINUTE, _MINUTES_OF_HOUR) * Fraction(term.quantity)
    per_hour = Fraction(term.price) * NANO
    line = line_of_term(by.view, held, HOURS, "Usage", day)
    line = replace(line, nano_per_unit=per_hour, list_per_unit=per_hour)
    amounts = money(line, quantity * per_hour)
    whole = Part(day, term.sku, line, as_decimal(quantity), amounts, amounts[0])
    yield from parted(checked(whole), by.weights(held, day))
