"""What a vendor source provides, and what it is given. A source has no HTTP, no sleep and no clock.

A source reads one *window* of time per call and says where the next one begins. It reads windows again, because
vendors correct what they said; the poller finds out what changed. `Fetch` owns authentication, time-outs, back-off.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from csv import DictReader, Error
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from services.shared.errors import SourceChangedError
from services.shared.events.governance import Output, Review
from services.shared.events.usage import Invoice, Reading, SeatCount, SeatHolding
from services.shared.periods import Period, timestamp

VendorFact = Reading | SeatCount | SeatHolding | Invoice | Output | Review
"""What a source tells. Revisions, ids of events and their time are the poller's business."""

Cursor = Mapping[str, Any]
"""Where the next read starts: JSON that only its source understands. Empty: nothing was read yet."""

Query = Sequence[tuple[str, str]]

Identity = tuple[str, ...]
"""One person as a vendor knows them: the name the register uses first, the vendor's other ids after it."""

Who = Callable[[Collection[Identity]], Mapping[Identity, str]]
"""Gives each identity its pseudonym, making new ones."""

MAX_PAGES = 10_000
T = TypeVar("T")


class VendorAnswer(BaseModel):
    """Base of the models of vendors' answers: only the fields we read, no guessing of types."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's answer with status 200: body and headers (names in lower case)."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Fetch(Protocol):
    """One vendor's interface over HTTP.

    `path` is relative to the vendor's base address, or a whole address on its host that the vendor gave (a next page).

    Raises (get and post):
        TransientError: not reachable, overloaded, or asked us to wait; the same call may succeed later.
        SourceRejectedError: credentials or request refused.
        SourceChangedError: not what an interface answers: a web page, too large, a redirect into nowhere.
    """

    def get(self, path: str, query: Query = (), headers: Mapping[str, str] | None = None) -> Answer: ...

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Page:
    """What one call to `poll` found: all that the vendor says about one window.

    Attributes:
        facts: in the vendor's order, revision 0, not retracted.
        cursor: where the next read starts; saved together with the facts.
        more: the next window can be read at once.
        window: the time that `facts` tell all about; None: nothing can be told yet.
        missing: days of the window the vendor did not answer for.
        snapshot: the facts are the present state of a directory: a seat that is not among them is gone.
    """

    facts: Sequence[VendorFact]
    cursor: Cursor
    more: bool = False
    window: Period | None = None
    missing: Sequence[date] = ()
    snapshot: bool = False


class Source(Protocol):
    """One interface of one vendor.

    Attributes:
        name: names its cursor, its metrics and its completed windows; never changes.
        event_source: the `source` attribute of its events; with a reading id it names a reading for good.
        system: the system of the register that it reads.
    """

    name: str
    event_source: str
    system: str

    def poll(self, fetch: Fetch, cursor: Cursor, until: datetime) -> Page:
        """The next window: at most what was closed at `until`. The same facts have the same names on every read."""
        ...

    def rewind(self, cursor: Cursor, since: datetime) -> Cursor:
        """The cursor from which everything from `since` on is read again."""
        ...


@dataclass(frozen=True, slots=True)
class Rereading:
    """Which window to read next: what is new, the last `overlap` again, and once a day all that may still change.

    Attributes:
        step: windows begin and end at multiples of this (one day, one minute; UTC).
        overlap: how far back every pass begins, for data that comes late.
        revisable: how long the vendor may change what it said; read again once a day.
        longest: the largest window that one request may ask for.
        history: how far back the vendor answers at all.
        earliest: before this it has nothing.

    The cursor: `next` first moment never read, `first` first moment read, `floor` never to be read below, `deep` end of
    the last pass over all that may change, `at` where a pass under way goes on.
    """

    step: timedelta
    overlap: timedelta
    revisable: timedelta
    longest: timedelta
    history: timedelta
    earliest: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    def window(self, cursor: Cursor, until: datetime) -> tuple[Period, bool] | None:
        """The next window and whether its pass reaches back over all that may change; None: nothing is closed yet."""
        end = _floor(until, self.step)
        start, deep = self._start(cursor, end)
        kept_from = _floor(until - self.history, self.step) + self.step
        start = max(start, kept_from, self.earliest, *(_moment(cursor, name, start) for name in ("first", "floor")))
        return (Period(start, min(start + self.longest, end)), deep) if start < end else None

    def after(self, cursor: Cursor, read: Period, until: datetime, *, deep: bool) -> tuple[dict[str, Any], bool]:
        """The cursor after `read` was read, and whether its pass goes on."""
        end = _floor(until, self.step)
        more = read.end < end
        kept = {name: value for name, value in cursor.items() if name not in {"at", "deep_pass"}}
        kept.setdefault("first", timestamp(read.start))
        kept["next"] = timestamp(max(_moment(cursor, "next", read.end), read.end))
        if more:
            kept |= {"at": timestamp(read.end), "deep_pass": deep}
        elif deep:
            kept["deep"] = timestamp(end)
        return kept, more

    def rewind(self, cursor: Cursor, since: datetime) -> Cursor:
        """The cursor whose next pass begins at `since`."""
        start = timestamp(_floor(since, self.step))
        first = min(start, cursor.get("first", start))
        return {"next": start, **cursor, "first": first, "at": start, "deep_pass": False}

    def _start(self, cursor: Cursor, end: datetime) -> tuple[datetime, bool]:
        if "at" in cursor:
            return _moment(cursor, "at", end), bool(cursor.get("deep_pass"))
        if "next" not in cursor:
            return end.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0), True
        unread = _moment(cursor, "next", end)
        deep_at = _moment(cursor, "deep", unread)
        if "deep" in cursor and _floor(deep_at, _DAY) >= _floor(end, _DAY):
            return unread - self.overlap, False
        return min(unread, deep_at) - self.revisable, True


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - _EPOCH) % step


def _moment(cursor: Cursor, name: str, otherwise: datetime) -> datetime:
    return datetime.fromisoformat(cursor[name]) if name in cursor else otherwise


def midnight(day: date) -> datetime:
    """The start of a UTC day."""
    return datetime.combine(day, time(), UTC)


def days_of(period: Period) -> Iterator[date]:
    """The UTC days that lie wholly in `period`."""
    day = period.start.date() + timedelta(days=period.start > midnight(period.start.date()))
    while midnight(day + timedelta(days=1)) <= period.end:
        yield day
        day += timedelta(days=1)


def pages(read: Callable[[str | None], tuple[T, str | None]], source: str) -> Iterator[T]:
    """Every page of one question, following the vendor's cursors.

    Raises:
        SourceChangedError: a cursor that was given before comes again, or there is no end of pages.
    """
    given: set[str] = set()
    page, following = read(None)
    yield page
    while following is not None:
        if following in given or len(given) >= MAX_PAGES:
            raise SourceChangedError(
                f"{source}: the page cursor came back to where it was after {len(given) + 1} pages; expected an end. "
                "Nothing of this window was taken; it is read again later"
            )
        given.add(following)
        page, following = read(following)
        yield page


def read_json(answer: Answer, source: str) -> Any:  # noqa: ANN401  # any JSON
    """The document, its decimals exact.

    Raises:
        SourceChangedError: a web page, cut short, or otherwise not JSON.
    """
    try:
        return json.loads(answer.body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        found = (
            "a web page" if answer.body.lstrip()[:1] == b"<" else f"{len(answer.body)} bytes that are not whole JSON"
        )
        raise SourceChangedError(
            f"{source}: found {found}, expected JSON. Look for a proxy or a login page between; it is asked again later"
        ) from None


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def read_csv(answer: Answer, source: str, columns: Collection[str]) -> list[dict[str, str]]:
    """The rows of a table with at least `columns`, found by name without regard to case, never by position.

    Raises:
        SourceChangedError: a web page, not text, or a column is missing.
    """
    if answer.body.lstrip()[:1] == b"<":
        raise SourceChangedError(f"{source}: found a web page, expected a CSV table")
    try:
        reader = DictReader(StringIO(answer.body.decode("utf-8-sig")), strict=True)
        rows = list(reader)
    except (Error, UnicodeDecodeError):
        raise SourceChangedError(
            f"{source}: found {len(answer.body)} bytes that are not a CSV table in UTF-8"
        ) from None
    header = {name.strip().lower() for name in reader.fieldnames or ()}
    if missing := sorted(set(columns) - header):
        raise SourceChangedError(f"{source}: the table lacks the columns {', '.join(missing)}")
    if any(None in row or None in row.values() for row in rows):
        raise SourceChangedError(
            f"{source}: a row of the table has another number of cells than its head; it may be cut short"
        )
    return [{name.strip().lower(): value for name, value in row.items()} for row in rows]
