r"""Entries as a table for a spreadsheet (RFC 4180, UTF-8): one line per entry, a function of the entry's bytes alone.

For the sake of whoever opens it:

- a cell that a spreadsheet would take for a formula (it begins with = + - or @) gets an apostrophe before it;
- control characters are written as in JSON (`\u000a`), so that a line of the file is always one entry;
- `data` is the event's data as JSON, without spaces.

So the table is for reading. The evidence is the exact bytes beside it.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any, Literal

from services.shared.tlog.entry import EntryError, parse_entry

COLUMNS = ("index", "ingest_time", "topic", "type", "source", "id", "subject", "time", "data")
_EVENT = COLUMNS[3:-1]
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_FORMULA = ("=", "+", "-", "@")

Difference = Literal["head", "lacks", "differs", "extra", "strange"]
"""The first line is not that of a table; an entry's line is missing, or says something else; a line is of an entry
that is not the next one; a line is of no entry."""

_INDEX = re.compile(rb"([0-9]{1,19}),")


def table_head() -> bytes:
    """The first line."""
    return _line(COLUMNS)


def table_row(index: int, entry: bytes) -> bytes:
    """The line of an entry. What is no entry of this log, or no JSON, has empty cells."""
    try:
        parsed = parse_entry(entry)
    except EntryError:
        return _line([str(index), *[""] * (len(COLUMNS) - 1)])
    event = _event(parsed.value)
    when = parsed.position.ingest_time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    cells = [str(index), when, parsed.position.topic, *(_text(event.get(name, "")) for name in _EVENT)]
    return _line([*cells, _compact(event["data"]) if "data" in event else ""])


def _event(value: bytes) -> dict[str, Any]:
    try:
        event = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _text(member: object) -> str:
    return member if isinstance(member, str) else _compact(member)


def _compact(member: object) -> str:
    return json.dumps(member, ensure_ascii=False, separators=(",", ":"))


def _line(cells: list[str] | tuple[str, ...]) -> bytes:
    return (",".join(map(_cell, cells)) + "\r\n").encode(errors="backslashreplace")  # JSON may hold half a character


def _cell(text: str) -> str:
    text = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if text.startswith(_FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if '"' in text or "," in text else text


class TableComparison:
    """Holds a table against the entries it was made of, in the order of their indexes.

    Args:
        lines: the table's lines with their ends.
        report: told (index of the entry, what is wrong); None where a line names no entry.
    """

    def __init__(self, lines: Iterator[bytes], report: Callable[[int | None, Difference], None]) -> None:
        self._lines, self._report = lines, report
        if next(lines, None) != table_head():
            report(None, "head")
        self._next = next(lines, None)

    def expect(self, index: int, row: bytes | None) -> None:
        """The next entry is `index`; None as `row`: what it should be is not known, since the entry was altered."""
        while self._next is not None and self._next != row and (found := _index_of(self._next)) != index:
            if found is not None and found > index:
                self._report(index, "lacks")
                return
            self._strange(found)
        if self._next is None:
            self._report(index, "lacks")
            return
        if row is not None and self._next != row:
            self._report(index, "differs")
        self._next = next(self._lines, None)

    def finish(self) -> None:
        """No further entry comes."""
        while self._next is not None:
            self._strange(_index_of(self._next))

    def _strange(self, index: int | None) -> None:
        self._report(index, "strange" if index is None else "extra")
        self._next = next(self._lines, None)


def _index_of(line: bytes) -> int | None:
    found = _INDEX.match(line)
    return int(found[1]) if found else None
