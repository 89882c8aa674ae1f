"""What finance books: a month's cost by unit (or system, or vendor), exact, and what of it has no price yet.

Money of the ledger is net. VAT is told beside it: the exact product of a sum and the rate of its contract, unrounded.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any, Literal, NamedTuple

from services.shared.money import EXACT, as_text, from_nano, shortest
from services.shared.periods import Month

By = Literal["unit", "cost_centre", "project", "system", "vendor", "sku", "meter", "day"]
Basis = Literal["booked", "incurred"]
"""`booked`: a closed month stays as it was closed, later changes are in the month that was open; `incurred`: by day."""


class Sum(NamedTuple):
    """Part of a month: `name` by which it is grouped; `currency` None where nothing is priced.

    `vat_rate` is the rate as its contract writes it, empty where none is known.
    """

    name: str
    currency: str | None
    eur_nano: int
    nano: int
    readings: int
    unpriced: int
    vat_rate: str = ""


@dataclass(slots=True)
class Row:
    """One line of a report. `pricing`: currency → 10⁻⁹ in which it was priced; `unpriced` counts within `readings`.

    `eur_nano` is net; `by_vat_rate` parts it by VAT rate, the empty one being unknown.
    """

    name: str
    eur_nano: int = 0
    by_vat_rate: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    pricing: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    readings: int = 0
    unpriced: int = 0

    def add(self, part: Sum) -> None:
        self.eur_nano += part.eur_nano
        self.by_vat_rate[part.vat_rate] += part.eur_nano
        if part.currency is not None:
            self.pricing[part.currency] += part.nano
        self.readings += part.readings
        self.unpriced += part.unpriced

    @property
    def without_vat_rate(self) -> int:
        """What of `eur_nano` has no VAT rate that is known."""
        return self.by_vat_rate.get("", 0)

    @property
    def vat(self) -> Decimal | None:
        """VAT in euro, exact; None while a part has no known rate: less than the whole would read as the whole."""
        if self.without_vat_rate:
            return None
        return reduce(EXACT.add, (vat_of(nano, rate) for rate, nano in self.by_vat_rate.items() if nano), Decimal(0))

    def figures(self) -> dict[str, Any]:
        """The row as design 9 writes it, without its name."""
        return {
            "eur": as_text(from_nano(self.eur_nano)),
            "pricing": {currency: as_text(from_nano(self.pricing[currency])) for currency in sorted(self.pricing)},
            "readings": self.readings,
            "unpriced": self.unpriced,
            "vat_eur": None if self.vat is None else shortest(self.vat),
            "without_vat_rate": as_text(from_nano(self.without_vat_rate)),
        }


def vat_of(eur_nano: int, rate: str) -> Decimal:
    """The VAT in euro of a net amount, exact; `rate` is a part of it, for example `0.255`."""
    return EXACT.multiply(from_nano(eur_nano), Decimal(rate))


@dataclass(frozen=True, slots=True)
class Report:
    """A month's rows by name, and their total. `as_known_on`: the last Helsinki day whose records count; None: all."""

    month: Month
    by: By
    basis: Basis
    as_known_on: date | None
    rows: tuple[Row, ...]
    total: Row

    def document(self) -> dict[str, Any]:
        """The report as JSON for programs (design 9)."""
        return {
            "month": str(self.month),
            "basis": self.basis,
            "as_known_on": None if self.as_known_on is None else self.as_known_on.isoformat(),
            "rows": [{self.by: row.name, **row.figures()} for row in self.rows],
            "total": self.total.figures(),
        }


def report(month: Month, by: By, basis: Basis, as_known_on: date | None, sums: Iterable[Sum]) -> Report:
    """Fold sums into rows, by name, and a total that is their sum to the last 10⁻⁹."""
    rows: dict[str, Row] = {}
    total = Row("total")
    for part in sums:
        rows.setdefault(part.name, Row(part.name)).add(part)
        total.add(part)
    return Report(month, by, basis, as_known_on, tuple(rows[name] for name in sorted(rows)), total)
