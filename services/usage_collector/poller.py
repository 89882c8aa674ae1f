"""When to poll a source, what changed since, and one transaction for all that a window tells.

Told facts, their revisions, the cursor and the messages for the bus are one transaction; the messages leave by the
outbox. Killed anywhere, the collector either reads the window again or publishes the very same bytes again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from prometheus_client import Counter
from pydantic import ValidationError

from services.shared.clock import Clock
from services.shared.errors import PlatformError, SourceChangedError, SourceError, TransientError
from services.shared.events import Event, describe, encode, event_id, key_of, topic_of
from services.shared.events.outcomes import CollectionGapFound, Gap
from services.shared.events.usage import CollectionCompleted, CollectionWindow, Reading, SeatHolding
from services.shared.logs import logger
from services.shared.periods import Period
from services.shared.store import OutgoingMessage, Transaction
from services.usage_collector import revise
from services.usage_collector.adapters.state import CollectorState, Standing
from services.usage_collector.facts import event_of
from services.usage_collector.source import Cursor, Fetch, Page, Source, VendorFact, days_of, midnight

FIRST_BACK_OFF_SECONDS = 5.0
PAUSE_BETWEEN_WINDOWS_SECONDS = 0.0
DAY = timedelta(days=1)


@dataclass(slots=True)
class Collected:
    """What one round brought."""

    windows: int = 0
    facts: int = 0
    events: list[Event] = field(default_factory=list)


class Poller:
    """Reads one source. `step` is for a loop, `collect` for a person. Not thread-safe: one thread per source."""

    def __init__(
        self,
        source: Source,
        fetch: Fetch,
        state: CollectorState,
        clock: Clock,
        *,
        interval_seconds: float,
        errors: Counter,
    ) -> None:
        self.source = source
        self._fetch = fetch
        self._state = state
        self._clock = clock
        self._interval = interval_seconds
        self._errors = errors
        self._failures = 0
        self.trouble: str | None = None
        self.caught_up = False
        self._log = logger("collector").bind(source=source.name)

    def close(self) -> None:
        """Let go of the vendor's connections. Nothing is read afterwards."""
        self._fetch.close()

    def step(self) -> float:
        """Read one window and tell it; how long to pause, in seconds. A vendor's failure is a pause, not an end."""
        try:
            more = self._advance(self._state.standing(self.source.name), self._clock.now(), Collected())
        except (SourceError, TransientError) as error:
            return self._after(error)
        self._failures, self.trouble, self.caught_up = 0, None, not more
        return PAUSE_BETWEEN_WINDOWS_SECONDS if more else self._interval

    def collect(
        self,
        since: datetime | None = None,
        *,
        until: datetime | None = None,
        dry_run: bool = False,
        believe_empty: bool = False,
        tell: Callable[[Collected], None] = lambda _so_far: None,
    ) -> Collected:
        """Read everything up to `until` (now), from `since` on again. A dry run keeps and publishes nothing.

        Raises:
            SourceError, TransientError: the vendor's answer; windows read before it stand.
        """
        until, done = until or self._clock.now(), Collected()
        standing = self._state.standing(self.source.name)
        if since is not None:
            standing = _rewound(standing, self.source.rewind(standing.cursor or {}, since))
        more = True
        while more:
            page = self._read(standing.cursor or {}, until)
            more = page.more
            standing = self._told(standing, page, until, done, dry_run=dry_run, believe_empty=believe_empty)
            tell(done)
        return done

    def _advance(self, standing: Standing, until: datetime, done: Collected) -> bool:
        page = self._read(standing.cursor or {}, until)
        self._told(standing, page, until, done)
        return page.more

    def _read(self, cursor: Cursor, until: datetime) -> Page:
        try:
            page = self.source.poll(self._fetch, cursor, until)
        except ValidationError as error:
            raise SourceChangedError(
                f"{self.source.name}: the answer is not of the shape we read: {describe(error)}. Nothing of this "
                "window was taken; see whether the vendor has changed its interface"
            ) from None
        if page.more and page.cursor == cursor:
            raise SourceChangedError(f"{self.source.name}: reading does not move on; expected another window next")
        return page

    def _told(
        self,
        standing: Standing,
        page: Page,
        until: datetime,
        done: Collected,
        *,
        dry_run: bool = False,
        believe_empty: bool = False,
    ) -> Standing:
        """Compare a page with what was told, and tell the difference. Returns where the source stands then."""
        if page.window is None:
            return standing
        read_to = max(page.window.end, standing.read_to or page.window.end)
        now = Standing(standing.version + 1, page.cursor, read_to, until)
        telling = _Telling(self.source, self._state, standing, page, until)
        try:
            with self._state.store.transaction() as tx:
                facts, events = telling.run(tx, believe_empty=believe_empty)
                self._state.advance(tx, self.source.name, standing, now)
                if dry_run:
                    raise _DryRun  # noqa: TRY301  # leaves the transaction without its changes
        except _DryRun:
            now = Standing(standing.version, page.cursor, now.read_to, until)
        done.windows += 1
        done.facts += len(facts)
        done.events += events
        return now

    def _after(self, error: PlatformError) -> float:
        self._failures += 1
        self._errors.labels(self.source.name, type(error).__name__).inc()
        self.trouble = str(error)
        asked = error.retry_after_seconds if isinstance(error, TransientError) else None
        pause = asked or min(self._interval, FIRST_BACK_OFF_SECONDS * 2 ** min(self._failures - 1, 16))
        self._log.warning("not read", reason=str(error), failures=self._failures, pause_seconds=pause)
        return pause


