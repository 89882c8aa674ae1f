"""What finance books: a month's cost by unit (or system, or vendor), exact, and what of it has no price yet."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple

from services.shared.money import as_text, from_nano
from services.shared.periods import Month

By = Literal["unit", "system", "vendor", "sku", "meter", "day"]
Basis = Literal["booked", "incurred"]


class Sum(NamedTuple):
    """Part of a month: `name` by which it is grouped; `currency` None where nothing is priced."""

    name: str
    currency: str | None
    eur_nano: int
    nano: int
    readings: int
    unpriced: int


@dataclass(slots=True)
class Row:
    """One line of a report. `pricing`: currency → 10⁻⁹ in which it was priced; `unpriced` counts within `readings`."""

    name: str
    eur_nano: int = 0
    pricing: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    readings: int = 0
    unpriced: int = 0

    def add(self, part: Sum) -> None:
        self.eur_nano += part.eur_nano
        if part.currency is not None:
            self.pricing[part.currency] += part.nano
        self.readings += part.readings
        self.unpriced += part.unpriced

    def figures(self) -> dict[str, Any]:
        """The row as design 9 writes it, without its name."""
        return {
            "eur": as_text(from_nano(self.eur_nano)),
            "pricing": {currency: as_text(from_nano(self.pricing[currency])) for currency in sorted(self.pricing)},
            "readings": self.readings,
            "unpriced": self.unpriced,
        }


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
