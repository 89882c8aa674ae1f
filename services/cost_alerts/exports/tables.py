"""A table as every format writes it: columns with a kind, rows of values, and a total that is told apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Literal

from services.shared.money import EXACT, as_text, from_nano, shortest

Kind = Literal["text", "day", "count", "number", "money", "cents"]
"""`money`: euro to the last digit; `cents`: euro in whole cents; `number`: any other exact decimal."""

Cell = str | Decimal | int | date | None
"""None: there is no value, which is not nought."""

Locale = Literal["fi", "sv", "en"]
"""How numbers are written: Finnish and Swedish with a decimal comma, English with a point."""

_CENT = Decimal("0.01")
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Rows hold a cell per column, in order. `rows` is gone through once."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]
    total: Sequence[Cell] | None = None


def safe(text: str) -> str:
    """A text that a spreadsheet shows instead of running it as a formula."""
    return f"'{text}" if text.startswith(_RUN_BY_SPREADSHEETS) else text


def written(cell: Cell, kind: Kind, locale: Locale) -> str:
    """A cell as text: every digit, nothing grouped, no exponent; nothing where there is no value."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return safe(cell)
    if isinstance(cell, date):
        return cell.isoformat()
    number = as_text(cell.quantize(_CENT) if kind == "cents" else cell) if isinstance(cell, Decimal) else str(cell)
    return number if locale == "en" else number.replace(".", ",")


def plain(number: Decimal) -> Decimal:
    """The same number without noughts at its end."""
    return Decimal(shortest(number))


def in_cents(amounts: Sequence[Decimal]) -> list[Decimal]:
    """Amounts in whole cents that add up to their sum in whole cents, rounded half-even.

    Each is cut down to a cent; the cents that are left over go to those that lost most, of equals to the first.
    """
    whole = [amount.quantize(_CENT, rounding=ROUND_FLOOR, context=EXACT) for amount in amounts]
    exact = sum(amounts, Decimal(0)).quantize(_CENT, rounding=ROUND_HALF_EVEN, context=EXACT)
    left = int((exact - sum(whole, Decimal(0))) / _CENT)
    lost = sorted(range(len(amounts)), key=lambda at: (whole[at] - amounts[at], at))
    for at in lost[:left]:
        whole[at] += _CENT
    return whole


def euro(nano: int) -> Decimal:
    """10⁻⁹ euro as a decimal without noughts at its end."""
    return plain(from_nano(nano))
