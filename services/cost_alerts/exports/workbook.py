"""Tables as a workbook: real numbers and dates, a frozen header, the total last; exact text where a cell loses digits.

A spreadsheet keeps 15 digits of a number. Beside every column of exact money stands one of text, filled in the rows
whose number has more.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from errno import ENOSPC
from io import BytesIO
from typing import IO, Any

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError

from services.cost_alerts.exports.tables import Cell, Column, Kind, Table
from services.shared.errors import ConfigurationError
from services.shared.money import as_text

DIGITS = 15
MOST_ROWS = 1_048_575
"""Of one sheet, its header apart."""

_FORMATS: dict[Kind, dict[str, Any]] = {
    "text": {},
    "day": {"num_format": "yyyy-mm-dd"},
    "count": {"num_format": "#,##0"},
    "number": {"num_format": "#,##0.##################"},
    "money": {"num_format": "#,##0.00#######"},
    "cents": {"num_format": "#,##0.00"},
}
_OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
_WIDTHS: dict[Kind, int] = {"text": 28, "day": 12, "count": 12, "number": 18, "money": 18, "cents": 14}


def write_workbook(out: IO[bytes], sheets: Sequence[Table]) -> None:
    """The tables, each on a sheet of its name.

    Raises:
        ConfigurationError: a table has more rows than a sheet holds.
        OSError: there is no room to write.
    """
    packed = BytesIO()  # a fault of the disk must not meet the library's archive, which it leaves open
    try:
        with Workbook(
            packed, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        ) as book:
            for sheet in sheets:
                _write_sheet(book, sheet)
    except XlsxFileError as error:  # no room for rows that wait to be packed
        raise OSError(ENOSPC, str(error)) from error
    out.write(packed.getbuffer())


def _write_sheet(book: Workbook, table: Table) -> None:
    columns = list(_with_exact(table.columns))
    sheet = book.add_worksheet(table.name)
    sheet.freeze_panes(1, 0)
    formats = {kind: book.add_format(how) for kind, how in _FORMATS.items()}
    totals = {kind: book.add_format({**how, "bold": True, "top": 1}) for kind, how in _FORMATS.items()}
    for at, (column, _) in enumerate(columns):
        sheet.set_column(at, at, _WIDTHS[column.kind])
    header = book.add_format({"bold": True, "bottom": 1})
    for at, (column, _) in enumerate(columns):
        sheet.write_string(0, at, column.name, header)
    number = 0
    for number, row in enumerate(table.rows, 1):
        if number > MOST_ROWS - 1:
            raise ConfigurationError(
                f"found more than {number - 1} rows for the sheet {table.name}, which is all a sheet holds; "
                "write csv or focus instead"
            )
        _write_row(sheet, number, row, columns, formats)
    if table.total is not None:
        _write_row(sheet, number + 1, table.total, columns, totals)


def _with_exact(columns: Sequence[Column]) -> Iterator[tuple[Column, int]]:
    """The columns of the sheet, each with the place of its cells in a row of the table."""
    for at, column in enumerate(columns):
        yield column, at
        if column.kind == "money":
            yield Column(f"{column.name} (exact)", "text"), at


def _write_row(
    sheet: Any,  # noqa: ANN401  # the library's worksheets are not typed
    number: int,
    row: Sequence[Cell],
    columns: Sequence[tuple[Column, int]],
    formats: dict[Kind, Any],
) -> None:
    for at, (column, place) in enumerate(columns):
        cell = row[place]
        is_exact_text = column.name.endswith(" (exact)") and isinstance(cell, Decimal)
        if is_exact_text:
            cell = as_text(cell) if loses_digits(cell) else None  # type: ignore[arg-type]  # a decimal, see above
        _write(sheet, (number, at), cell, formats[column.kind])


def _write(sheet: Any, at: tuple[int, int], cell: Cell, form: Any) -> None:  # noqa: ANN401
    match cell:
        case None:
            sheet.write_blank(*at, None, form)
        case str():
            sheet.write_string(*at, cell, form)
        case date():
            sheet.write_datetime(*at, cell, form)
        case _:
            sheet.write_number(*at, float(cell), form)


def loses_digits(number: Decimal) -> bool:
    """Whether a spreadsheet's number cannot hold every digit."""
    return bool(number) and len(number.normalize().as_tuple().digits) > DIGITS
