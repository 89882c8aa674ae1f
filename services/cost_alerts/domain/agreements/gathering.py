"""Pieces of many readings gathered to what a unit pays of a day: quantities add up exactly, money is rounded once."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction

from services.cost_alerts.domain.agreements.agreement import Part
from services.cost_alerts.domain.agreements.reckoning import as_decimal, checked, in_order, money
from services.cost_alerts.domain.pricing import NOTHING, Line

_Key = tuple[date, str, Line, bool]
"""Day, SKU, line, whether estimated."""


@dataclass(slots=True)
class _Sums:
    """What is counted, and how much of it is paid for and has a list price, in units of the line's prices."""

    quantity: Fraction = Fraction(0)
    paid: Fraction = Fraction(0)
    listed: Fraction = Fraction(0)


@dataclass(slots=True)
class Gathering:
    """Sums by day, SKU, line and whether estimated."""

    _sums: dict[_Key, _Sums] = field(default_factory=dict)

    def add(self, key: _Key, quantity: Fraction, paid: Fraction, listed: Fraction) -> None:
        """Count a piece: its quantity, and the units to be multiplied by the line's price and by its list price."""
        found = self._sums.get(key)
        if found is None:
            found = self._sums[key] = _Sums()
        found.quantity += quantity
        found.paid += paid
        found.listed += listed

    def parts(self) -> tuple[Part, ...]:
        return in_order(self._parts())

    def _parts(self) -> Iterator[Part]:
        for (day, sku, line, estimated), sums in self._sums.items():
            quantity = as_decimal(sums.quantity)
            listed = None if line.list_per_unit is None else round(sums.listed * line.list_per_unit)
            yield checked(_part(Part(day, sku, line, quantity, NOTHING, listed, estimated), sums.paid))


def _part(bare: Part, paid: Fraction) -> Part:
    """The part with its money; what is not paid for costs nothing, whatever the rate."""
    line = bare.line
    if line.nano_per_unit is None:
        return bare
    if not paid * line.nano_per_unit:
        return replace(bare, line=replace(line, reason=None), amounts=(0, 0))
    return replace(bare, amounts=money(line, paid * line.nano_per_unit))
