"""How long to wait after failed attempts: nothing at first, then twice as long each time.

An account can never be locked for good, by nobody: the wait has an end, and failures are forgotten after a day.
Source: OWASP ASVS 4.0.3, 2.2.1 (no more than 100 failed attempts an hour on one account).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures cost nothing; the wait then grows from a second to `longest`."""

    free: int
    longest: timedelta


OF_LOGIN = Limit(5, timedelta(minutes=5))
OF_ADDRESS = Limit(50, timedelta(minutes=1))
"""Many people may come from one address, for example through a proxy."""


@dataclass(frozen=True, slots=True)
class Failures:
    """How often it failed in a row, and until when nothing is tried."""

    count: int
    until: datetime
    last_at: datetime


def wait(found: Failures | None, now: datetime) -> timedelta:
    """How long nothing may be tried; zero when it may."""
    return timedelta() if found is None else max(timedelta(), found.until - now)


def after_one_more(found: Failures | None, limit: Limit, now: datetime) -> Failures:
    """What stands after an attempt that is taken for a failure until it succeeds."""
    count = 1 if found is None or now - found.last_at >= FORGOTTEN_AFTER else found.count + 1
    over = count - limit.free
    pause = timedelta() if over < 0 else min(limit.longest, timedelta(seconds=2.0 ** min(over, 20)))
    return Failures(count, now + pause, now)


def after_success(found: Failures, now: datetime) -> Failures:
    """What stands for an address when its attempt was none of the failures."""
    return Failures(max(0, found.count - 1), now, found.last_at)
