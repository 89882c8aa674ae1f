"""When a checkpoint goes to an anchor, and when somebody must look. Values in, values out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

OVERDUE = timedelta(hours=26)
"""A day, in which a silent log beats once and daily anchors are due once, and some room."""
AFTER_REFUSAL = timedelta(hours=1)
"""An anchor that refuses is asked again: whoever looks at it may have settled the matter on its side."""
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(minutes=15)
_MOST_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """How an anchor is doing.

    Attributes:
        size: of the newest checkpoint that it has; None: it has none.
        anchored_at: when it got that.
        tried_at: when it was last asked, with success or without.
        failures: without success, in a row.
        refusal: why it refuses the log, as in the event; empty when it does not.
        problem: what is wrong, as a sentence; empty when nothing is.
    """

    size: int | None = None
    anchored_at: datetime | None = None
    tried_at: datetime | None = None
    failures: int = 0
    refusal: str = ""
    problem: str = ""


def is_due(standing: Standing, every: timedelta, newest_size: int, now: datetime) -> bool:
    """Whether the newest checkpoint, over `newest_size` entries, goes to the anchor now."""
    if standing.size is not None and standing.size >= newest_size:
        return False
    if standing.failures:
        return _waited(standing.tried_at, _pause(standing), now)
    return _waited(standing.anchored_at, every, now)


def is_overdue(standing: Standing, since: datetime, now: datetime) -> bool:
    """Whether the anchor has nothing new for too long; `since`: when there was first something for it."""
    return now - (standing.anchored_at or since) > OVERDUE


def _waited(moment: datetime | None, pause: timedelta, now: datetime) -> bool:
    """A moment that is still to come was told by a clock that has been set back: nobody waits for it."""
    return moment is None or not timedelta(0) <= now - moment < pause


def _pause(standing: Standing) -> timedelta:
    if standing.refusal:
        return AFTER_REFUSAL
    doubled: int = 2 ** min(standing.failures - 1, _MOST_DOUBLINGS)
    return min(_FIRST_PAUSE * doubled, _LONGEST_PAUSE)
