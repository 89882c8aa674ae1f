"""Prepaid pools: the price by the day, use inside the pool that costs nothing more, and what is used beyond it.

The days of a cycle add up to its price, used or not. A reading that takes more than is left is cut in two: inside, the
next unit costs nothing; beyond, it costs its price by the tariff.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Metered, Part
from services.cost_alerts.domain.agreements.fixed import Spreading, spread
from services.cost_alerts.domain.agreements.gathering import Gathering
from services.cost_alerts.domain.agreements.reckoning import in_order, parted
from services.cost_alerts.domain.agreements.split import Payers, Used, weights_on
from services.cost_alerts.domain.agreements.termed import Termed
from services.cost_alerts.domain.agreements.terms import Held, Span, stretch_of
from services.cost_alerts.domain.agreements.using import Drawn, Kind, Worth, added, weighed, worth
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


class Burnt(NamedTuple):
    """What a day's use of a pool comes to: its parts inside and beyond the pool, and what is left after it."""

    inside: Sequence[Part]
    beyond: Sequence[Part]
    left: Fraction


@dataclass(slots=True)
class Day:
    """What is asked of a pool on one Helsinki day of one of its cycles, and what that comes to, remembered.

    A day that the pool outlasts has the same parts however much there was, and so has one that begins with nothing
    left: when a reading is added to a cycle, few other days need reckoning again.
    """

    held: Held[Pool]
    metered: Sequence[Metered]
    drawn: Sequence[Drawn]
    _total: Fraction = _NOUGHT
    _highest: Fraction = _NOUGHT
    _worths: Sequence[Worth] | None = None
    _left: Fraction | None = None
    _burnt: Burnt | None = None

    def __post_init__(self) -> None:
        for one in self.drawn:
            self._total += one.counted
            self._highest = max(self._highest, self._total)

    @property
    def worths(self) -> Sequence[Worth]:
        """What the day counts for by use, by profile."""
        if self._worths is None:
            self._worths = added(worth(one) for one in self.drawn)
        return self._worths

    def left_after(self, left: Fraction) -> Fraction:
        """What is left of a pool that has `left` as the day begins."""
        return left - self._total if self._highest <= left else self.burnt(left).left

    def burnt(self, left: Fraction) -> Burnt:
        """What the day comes to, when it begins with `left`; `left` after it counts only where the pool ran dry."""
        alike = None if self._highest <= left else left
        if self._burnt is None or alike != self._left:
            self._left, self._burnt = alike, self._reckoned(left)
        return self._burnt

    def _reckoned(self, left: Fraction) -> Burnt:
        burns = list(burnt(self.drawn, left))
        inside, beyond = Gathering(), Gathering()
        for one in _measured_burns(self.held, burns):
            kind, estimated = one.burn.drawn.kind, one.burn.drawn.reading.estimated
            into = beyond if one.paid else inside
            into.add(kind, one.line, one.owner, one.quantity, one.units, paid=one.paid, estimated=estimated)
        return Burnt(inside.parts(), beyond.parts(), burns[-1].left if burns else left)


@dataclass(frozen=True)
class Filled:
    """One cycle of a pool: what it held at its start (what was carried over included), and how it was burnt.

    `days`: its days of use, each with what was left as it began.
    """

    held: Held[Pool]
    span: Span
    size: Fraction
    days: Sequence[tuple[Day, Fraction]]

    @cached_property
    def burns(self) -> Sequence[Burn]:
        return [burn for day, left in self.days for burn in burnt(day.drawn, left)]

    @cached_property
    def left(self) -> Fraction:
        if not self.days:
            return self.size
        day, left = self.days[-1]
        return day.left_after(left)


@dataclass(frozen=True, slots=True)
class Pools(Termed[Pool]):
    """A pool of a contract under one register version; `stretches` rise."""

    _days: dict[tuple[date, date], Day] = field(default_factory=dict, compare=False, repr=False)
    """By the first day of the pool's own cycle, and Helsinki day: what was asked last."""

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
        asked = [
            (inner, list(self._asked(view, cycle, held, inner, metered)))
            for inner, metered in _by_span(held, span, _within(cycle, known.metered), known.today)
        ]
        while asked and asked[-1][0].first > known.today and not any(day.drawn for day in asked[-1][1]):
            asked.pop()
        return list(_filled(held, asked))

    def _asked(
        self, view: View, cycle: Cycle, held: Held[Pool], inner: Span, metered: Iterable[Metered]
    ) -> Iterator[Day]:
        """The days of use of one of the pool's own cycles; one that is as it was last time is the same as then."""
        days = self._days if self.reader.view is view else {}
        for day, readings in groupby(metered, key=lambda one: one.use.day):
            key, of_day = (inner.first, day), list(readings)
            if key not in days or days[key].metered != of_day:
                days[key] = Day(held, of_day, list(self.reader.under(view).drawn(self.key, cycle, of_day)))
            yield days[key]

    def charged(self, view: View, filled: Filled, known: Known) -> Iterator[Part]:
        """The price by the day, what was used inside, and what was used beyond, of one of the pool's own cycles."""
        payers, pool = self.payers.under(view), filled.held.term
        used = weighed(one for day, _ in filled.days for one in day.worths) if _needs_use(pool) else {}
        yield from spread(Spreading(view, payers, used, meter_of(pool)), filled.held, filled.span, known.today)
        for day, left in filled.days:
            found = day.burnt(left)
            yield from found.inside
            for part in found.beyond:
                yield from (part,) if pool.overage_share is None else _parted(payers, filled.held, part, used)


def _within(cycle: Cycle, metered: Sequence[Metered]) -> Sequence[Metered]:
    first, until = (bisect_left(metered, edge, key=_start) for edge in (cycle.starts, cycle.ends))
    return metered[first:until]


def _start(metered: Metered) -> datetime:
    return metered.use.start


def _by_span(
    held: Held[Pool], span: Span, metered: Sequence[Metered], today: date
) -> Iterator[tuple[Span, Sequence[Metered]]]:
    """The pool's own cycles, as far as they have begun or something was metered in them, each with that."""
    day, at = span.first, 0
    while day < span.until and (day <= today or at < len(metered)):
        inner = held.span(day, held.term.every)
        until = bisect_left(metered, day_start(inner.until, held.zone), lo=at, key=_start)
        yield inner, metered[at:until]
        day, at = inner.until, until


def _filled(held: Held[Pool], asked: Iterable[tuple[Span, Sequence[Day]]]) -> Iterator[Filled]:
    """Burn a pool cycle by cycle; what is left of one is lost, or goes on to the next."""
    carried = _NOUGHT
    for inner, days in asked:
        size = Fraction(held.term.size) + carried
        filled = Filled(held, inner, size, list(_lasting(days, size)))
        yield filled
        carried = filled.left if held.term.carries_over else _NOUGHT


def _lasting(days: Iterable[Day], left: Fraction) -> Iterator[tuple[Day, Fraction]]:
    for day in days:
        yield day, left
        left = day.left_after(left)


def burnt(drawn: Iterable[Drawn], size: Fraction) -> Iterator[Burn]:
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
    return _measured_burns(filled.held, filled.burns)


def _measured_burns(held: Held[Pool], burns: Iterable[Burn]) -> Iterator[Measured]:
    lines, pool = _Lines(held), held.term
    for burn in burns:
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
