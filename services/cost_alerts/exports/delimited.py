"""Tables as CSV: semicolons and decimal commas where Finnish and Swedish spreadsheets expect them."""

import csv
from collections.abc import Sequence
from typing import IO, Any

from services.cost_alerts.exports.tables import Cell, Column, Locale, Table, safe, written

MARK = "\ufeff"
"""Without it Excel takes UTF-8 for the encoding of its country."""


def write_csv(out: IO[Any], table: Table, locale: Locale) -> None:
    """The table with its header and, last, its total; Finnish and Swedish ones begin with a byte order mark."""
    if locale != "en":
        out.write(MARK)
    writer = csv.writer(out, delimiter="," if locale == "en" else ";", lineterminator="\n")
    writer.writerow([safe(column.name) for column in table.columns])
    for row in table.rows:
        writer.writerow(_written(row, table.columns, locale))
    if table.total is not None:
        writer.writerow(_written(table.total, table.columns, locale))


def _written(row: Sequence[Cell], columns: Sequence[Column], locale: Locale) -> list[str]:
    return [written(cell, column.kind, locale) for cell, column in zip(row, columns, strict=True)]
