"""Invoices as finance saves them: a table with one row per line. Values in, values out.

A file is taken whole or not at all. Every bad cell is told with file, line and column.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from services.shared.events.register import System
from services.shared.events.usage import Invoice, InvoiceLine
from services.shared.money import EXACT
from services.usage_collector.facts import Known, digest_of, id_of
from services.usage_collector.intake import looks_like_mail
from services.usage_collector.register.currencies import in_use
from services.usage_collector.tables_in_text import (
    CellError,
    Fault,
    FileRefusedError,
    Row,
    day,
    decimal_sign,
    number,
    rows_of,
    share,
    shown,
    text_of,
)

IMPORTED = "import/invoice"
"""The source of the events of imported invoices."""

COLUMNS = (
    "vendor",
    "invoice_id",
    "month",
    "issued_on",
    "currency",
    "system",
    "sku",
    "quantity",
    "net",
    "vat_rate",
    "description",
    "per_euro",
)
NEEDED = ("vendor", "invoice_id", "month", "issued_on", "currency", "system", "net")
NUMBERS = ("quantity", "net", "vat_rate", "per_euro")
MOST_LINES = 200

_OF_INVOICE = ("month", "issued_on", "currency", "per_euro")
_EUR = "EUR"
_currency = re.compile(r"[A-Z]{3}", re.ASCII).fullmatch
_month = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Read:
    """An invoice of a file, and the line of the file that each of its lines stands on."""

    invoice: Invoice
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class News:
    """What a file says that was not known: invoices with the revision they get. `same`: ids of those known already."""

    new: Sequence[Invoice]
    revised: Sequence[Invoice]
    same: Sequence[str]


def read_invoices(file: str, content: bytes) -> list[Read]:
    """The invoices of a file, revision 0, in the order of their first rows.

    Raises:
        FileRefusedError: something is wrong with it; all that is, in the order of its lines.
    """
    rows = rows_of(file, text_of(file, content), COLUMNS, NEEDED)
    sign = decimal_sign(rows, NUMBERS)
    lines = [_Cells(file, row, sign).line() for row in rows]
    faults = [fault for line in lines for fault in line.faults]
    faults += [fault for found in _grouped(lines) for fault in _faults_of_invoice(file, found)]
    if faults:
        raise FileRefusedError(faults)
    return [_invoice(found) for found in _grouped(lines)]


@dataclass(frozen=True, slots=True)
class _Line:
    """One row, read: the cells that could be, and what was wrong with the others."""

    place: int
    values: Mapping[str, Any]
    faults: Sequence[Fault]


class _Cells:
    """One row on its way to values."""

    def __init__(self, file: str, row: Row, sign: str | None) -> None:
        self._file = file
        self._row = row
        self._sign = sign
        self._faults: list[Fault] = []
        self._readers: Mapping[str, Callable[[str], Any]] = {
            **dict.fromkeys(("vendor", "invoice_id", "system", "sku", "description"), _name),
            "month": _month_text,
            "issued_on": day,
            "currency": _currency_code,
            "net": self._number,
            "quantity": self._not_negative,
            "per_euro": self._positive,
            "vat_rate": lambda cell: share(cell, sign),
        }

    def line(self) -> _Line:
        values = {column: self._value(column) for column in COLUMNS}
        self._check_rate(values)
        return _Line(self._row.line, values, self._faults)

    def _value(self, column: str) -> Any:  # noqa: ANN401  # a text, a day or a number, by the column
        cell = self._row.cells.get(column)
        if cell is None:
            if column in NEEDED:
                self._fault(column, "nothing", "a value in every row")
            return None
        try:
            return self._readers[column](cell)
        except CellError as error:
            self._fault(column, shown(cell), str(error))
            return None

    def _number(self, cell: str) -> Decimal:
        return number(cell, self._sign)

    def _not_negative(self, cell: str) -> Decimal:
        found = self._number(cell)
        if found < 0:
            raise CellError("a quantity that is not negative; a credit note has a negative net")
        return found

    def _positive(self, cell: str) -> Decimal:
        found = self._number(cell)
        if found <= 0:
            raise CellError("a positive rate: units of the currency per 1 EUR")
        return found

    def _check_rate(self, values: Mapping[str, Any]) -> None:
        currency, issued_on, rate = values["currency"], values["issued_on"], values["per_euro"]
        if currency == _EUR and rate not in (None, 1):
            self._fault("per_euro", shown(str(rate)), "nothing, or 1, for an invoice in EUR")
        if currency is not None and issued_on is not None and not _is_used(currency, issued_on):
            self._fault("currency", shown(currency), "a currency in use on the day of the invoice, for example EUR")

    def _fault(self, column: str, found: str, expected: str) -> None:
        self._faults.append(Fault(self._file, self._row.line, column, found, expected))


def _name(cell: str) -> str:
    text = " ".join(cell.split())
    if looks_like_mail(text):
        raise CellError("no e-mail address: persons have no place on an invoice's lines")
    return text


def _month_text(cell: str) -> str:
    if _month(cell) is None:
        raise CellError("the month that was invoiced, written YYYY-MM, for example 2026-11")
    return cell


def _currency_code(cell: str) -> str:
    if _currency(cell) is None:
        raise CellError("a currency's three letters, for example EUR")
    return cell


def _is_used(currency: str, on: date) -> bool:
    return in_use(currency, (on, on + timedelta(days=1)))


def _grouped(lines: Iterable[_Line]) -> list[list[_Line]]:
    """The lines by vendor and invoice id, in the order of the first of each; those that name neither are left out."""
    found: dict[tuple[str, str], list[_Line]] = {}
    for line in lines:
        vendor, invoice_id = line.values["vendor"], line.values["invoice_id"]
        if vendor is not None and invoice_id is not None:
            found.setdefault((vendor, invoice_id), []).append(line)
    return list(found.values())


def _faults_of_invoice(file: str, lines: Sequence[_Line]) -> Iterator[Fault]:
    """What is wrong with an invoice as a whole, or with a line of it as an event."""
    first = lines[0]
    for line in lines[1:]:
        for column in _OF_INVOICE:
            found, expected = line.values[column], first.values[column]
            if found != expected and not any(fault.where == column for fault in (*line.faults, *first.faults)):
                yield Fault(
                    file, line.place, column, _or_nothing(found), f"{_or_nothing(expected)}, as on line {first.place}: "
                    "both are lines of one invoice",
                )  # fmt: skip
    if len(lines) > MOST_LINES:
        advice = f"at most {MOST_LINES}; add up the lines of one SKU"
        yield Fault(file, first.place, "", f"an invoice of {len(lines)} lines", advice)
    elif not any(line.faults for line in lines):
        yield from _faults_of_event(file, lines)


def _or_nothing(value: object) -> str:
    return "nothing" if value is None else shown(str(value))


def _faults_of_event(file: str, lines: Sequence[_Line]) -> Iterator[Fault]:
    """What the event's own model says, with the row and column it is about."""
    try:
        _invoice(lines)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            *inner, column = item["loc"] or ("",)
            if column == "lines":  # said because a line of them is wrong, which is said beside
                continue
            line = lines[next((part for part in inner if isinstance(part, int)), 0)]
            said = item["msg"].removeprefix("Value error, ")
            yield Fault(file, line.place, str(column), _or_nothing(line.values.get(str(column))), said)


