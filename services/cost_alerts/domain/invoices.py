"""What a vendor invoiced for a month beside what the ledger charged for it, and why the two differ.

The difference (invoice less ledger, euro, 10⁻⁹) is parted into exchange rates, timing, discount and a rest that nobody
has explained; the parts add up to it exactly. An explanation counts only where it brings the two closer together: it is
worked out from the ledger, and nobody knows whether the vendor reckons so.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any, Literal, NamedTuple

from services.cost_alerts.domain.exchange import Exchange
from services.shared.events.usage import Invoice, InvoiceLine
from services.shared.money import NANO, as_text, from_nano
from services.shared.periods import Month

INVOICED = "invoice"
"""The meter of what brings the ledger to an invoice; no reading has it."""

CENT = Fraction(1, 100)
_WHOLE_PER_CENT, _TENTH_PER_CENT = Fraction(1, 100), Fraction(1, 1000)


class Charges(NamedTuple):
    """Charges of a SKU in one pricing currency, 10⁻⁹ of it and of euro. `list_nano`: the same before discounts.

    Negative: to be taken away.
    """

    system: str
    sku: str
    currency: str
    nano: int
    list_nano: int
    eur_nano: int


class Unpriced(NamedTuple):
    """Charges that have no euro. What they would cost is not known: they are counted, never guessed."""

    system: str
    sku: str
    meter: str
    reason: str
    charges: int


@dataclass(frozen=True, slots=True)
class LedgerMonth:
    """A vendor's month in the ledger, without what was already brought to the invoices.

    Attributes:
        charges: of the Helsinki month's days.
        edges: what would come in, and negative what would go out, if the month were one of the vendor's time zone.
        late: negative: what was recorded after the last invoice was issued.
        unpriced: what has no price.
        estimated_nano: how much of `charges` is an estimate, 10⁻⁹ euro.
        trued_up_nano: what brings the month to the invoices, 10⁻⁹ euro.
    """

    charges: Sequence[Charges] = ()
    edges: Sequence[Charges] = ()
    late: Sequence[Charges] = ()
    unpriced: Sequence[Unpriced] = ()
    estimated_nano: int = 0
    trued_up_nano: int = 0


@dataclass(frozen=True, slots=True)
class Billed:
    """An invoice with the rate that makes it euro: units of its currency per euro, of the invoice or our register."""

    invoice: Invoice
    per_euro: Decimal | None
    rate_from: Literal["invoice", "register"] | None

    def euro(self, net: Decimal) -> Fraction:
        """A sum of the invoice in euro, unrounded. There must be a rate."""
        assert self.per_euro is not None
        return Fraction(net) / Fraction(self.per_euro)

    def document(self) -> dict[str, Any]:
        one = self.invoice
        return {
            "invoice_id": one.invoice_id,
            "revision": one.revision,
            "issued_on": one.issued_on.isoformat(),
            "currency": one.currency,
            "net": as_text(one.net),
            "per_euro": None if self.per_euro is None else as_text(self.per_euro),
            "rate_from": self.rate_from,
        }


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A vendor's month: both sums and the parts of their difference, 10⁻⁹ euro.

    `invoiced_nano` and the parts are None where an invoice has no exchange rate. `discount`: the part off the list
    price that the invoice shows, nought where it has the list price itself; None: no discount explains anything.
    """

    vendor: str
    month: Month
    billed: Sequence[Billed]
    ledger_nano: int
    invoiced_nano: int | None = None
    fx_nano: int = 0
    timing_nano: int = 0
    discount_nano: int = 0
    unexplained_nano: int = 0
    discount: Fraction | None = None
    unpriced: Sequence[Unpriced] = field(default_factory=tuple)
    estimated_nano: int = 0
    trued_up_nano: int = 0

    @property
    def difference_nano(self) -> int | None:
        """Invoice less ledger."""
        return None if self.invoiced_nano is None else self.invoiced_nano - self.ledger_nano

    @property
    def needs_a_person(self) -> bool:
        """Whether a cent or more is neither explained nor brought to the invoice, or cannot be compared at all."""
        if self.invoiced_nano is None:
            return True
        left = self.invoiced_nano - self.ledger_nano - self.trued_up_nano
        return min(abs(self.unexplained_nano), abs(left)) >= NANO * CENT

    def document(self) -> dict[str, Any]:
        """The reconciliation as JSON for programs."""
        return {
            "vendor": self.vendor,
            "month": str(self.month),
            "invoices": [one.document() for one in self.billed],
            "invoiced_eur": _text(self.invoiced_nano),
            "ledger_eur": _text(self.ledger_nano),
            "difference_eur": _text(self.difference_nano),
            "explained": None if self.invoiced_nano is None else self._parts(),
            "discount": None if self.discount is None else _share(self.discount),
            "unpriced": [one._asdict() for one in self.unpriced],
            "estimated_eur": _text(self.estimated_nano),
            "true_up_eur": _text(self.trued_up_nano),
            "needs_a_person": self.needs_a_person,
        }

    def _parts(self) -> dict[str, str | None]:
        return {
            "fx_eur": _text(self.fx_nano),
            "timing_eur": _text(self.timing_nano),
            "discount_eur": _text(self.discount_nano),
            "unexplained_eur": _text(self.unexplained_nano),
        }


