"""The past of a directory that knows only the present: the real collector reads it, on a clock that stands on each day.

Graph answers for today alone. A city that starts Valvomo on its first day has a snapshot of every day since; the demo
starts today, so the vendor and the collector are both put back to each of the days, one after the other.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta

from prometheus_client import CollectorRegistry

from services.shared.clock import SteppedClock
from services.shared.errors import TransientError
from services.shared.metrics import SOURCE_ERRORS, counter
from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.simulator.rhythm import days
from services.simulator.stories import Stories
from services.usage_collector.adapters.people import open_people
from services.usage_collector.adapters.state import CollectorState
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.main import make_pollers
from services.usage_collector.poller import Poller

VISIT_AT = time(5, tzinfo=UTC)
"""When the collector looks at the directory on each past day."""

DIRECTORY, REVISED = "microsoft_copilot", "anthropic"


def collect_past(settings: Settings, stories: Stories, clock: SteppedClock, tell: Callable[[str], None]) -> int:
    """Read what can only be read on its own day: each day's seats, and a day's use before its vendor restates it.

    `clock` is the simulated vendors' own. What is found waits in the collector's outbox until the program runs.
    Returns how many days could not be read.
    """
    with closing(open_store(settings, "collector", METADATA)) as store:
        state, people = CollectorState(store), open_people(settings.data_dir, store)
        errors = counter(SOURCE_ERRORS, CollectorRegistry())
        pollers = make_pollers(
            settings, state, people, clock, errors, sleep=lambda _seconds: None, only=[DIRECTORY, REVISED]
        )
        try:
            return _visit(pollers, stories, clock, tell)
        finally:
            for poller in pollers:
                poller.close()


def _visit(pollers: Sequence[Poller], stories: Stories, clock: SteppedClock, tell: Callable[[str], None]) -> int:
    by_name = {poller.source.name: poller for poller in pollers}
    unread = 0
    for name, moment in visits(stories):
        clock.set(moment)
        tell(f"{moment:%Y-%m-%d}: {name} is read")
        try:
            by_name[name].collect()
        except TransientError:  # the outage: the day stays without a snapshot
            unread += 1
    return unread


def visits(stories: Stories) -> Sequence[tuple[str, datetime]]:
    """Who is read when, by time: the directory on every day, the revised vendor once before it restates a day."""
    found = [(DIRECTORY, datetime.combine(day, VISIT_AT)) for day in _days(stories)]
    before = stories.restated_at - timedelta(hours=1)
    if before.date() < stories.today:
        found.append((REVISED, before))
    return sorted(found, key=lambda visit: visit[1])


def _days(stories: Stories) -> Sequence[date]:
    return list(days(stories.first_day, stories.today))
