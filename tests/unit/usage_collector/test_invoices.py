"""An invoice as a table: what it says, and what is wrong with it, cell by cell."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from services.shared.events.register import System
from services.usage_collector.facts import id_of, known
from services.usage_collector.invoices import (
    COLUMNS,
    Read,
    check_systems,
    news,
    read_invoices,
)
from services.usage_collector.tables_in_text import FileRefusedError

FIRST: Mapping[str, str] = {
    "vendor": "anthropic",
    "invoice_id": "A-1",
    "month": "2026-11",
    "issued_on": "2026-12-01",
    "currency": "USD",
    "system": "claude-api",
    "sku": "claude-sonnet-4-5",
    "net": "41.12",
    "per_euro": "1.1172",
}


def table(*rows: Mapping[str, str], delimiter: str = ";") -> bytes:
    """A file with all columns; a row says how it differs from the first."""
    lines = [[({**FIRST, **row}).get(column, "") for column in COLUMNS] for row in rows]
    return "\n".join(delimiter.join(cells) for cells in [list(COLUMNS), *lines]).encode()


def read(*rows: Mapping[str, str]) -> list[Read]:
    return read_invoices("november.csv", table(*rows))


def problems(content: bytes) -> list[str]:
    with pytest.raises(FileRefusedError) as caught:
        read_invoices("november.csv", content)
    return [str(fault).removeprefix("november.csv:") for fault in caught.value.faults]


def test_an_invoice_of_two_lines_and_a_credit_note() -> None:
    found = read(
        {},
        {"invoice_id": "A-2", "net": "-1.12", "currency": "EUR", "per_euro": ""},
        {"sku": "", "net": "0.88", "quantity": "3.5", "vat_rate": "25.5 %", "description": "Searches,  and more"},
    )
    assert [one.places for one in found] == [(2, 4), (3,)]
    first, second = (one.invoice for one in found)
    assert (first.vendor, first.invoice_id, first.revision, first.month) == ("anthropic", "A-1", 0, "2026-11")
    assert (first.issued_on, first.currency, first.per_euro) == (date(2026, 12, 1), "USD", Decimal("1.1172"))
    assert first.net == 42
    line = first.lines[1]
    assert (line.sku, line.quantity, line.net, line.vat_rate) == (
        None,
        Decimal("3.5"),
        Decimal("0.88"),
        Decimal("0.255"),
    )
    assert line.description == "Searches, and more"
    assert (second.net, second.per_euro, second.lines[0].vat_rate) == (Decimal("-1.12"), None, None)


def test_one_invoice_however_a_spreadsheet_saves_it() -> None:
    [expected] = read({"description": "Käyttö"})
    row = {"issued_on": "1.12.2026", "net": "41,120", "per_euro": "1,1172", "description": "Käyttö"}
    for content in (
        table(row).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + table(row),
        table(row).decode().encode("cp1252"),
        table({**row, "net": '"41,12"', "per_euro": '"1,1172"'}, delimiter=","),
        table(row).replace(b"vendor;", b"Vendor ;"),
    ):
        assert read_invoices("x", content) == [expected]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"vendor": ""}, "vendor: found nothing; expected a value in every row"),
        ({"net": ""}, "net: found nothing; expected a value in every row"),
        ({"net": "12 euros"}, "net: found '12 euros'; expected a plain number, for example -1234,50 or -1234.50"),
        ({"quantity": "-1"}, "quantity: found '-1'; expected a quantity that is not negative"),
        ({"per_euro": "0.0"}, "per_euro: found '0.0'; expected a positive rate"),
        ({"currency": "EUR"}, "per_euro: found '1.1172'; expected nothing, or 1, for an invoice in EUR"),
        ({"currency": "usd"}, "currency: found 'usd'; expected a currency's three letters"),
        ({"currency": "XQX"}, "currency: found 'XQX'; expected a currency in use on the day of the invoice"),
        ({"currency": "FIM"}, "currency: found 'FIM'; expected a currency in use on the day of the invoice"),
        ({"month": "11/2026"}, "month: found '11/2026'; expected the month that was invoiced, written YYYY-MM"),
        ({"issued_on": "2026-11-31"}, "issued_on: found '2026-11-31'; expected a day of the calendar"),
        ({"issued_on": "1999-12-31"}, "issued_on: found '1999-12-31'; expected a day of use lies between"),
        ({"vat_rate": "25.5"}, "vat_rate: found '25.5'; expected a share from 0 to 1"),
        ({"description": "for aino@city.fi"}, "description: found 'for aino@city.fi'; expected no e-mail address"),
        ({"system": "s" * 129}, "system: found 'sss"),
    ],
)
def test_a_bad_cell(row: Mapping[str, str], expected: str) -> None:
    [found] = problems(table({}, {"invoice_id": "B", **row}))
    assert found.startswith(f"3: {expected}")


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    found = problems(table({"net": "x"}, {}, {"month": "x", "net": "y"}))
    assert [one.split(": found")[0] for one in found] == ["2: net", "4: month", "4: net"]


@pytest.mark.parametrize(
    ("column", "cell"), [("month", "2026-10"), ("issued_on", "2.12.2026"), ("currency", "SEK"), ("per_euro", "")]
)
def test_the_lines_of_an_invoice_agree(column: str, cell: str) -> None:
    [found] = problems(table({}, {column: cell}))
    assert found.startswith(f"3: {column}: found ")
    assert "as on line 2" in found


def test_lines_of_many_digits_are_added_up_exactly() -> None:
    net = "123456789012345678901234567890.123456789"
    (found,) = read({"net": net}, {"net": "0.000000001"})
    assert found.invoice.net == Decimal("123456789012345678901234567890.123456790")


def test_an_invoice_of_too_many_lines() -> None:
    assert problems(table(*[{}] * 201)) == [
        "2: found an invoice of 201 lines; expected at most 200; add up the lines of one SKU"
    ]
    assert len(read(*[{}] * 200)[0].invoice.lines) == 200


SYSTEMS = {
    "claude-api": System(id="claude-api", vendor="anthropic", name="Claude", owner="ict"),
    "copilot": System(id="copilot", vendor="microsoft", name="Copilot", owner="ict"),
}


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("claude-apy", "f:3: system: found 'claude-apy'; expected a system of the published register"),
        ("copilot", "f:3: system: found 'copilot'; expected a system of 'anthropic'"),
    ],
)
def test_a_system_that_is_not_the_vendors(system: str, expected: str) -> None:
    check_systems("f", read({}), SYSTEMS)
    with pytest.raises(FileRefusedError, match=expected):
        check_systems("f", read({}, {"system": system}), SYSTEMS)


def test_the_same_invoice_is_no_news_and_another_needs_a_word() -> None:
    before = read({}, {"invoice_id": "A-2"})
    told = {id_of(one.invoice): known(one.invoice) for one in before}
    after = read({"net": "41.120"}, {"invoice_id": "A-2", "net": "40"}, {"invoice_id": "A-3"})
    with pytest.raises(FileRefusedError, match="f:3: invoice_id: found 'A-2' with other content"):
        news("f", after, told, revise=False)
    found = news("f", after, told, revise=True)
    assert [(one.invoice_id, one.revision) for one in found.new] == [("A-3", 0)]
    assert [(one.invoice_id, one.revision, one.net) for one in found.revised] == [("A-2", 1, Decimal(40))]
    assert found.same == ["A-1"]


def test_the_example_of_the_documentation_is_an_invoice() -> None:
    page = Path(__file__).parents[3] / "docs" / "invoices.md"
    example = page.read_text().split("```")[1].strip()
    [found] = read_invoices("november.csv", example.encode())
    assert found.invoice.net == Decimal("41.11841")
    assert {line.vat_rate for line in found.invoice.lines} == {Decimal("0.255")}