def _invoice(lines: Sequence[_Line]) -> Read:
    values = lines[0].values
    of_lines = [
        {name: line.values[name] for name in InvoiceLine.model_fields if line.values[name] is not None}
        for line in lines
    ]
    net = Decimal(0)
    for line in lines:
        net = EXACT.add(net, line.values["net"])
    named = {name: values[name] for name in ("vendor", "invoice_id", *_OF_INVOICE)}
    return Read(Invoice.model_validate({**named, "net": net, "lines": of_lines}), tuple(line.place for line in lines))


def check_systems(file: str, found: Iterable[Read], systems: Mapping[str, System]) -> None:
    """Refuse lines on a system that the published register does not know, or knows as another vendor's.

    Raises:
        FileRefusedError: there are such lines.
    """
    faults = [
        Fault(file, place, "system", shown(line.system), expected)
        for one in found
        for line, place in zip(one.invoice.lines, one.places, strict=True)
        if (expected := _unexpected(systems.get(line.system), one.invoice.vendor)) is not None
    ]
    if faults:
        raise FileRefusedError(faults)


def _unexpected(system: System | None, vendor: str) -> str | None:
    if system is None:
        return "a system of the published register; add it to systems.yaml and publish, or correct the name"
    if system.vendor != vendor:
        return f"a system of {shown(vendor)}; in the published register it is one of {shown(system.vendor)}"
    return None


def news(file: str, found: Sequence[Read], known: Mapping[str, Known], *, revise: bool) -> News:
    """What of a file was not known. `known`: by id, what was told before.

    Raises:
        FileRefusedError: an invoice came before with other content, and nobody said that this one replaces it.
    """
    new = [one.invoice for one in found if id_of(one.invoice) not in known]
    old = [(one, known[id_of(one.invoice)]) for one in found if id_of(one.invoice) in known]
    changed = [(one, before) for one, before in old if digest_of(one.invoice) != before.digest]
    if changed and not revise:
        expected = "the invoice as it was imported before; add --revise if this one replaces it"
        raise FileRefusedError(
            [
                Fault(
                    file, one.places[0], "invoice_id", f"{shown(one.invoice.invoice_id)} with other content", expected
                )
                for one, _ in changed
            ]
        )
    revised = [one.invoice.model_copy(update={"revision": before.revision + 1}) for one, before in changed]
    same = [one.invoice.invoice_id for one, before in old if digest_of(one.invoice) == before.digest]
    return News(new, revised, same)
