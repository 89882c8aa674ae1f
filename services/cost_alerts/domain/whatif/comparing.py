"""Before and after: what some months cost by the ledger, and what they would have cost with a change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.cost_alerts.domain.whatif.pricing import Costs
from services.shared.periods import Month


class Where(NamedTuple):
    """Who pays for a system in which month."""

    month: Month
    unit: str
    system: str


class Total(NamedTuple):
    """10⁻⁹ euro, and how much has no price: readings, and charges by the period."""

    eur_nano: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A unit's cost of a system, 10⁻⁹ euro: what has a price. `unpriced_…`: readings and charges that have none."""

    unit: str
    system: str
    before_nano: int
    after_nano: int
    unpriced_before: int
    unpriced_after: int

    @property
    def difference_nano(self) -> int:
        return self.after_nano - self.before_nano

    @property
    def is_known(self) -> bool:
        """Whether `after_nano` is the whole cost, as far as that was known before the change."""
        return self.unpriced_after <= self.unpriced_before


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change would have done in some months.

    Attributes:
        rows: by unit and system, those that the change is about and those that it leaves alone.
        unlike_nano: how far the ledger's own figures are from those months priced afresh under the register as it is,
            10⁻⁹ euro, whatever the sign; nought unless the ledger is still at work, or damaged.
    """

    months: Sequence[Month]
    by_month: Mapping[Where, Row]
    unlike_nano: int

    @property
    def rows(self) -> Sequence[Row]:
        return [
            _sum(unit, system, self.by_month) for unit, system in sorted({(k.unit, k.system) for k in self.by_month})
        ]

    @property
    def total(self) -> Row:
        return _added("", "", self.by_month.values())


def totals(costs: Costs, system: str) -> dict[Where, Total]:
    """What a system cost, by month and unit."""
    found: dict[Where, Total] = {}
    for place, money in costs.items():
        where = Where(Month.of(place.day), place.owner.unit, system)
        before = found.get(where, Total())
        found[where] = Total(before.eur_nano + money.eur_nano, before.unpriced + money.unpriced)
    return found


def compared(
    months: Sequence[Month],
    ledger: Mapping[Where, Total],
    corrections: Mapping[Where, int],
    before: Mapping[Where, Total],
    after: Mapping[Where, Total],
) -> Comparison:
    """The ledger's figures, and the same with the difference that the change makes.

    Args:
        months: the months, rising.
        ledger: what they cost by the ledger, by the day of use.
        corrections: what of that are corrections by invoices, 10⁻⁹ euro: they are carried over as they are.
        before: what the systems of the change cost priced afresh under the register as it is.
        after: the same under the register with the change.
    """
    rows = {
        where: _row(where, ledger.get(where, Total()), before.get(where, Total()), after.get(where, Total()))
        for where in {*ledger, *before, *after}
    }
    touched = {where.system for where in (*before, *after)}
    here = {where for where in rows if where.system in touched}
    unlike = sum(
        abs(rows[one].before_nano - corrections.get(one, 0) - before.get(one, Total()).eur_nano) for one in here
    )
    return Comparison(months, dict(sorted(rows.items())), unlike)


def _row(where: Where, ledger: Total, before: Total, after: Total) -> Row:
    return Row(
        where.unit,
        where.system,
        ledger.eur_nano,
        ledger.eur_nano + after.eur_nano - before.eur_nano,
        ledger.unpriced,
        ledger.unpriced + after.unpriced - before.unpriced,
    )


def _sum(unit: str, system: str, rows: Mapping[Where, Row]) -> Row:
    return _added(unit, system, (row for row in rows.values() if (row.unit, row.system) == (unit, system)))


def _added(unit: str, system: str, rows: Iterable[Row]) -> Row:
    found = list(rows)
    return Row(
        unit,
        system,
        sum(row.before_nano for row in found),
        sum(row.after_nano for row in found),
        sum(row.unpriced_before for row in found),
        sum(row.unpriced_after for row in found),
    )
