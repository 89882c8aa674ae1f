"""`valvomo report`: a month as a table, CSV, JSON, a workbook, or FOCUS rows."""

import io
import json
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Printed

from services.cost_alerts.adapters.details import Details, Wanted
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.sums import end_of, grouped_sums
from services.cost_alerts.cli.months import parse_month
from services.cost_alerts.cli.opening import opened_ledger
from services.cost_alerts.domain.exchange import EUR
from services.cost_alerts.domain.report import Basis, By, Report
from services.cost_alerts.exports.catalog import Catalog
from services.cost_alerts.exports.delimited import write_csv
from services.cost_alerts.exports.files import whole_file
from services.cost_alerts.exports.focus_export import FocusExport
from services.cost_alerts.exports.focus_rows import Setting
from services.cost_alerts.exports.sheets import DETAIL, about_table, detail_table, report_table
from services.cost_alerts.exports.tables import Cell, Column, Locale, Table, written
from services.cost_alerts.exports.workbook import write_workbook
from services.shared.errors import ConfigurationError
from services.shared.periods import Month
from services.shared.store import Store

app = typer.Typer()


class ReportFormat(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"
    FOCUS = "focus"


class Asked(NamedTuple):
    """What a report is asked for."""

    month: Month
    by: By
    basis: Basis
    known_on: date | None
    locale: Locale


@app.command()
def report(
    *,
    month: Annotated[Month, typer.Option(parser=parse_month, metavar="YYYY-MM", help="the Helsinki month to report")],
    by: Annotated[By, typer.Option(help="what a row stands for")] = "unit",
    as_known_on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="only what was recorded by the end of that Helsinki day"),
    ] = None,
    basis: Annotated[
        Basis, typer.Option(help="booked: closed months stay as booked; incurred: by the day of use")
    ] = "booked",
    form: Annotated[
        ReportFormat,
        typer.Option("--format", help="table for people, csv, xlsx for spreadsheets, json for programs, focus rows"),
    ] = ReportFormat.TABLE,
    locale: Annotated[
        Locale, typer.Option(help="csv: fi and sv with semicolons and decimal commas; names in that language")
    ] = "en",
    output: Annotated[
        Path | None, typer.Option(help="the file to write, whole or not at all; the terminal when left out")
    ] = None,
) -> None:
    """What finance books for a month: exact, with what has no price yet counted beside it.

    Exit codes: 0 written, 2 it could not be read or written.

    Example: valvomo report --month 2026-10 --by unit --format xlsx --output october.xlsx
    """
    if form is ReportFormat.XLSX and output is None:
        raise ConfigurationError("a workbook is no text for a terminal; give it a file: --output report.xlsx")
    asked = Asked(month, by, basis, None if as_known_on is None else as_known_on.date(), locale)
    with opened_ledger() as store:
        if form is ReportFormat.FOCUS:
            _focus(store, asked, output)
        else:
            found = LedgerQueries(store).report(month, by=by, basis=basis, as_known_on=asked.known_on)
            _write(output, _writers(store, asked, found)[form], binary=form is ReportFormat.XLSX)


Write = Callable[[IO[Any]], None]


def _writers(store: Store, asked: Asked, found: Report) -> dict[ReportFormat, Write]:
    return {
        ReportFormat.TABLE: lambda out: Console(file=out).print(_printed(found)),
        ReportFormat.CSV: lambda out: write_csv(out, report_table(found), asked.locale),
        ReportFormat.JSON: lambda out: print(json.dumps(found.document(), ensure_ascii=False), file=out),
        ReportFormat.XLSX: lambda out: write_workbook(out, _sheets(store, asked, found)),
    }


def _sheets(store: Store, asked: Asked, found: Report) -> list[Table]:
    with store.reading() as connection:
        parts = grouped_sums(connection, asked.month, DETAIL, asked.known_on, asked.basis)
    return [report_table(found), detail_table(parts), about_table(found)]


def _write(output: Path | None, write: Write, *, binary: bool = False) -> None:
    """Write to a file, whole or not at all, or to the terminal."""
    if output is None:
        text = io.StringIO()
        write(text)
        typer.echo(text.getvalue(), nl=False)
        return
    try:
        with whole_file(output, binary=binary) as file:
            write(file)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {output}: {error.strerror or error}; nothing was written, choose a place with room"
        ) from None


def _printed(found: Report) -> Printed:
    """For people at a terminal: whole cents that add up; what is nought everywhere is left out."""
    table = report_table(found)
    known = "" if found.as_known_on is None else f", as known on {found.as_known_on}"
    printed = Printed(
        title=f"{found.month} by {found.by}, {found.basis}{known}",
        box=SIMPLE,
        caption="in whole cents; --format csv, xlsx or json tells every digit",
    )
    shown = [at for at, column in enumerate(table.columns) if _is_shown(column, found)]
    rows = [_texts(row, table, shown) for row in table.rows]
    total = [] if table.total is None else _texts(table.total, table, shown)
    for at, column in enumerate(table.columns[at] for at in shown):
        longest = max((len(row[at]) for row in (*rows, total) if row), default=0)
        heading = _HEADINGS.get(column.name, column.name.replace("_", " "))
        printed.add_column(heading, justify="right" if at else "left", min_width=longest)
    for row in rows:
        printed.add_row(*row)
    if total:
        printed.add_section()
        printed.add_row(*total)
    return printed


_HEADINGS = {"eur_cents": "EUR", "vat_eur": "VAT", "without_vat_rate_eur": "no VAT rate"}


def _is_shown(column: Column, found: Report) -> bool:
    if column.name in {"eur", f"priced_{EUR}"}:  # in whole cents beside it, and no other money
        return False
    return column.name != "without_vat_rate_eur" or bool(found.total.without_vat_rate)


def _texts(row: Sequence[Cell], table: Table, shown: Sequence[int]) -> list[str]:
    return [written(row[at], "cents" if table.columns[at].kind == "money" else "text", "en") for at in shown]


def _focus(store: Store, asked: Asked, output: Path | None) -> None:
    """FOCUS rows, one by one; what has no price is told apart: on standard error, and in a file beside the export."""
    view = LedgerQueries(store).view()
    with store.reading() as connection:
        before = None if asked.known_on is None else end_of(asked.known_on)
        wanted = Wanted.of(connection, asked.month, asked.basis, before)
        export = FocusExport(Details(connection), wanted, Setting(asked.month, Catalog(view, asked.locale)))
        if output is None:
            export.write(sys.stdout)
        else:
            _write(output, export.write)
    _tell_left_out(export, output)


def _tell_left_out(export: FocusExport, output: Path | None) -> None:
    count = sum(export.left_out.values())
    if not count:
        return
    beside = ""
    if output is not None:
        path = output.with_name(f"{output.stem}.unpriced.csv")
        _write(path, lambda out: write_csv(out, export.left_out_table(), "en"))
        beside = f"; what and why stands in {path}"
    typer.echo(f"left out {count} charges that have no price{beside}", err=True)