class _DryRun(Exception):  # noqa: N818  # not an error: a way out of a transaction
    """Ends a dry run's transaction without its changes."""


@dataclass(frozen=True, slots=True)
class _Telling:
    """One page on its way into the database and the outbox."""

    source: Source
    state: CollectorState
    standing: Standing
    page: Page
    until: datetime

    def run(self, tx: Transaction, *, believe_empty: bool) -> tuple[list[VendorFact], list[Event]]:
        facts = self._changes(tx, believe_empty=believe_empty)
        missing = self._mark_days(tx)
        events = [event_of(fact, self.source.event_source, self.until) for fact in facts]
        events += self._completed(bool(facts))
        events += [self._gap(first, last) for first, last in runs(missing)]
        self.state.remember(tx, self.source.event_source, facts)
        tx.send([message_of(event) for event in events])
        return facts, events

    @property
    def window(self) -> Period:
        assert self.page.window is not None
        return self.page.window

    def _changes(self, tx: Transaction, *, believe_empty: bool) -> list[VendorFact]:
        name, source = self.source.name, self.source.event_source
        told = self._with_ended_seats(tx, believe_empty=believe_empty) if self.page.snapshot else self.page.facts
        found = revise.once(told, name)
        facts = revise.changed(found, self.state.known(tx.connection, source, found))
        standing = self.state.readings_standing(tx.connection, source, self.window)
        vanished = revise.gone(standing, found, self.page.missing, name, believe_empty=believe_empty)
        gone = self.state.facts(tx.connection, source, vanished)
        return facts + [revise.retracted(fact) for fact in gone if isinstance(fact, Reading)]

    def _with_ended_seats(self, tx: Transaction, *, believe_empty: bool) -> Sequence[VendorFact]:
        seats = [fact for fact in self.page.facts if isinstance(fact, SeatHolding)]
        others = [fact for fact in self.page.facts if not isinstance(fact, SeatHolding)]
        held = self.state.seats_held(tx.connection, self.source.event_source)
        day, before = self.window.start.date(), self.standing.read_to
        read_to = before.date() if before else None
        return [
            *others,
            *revise.seats_now(held, seats, day, self.source.name, read_to=read_to, believe_empty=believe_empty),
        ]

    def _mark_days(self, tx: Transaction) -> list[date]:
        """Write down which days are told; those newly found to be missing."""
        skipped = _days_between(self.standing.read_to, self.window.start)
        days = dict.fromkeys(days_of(self.window), True) | dict.fromkeys([*self.page.missing, *skipped], False)
        before = self.state.days(tx.connection, self.source.name, days)
        self.state.mark_days(tx, self.source.name, days)
        return sorted(day for day, complete in days.items() if not complete and day not in before)

    def _completed(self, anything: bool) -> list[Event]:  # noqa: FBT001
        """A window is told as complete when it says something new, so that silence stays silent."""
        if not anything and self.standing.read_to is not None and self.window.end <= self.standing.read_to:
            return []
        name, window = self.source.name, self.window
        readings = sum(isinstance(fact, Reading) for fact in self.page.facts)
        data = CollectionWindow(source_name=name, window_start=window.start, window_end=window.end, readings=readings)
        named = event_id("collected", name, window.start, window.end, self.until)
        source = self.source.event_source
        return [CollectionCompleted(id=named, source=source, subject=name, time=self.until, data=data)]

    def _gap(self, first: date, last: date) -> Event:
        name = self.source.name
        named = event_id("gap", name, first.isoformat(), last.isoformat())
        data = Gap(source_name=name, first_day=first, last_day=last)
        return CollectionGapFound(id=named, source=self.source.event_source, subject=name, time=self.until, data=data)


def message_of(event: Event) -> OutgoingMessage:
    """The event on its way to the bus."""
    return OutgoingMessage(event_id(event.source, event.id), "bus", encode(event), topic_of(event), key_of(event))


def runs(days: Sequence[date]) -> list[tuple[date, date]]:
    """Sorted days as runs: (first, last), both inclusive."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and found[-1][1] + DAY == day:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _days_between(read_to: datetime | None, start: datetime) -> list[date]:
    """The days between what was read and what is read now: the vendor no longer tells them."""
    if read_to is None or start <= read_to:
        return []
    first = read_to.date()
    return [
        first + DAY * number
        for number in range((start.date() - first).days + 1)
        if midnight(first + DAY * number) < start
    ]


def _rewound(standing: Standing, cursor: Cursor) -> Standing:
    return Standing(standing.version, cursor, standing.read_to, standing.succeeded_at)
