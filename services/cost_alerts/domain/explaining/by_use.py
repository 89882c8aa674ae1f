"""The arithmetic of what an agreement counts over many readings: pools, monthly tiers, packages of a month."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Metered, Part
from services.cost_alerts.domain.agreements.pool import Filled, Measured, Pools, measured
from services.cost_alerts.domain.agreements.split import weights_on
from services.cost_alerts.domain.agreements.tiers import Monthly
from services.cost_alerts.domain.agreements.using import Drawn, weighed, worth
from services.cost_alerts.domain.allocation import NOBODY
from services.cost_alerts.domain.explaining.by_unit import discount, factors, named, per, unit_steps
from services.cost_alerts.domain.explaining.splitting import Splitting, split_step
from services.cost_alerts.domain.explaining.steps import Piece, Step, in_currency, nothing, shown
from services.cost_alerts.domain.pricing import Line
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.money import NANO

_NOUGHT = Fraction(0)


class Counted(NamedTuple):
    """What one reading has in a charge: `quantity` is counted, `paid` units of it are paid for."""

    reading: Metered
    quantity: Fraction
    paid: Fraction


class Gathered(NamedTuple):
    """A charge that many readings make, and what each of them has in it, in the order of use."""

    piece: Piece
    readings: Sequence[Counted]
    splitting: Splitting | None = None


def of_month(monthly: Monthly, view: View, cycle: Cycle, known: Known, part: Part) -> Gathered:
    """A charge by monthly tiers, or of packages that last for a month."""
    mine = [
        (drawn, line, piece)
        for drawn, line, piece in monthly.pieces(view, cycle, known)
        if _is_of(part, drawn, replace(line, owner=drawn.owner))
    ]
    readings = [Counted(drawn.reading, piece.counted, piece.paid) for drawn, _, piece in mine]
    if not mine:
        return Gathered([], ())
    drawn, line, piece = mine[0]
    return Gathered([*_month_steps(view, drawn, line, piece.price, readings)], readings)


def _month_steps(view: View, drawn: Drawn, line: Line, price: Fraction, readings: Sequence[Counted]) -> Iterator[Step]:
    tariff, use = drawn.covering.tariff, drawn.kind.use
    assert tariff is not None
    fact = tariff.fact
    if not _paid(readings) * (line.nano_per_unit or 0):
        yield from nothing(f"{_said(readings, fact.meter)}, at no price")
        return
    yield Step("take", _said(readings, fact.meter), _paid(readings))
    whole = price * Fraction(fact.per)
    yield Step("times", f"{shown(whole)} {fact.currency}, {named(tariff)}", whole)
    yield from per(fact.per)
    yield from factors(fact, dict(use.profile.dimensions))
    card = drawn.covering.card
    credit = None if card is None else card.fact.credit
    yield from discount(view.contracts.off(use.profile.system, use.profile.sku, drawn.meter, use.start, credit))
    yield from in_currency(line.currency, line.rate, line.rate_day)


def of_pool(pool: Pools, view: View, cycle: Cycle, known: Known, part: Part) -> Gathered:
    """Use inside a pool, which costs nothing more, or use beyond it."""
    for filled in pool.filled(view, cycle, known):
        shared = filled.held.term.overage_share is not None
        mine = [one for one in measured(filled) if _is_measured(part, one, shared=shared)]
        if mine:
            return _of_burns(pool, view, filled, part, mine)
    return Gathered([], ())


def _of_burns(pool: Pools, view: View, filled: Filled, part: Part, mine: Sequence[Measured]) -> Gathered:
    readings = [Counted(one.burn.drawn.reading, one.quantity, one.units if one.paid else _NOUGHT) for one in mine]
    first = mine[0]
    piece = [*_pool_steps(view, filled, first, readings)]
    if not first.paid or filled.held.term.overage_share is None or not piece:
        return Gathered(piece, readings)
    splitting = _overage(pool, view, filled, part)
    return Gathered([*piece, split_step(splitting, part.line.owner)], readings, splitting)


def _pool_steps(view: View, filled: Filled, first: Measured, readings: Sequence[Counted]) -> Iterator[Step]:
    line, drawn, term = first.line, first.burn.drawn, filled.held.term
    if line.nano_per_unit is None:
        return
    unit = term.meter or drawn.meter
    if not first.paid:
        yield from nothing(f"{_said(readings, unit)}: the pool {filled.held.name} still had room for it")
        return
    if not _paid(readings) * line.nano_per_unit:
        yield from nothing(f"{_said(readings, unit)}, at no price")
        return
    yield Step("take", _said(readings, unit), _paid(readings))
    yield from _beyond(view, drawn, line, unit, in_meter=term.meter is not None)
    yield from in_currency(line.currency, line.rate, line.rate_day)


def _beyond(view: View, drawn: Drawn, line: Line, unit: str, *, in_meter: bool) -> Iterator[Step]:
    """The price of a unit beyond a pool, by its tariff; of a reported cost it is that cost."""
    if in_meter and drawn.covering.per_unit != 1:
        said = f"one {drawn.meter} counts as {shown(drawn.covering.per_unit)} {unit}"
        yield Step("over", said, drawn.covering.per_unit)
    steps = unit_steps(view, drawn.kind.use, drawn.meter, line)
    yield from steps
    if not steps and line.nano_per_unit != NANO:
        assert line.nano_per_unit is not None
        yield Step("times", f"{line.currency} per unit", line.nano_per_unit / NANO)


def _overage(pool: Pools, view: View, filled: Filled, part: Part) -> Splitting:
    share = filled.held.term.overage_share
    assert share is not None
    used = weighed(worth(burn.drawn) for burn in filled.burns)
    nobody = Profile(filled.held.system, part.sku, (part.line.meter,))
    return Splitting(share.by, weights_on(pool.payers.under(view), share, part.day, used, nobody))


def _paid(readings: Iterable[Counted]) -> Fraction:
    return sum((one.paid for one in readings), _NOUGHT)


def _said(readings: Sequence[Counted], unit: str) -> str:
    counted = sum((one.quantity for one in readings), _NOUGHT)
    many = "1 reading has" if len(readings) == 1 else f"{len(readings):,} readings have"
    return f"{many} {shown(counted)} {unit} here, of which {shown(_paid(readings))} are paid for"


def _is_measured(part: Part, one: Measured, *, shared: bool) -> bool:
    drawn = one.burn.drawn
    if not (one.paid and shared):
        return _is_of(part, drawn, replace(one.line, owner=one.owner))
    nobody = replace(part, line=replace(part.line, owner=NOBODY))
    return _is_of(nobody, drawn, replace(one.line, owner=NOBODY))


def _is_of(part: Part, drawn: Drawn, line: Line) -> bool:
    """Whether what was drawn was gathered into this part; a reason may have gone with money that is nought."""
    use = drawn.kind.use
    key = (use.day, use.profile.sku, drawn.reading.estimated)
    return key == (part.day, part.sku, part.estimated) and part.line in (line, replace(line, reason=None))
