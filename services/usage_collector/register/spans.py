"""How long entries hold, whether they hold at once, and which follow each other."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from itertools import pairwise
from zoneinfo import ZoneInfo

from services.shared.periods import day_start
from services.usage_collector.register.entries import Item

OPEN = date.max
"""The end of what holds until further notice."""

Span = tuple[date, date]
"""From a day (inclusive) to a day (exclusive)."""

Instants = tuple[datetime, datetime]
"""From an instant (inclusive) to an instant (exclusive), UTC."""


def end_of(item: Item) -> date:
    """The first day on which it no longer holds; what has no end, as a planned change, holds on."""
    return getattr(item.fact, "valid_to", None) or OPEN


def span_of(item: Item) -> Span:
    return item.fact.valid_from, end_of(item)


def spans_meet(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def instants_of(item: Item) -> Instants:
    """The same as instants: days of tariffs and contracts begin at midnight of their own time zone."""
    zone = getattr(item.fact, "time_zone", "UTC")
    return _midnight(item.fact.valid_from, zone), _midnight(end_of(item), zone)


def _midnight(day: date, zone: str) -> datetime:
    """Midnight of a day; in UTC where a zone or a day is itself refused, for being none or of another time."""
    try:
        return day_start(day, ZoneInfo(zone))
    except (ValueError, KeyError, OSError, OverflowError):
        return datetime.combine(day, time(), UTC)


def meet(one: Item, other: Item) -> bool:
    """Whether there is a moment at which both hold."""
    (starts, ends), (other_starts, other_ends) = instants_of(one), instants_of(other)
    return starts < other_ends and other_starts < ends


def meet_by_days(one: Item, other: Item) -> bool:
    """Whether there is a date on which both hold, each in its own time zone: what is bought by the day."""
    return spans_meet(span_of(one), span_of(other))


def covered(span: Span, by: Sequence[Span]) -> bool:
    """Whether one of `by` holds on every day of `span`."""
    reached = span[0]
    for start, end in sorted(by):
        if start <= reached:
            reached = max(reached, end)
    return reached >= span[1]


def neighbours(items: Sequence[Item], name: Callable[[Item], Hashable]) -> Iterator[tuple[Item, Item]]:
    """Items of the same name, each with the one that begins next."""
    groups: defaultdict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[name(item)].append(item)
    for group in groups.values():
        yield from pairwise(sorted(group, key=lambda item: (item.fact.valid_from, item.entry.line)))


def apart(first: Item, second: Item) -> str:
    """What to write so that two entries no longer hold at once."""
    if not meet_by_days(first, second):
        return "write the same time_zone in both: midnight comes to one before the other"
    if first.fact.valid_from >= second.fact.valid_from:
        return "remove one of the two, or give them different days"
    return f"write {second.fact.valid_from} as valid_to there, or a later valid_from here"
