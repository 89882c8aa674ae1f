"""The periods' worker: cycles of agreements about which something became known are charged again.

Whoever writes something that agreements are made of leaves a mark in the same transaction. One worker at a time takes
the marks of a system and makes each cycle that they reach again, from the marks' instants on. What it cannot do within
its time it marks again, from the moment it had come to: between two steps a cycle stands as it was known then.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from time import monotonic

from services.cost_alerts.domain.agreements.agreement import Cycle, Known
from services.cost_alerts.domain.agreements.seating import Product, marked_days
from services.cost_alerts.domain.agreements.seats import SeatLedger
from services.cost_alerts.domain.invoices import of_month
from services.cost_alerts.domain.view import Book
from services.cost_alerts.handlers.charging import NO_LEAD, sums_of
from services.cost_alerts.handlers.cycles import (
    CHANGED,
    RANK,
    Entry,
    Moment,
    Stretches,
    Today,
    Uses,
    entry,
    fold,
    is_reached,
    kind_of,
)
from services.cost_alerts.handlers.period_tasks import INSTANT, Task, clamped, merged, task_of
from services.cost_alerts.handlers.shelf import Agreements, Shelf, all_agreements
from services.cost_alerts.handlers.tally import Counted, Tally
from services.cost_alerts.ports.ledger import Mark, OpenWork, Work
from services.cost_alerts.ports.periods import PeriodBook, PeriodRow, Seen
from services.shared.errors import PlatformError
from services.shared.events.usage import Invoice
from services.shared.logs import frames, logger
from services.shared.periods import Month, day_start, helsinki_day
from services.shared.store import Store
from services.shared.store.tables import instant, micros

NAME = "periods"
PAUSE_SECONDS = 0.5
STEP_SECONDS = 0.5
"""A step ends soon after this; on SQLite nobody else writes meanwhile."""

SHARD = -1
"""The part of the rollups that this worker alone adds to."""


class PeriodWorker:
    """Charges by the period, for a `Loop`; one process at a time.

    A system whose agreements cannot be worked out is set aside until the register changes or the process starts anew:
    its marks stay, all others go on, and `problems` says that a person is needed.
    """

    def __init__(
        self,
        store: Store,
        begin: OpenWork,
        book: PeriodBook,
        agreements: Agreements = all_agreements,
        step_seconds: float = STEP_SECONDS,
    ) -> None:
        self._store = store
        self._begin = begin
        self._book = book
        self._agreements = agreements
        self._step_seconds = step_seconds
        self._shelves: dict[str, Shelf] = {}
        self._shelved_for: Book | None = None
        self._aside: set[str] = set()
        self.is_done = False
        """Whether the last step found nothing that it could do."""
        self._log = logger(NAME)

    def problems(self) -> Sequence[str]:
        """One sentence for each system that was set aside."""
        return [
            f"charges by the period of {system} cannot be worked out; see the log, and correct its contracts or tariffs"
            for system in sorted(self._aside)
        ]

    def step(self) -> float:
        """Make some cycles again; how long to pause, in seconds: at least as long as it took."""
        began = monotonic()
        with self._store.exclusive(NAME) as alone:
            more = alone and self._some_cycles(began + self._step_seconds)
        self.is_done = not more
        took = monotonic() - began
        return took if more else max(PAUSE_SECONDS, took)

    def _some_cycles(self, deadline: float) -> bool:
        with self._store.reading() as connection:
            if not self._book.pending(connection):
                return False
        system = ""
        try:
            with self._store.transaction() as tx:
                work = self._begin(tx)
                self._renew(work.book)
                marks = self._book.take(work, without=self._aside)
                if marks:
                    system = marks[0].system
                    Step(work, self._book, self._shelf(work.book, system), deadline).run(marks)
                return bool(marks)
        except PlatformError:
            raise
        except Exception as error:
            if not system:
                raise
            self._aside.add(system)
            self._log.error("set aside", system=system, error=type(error).__name__, frames=frames(error))
            return True

    def _renew(self, book: Book) -> None:
        """Another register may be one that can be worked out."""
        if self._shelved_for is not book:
            self._shelved_for, self._shelves = book, {}
            self._aside.clear()

    def _shelf(self, book: Book, system: str) -> Shelf:
        if system not in self._shelves or self._shelves[system].is_worn:
            self._shelves[system] = Shelf(book, system, self._agreements)
        return self._shelves[system]


class Step:
    """One step of the worker over one system, in one transaction."""

    def __init__(self, work: Work, book: PeriodBook, shelf: Shelf, deadline: float) -> None:
        self._work, self._book, self._shelf, self._deadline = work, book, shelf, deadline
        self._system = shelf.system
        self._tally = Tally(work)
        self._today = Today(book.days(work.tx))
        self._seats = book.seats(work.tx, self._system)
        self._ledgers: dict[str, SeatLedger] = {}
        self._uses: dict[tuple[date, date], Uses] = {}
        self._reach = book.reach(work.tx)
        self._changed: dict[int, list[tuple[int, int]]] = defaultdict(list)

    def run(self, marks: Sequence[Mark]) -> None:
        """Make what the marks reach again; mark what is left, and what compares with what has changed."""
        left: list[Task] = []
        for number, task in enumerate(sorted(self._tasks(marks))):
            go_on = task.since if number and monotonic() > self._deadline else self._make(task)
            if go_on is not None:
                left.append(task._replace(since=go_on))
        self._tally.save()
        self._work.add_marks([*self._changes(), *(task.mark(self._system) for task in left)])

    def _changes(self) -> Iterator[Mark]:
        """Marks about charges that others compare with."""
        for rank, days in self._changed.items():
            if CHANGED[rank]:
                yield Mark(CHANGED[rank], self._system, min(days)[0], max(days)[0], min(at for _, at in days))

    def _tasks(self, marks: Sequence[Mark]) -> Iterable[Task]:
        tasks: dict[tuple[str, int], Task] = {}
        for mark in merged(marks):
            for task in self._reached(mark):
                name = (task.key, task.starts)
                tasks[name] = tasks[name].with_more(task) if name in tasks else task
        return tasks.values()

    def _reached(self, mark: Mark) -> Iterator[Task]:
        """The cycles that something which became known from an instant on may change."""
        exact = Task.of(mark)
        if exact is not None:
            yield exact
            return
        # From midnight: what is new may also divide the day, whose earlier part then has a moment of its own.
        mark = mark._replace(recorded_from=micros(day_start(helsinki_day(instant(mark.recorded_from)))))
        yield from self._reached_seats(mark)
        for known in self._shelf.since(mark.recorded_from):
            for key, agreement in known.items():
                days = clamped(mark, kind_of(key), self._reach)
                if days and is_reached(key, mark.about):
                    for cycle in agreement.cycles(*days):
                        yield task_of(cycle, mark)

    def _reached_seats(self, mark: Mark) -> Iterator[Task]:
        days = (date.fromordinal(mark.first_day), date.fromordinal(mark.last_day))
        for sku, seen in self._seats.items():
            key = f"seats:{self._system}/{sku}"
            if is_reached(key, mark.about):
                for day in marked_days([days], [count.observed_on for count in seen.counts]):
                    number = day.toordinal()
                    yield Task(0, key, micros(day_start(day)), number, number, mark.recorded_from)

    def _make(self, task: Task) -> int | None:
        """Make a cycle again. The instant of the moment to go on with, when time was up before the last."""
        rows = self._book.rows(self._work, task.key, self._system, task.starts)
        old = {Entry.of(row, basis): row for row, basis in rows}
        if kind_of(task.key) == "seats":
            self._write(task, old, self._seat_entries(task))
            return None
        stretches = Stretches(self._cuts(task))
        since = stretches.start(task.since)
        moments = stretches.moments(self._instants(task), since)
        in_time = [*self._in_time(task, moments)]
        self._write(task, old, fold(old, since, in_time))
        return moments[len(in_time)] if len(in_time) < len(moments) else None

    def _cuts(self, task: Task) -> Iterator[int]:
        """The last instants of stretches, besides the midnights: cut-offs, and those around a version of the register.

        So what a version changes of days that had begun stands apart from what else became known on the same day.
        """
        yield from self._work.book.closings.cut_offs.values()
        for version in self._work.book.touching_days(self._system, *task.days):
            published_at = self._work.book.published_at(version)
            until = min(task.days[1], helsinki_day(published_at))
            if until >= task.days[0] and version in self._work.book.touching_days(self._system, task.days[0], until):
                yield micros(published_at) - 1
                yield micros(published_at)

    def _in_time(self, task: Task, moments: Sequence[int]) -> Iterator[Moment]:
        """The first moment, and as many more as there is time for."""
        touching = list(self._work.book.touching_days(self._system, *task.days))
        known = self._known(task)
        for number, at in enumerate(moments):
            if number and monotonic() > self._deadline:
                return
            yield self._moment(task, touching, known, at)

    def _moment(self, task: Task, touching: Sequence[int], known: Callable[[int, Cycle], Known], at: int) -> Moment:
        """What a cycle is charged as known at an instant; nothing, where the register of then does not know it."""
        book = self._work.book
        in_force = book.version_at(instant(at))
        version = _last_touching(touching, in_force)
        pricing = self._shelf.pricing(touching, in_force)
        found = self._shelf.cycle(pricing, task)
        parts = () if found is None else found[0].parts(book.view(pricing), found[1], known(at, found[1]))
        return Moment(at, version, self._system, parts)

    def _instants(self, task: Task) -> Iterator[int]:
        """When something about a cycle was recorded."""
        book, days, kind = self._work.book, task.days, kind_of(task.key)
        for version in book.touching_days(self._system, *days):
            yield micros(book.published_at(version))
        yield from self._uses_of(days).instants
        if is_reached(task.key, "day"):
            yield from self._today.instants(*days)
        if kind in RANK:
            yield from self._book.instants(self._work, self._system, days, kind)
        if kind == "invoice":
            yield from (micros(at) for _, at in self._invoices(task))

    def _known(self, task: Task) -> Callable[[int, Cycle], Known]:
        """What was known of a cycle at a moment; ask for rising moments.

        A task spans what all versions have under its name; a comparison is due when this version's cycle is over.
        """
        metered = self._uses_of(task.days).sweep()
        kind = kind_of(task.key)
        invoices = self._invoices(task) if kind == "invoice" else ()
        month = Month.of(task.days[0])

        def at(moment: int, cycle: Cycle) -> Known:
            today = self._today.at(moment)
            came = [one for one, recorded_at in invoices if micros(recorded_at) <= moment]
            is_over = today >= helsinki_day(cycle.ends - INSTANT)
            compares = kind in RANK and is_over and (came or kind != "invoice")
            spent = self._book.spent(self._work, self._system, task.days, moment, kind) if compares else ()
            return Known(today, metered(moment), {}, of_month(came, month), spent)

        return at

    def _invoices(self, task: Task) -> Sequence[tuple[Invoice, datetime]]:
        vendor = task.key.removeprefix("invoice:").removesuffix(f"/{self._system}")
        return self._book.invoices(self._work.tx, vendor, Month.of(task.days[0]))

    def _uses_of(self, days: tuple[date, date]) -> Uses:
        """The readings of some days; the last ones that were asked for are remembered."""
        if days not in self._uses:
            self._uses = {days: self._caught_up(days)}
        return self._uses[days]

    def _caught_up(self, days: tuple[date, date]) -> Uses:
        """What earlier steps have read, and what is new; where that is not all, as many processes read, all of it."""
        uses = self._shelf.uses.get(days)
        if uses is None:
            uses = self._shelf.uses[days] = Uses((), self._work, self._system, days)
        before = len(uses)
        uses.tell(self._book.versions(self._work, self._system, days, uses.last), self._work)
        if before and len(uses) != self._book.count(self._work, self._system, days):
            uses.tell(self._book.versions(self._work, self._system, days), self._work)
        self._shelf.readings += len(uses) - before
        return uses

    def _seat_entries(self, task: Task) -> list[Entry]:
        sku = task.key.removeprefix(f"seats:{self._system}/")
        if sku not in self._ledgers:
            seen = self._seats.get(sku, Seen((), ()))
            self._ledgers[sku] = SeatLedger(self._work.book, Product(self._system, sku), seen.counts, seen.holdings)
        cut_offs = [instant(one) for one in self._cuts(task)]
        touching = list(self._work.book.touching_days(self._system, *task.days))
        found = []
        for row in self._ledgers[sku].history(task.days[0], cut_offs):
            version = _last_touching(touching, self._work.book.version_at(row.recorded_at))
            until = None if row.superseded_at is None else micros(row.superseded_at)
            found.append(entry(row.part, self._system, micros(row.recorded_at), version)._replace(superseded_at=until))
        return found

    def _write(self, task: Task, old: Mapping[Entry, PeriodRow], entries: Iterable[Entry]) -> None:
        """Write what differs from the rows that are there, count it, and note it for what compares with it."""
        new = set(entries)
        gone, came = [one for one in old if one not in new], [one for one in new if one not in old]
        if not gone and not came:
            return
        self._work.enter_bases([one.basis for one in (*gone, *came)])
        numbers = {one.basis: self._work.basis(one.basis) for one in (*gone, *came)}
        for entries_of, sign in ((gone, -1), (came, 1)):
            for one in entries_of:
                self._tally.count(SHARD, _counted(one, numbers[one.basis]), sign)
        rows = sorted(one.row(numbers[one.basis]) for one in came)
        self._work.add_unsent([(task.key, task.starts)])
        self._book.replace(self._work.tx, task.key, task.starts, [old[one] for one in gone], rows)
        self._changed[task.rank] += _news(gone, came)


def _last_touching(touching: Sequence[int], in_force: int) -> int:
    """The version that charges tell: the last by then that may charge these days differently from the one before."""
    return max((one for one in touching if one <= in_force), default=0)


def _counted(one: Entry, basis: int) -> Counted:
    """A row as the sums see it. An unpriced part counts as one unpriced item, and none is a reading."""
    sums = sums_of(one.nano, one.eur_nano, NO_LEAD)._replace(unpriced=int(one.eur_nano is None))
    return Counted(basis, sums, one.recorded_at, one.superseded_at)


def _news(gone: Iterable[Entry], came: Iterable[Entry]) -> list[tuple[int, int]]:
    """The days whose charges changed, and from which instant on."""
    before = {(one.basis, one.recorded_at): one for one in gone}
    after = {(one.basis, one.recorded_at): one for one in came}
    return [(key[0].day, _first_change(before.get(key), after.get(key), key[1])) for key in {**before, **after}]


def _first_change(before: Entry | None, after: Entry | None, recorded_at: int) -> int:
    if before is None or after is None or before[:5] != after[:5]:
        return recorded_at
    return min(one.superseded_at for one in (before, after) if one.superseded_at is not None)
