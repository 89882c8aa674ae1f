"""A series of days as a file has it: CSV with a header, a day and a number in each line, in any order."""

import csv
import math
from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np

from services.cost_alerts.domain.foresight.calendar import FINLAND
from services.cost_alerts.domain.foresight.model import History

_LONGEST = 20_000
"""Days; more are a mistyped year."""


def read_series(lines: Iterable[str], *, logarithmic: bool = False, country: str = FINLAND) -> History:
    """The one series of a file, from its first day to its last. `logarithmic`: the file holds natural logarithms.

    The first column is the day, `YYYY-MM-DD`, the second the number. A day between that the file does not have is a day
    that nobody knows: it counts neither in what happened nor in what was forecast.

    Raises:
        ValueError: there is no day, a line is not a day and a number, or a day stands there twice.
    """
    found: dict[date, float] = {}
    rows = csv.reader(lines)
    next(rows, None)
    for number, row in enumerate(rows, start=2):
        day, value = _line(number, row)
        if day in found:
            raise ValueError(f"line {number}: found {day} a second time; write each day once")
        found[day] = math.exp(value) if logarithmic else value
    if not found:
        raise ValueError("found no day; write a header and then lines like 2026-11-20,123.45")
    first, last = min(found), max(found)
    days = (last - first).days + 1
    if days > _LONGEST:
        raise ValueError(f"found days from {first} to {last}; at most {_LONGEST} fit")
    values = [found.get(first + timedelta(days=number), math.nan) for number in range(days)]
    return History(first, np.array([values]), country)


def _line(number: int, row: list[str]) -> tuple[date, float]:
    try:
        day, value = row
        found = date.fromisoformat(day.strip()), float(value)
    except ValueError:
        line = ",".join(row)
        raise ValueError(f"line {number}: found {line!r}, expected a day and a number: 2026-11-20,123.45") from None
    if not math.isfinite(found[1]):
        raise ValueError(
            f"line {number}: found {row[1]!r}, expected a finite number; leave out a day that nobody knows"
        )
    return found