def _text(nano: int | None) -> str | None:
    return None if nano is None else as_text(from_nano(nano))


def _share(part: Fraction) -> str:
    return as_text(Decimal(part.numerator) / Decimal(part.denominator))


def standing(revisions: Iterable[Invoice]) -> list[Invoice]:
    """The highest revision of each invoice of a vendor, in the order of their ids. Of equal ones the first counts."""
    found: dict[str, Invoice] = {}
    for one in revisions:
        before = found.get(one.invoice_id)
        if before is None or one.revision > before.revision:
            found[one.invoice_id] = one
    return [found[invoice_id] for invoice_id in sorted(found)]


def billed(invoice: Invoice, exchange: Exchange) -> Billed:
    """An invoice with its own rate, or else ours last published before the day it was issued on."""
    if invoice.per_euro is not None:
        return Billed(invoice, invoice.per_euro, "invoice")
    rate = exchange.before(invoice.currency, invoice.issued_on)
    return Billed(invoice, None, None) if rate is None else Billed(invoice, rate.per_euro, "register")


def euro_of_lines(bills: Sequence[Billed], system: str) -> Fraction | None:
    """What invoices say that a system costs, in euro, unrounded; None where one of them has no exchange rate."""
    with_lines = [(bill, line) for bill in bills for line in bill.invoice.lines if line.system == system]
    if any(bill.per_euro is None for bill, _ in with_lines):
        return None
    return sum((bill.euro(line.net) for bill, line in with_lines), Fraction(0))


def reconcile(
    vendor: str, month: Month, invoices: Sequence[Invoice], ledger: LedgerMonth, exchange: Exchange
) -> Reconciliation:
    """Explain the difference between a month's invoices (standing ones, credit notes among them) and the ledger."""
    bills = [billed(one, exchange) for one in invoices]
    known = Reconciliation(
        vendor,
        month,
        bills,
        sum(one.eur_nano for one in ledger.charges),
        unpriced=ledger.unpriced,
        estimated_nano=ledger.estimated_nano,
        trued_up_nano=ledger.trued_up_nano,
    )
    if any(bill.per_euro is None for bill in bills):
        return known
    return _Comparison(known, bills, ledger).run()


class _Comparison:
    """One comparison under way; everything in 10⁻⁹ euro at the invoices' rates, unrounded."""

    def __init__(self, known: Reconciliation, bills: Sequence[Billed], ledger: LedgerMonth) -> None:
        self._known = known
        self._bills = bills
        self._ledger = ledger
        self._rates = _rates(bills)
        self._invoiced = sum((bill.euro(bill.invoice.net) * NANO for bill in bills), Fraction(0))
        self._cent = max((CENT * NANO / rate for rate in self._rates.values()), default=CENT * NANO)
        self._cents = self._cent * sum(len(bill.invoice.lines) for bill in bills)

    def run(self) -> Reconciliation:
        fx = self._value(self._ledger.charges) - self._known.ledger_nano
        best = self._best(self._invoiced - self._known.ledger_nano - fx)
        invoiced_nano, *parts = (round(one) for one in (self._invoiced, fx, best.timing, best.discount))
        rest = invoiced_nano - self._known.ledger_nano - sum(parts)
        return _with(self._known, invoiced_nano, (*parts, rest), best.off)

    def _best(self, rest: Fraction) -> "_Explained":
        """The explanation that leaves least; of those that leave no more than cents, one without a discount."""
        shifts = [shift for shift in (self._ledger.edges, self._ledger.late) if shift]
        tried = [
            self._explained(
                rest, [part for shift, is_taken in zip(shifts, taken, strict=True) if is_taken for part in shift]
            )
            for taken in product((False, True), repeat=len(shifts))
        ]
        return min(
            tried, key=lambda one: (max(Fraction(0), abs(one.rest) - self._cents), one.off is not None, abs(one.rest))
        )

    def _explained(self, rest: Fraction, moved: Sequence[Charges]) -> "_Explained":
        timing = self._value(moved)
        discount, off = self._discount([*self._ledger.charges, *moved], rest - timing)
        return _Explained(timing, discount, off, rest - timing - discount)

    def _value(self, charges: Iterable[Charges]) -> Fraction:
        return sum((self._one(part, part.nano) for part in charges), Fraction(0))

    def _list_value(self, charges: Iterable[Charges]) -> Fraction:
        return sum((self._list(part) for part in charges), Fraction(0))

    def _one(self, part: Charges, nano: int) -> Fraction:
        """An amount of the ledger at the rate of the invoices in its currency, else at ours."""
        rate = self._rates.get(part.currency)
        if rate is not None:
            return nano / rate
        return Fraction(part.eur_nano) if nano == part.nano else Fraction(part.eur_nano * nano, part.nano)

    def _list(self, part: Charges) -> Fraction:
        return self._one(part, part.list_nano) if part.nano else Fraction(0)

    def _discount(self, charges: Sequence[Charges], rest: Fraction) -> tuple[Fraction, Fraction | None]:
        """What a discount explains of the rest, and which part off the list price it is."""
        if abs(rest) <= self._cents:
            return Fraction(0), None
        list_value, value = self._list_value(charges), self._value(charges)
        if abs(rest - (list_value - value)) <= self._cents:
            return list_value - value, Fraction(0)
        off = _uniform(self._invoiced_by_sku(charges), self._cent)
        return (Fraction(0), None) if off is None else ((1 - off) * list_value - value, off)

    def _invoiced_by_sku(self, charges: Sequence[Charges]) -> list["_Compared"]:
        """Invoiced and list value of what can be compared one by one: SKUs, or systems where a line names no SKU."""
        lines = [(bill, line) for bill in self._bills for line in bill.invoice.lines]
        whole = {line.system for _, line in lines if line.sku is None}
        found: dict[tuple[str, str | None], _Compared] = defaultdict(_Compared)
        for bill, line in lines:
            one = found[line.system, None if line.system in whole else line.sku]
            one.invoiced += bill.euro(line.net) * NANO
            one.lines += 1
        for part in charges:
            found[part.system, None if part.system in whole else part.sku].at_list += self._list(part)
        return [found[key] for key in sorted(found, key=str)]


