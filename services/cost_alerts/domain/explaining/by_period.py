"""The arithmetic of what an agreement charges by the day: prices of cycles, capacity, seats, minimums, invoices."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Agreement, Cycle, Known, Part
from services.cost_alerts.domain.agreements.fixed import FEE as FEE_METER
from services.cost_alerts.domain.agreements.fixed import HOURS as HOURS_METER
from services.cost_alerts.domain.agreements.fixed import INDIRECT, Capacities, Fees, Spreading, used_for
from services.cost_alerts.domain.agreements.invoice import RULE, InvoiceAgreement
from services.cost_alerts.domain.agreements.minimum import METER as MINIMUM_METER
from services.cost_alerts.domain.agreements.minimum import Minimums
from services.cost_alerts.domain.agreements.pool import Pools, meter_of
from services.cost_alerts.domain.agreements.seats import Seats, holder, price_of_day, seat_weights
from services.cost_alerts.domain.agreements.split import Used, Weights, weights_on
from services.cost_alerts.domain.agreements.terms import Held, Span, stretch_of
from services.cost_alerts.domain.agreements.tiers import Monthly
from services.cost_alerts.domain.agreements.using import weighed, worth
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.explaining.by_unit import discount, named
from services.cost_alerts.domain.explaining.by_use import Gathered, of_month, of_pool
from services.cost_alerts.domain.explaining.splitting import Splitting, split_step
from services.cost_alerts.domain.explaining.steps import Step, in_currency, shown
from services.cost_alerts.domain.invoices import billed
from services.cost_alerts.domain.tariff import ANY_SKU
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Fee, Pool, SplitKey
from services.shared.money import NANO
from services.shared.periods import day_start

_MINUTE, _MINUTES_OF_HOUR = timedelta(minutes=1), 60


@dataclass(frozen=True, slots=True)
class Moment:
    """A cycle of an agreement as known at a moment, under the register of then."""

    view: View
    cycle: Cycle
    known: Known


def explained(agreement: Agreement, at: Moment, part: Part) -> Gathered:
    """How one part of an agreement's charges comes about; no steps where it has no price."""
    match agreement:
        case Monthly():
            return of_month(agreement, at.view, at.cycle, at.known, part)
        case Pools() if part.line.category != "Purchase":
            return of_pool(agreement, at.view, at.cycle, at.known, part)
    if part.line.reason is not None and part.amounts == (None, None):
        return Gathered([], ())
    steps, splitting = _shared(agreement, at, part)
    return Gathered([*steps, split_step(splitting, part.line.owner)], (), splitting)


def _shared(agreement: Agreement, at: Moment, part: Part) -> tuple[Sequence[Step], Splitting]:
    match agreement:
        case Fees():
            return _of_fee(agreement, at, part)
        case Pools():
            return _of_pool_price(agreement, at, part)
        case Capacities():
            return _of_capacity(agreement, at, part)
        case Minimums():
            return _of_minimum(agreement, at, part)
        case Seats():
            return _of_seats(agreement, at, part)
        case InvoiceAgreement():
            return _of_invoices(agreement, at, part)
        case _:
            raise AssertionError(f"an agreement that nobody explains: {agreement.key}")


def _of_fee(fees: Fees, at: Moment, part: Part) -> tuple[Sequence[Step], Splitting]:
    found = stretch_of(fees.stretches, at.cycle)
    assert found is not None
    held, span = found
    used = used_for(held.term.share, fees.reader.under(at.view), at.cycle, at.known, held.term.sku)
    by = Spreading(at.view, fees.payers.under(at.view), used, INDIRECT if held.term.indirect else FEE_METER)
    return [*_day_of(held, span, part)], Splitting(held.term.share.by, by.weights(held, part.day))


def _of_pool_price(pools: Pools, at: Moment, part: Part) -> tuple[Sequence[Step], Splitting]:
    """A day's share of a pool's price; the pool's own cycle is the one that the day lies in."""
    filled = next(one for one in pools.filled(at.view, at.cycle, at.known) if part.day < one.span.until)
    needed = {filled.held.term.share.by, filled.held.term.overage_share and filled.held.term.overage_share.by}
    used: Used = weighed(worth(burn.drawn) for burn in filled.burns) if "usage" in needed else {}
    by = Spreading(at.view, pools.payers.under(at.view), used, meter_of(filled.held.term))
    splitting = Splitting(filled.held.term.share.by, by.weights(filled.held, part.day))
    return [*_day_of(filled.held, filled.span, part)], splitting


def _day_of(held: Held[Fee] | Held[Pool], span: Span, part: Part) -> Iterator[Step]:
    term, line = held.term, part.line
    price = term.price if isinstance(term, Pool) else term.amount
    position = (part.day - span.whole_first).days
    yield Step(
        "take", f"{shown(price)} {term.currency} per {term.every}, by contract term {held.name}", Fraction(price)
    )
    said = f"day {position + 1} of the {span.whole_days} days from {span.whole_first}; all days add up to the price"
    yield Step("day_of", said, Fraction(span.whole_days), at=position)
    yield from in_currency(line.currency, line.rate, line.rate_day)


