"""Prepaid pools: the price by the day, use inside the pool that costs nothing more, and what is used beyond it.

The days of a cycle add up to its price, used or not. A reading that takes more than is left is cut in two: inside, the
next unit costs nothing; beyond, it costs its price by the tariff.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part
from services.cost_alerts.domain.agreements.fixed import Spreading, spread
from services.cost_alerts.domain.agreements.gathering import Gathering
from services.cost_alerts.domain.agreements.reckoning import in_order, parted
from services.cost_alerts.domain.agreements.split import Payers, Used, weights_on
from services.cost_alerts.domain.agreements.terms import Held, Span, cycles_of, stretch_of
from services.cost_alerts.domain.agreements.using import Drawn, Kind, Reader, weighed, worth
from services.cost_alerts.domain.allocation import NOBODY, Owner
from services.cost_alerts.domain.pricing import Line, rounded_up
from services.cost_alerts.domain.rating import WHOLE_READING
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.events.prices import Pool
from services.shared.periods import day_start

_NOUGHT = Fraction(0)

BEYOND = "beyond the pool"
"""How the reason begins why use beyond a pool has no price."""

REFUSED = f"{BEYOND}, and the contract has no price for that"


class Burn(NamedTuple):
    """How a drawn quantity falls to a pool: `inside` and `beyond` add up to what is counted; `left` after it."""

    drawn: Drawn
    inside: Fraction
    beyond: Fraction
    left: Fraction


@dataclass(frozen=True, slots=True)
class Filled:
    """One cycle of a pool: what it held at its start (what was carried over included), and how it was burnt."""

    held: Held[Pool]
    span: Span
    size: Fraction
    burns: Sequence[Burn]

    @property
    def left(self) -> Fraction:
        return self.burns[-1].left if self.burns else self.size


@dataclass(frozen=True, slots=True)
class Pools:
    """A pool of a contract under one register version; `stretches` rise."""

    key: str
    system: str
    stretches: Sequence[Held[Pool]]
    payers: Payers
    reader: Reader

    def cycles(self, first: date, last: date) -> Iterator[Cycle]:
        return cycles_of(self.stretches, first, last)

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        return in_order(
            part for filled in self.filled(view, cycle, known) for part in self.charged(view, filled, known)
        )

    def filled(self, view: View, cycle: Cycle, known: Known) -> Sequence[Filled]:
        """The pool's own cycles within `cycle`: one, or all of the term where what is left carries over."""
        found = stretch_of(self.stretches, cycle)
        if found is None:
            return ()
        held, span = found
        drawn = list(self.reader.under(view).drawn(self.key, cycle, known.metered))
        return list(_filled(held, span, drawn, known.today))

    def charged(self, view: View, filled: Filled, known: Known) -> Iterator[Part]:
        """The price by the day, what was used inside, and what was used beyond, of one of the pool's own cycles."""
        payers, pool = self.payers.under(view), filled.held.term
        used = weighed(worth(burn.drawn) for burn in filled.burns) if _needs_use(pool) else {}
        yield from spread(Spreading(view, payers, used, meter_of(pool)), filled.held, filled.span, known.today)
        inside, beyond = Gathering(), Gathering()
        for one in measured(filled):
            kind, estimated = one.burn.drawn.kind, one.burn.drawn.reading.estimated
            into = beyond if one.paid else inside
            into.add(kind, one.line, one.owner, one.quantity, one.units, paid=one.paid, estimated=estimated)
        yield from inside.parts()
        for part in beyond.parts():
            yield from (part,) if pool.overage_share is None else _parted(payers, filled.held, part, used)


def _filled(held: Held[Pool], span: Span, drawn: Sequence[Drawn], today: date) -> Iterator[Filled]:
    """Burn a pool cycle by cycle, as far as they have begun; what is left of one is lost, or goes on to the next."""
    day, carried, at = span.first, Fraction(0), 0
    while day < span.until and (day <= today or at < len(drawn)):
        inner = held.span(day, held.term.every)
        ends = day_start(inner.until, held.zone)
        mine = drawn[at : bisect_left(drawn, ends, lo=at, key=lambda one: one.start)]
        size = Fraction(held.term.size) + carried
        filled = Filled(held, inner, size, list(_burnt(mine, size)))
        yield filled
        carried = filled.left if held.term.carries_over else Fraction(0)
        day, at = inner.until, at + len(mine)


