"""What Anthropic invoices for a month: its own count at its list prices, less the discount of the city's contract.

The gateway's use comes on a line of its own. The vendor counts it higher than the gateway did, so the city's estimate
is short until the invoice; and it reckons euro at its bank's rate.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from services.shared.periods import Month
from services.simulator.apps import Apps
from services.simulator.city import City
from services.simulator.claude import ClaudeUse, Prices
from services.simulator.rhythm import days
from services.simulator.stories import Stories

PER_EURO = "1,1320"
"""Units of USD per euro on the invoice."""

VAT = "25,5 %"
GATEWAY_COUNTED = Decimal("1.03")
"""How much more of the gateway's use the vendor has counted than the gateway itself."""

HEAD = "vendor;invoice_id;month;issued_on;currency;system;sku;quantity;net;vat_rate;description;per_euro"
ISSUED_AFTER = timedelta(days=2)
"""An invoice is dated so long after the month's last day."""

_CENT = Decimal("0.01")


class InvoiceFile(NamedTuple):
    """A file as finance gets it."""

    name: str
    month: Month
    content: bytes


class Billing:
    """Writes the city's invoice."""

    def __init__(self, city: City, stories: Stories, use: ClaudeUse, prices: Prices, apps: Apps) -> None:
        self._known = city.vendors.anthropic
        self._stories = stories
        self._use, self._prices, self._apps = use, prices, apps
        contract = city.contracts[self._known.system]
        self._paid_share = 1 - sum((Decimal(one["off"]) for one in contract["discounts"]), Decimal(0))

    def invoice(self, now: datetime) -> InvoiceFile | None:
        """The invoice of the last month that is over, as the vendor knows it at `now`; None: nothing to invoice."""
        month = self._stories.invoiced_month
        if month is None:
            return None
        lines = [HEAD, *(self._line(month, *line) for line in self._lines(month, now))]
        name = f"{self._known.invoice_prefix}-{month}.csv"
        return InvoiceFile(name, month, ("\r\n".join(lines) + "\r\n").encode("utf-8-sig"))

    def _lines(self, month: Month, now: datetime) -> Iterator[tuple[str, Decimal, str]]:
        """SKU, list price and description."""
        by_model: dict[str, Decimal] = defaultdict(Decimal)
        for day in self._days(month):
            for use in self._use.on(day, now):
                by_model[use.model] += self._prices.of(use)
        yield from ((model, cost, "Messages") for model, cost in sorted(by_model.items()))
        uses = [use for day in self._days(month) for use in self._apps.gateway_use(day)]
        for model in sorted({use.model for use in uses}):
            cost = sum((self._prices.of(use) for use in uses if use.model == model), Decimal(0))
            yield model, cost * GATEWAY_COUNTED, "Messages by another cloud"

    def _days(self, month: Month) -> Iterator[date]:
        return days(max(month.first_day, self._stories.first_day), month.next.first_day)

    def _line(self, month: Month, sku: str, at_list: Decimal, description: str) -> str:
        net = (at_list * self._paid_share).quantize(_CENT, ROUND_HALF_EVEN)
        issued = month.next.first_day - timedelta(days=1) + ISSUED_AFTER
        cells = (
            "anthropic",
            f"{self._known.invoice_prefix}-{month}",
            str(month),
            f"{issued.day}.{issued.month}.{issued.year}",
            "USD",
            self._known.system,
            sku,
            "",
            f"{net:f}".replace(".", ","),
            VAT,
            description,
            PER_EURO,
        )
        return ";".join(cells)