def _of_capacity(capacities: Capacities, at: Moment, part: Part) -> tuple[Sequence[Step], Splitting]:
    found = stretch_of(capacities.stretches, at.cycle)
    assert found is not None
    held, _ = found
    term, line = held.term, part.line
    used = used_for(term.share, capacities.reader.under(at.view), at.cycle, at.known, term.sku)
    by = Spreading(at.view, capacities.payers.under(at.view), used, HOURS_METER)
    length = day_start(part.day + timedelta(days=1), held.zone) - day_start(part.day, held.zone)
    hours = Fraction(length // _MINUTE, _MINUTES_OF_HOUR)
    steps = [
        Step("take", f"{part.day} has {shown(hours)} hours in {held.zone.key}", hours),
        Step("times", f"{shown(term.quantity)} units are held, by contract term {held.name}", Fraction(term.quantity)),
        Step("times", f"{shown(term.price)} {term.currency} per unit and hour", Fraction(term.price)),
        *in_currency(line.currency, line.rate, line.rate_day),
    ]
    return steps, Splitting(term.share.by, by.weights(held, part.day))


def _of_minimum(minimums: Minimums, at: Moment, part: Part) -> tuple[Sequence[Step], Splitting]:
    found = stretch_of(minimums.stretches, at.cycle)
    assert found is not None
    held, span = found
    term, line = held.term, part.line
    assert line.rate is not None
    spent = sum(one.eur_nano for one in at.known.spent if span.first <= one.day <= span.last)
    steps = [
        Step("take", "all other charges of the cycle's days, in EUR", Fraction(spent, NANO)),
        Step("times", f"at {shown(line.rate)} {term.currency} per EUR", Fraction(line.rate)),
        Step(
            "from", f"at least {shown(term.amount)} {term.currency} was promised, by {held.name}", Fraction(term.amount)
        ),
        *in_currency(line.currency, line.rate, line.rate_day),
    ]
    used = used_for(term.share, minimums.reader.under(at.view), at.cycle, at.known, ANY_SKU)
    return steps, _by_key(term.share, weights_on(
        minimums.payers.under(at.view), term.share, span.last, used, Profile(held.system, ANY_SKU, (MINIMUM_METER,))
    ))  # fmt: skip


def _by_key(share: SplitKey, weights: Weights) -> Splitting:
    return Splitting(share.by, weights)


def _of_seats(seats: Seats, at: Moment, part: Part) -> tuple[Sequence[Step], Splitting]:
    observed, payers = at.known.seats[seats.product.sku], seats.payers.under(at.view)
    purchased = observed.purchased(part.day) or 0
    held = Counter(payers.of(holder(seats.product, one), part.day) for one in observed.holders(part.day))
    weights, _ = seat_weights(payers, seats.product, part.day, purchased, held)
    line = part.line
    tariff = at.view.tariffs.per_seat(seats.system, seats.product.sku, part.day)
    assert not isinstance(tariff, str)
    fact, per_day = tariff.fact, price_of_day(tariff, part.day)
    price = Fraction(fact.price or 0)
    period = "year" if fact.model == "per_seat_year" else "month"
    steps = [
        Step("take", f"{purchased} seats are purchased, {sum(held.values())} of them held", Fraction(purchased)),
        Step("times", f"{shown(price)} {fact.currency} per seat and {period}, {named(tariff)}", price),
        *([Step("over", f"the price is per {shown(fact.per)} seats", Fraction(fact.per))] if fact.per != 1 else []),
        Step("over", f"the {period} of {part.day} has so many days", price / Fraction(fact.per) / per_day)
        if price
        else Step("over", "nothing, on any day", Fraction(1)),
        *discount(_off(seats, at, part)),
        *in_currency(line.currency, line.rate, line.rate_day),
    ]
    return steps, Splitting("seats", weights)


def _off(seats: Seats, at: Moment, part: Part) -> Decimal:
    noon = day_start(part.day) + timedelta(hours=12)
    return at.view.contracts.off(seats.system, seats.product.sku, part.line.meter, noon)


def _of_invoices(agreement: InvoiceAgreement, at: Moment, part: Part) -> tuple[Sequence[Step], Splitting]:
    spent = [one for one in at.known.spent if one.system == agreement.system]
    steps = [Step("take", "the lines of the month's invoices that name the system, in EUR")]
    for one in at.known.invoices:
        bill = billed(one, at.view.exchange)
        for line in one.lines:
            if line.system == agreement.system and bill.per_euro is not None:
                rate = "" if bill.per_euro == 1 else f" at {shown(bill.per_euro)} per EUR"
                steps.append(
                    Step("plus", f"{one.invoice_id}: {shown(line.net)} {one.currency}{rate}", bill.euro(line.net))
                )
    had = sum(one.eur_nano for one in spent)
    steps += [
        Step("nearest", "rounded once, half-even, to 10⁻⁹ EUR"),
        Step(
            "less", f"what the ledger had charged for the month, {shown(Fraction(had, NANO))} EUR", Fraction(had, NANO)
        ),
        *in_currency("EUR", part.line.rate, None),
    ]
    weights: Counter[Owner] = Counter()
    for each in spent:
        weights[Owner(each.owner.unit, RULE, each.owner.cost_centre, each.owner.project)] += each.eur_nano
    payers = {owner: nano for owner, nano in weights.items() if nano > 0}
    return steps, Splitting("what each pays of the month", payers or {part.line.owner: 1})
