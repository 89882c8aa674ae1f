"""Truing up: a month's estimated charges of a system become, once, what the vendor's invoices say that it cost.

What the invoices have more or less than the ledger is an adjustment on the month's last day, parted among those who pay
by what they pay. A month without estimates is left alone: then a difference is for people to look at.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from services.cost_alerts.domain.agreements.agreement import Cycle, Known, Part, Spent
from services.cost_alerts.domain.agreements.split import Weights, split
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.exchange import EUR, ONE_TO_ONE
from services.cost_alerts.domain.invoices import INVOICED, Billed, billed, euro_of_lines, vat_of
from services.cost_alerts.domain.pricing import NOTHING, TOO_LARGE, Line, is_possible
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import View
from services.shared.events.usage import FIRST_DAY, LAST_DAY, Invoice
from services.shared.money import NANO
from services.shared.periods import Month, day_start, helsinki_day

NO_RATE = "no exchange rate"
RULE = "invoice"
"""By which rule units pay a difference: by what they pay of the month."""

_ANY_SKU = "*"
_NOTHING_COUNTED = Decimal(0)


def invoice_agreement(view: View, system: str) -> "InvoiceAgreement | None":
    """The agreement that brings a system to its vendor's invoices; None for what the register does not know."""
    known = view.systems.get(system)
    return None if known is None else InvoiceAgreement(known.vendor, system)


@dataclass(frozen=True, slots=True)
class InvoiceAgreement:
    """See `Agreement`. Its cycles are Helsinki months; it looks at `known.invoices` and `known.spent` of its system.

    A vendor's systems are brought to the invoices one by one, by the lines that name them.
    """

    vendor: str
    system: str

    @property
    def key(self) -> str:
        return f"invoice:{self.vendor}/{self.system}"

    def cycles(self, first: date, last: date) -> Iterator[Cycle]:
        month = Month.of(max(first, FIRST_DAY))
        while month.first_day <= min(last, LAST_DAY):
            yield Cycle(self.key, self.system, month.period.start, month.period.end)
            month = month.next

    def parts(self, view: View, cycle: Cycle, known: Known) -> Sequence[Part]:
        day = Month.of(helsinki_day(cycle.starts)).next.first_day - timedelta(days=1)
        bills = [billed(one, view.exchange) for one in known.invoices if _names(one, self.system)]
        spent = [one for one in known.spent if one.system == self.system]
        is_due = known.today > day and any(one.estimated for one in spent)
        return self._parts(view, day, bills, spent) if bills and is_due else ()

    def _parts(self, view: View, day: date, bills: Sequence[Billed], spent: Sequence[Spent]) -> list[Part]:
        payers = _payers(spent) or {view.allocation.owner(Profile(self.system, _ANY_SKU, ()), day): 1}
        euro = euro_of_lines(bills, self.system)
        if euro is None:
            return [self._unpriced(view, day, bills, payers, NO_RATE)]
        difference = round(euro * NANO) - sum(one.eur_nano for one in spent)
        shares = split((difference, difference), payers)
        if not all(is_possible(amounts) for amounts in shares.values()):
            return [self._unpriced(view, day, bills, payers, TOO_LARGE)]
        return [
            Part(day, _ANY_SKU, self._line(view, day, bills, owner), _NOTHING_COUNTED, amounts)
            for owner, amounts in shares.items()
            if any(amounts)
        ]

    def _unpriced(self, view: View, day: date, bills: Sequence[Billed], payers: Weights, reason: str) -> Part:
        """One part that says why the month cannot be brought to its invoices, at the unit that pays most."""
        owner = min(payers, key=lambda one: (-payers[one], one.unit, one.cost_centre, one.project))
        return Part(day, _ANY_SKU, self._line(view, day, bills, owner, reason), _NOTHING_COUNTED, NOTHING)

    def _line(
        self, view: View, day: date, bills: Sequence[Billed], owner: Owner, reason: str | None = None
    ) -> Line:  # named after the invoice that was issued last; the others are found by vendor and month
        last = max((bill.invoice for bill in bills), key=lambda one: (one.issued_on, one.invoice_id))
        vat = vat_of(bills, self.system)
        return Line(
            INVOICED,
            "Adjustment",
            owner,
            tariff=last.invoice_id,
            tariff_version=last.revision,
            currency=EUR if reason is None else None,
            rate=ONE_TO_ONE.per_euro if reason is None else None,
            reason=reason,
            vat_rate=view.contracts.vat_rate(self.system, day_start(day)) if vat is None else vat,
        )


def _names(invoice: Invoice, system: str) -> bool:
    return any(line.system == system for line in invoice.lines)


def _payers(spent: Iterable[Spent]) -> dict[Owner, int]:
    """Who pays the month, by how much; those whom it costs nothing, or less, are left out."""
    found: dict[Owner, int] = defaultdict(int)
    for one in spent:
        found[Owner(one.owner.unit, RULE, one.owner.cost_centre, one.owner.project)] += one.eur_nano
    return {owner: nano for owner, nano in found.items() if nano > 0}