class _Explained(NamedTuple):
    """One way to explain a difference, and what it leaves."""

    timing: Fraction
    discount: Fraction
    off: Fraction | None
    rest: Fraction


@dataclass(slots=True)
class _Compared:
    """A sum of the invoices and the list value of the same use in the ledger."""

    invoiced: Fraction = Fraction(0)
    at_list: Fraction = Fraction(0)
    lines: int = 0

    def fits(self, off: Fraction, cent: Fraction) -> bool:
        return abs(self.invoiced - (1 - off) * self.at_list) <= cent * max(1, self.lines)


def _uniform(compared: Sequence[_Compared], cent: Fraction) -> Fraction | None:
    """The one round part off the list price that every compared sum shows to the cent, if there is one.

    Where only one sum is compared, a whole per cent is round; else a tenth of one. A sum so small that a cent hides a
    step of that size proves nothing.
    """
    at_list = sum((one.at_list for one in compared), Fraction(0))
    invoiced = sum((one.invoiced for one in compared), Fraction(0))
    step = _WHOLE_PER_CENT if len(compared) == 1 else _TENTH_PER_CENT
    if at_list * step < 2 * cent * sum(max(1, one.lines) for one in compared):
        return None
    off = round((1 - invoiced / at_list) / step) * step
    return off if 0 < off < 1 and all(one.fits(off, cent) for one in compared) else None


def _rates(bills: Sequence[Billed]) -> Mapping[str, Fraction]:
    """Currency → units per euro that its invoices together were reckoned with; none where they cancel out."""
    foreign: dict[str, Fraction] = defaultdict(Fraction)
    euro: dict[str, Fraction] = defaultdict(Fraction)
    for bill in bills:
        foreign[bill.invoice.currency] += Fraction(bill.invoice.net)
        euro[bill.invoice.currency] += bill.euro(bill.invoice.net)
    return {
        currency: foreign[currency] / euro[currency]
        for currency in foreign
        if euro[currency] and foreign[currency] / euro[currency] > 0
    }


def _with(known: Reconciliation, invoiced_nano: int, parts: tuple[int, ...], off: Fraction | None) -> Reconciliation:
    fx, timing, discount, rest = parts
    return Reconciliation(
        known.vendor, known.month, known.billed, known.ledger_nano, invoiced_nano, fx, timing, discount, rest, off,
        known.unpriced, known.estimated_nano, known.trued_up_nano,
    )  # fmt: skip


def vat_rate(lines: Iterable[InvoiceLine]) -> Decimal | None:
    """The VAT rate that all lines have; None where they differ or do not tell."""
    rates = {line.vat_rate for line in lines}
    return rates.pop() if len(rates) == 1 else None


def vat_of(bills: Sequence[Billed], system: str) -> Decimal | None:
    """The one VAT rate of a system's lines."""
    return vat_rate(_lines(bills, system))


def _lines(bills: Sequence[Billed], system: str) -> Iterator[InvoiceLine]:
    return (line for bill in bills for line in bill.invoice.lines if line.system == system)


def of_month(revisions: Iterable[Invoice], month: Month) -> list[Invoice]:
    """The invoices that stand for a month, by id. A revision may have moved its invoice to another month."""
    return [one for one in standing(revisions) if one.month == str(month)]
