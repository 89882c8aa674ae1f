"""Pieces of many readings gathered to what a unit pays of a day: quantities add up exactly, money is rounded once."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Part
from services.cost_alerts.domain.agreements.reckoning import as_decimal, checked, in_order, money
from services.cost_alerts.domain.agreements.using import Kind
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.pricing import NOTHING, Line

_NOUGHT = Fraction(0)


@dataclass(slots=True)
class _Sums:
    """What is counted, and how much of it is paid for and has a list price, in units of the line's prices."""

    kind: Kind
    line: Line
    owner: Owner
    estimated: bool
    quantity: Fraction = _NOUGHT
    paid: Fraction = _NOUGHT
    listed: Fraction = _NOUGHT


@dataclass(slots=True)
class Gathering:
    """Sums by day, SKU, line, who pays, whether estimated. Lines are told apart by identity, and merged at the end."""

    _sums: dict[tuple[int, Owner, bool], _Sums] = field(default_factory=dict)

    def add(
        self, kind: Kind, line: Line, owner: Owner, quantity: Fraction, units: Fraction, *, paid: bool, estimated: bool
    ) -> None:
        """Count a piece: its quantity, and the `units` that its list price, and its price where `paid`, are for."""
        key = (id(line), owner, estimated)
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = _Sums(kind, line, owner, estimated)
        found.quantity += quantity
        found.listed += units
        if paid:
            found.paid += units

    def parts(self) -> tuple[Part, ...]:
        return in_order(self._parts())

    def _parts(self) -> Iterator[Part]:
        for (day, sku, line, estimated), sums in self._merged().items():
            quantity = as_decimal(sums.quantity)
            listed = None if line.list_per_unit is None else round(sums.listed * line.list_per_unit)
            yield checked(_part(Part(day, sku, line, quantity, NOTHING, listed, estimated), sums.paid))

    def _merged(self) -> dict[tuple[date, str, Line, bool], _Sums]:
        merged: dict[tuple[date, str, Line, bool], _Sums] = {}
        for sums in self._sums.values():
            use = sums.kind.use
            key = (use.day, use.profile.sku, replace(sums.line, owner=sums.owner), sums.estimated)
            found = merged.setdefault(key, sums)
            if found is not sums:
                found.quantity += sums.quantity
                found.paid += sums.paid
                found.listed += sums.listed
        return merged


def _part(bare: Part, paid: Fraction) -> Part:
    """The part with its money; what is not paid for costs nothing, whatever the rate."""
    line = bare.line
    if line.nano_per_unit is None:
        return bare
    if not paid * line.nano_per_unit:
        return replace(bare, line=replace(line, reason=None), amounts=(0, 0))
    return replace(bare, amounts=money(line, paid * line.nano_per_unit))
