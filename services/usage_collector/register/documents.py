"""Reads the register's files as far as text and rows: what was written, and on which line."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.usage_collector.register.problems import Code, Problem

MAX_FILE_BYTES = 10_000_000
PEOPLE_COLUMNS = ("person", "unit", "valid_from", "valid_to", "also")
_REQUIRED_COLUMNS = PEOPLE_COLUMNS[:3]

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as written. `lines` maps the path of each member to the line it stands on."""

    file: str
    line: int
    members: dict[str, object]
    lines: dict[Path, int]
    sound: bool = True

    def line_of(self, path: Path) -> int:
        """The line of a member, or of the nearest thing around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return self.line


@dataclass(frozen=True, slots=True)
class Notes:
    """The problems of one file, as they are found."""

    file: str
    problems: list[Problem]

    def refuse(self, line: int, code: Code, *, found: str, expected: str, write: str) -> None:
        self.problems.append(Problem(self.file, line, code, found, expected, write))


def read_text(raw: bytes, notes: Notes) -> str | None:
    """The text of a file, or None with the problem noted."""
    if len(raw) > MAX_FILE_BYTES:
        mend = "split tariffs over several files, or leave out what has ended"
        notes.refuse(1, "not-readable", found=f"{len(raw)} bytes", expected=f"at most {MAX_FILE_BYTES}", write=mend)
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, mend = raw.count(b"\n", 0, error.start) + 1, "save the file again with the encoding UTF-8"
        notes.refuse(line, "not-readable", found="bytes that are not UTF-8", expected="UTF-8 text", write=mend)
        return None


def read_people(text: str, notes: Notes) -> Iterator[Entry]:
    """The rows of people.csv as entries; `also` becomes a tuple of ids, empty cells are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, None)
        if header is None or _header_refused(header, notes):
            return
        for row in reader:
            if row and (entry := _person(header, row, reader.line_num, notes)) is not None:
                yield entry
    except csv.Error as error:
        found, mend = f"a row that is no CSV ({error})", 'write a quote inside a quoted cell twice, like ""'
        notes.refuse(reader.line_num, "bad-csv", found=found, expected="comma-separated values", write=mend)


def _header_refused(header: Sequence[str], notes: Notes) -> bool:
    unknown = set(header) - set(PEOPLE_COLUMNS)
    missing = set(_REQUIRED_COLUMNS) - set(header)
    if not unknown and not missing and len(set(header)) == len(header):
        return False
    # A file without its first line begins with a person.
    found = "another first line" if "@" in "".join(header) else f"the columns {', '.join(header)[:120]!r}"
    expected = f"{', '.join(PEOPLE_COLUMNS)} (the last two may be left out)"
    notes.refuse(
        1, "bad-column", found=found, expected=expected, write=f"write as first line {','.join(PEOPLE_COLUMNS)}"
    )
    return True


def _person(header: Sequence[str], row: Sequence[str], line: int, notes: Notes) -> Entry | None:
    if len(row) != len(header):
        expected, mend = f"{len(header)}, one per column", "write empty cells too, as in a,b,2026-01-01,,"
        notes.refuse(line, "bad-row", found=f"{len(row)} cells", expected=expected, write=mend)
        return None
    members: dict[str, object] = {name: cell for name, cell in zip(header, row, strict=True) if cell}
    members["also"] = tuple(str(members.get("also", "")).split())
    return Entry(notes.file, line, members, {})
