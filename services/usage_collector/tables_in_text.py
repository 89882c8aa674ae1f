"""Tables as people save them from a spreadsheet: which letters, which delimiter, which decimal sign.

Nothing is guessed where a guess could move money: a number that may be read in two ways is refused.
"""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import StringIO

from services.shared.errors import ConfigurationError
from services.shared.money import EXACT, exact

MOST_SHOWN = 60
_SPACES = " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"
_number = re.compile(rf"(-?)([0-9]+|[0-9]{{1,3}}(?:[{_SPACES}][0-9]{{3}})+)(?:([.,])([0-9]+))?", re.ASCII).fullmatch
_iso_day = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII).fullmatch
_finnish_day = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to mend in a file. `line` counts from 1; `where` is a column, or empty for the whole line."""

    file: str
    line: int
    where: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.file}:{self.line}: {where}found {self.found}; expected {self.expected}"


class FileRefusedError(ConfigurationError):
    """A file cannot be taken as it is. Nothing of it was taken."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        many = "problem" if len(self.faults) == 1 else "problems"
        super().__init__("\n".join([*map(str, self.faults), f"{len(self.faults)} {many}; nothing was imported"]))


class CellError(ValueError):
    """A cell is not what its column needs; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it begins on, and its cells by column, stripped; empty ones are left out."""

    line: int
    cells: Mapping[str, str]


def shown(text: str) -> str:
    """A cell as a message shows it."""
    return repr(text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…")


def text_of(file: str, content: bytes) -> str:
    """The text of a file in UTF-8, with or without a byte order mark, or in Windows-1252.

    Raises:
        FileRefusedError: a workbook, UTF-16, or neither of the two.
    """
    if content.startswith(b"PK"):
        raise FileRefusedError([Fault(file, 1, "", "a workbook", "text; save it as CSV UTF-8")])
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise FileRefusedError([Fault(file, 1, "", "UTF-16 or bytes that are no text", "CSV UTF-8; save it as that")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            return content.decode("cp1252")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise FileRefusedError(
                [Fault(file, line, "", "bytes that are neither UTF-8 nor Windows-1252", "CSV UTF-8; save it as that")]
            ) from None


def rows_of(file: str, text: str, columns: Sequence[str], needed: Collection[str]) -> list[Row]:
    """The rows of a table whose first line names its columns, in any order; empty rows are left out.

    Semicolons part the cells when the first line has one, else commas.

    Raises:
        FileRefusedError: no table, a column that is missing, unknown or there twice, or rows of another length.
    """
    lines = _lines(file, text)
    head_line, head = next(lines, (1, []))
    names = [name.strip().lower() for name in head]
    faults = [*_faults_of_head(file, head_line, names, columns, needed)]
    if faults:
        raise FileRefusedError(faults)
    rows = []
    for line, cells in lines:
        if len(cells) == len(names):
            given = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
            rows.append(Row(line, {name: cell for name, cell in given.items() if cell}))
        else:
            faults.append(Fault(file, line, "", f"{len(cells)} cells", f"{len(names)}, as the first line has"))
    if not rows and not faults:
        faults = [Fault(file, head_line + 1, "", "no rows", "at least one below the names of the columns")]
    if faults:
        raise FileRefusedError(faults)
    return rows


def _lines(file: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not empty."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(StringIO(text, newline=""), delimiter=";" if ";" in first else ",", strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error:
        raise FileRefusedError(
            [Fault(file, line, "", "a quotation mark that is not closed, or text after one", 'cells such as "a; b"')]
        ) from None


def _faults_of_head(
    file: str, line: int, names: Sequence[str], columns: Sequence[str], needed: Collection[str]
) -> Iterator[Fault]:
    known = ", ".join(columns)
    for name in sorted(set(names)):
        if name not in columns:
            yield Fault(file, line, "", f"the column {shown(name)}", f"only {known}")
        elif names.count(name) > 1:
            yield Fault(file, line, "", f"the column {name} {names.count(name)} times", "each column once")
    missing = [name for name in columns if name in needed and name not in names]
    if missing:
        yield Fault(file, line, "", f"no column {', '.join(missing)}", "a first line that names the columns")


def decimal_sign(rows: Iterable[Row], columns: Collection[str]) -> str | None:
    """The decimal sign of a file: that of the first number that leaves no doubt; None when every number does."""
    for row in rows:
        for column, cell in row.cells.items():
            if column in columns:
                found = _number(_plain(cell))
                if found is not None and found[3] is not None and not _is_doubtful(found):
                    return str(found[3])
    return None


def number(cell: str, sign: str | None) -> Decimal:
    """The number in a cell of a file with this decimal sign, without zeros at its end.

    Raises:
        CellError: not a number, too long, or one that could be read in two ways.
    """
    found = _number(_plain(cell)) if not cell.endswith("%") else None
    if found is None:
        raise CellError("a plain number, for example -1234,50 or -1234.50")
    minus, whole, mark, rest = found.groups()
    if mark is not None and mark != sign:
        if sign is None:
            raise CellError(f"a number that reads one way only: write {_digits(whole)}{rest} or {whole}{mark}{rest}0")
        raise CellError(f"the decimal sign of the numbers before it, which is {sign!r}")
    try:
        return _shortest(exact(f"{minus}{_digits(whole).lstrip('0') or '0'}" + (f".{rest}" if mark else "")))
    except ValueError:
        raise CellError("at most 30 digits before the decimal sign and 18 after it") from None


def share(cell: str, sign: str | None) -> Decimal:
    """A share from 0 to 1, written so or in per cent: 0.255 or 25.5 %.

    Raises:
        CellError: see `number`; or it is below 0 or above 1.
    """
    per_cent = cell.endswith("%")
    found = number(cell.removesuffix("%").strip(_SPACES), sign)
    part = _shortest(EXACT.divide(found, Decimal(100))) if per_cent else found
    if not 0 <= part <= 1:
        raise CellError("a share from 0 to 1, or per cent: write 0.255 or 25.5 %")
    return part


def day(cell: str) -> date:
    """A day, written 2026-12-01 or 1.12.2026.

    Raises:
        CellError: neither.
    """
    iso, finnish = _iso_day(cell), _finnish_day(cell)
    try:
        if iso is not None:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if finnish is not None:
            return date(int(finnish[3]), int(finnish[2]), int(finnish[1]))
    except ValueError:
        pass
    raise CellError("a day of the calendar: write 2026-12-01 or 1.12.2026")


def _plain(cell: str) -> str:
    text = cell.removesuffix("%").strip(_SPACES)
    return text.replace("\N{MINUS SIGN}", "-")


def _is_doubtful(found: "re.Match[str]") -> bool:
    """Whether the sign may part thousands: 1,234 but not 0,255, 1234,5 or 1 234,500."""
    whole, rest = found[2], found[4]
    return len(rest) == 3 and len(whole) <= 3 and whole.strip("0") != "" and not whole.startswith("0")  # noqa: PLR2004


def _digits(whole: str) -> str:
    return "".join(digit for digit in whole if digit not in _SPACES)


def _shortest(found: Decimal) -> Decimal:
    """The same number without zeros at its end, so that one amount has one spelling."""
    text = f"{found:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text) if found else Decimal(0)
