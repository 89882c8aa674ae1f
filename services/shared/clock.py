"""Where the time comes from: passed in, so that no test waits and no domain function asks."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SteppedClock:
    """A clock that stands still until somebody moves it; shipped for tests and for replaying the past."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, step: timedelta) -> None:
        """Move by `step`; a negative one sets the clock back, as machines do."""
        self._now += step

    def set(self, moment: datetime) -> None:
        self._now = moment.astimezone(UTC)
