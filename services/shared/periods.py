"""Time as the ledger counts it: half-open UTC periods, and the days and months of Helsinki.

A reading belongs wholly to the Helsinki day of its start. Helsinki days have 23, 24 or 25 hours.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HELSINKI = ZoneInfo("Europe/Helsinki")
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A half-open interval of UTC time: `start` inclusive, `end` exclusive, `start` before `end`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a period needs times with a time zone, for example 2026-11-17T00:00:00Z")
        if self.start >= self.end:
            raise ValueError(f"a period ends after it starts; found {self.start.isoformat()} to {self.end.isoformat()}")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def overlaps(self, other: "Period") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month, counted in Helsinki."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "Month":
        """The month written `YYYY-MM`.

        Raises:
            ValueError: the text is not a month.
        """
        found = _MONTH.fullmatch(text)
        if found is None:
            raise ValueError(f"found {text!r}; a month is written YYYY-MM, for example 2026-11")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, day: date) -> "Month":
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def next(self) -> "Month":
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    @property
    def previous(self) -> "Month":
        return Month(self.year - 1, 12) if self.number == 1 else Month(self.year, self.number - 1)

    @property
    def days(self) -> int:
        return (self.next.first_day - self.first_day).days

    @property
    def period(self) -> Period:
        return Period(day_start(self.first_day), day_start(self.next.first_day))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


def utc(moment: datetime) -> datetime:
    """`moment` in UTC.

    Raises:
        ValueError: the moment has no time zone, or falls out of the years 1 to 9999 in UTC.
    """
    if moment.tzinfo is None:
        raise ValueError(f"found {moment.isoformat()} without a time zone; write for example 2026-11-17T00:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"found {moment.isoformat()}, which lies outside the years 1 to 9999 in UTC") from None


@lru_cache(maxsize=65_536)
def helsinki_day(moment: datetime) -> date:
    """The Helsinki calendar day that `moment` falls on. Cached: readings of one hour share their start."""
    return moment.astimezone(HELSINKI).date()


@lru_cache(maxsize=16_384)
def day_start(day: date, zone: ZoneInfo = HELSINKI) -> datetime:
    """The instant, in UTC, at which `day` begins in `zone`."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def day_period(day: date) -> Period:
    """The Helsinki day: 23, 24 or 25 hours."""
    return Period(day_start(day), day_start(day + timedelta(days=1)))


def year_period(year: int) -> Period:
    """The calendar year, counted in Helsinki."""
    return Period(day_start(date(year, 1, 1)), day_start(date(year + 1, 1, 1)))


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`, microseconds only when there are any."""
    in_utc = moment if moment.tzinfo is UTC else utc(moment)
    return in_utc.isoformat()[: -len("+00:00")] + "Z"
