"""The restater: after a new register version, readings that it touches are priced again, some thousands at a time."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal

from sqlalchemy import Connection

from services.cost_alerts.domain.view import Book
from services.cost_alerts.handlers import outgoing
from services.cost_alerts.handlers.charging import Charger
from services.cost_alerts.handlers.repricing import reprice
from services.cost_alerts.handlers.tally import Tally
from services.cost_alerts.ports.ledger import OpenWork, ReadingRow, Work
from services.cost_alerts.ports.register import Change, Restatements, Walk
from services.shared.clock import Clock
from services.shared.events.outcomes import Restatement
from services.shared.logs import logger
from services.shared.money import from_nano
from services.shared.store import Store, Transaction

NAME = "restater"
PAUSE_SECONDS = 1.0
READINGS_AT_ONCE = 5_000

SHARD = -2
"""The part of the rollups that this worker alone adds to."""


class Restater:
    """Walks the readings after each change of the register, for a `Loop`; one process at a time.

    Where the walk stands is kept with each step's changes, so that it goes on after a fault. Readings that arrive
    meanwhile are priced by the newest version already. When it has arrived, and what is charged by the period follows
    the register too, each version's change is told, from just before it was published to just after.
    """

    def __init__(
        self, store: Store, begin: OpenWork, book: Restatements, clock: Clock, may_tell: Callable[[Connection], bool]
    ) -> None:
        self._store = store
        self._begin = begin
        self._book = book
        self._clock = clock
        self._may_tell = may_tell
        self._charger = Charger()
        self._log = logger("cost_alerts.restater")

    def step(self) -> float:
        """Price some readings again; how long to pause, in seconds."""
        with self._store.exclusive(NAME) as alone:
            more = alone and self._some_readings()
        return 0.0 if more else PAUSE_SECONDS

    def _some_readings(self) -> bool:
        with self._store.reading() as connection:
            if not self._book.has_work(connection):
                return False
        with self._store.transaction() as tx:
            work = self._begin(tx)
            walk = self._book.unfinished(tx) or self._new_walk(work)
            if walk is None:
                return False
            if walk.done_to < walk.last:
                self._walk_on(work, walk)
                return True
        return self._finish(work.book, walk)

    def _new_walk(self, work: Work) -> Walk | None:
        since = self._book.newest(work.tx)
        if work.book.newest <= since:
            return None
        walk = Walk(work.book.newest, since, 0, work.last_number(), 0, finished=False)
        self._book.begin(work.tx, walk)
        return walk

    def _walk_on(self, work: Work, walk: Walk) -> None:
        self._charger.begin(work)
        scopes = list(work.book.scopes(walk.since, walk.version))
        found: Sequence[ReadingRow] = []
        if scopes:
            found = work.restatable(walk.done_to, walk.last, READINGS_AT_ONCE, scopes, work.book.newest)
        readings = walk.readings + self._reprice(work, found)
        done_to = walk.last if len(found) < READINGS_AT_ONCE else found[-1].number
        self._book.save(work.tx, walk._replace(done_to=done_to, readings=readings))

    def _finish(self, book: Book, walk: Walk) -> bool:
        """Tell what the versions changed, once the charges by the period follow them too; whether they do."""
        with self._store.reading() as connection:
            if not self._book.is_settled(connection, walk.version):
                return False
            last_day = self._book.last_day(connection)
            versions = self._book.versions(connection, walk.since, walk.version)
            reaching = [one for one in versions if _reaches(book, one, last_day)]
            changes = self._book.changes(connection, reaching)
        with self._store.transaction() as tx:
            self._book.keep(tx, changes)
            self._book.save(tx, walk._replace(finished=True))
            for change in changes:
                self._announce(tx, change)
        return True

    def _reprice(self, work: Work, rows: Sequence[ReadingRow]) -> int:
        """Supersede the charges whose price or unit changed; of how many readings."""
        tally = Tally(work)
        pricing = reprice(work, self._charger, rows, tally, lambda _: SHARD)
        newest = work.book.newest
        work.repriced(
            [row._replace(pricing=pricing.get(row.number, row.pricing), register_version=newest) for row in rows]
        )
        tally.save()
        return len(pricing)

    def _announce(self, tx: Transaction, change: Change) -> None:
        self._log.info("restated", register_version=change.version, readings=change.readings)
        if self._book.is_announced(tx, change.version) or not self._may_tell(tx.connection):
            return
        before, after = _by_unit(change)
        restatement = Restatement(
            register_version=change.version,
            readings=change.readings,
            before_eur=before,
            after_eur=after,
            author=change.author,
            approver=change.approver,
            reason=change.reason,
        )
        tx.send([outgoing.restated(restatement, self._clock.now())])
        self._book.note_announced(tx, change.version)


def _reaches(book: Book, version: int, last_day: int) -> bool:
    """Whether a version touches days up to this one: a rate for tomorrow changes nothing that was charged."""
    return any(scope.first.toordinal() <= last_day for scope in book.scopes(version - 1, version))


def _by_unit(change: Change) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Unit → euro before, and after."""
    sides: tuple[dict[str, int], dict[str, int]] = (defaultdict(int), defaultdict(int))
    for (unit, _), amounts in sorted(change.amounts.items()):
        for side, nano in zip(sides, amounts, strict=True):
            side[unit] += nano
    before, after = ({unit: from_nano(nano) for unit, nano in side.items()} for side in sides)
    return before, after