def _burnt(drawn: Iterable[Drawn], size: Fraction) -> Iterator[Burn]:
    """Each drawn quantity in its order, with what of it the pool still had room for; what is given back refills it."""
    left = size
    for one in drawn:
        if one.counted <= left:
            left -= one.counted
            yield Burn(one, one.counted, _NOUGHT, left)
        else:
            inside, left = left, _NOUGHT
            yield Burn(one, inside, one.counted - inside, left)


def meter_of(pool: Pool) -> str:
    """The meter a pool's price is charged under."""
    return pool.meter or WHOLE_READING


def _needs_use(pool: Pool) -> bool:
    return "usage" in {pool.share.by, pool.overage_share and pool.overage_share.by}


class _Lines:
    """Lines ready made: inside a pool and beyond it, one of each per kind of use and meter; by nobody yet."""

    def __init__(self, held: Held[Pool]) -> None:
        self.held = held
        self._made: dict[tuple[Kind, str], tuple[Line, Line]] = {}

    def lines(self, drawn: Drawn) -> tuple[Line, Line]:
        key = (drawn.kind, drawn.meter)
        if key not in self._made:
            unit = unit_line(self.held.term, drawn)
            self._made[key] = _inside(self.held, unit), _beyond(self.held.term, unit)
        return self._made[key]


class Measured(NamedTuple):
    """A piece of a burn: what is counted of it, and for how many units of its line's price; `paid`: beyond the pool."""

    burn: Burn
    line: Line
    owner: Owner
    quantity: Fraction
    units: Fraction
    paid: bool


def measured(filled: Filled) -> Iterator[Measured]:
    """Each burn as what is paid already and what is not; a reading over the edge is cut in two."""
    lines, pool = _Lines(filled.held), filled.held.term
    for burn in filled.burns:
        drawn = burn.drawn
        if not drawn.counted:
            continue
        within, without = lines.lines(drawn)
        if burn.inside:
            yield Measured(burn, within, drawn.owner, *_measured(pool, drawn, burn.inside), paid=False)
        if burn.beyond:
            owner = drawn.owner if pool.overage_share is None else NOBODY
            yield Measured(burn, without, owner, *_measured(pool, drawn, burn.beyond), paid=True)


def _measured(pool: Pool, drawn: Drawn, counted: Fraction) -> tuple[Fraction, Fraction]:
    """How much a piece of a reading is, and how many units of its price; a pool of money meters it as it came."""
    if pool.meter is not None:
        return counted, counted
    piece = counted / drawn.counted
    return piece * Fraction(drawn.quantity), piece * rounded_up(drawn.quantity, drawn.covering.round_to)


def unit_line(pool: Pool, drawn: Drawn) -> Line:
    """What a unit costs by the tariff; of a pool of a quantity, the unit that it counts."""
    line, per_unit = drawn.kind.line(drawn.meter), drawn.covering.per_unit
    if line.of_reading:
        line = replace(line, of_reading=False, list_per_unit=line.nano_per_unit)
    if pool.meter is None:
        return line
    line = replace(line, meter=pool.meter, round_to=None)
    if line.nano_per_unit is None or line.list_per_unit is None:
        return line
    return replace(line, nano_per_unit=line.nano_per_unit / per_unit, list_per_unit=line.list_per_unit / per_unit)


def _inside(held: Held[Pool], unit: Line) -> Line:
    """Use that is paid for already: it costs nothing more, and the tariff still says what it is worth."""
    return replace(
        unit,
        tariff=held.name,
        tariff_version=held.version,
        credit_tariff=None,
        credit_tariff_version=None,
        currency=unit.currency or held.term.currency,
        nano_per_unit=Fraction(0),
        reason=None,
    )


def _beyond(pool: Pool, unit: Line) -> Line:
    """Use that is paid for in addition, by the tariff, or why it has no price."""
    if pool.overage == "none":
        return _without_price(unit, REFUSED)
    return unit if unit.nano_per_unit is not None else _without_price(unit, f"{BEYOND}: {unit.reason}")


def _without_price(unit: Line, reason: str) -> Line:
    return Line(unit.meter, unit.category, unit.owner, reason=reason, vat_rate=unit.vat_rate)


def _parted(payers: Payers, held: Held[Pool], part: Part, used: Used) -> Iterator[Part]:
    """Use beyond the pool, parted by the contract's key instead of paid by who used it."""
    share = held.term.overage_share
    assert share is not None
    nobody = Profile(held.system, part.sku, (part.line.meter,))
    return parted(part, weights_on(payers, share, part.day, used, nobody))
