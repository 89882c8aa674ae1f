"""`valvomo invoices`: what vendors invoiced, beside what the ledger charged."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.cost_alerts.adapters.invoices import InvoiceQueries
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.cli.months import parse_month
from services.cost_alerts.domain.invoices import Reconciliation
from services.shared.money import from_nano
from services.shared.periods import Month
from services.shared.settings import load_settings
from services.shared.store.open import open_store

app = typer.Typer()

NEEDS_A_PERSON = 1


@app.command()
def invoices(
    month: Annotated[
        Month | None,
        typer.Option(
            parser=parse_month, metavar="YYYY-MM", help="one Helsinki month; all that have an invoice when left out"
        ),
    ] = None,
    as_json: Annotated[  # an option of a command line is a flag
        bool, typer.Option("--json", help="print JSON for programs")
    ] = False,
) -> None:
    """Invoices beside the ledger, by vendor and month, and what explains the difference.

    Exit codes: 0 nothing is left to explain, 1 a cent or more is, or an invoice has no exchange rate, 2 it could not be
    read.

    Example: valvomo invoices --month 2026-10
    """
    store = open_store(load_settings(), "ledger", METADATA)
    try:
        found = InvoiceQueries(store).reconciliations(month)
    finally:
        store.close()
    if as_json:
        typer.echo(json.dumps({"reconciliations": [one.document() for one in found]}, ensure_ascii=False))
    else:
        _print(found)
    raise typer.Exit(NEEDS_A_PERSON if any(one.needs_a_person for one in found) else 0)


def _print(found: Sequence[Reconciliation]) -> None:
    console = Console()
    if not found:
        console.print("no invoice was imported; for example: valvomo import invoice.csv --as invoice")
    for one in found:
        console.print(_table(one))
        for sentence in _remarks(one):
            console.print(f"  {sentence}", markup=False, highlight=False)


def _table(one: Reconciliation) -> Table:
    table = Table(title=f"{one.vendor}, {one.month}", title_justify="left")
    table.add_column("")
    table.add_column("EUR", justify="right")
    for name, nano in _lines(one):
        table.add_row(name, _euro(nano))
    return table


def _lines(one: Reconciliation) -> list[tuple[str, int | None]]:
    parts = [
        ("  exchange rates", one.fx_nano),
        ("  timing", one.timing_nano),
        ("  discount" + ("" if one.discount is None else f" ({_off(one)})"), one.discount_nano),
        ("  not explained", one.unexplained_nano),
    ]
    return [
        ("invoiced", one.invoiced_nano),
        ("in the ledger", one.ledger_nano),
        ("difference", one.difference_nano),
        *(parts if one.invoiced_nano is not None else []),
        ("brought to the invoice", one.trued_up_nano),
    ]


def _euro(nano: int | None) -> str:
    return "unknown" if nano is None else f"{from_nano(nano):f}"


def _off(one: Reconciliation) -> str:
    assert one.discount is not None
    thousandths = round(one.discount * 1000)  # a discount that explains anything has no finer parts
    return f"{thousandths // 10}.{thousandths % 10} % off list" if one.discount else "at list price"


def _remarks(one: Reconciliation) -> list[str]:
    """What a reader must know of the figures above."""
    remarks = []
    for bill in one.billed:
        invoice = bill.invoice
        rate = "no exchange rate" if bill.per_euro is None else f"{bill.per_euro:f} per EUR, of the {bill.rate_from}"
        foreign = "" if invoice.currency == "EUR" else f", {rate}"
        remarks.append(f"{invoice.invoice_id} of {invoice.issued_on}: {invoice.net:f} {invoice.currency}{foreign}")
    if one.estimated_nano:
        remarks.append(f"{_euro(one.estimated_nano)} EUR of the ledger is an estimate")
    remarks += [
        f"unpriced, amount unknown: {gap.charges} charges of {gap.system} {gap.sku} {gap.meter}: {gap.reason}"
        for gap in one.unpriced
    ]
    return remarks
