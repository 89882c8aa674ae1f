"""The restater: after a new register version, readings that it touches are priced again, some thousands at a time."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from services.cost_alerts.handlers import outgoing
from services.cost_alerts.handlers.charging import Charger, Revision, counted, quantities_of
from services.cost_alerts.handlers.tally import Tally
from services.cost_alerts.ports import (
    ChargeRow,
    OpenWork,
    ReadingRow,
    Restatements,
    Walk,
    Work,
)
from services.shared.clock import Clock
from services.shared.events.outcomes import Restatement
from services.shared.logs import logger
from services.shared.money import from_nano
from services.shared.store import Store, Transaction
from services.shared.store.tables import instant

NAME = "restater"
PAUSE_SECONDS = 1.0
READINGS_AT_ONCE = 5_000

SHARD = -2
"""The part of the rollups that this worker alone adds to."""


class Restater:
    """Walks the readings after each change of the register, for a `Loop`; one process at a time.

    Where the walk stands is kept with each step's changes, so that it goes on after a fault. Readings that arrive
    meanwhile are priced by the newest version already.
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
            self._walk_on(work, walk)
            return True

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
        changed, restated = self._reprice(work, found)
        finished = len(found) < READINGS_AT_ONCE
        done_to = walk.last if finished else found[-1].number
        walk = walk._replace(done_to=done_to, readings=walk.readings + restated, finished=finished)
        self._book.save(work.tx, walk, changed)
        if finished:
            self._announce(work.tx, walk)

    def _reprice(self, work: Work, rows: Sequence[ReadingRow]) -> tuple[dict[tuple[str, int], tuple[int, int]], int]:
        """Supersede the charges whose price or unit changed; (unit, day) → euro before and after, and how many."""
        present: dict[int, list[ChargeRow]] = defaultdict(list)
        for charge in work.charges_after({row.number: _NEVER for row in rows}):
            present[charge.reading].append(charge)
        revisions = [_revision(work, row) for row in rows]
        since = [present[row.number][0].recorded_at for row in rows]
        made = self._charger.next(work, list(zip(revisions, since, strict=True)))
        remade = list(zip(rows, made, strict=True))
        changed = [(row, made) for row, made in remade if made.rows]
        before = [charge for row, _ in changed for charge in present[row.number]]
        closed = [charge._replace(superseded_at=made.since) for row, made in changed for charge in present[row.number]]
        came = [ChargeRow(*values) for _, made in changed for values in made.rows]
        work.close_charges(closed)
        work.add_charges(came)
        newest = work.book.newest
        pricing = {row.number: made.version for row, made in changed}
        work.repriced(
            [row._replace(pricing=pricing.get(row.number, row.pricing), register_version=newest) for row in rows]
        )
        tally = Tally(work)
        for charge in before:
            tally.count(SHARD, counted(charge), -1)
        for charge in (*closed, *came):
            tally.count(SHARD, counted(charge))
        for row, charged in changed:
            tally.touch("usage", work.profile(row.profile).system, row.day, charged.since)
        tally.save()
        current = [charge for charge in came if charge.superseded_at is None]
        return _by_unit(work, before, current), len(changed)

    def _announce(self, tx: Transaction, walk: Walk) -> None:
        if walk.readings:
            self._log.info("restated", register_version=walk.version, readings=walk.readings)
        if not walk.readings or self._book.is_announced(tx, walk.version) or not self._may_tell(tx.connection):
            return
        changed = self._book.changed(tx, walk.version)
        restatement = Restatement(
            register_version=walk.version,
            readings=walk.readings,
            before_eur={unit: from_nano(before) for unit, (before, _) in sorted(changed.items())},
            after_eur={unit: from_nano(after) for unit, (_, after) in sorted(changed.items())},
        )
        tx.send([outgoing.restated(restatement, self._clock.now())])
        self._book.note_announced(tx, walk.version)


_NEVER = 2**62
"""Later than any instant: charges that were superseded at all are not asked for."""


def _revision(work: Work, row: ReadingRow) -> Revision:
    return Revision(row, work.profile(row.profile), instant(row.starts_at), quantities_of(row))


def _by_unit(
    work: Work, left: Sequence[ChargeRow], came: Sequence[ChargeRow]
) -> dict[tuple[str, int], tuple[int, int]]:
    """(unit, day) → 10⁻⁹ euro that left and that came."""
    found: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for side, charges in enumerate((left, came)):
        for charge in charges:
            basis = work.basis_of(charge.basis)
            found[basis.unit, basis.day][side] += charge.eur_nano or 0
    return {key: (before, after) for key, (before, after) in found.items()}
