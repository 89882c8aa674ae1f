"""A month as FOCUS rows, streamed: readings × meters, then charges by the period, then what pools were bought for.

A charge without a price is left out, because nought would be a price; it is counted by what and why.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import IO, Any, NamedTuple

from services.cost_alerts.adapters.details import Details, Wanted
from services.cost_alerts.exports.focus import COLUMNS, Row
from services.cost_alerts.exports.focus_pools import IsCorrection, Pools, bought, is_drawn, is_price
from services.cost_alerts.exports.focus_rows import Setting, charge_row
from services.cost_alerts.exports.tables import Column, Table, safe
from services.cost_alerts.handlers.publishing import Detail

_TEXTS = (
    "BillingAccountId",
    "BillingAccountName",
    "ChargeDescription",
    "HostProviderName",
    "InvoiceIssuerName",
    "ProviderName",
    "PublisherName",
    "ServiceName",
    "ServiceProviderName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "x_OrgUnitId",
    "x_CostCentre",
    "x_Project",
    "x_TariffId",
)
"""Columns of words that somebody wrote: a spreadsheet must not run them."""


class LeftOut(NamedTuple):
    """What had no price, and why."""

    system: str
    sku: str
    meter: str
    reason: str


@dataclass(slots=True)
class FocusExport:
    """One pass over a month. After it `left_out` counts what had no price, `rows` what was written."""

    details: Details
    wanted: Wanted
    setting: Setting
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    rows: int = 0

    def write(self, out: IO[Any]) -> None:
        """A header and a line per row: commas, decimal points, empty where there is no value."""
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for row in self.made():
            self.rows += 1
            writer.writerow(_harmless(row))

    def made(self) -> Iterator[Row]:
        """The rows, one at a time."""
        for _, charges in groupby(self.details.of_readings(self.wanted), key=lambda one: (one.number, one.sign)):
            yield from self._of_reading(list(charges))
        yield from self._of_periods()

    def _of_reading(self, charges: Sequence[Detail]) -> Iterator[Row]:
        """A reading that an agreement charges has its rows there."""
        unpriced = sum(1 for one in charges if one.eur_nano is None)
        for one in charges:
            if one.eur_nano is None:
                self._leave_out(one)
            elif one.basis.agreement is None:
                yield charge_row(self.setting, one, self.details.tariff(one.basis), unpriced)

    def _of_periods(self) -> Iterator[Row]:
        month = self.wanted.month
        correction = IsCorrection(month.first_day.toordinal(), month.next.first_day.toordinal() - 1)
        pools = Pools()
        pools.add((one for one in self.details.of_periods(self.wanted) if one.eur_nano is not None), correction)
        for one in self.details.of_periods(self.wanted):
            if one.eur_nano is None:
                self._leave_out(one)
            elif is_drawn(one):
                yield pools.drawn_row(self.setting, one, bought(one, correction))
            elif not is_price(one):
                yield charge_row(self.setting, one, self.details.tariff(one.basis), 0)
        yield from pools.rest_rows(self.setting)

    def _leave_out(self, detail: Detail) -> None:
        basis = detail.basis
        self.left_out[LeftOut(basis.system, basis.sku, basis.meter, basis.reason or "no exchange rate")] += detail.sign

    def left_out_table(self) -> Table:
        """What had no price, most charges first; written beside the export."""
        columns = [*(Column(name, "text") for name in LeftOut._fields), Column("charges", "count")]
        counted = sorted(self.left_out.items(), key=lambda one: (-one[1], one[0]))
        return Table("unpriced", columns, [[*what, count] for what, count in counted if count])


def _harmless(row: Row) -> Row:
    for name in _TEXTS:
        text = row.get(name)
        if text:
            row[name] = safe(text)
    return row
