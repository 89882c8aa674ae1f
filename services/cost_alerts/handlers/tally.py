"""What changes of charges add to the sums: to the rollups, and to an open month's books when a month is closed.

It also notes which days of which systems have changed, so that what is charged by the period is made again.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from services.cost_alerts.domain.closing import month_of_day
from services.cost_alerts.ports.ledger import Adjustment, Mark, RollupChange, Sums, Work


class Counted(NamedTuple):
    """A charge as the sums see it; times are instants in microseconds, `superseded_at` None: it is current."""

    basis: int
    sums: Sums
    recorded_at: int
    superseded_at: int | None


class Tally:
    """The changes of one transaction, by shard and basis."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._closings = work.book.closings
        self.totals: dict[tuple[int, int], list[int]] = defaultdict(_nought)
        """Shard and basis → sums, in the order of `Sums`; the hot path adds to them in place."""
        self._late: dict[tuple[int, int, int], list[int]] = defaultdict(_nought)
        self._marks: dict[tuple[str, str], list[int]] = {}
        self.open_from = self._closings.open_from
        """Charges of days from this one on (ordinal) can never be late; see `count_late`."""

    def count(self, shard: int, charge: Counted, sign: int = 1) -> None:
        """Count a charge that was written (1), or one as it stood before it was changed or removed (-1)."""
        if charge.superseded_at is None:
            _add(self.totals[shard, charge.basis], charge.sums, sign)
        self.count_late(shard, charge, sign)

    def count_late(self, shard: int, charge: Counted, sign: int = 1) -> None:
        """The part of `count` that concerns closed months."""
        day = self._work.basis_of(charge.basis).day
        if day >= self.open_from:
            return
        self._book(shard, charge, day, charge.recorded_at, sign)
        if charge.superseded_at is not None:
            self._book(shard, charge, day, charge.superseded_at, -sign)

    def _book(self, shard: int, charge: Counted, day: int, moment: int, sign: int) -> None:
        month = self._closings.booked_in(day, moment)
        if month != month_of_day(day):
            _add(self._late[month, shard, charge.basis], charge.sums, sign)

    def touch(self, about: str, system: str, day: int, recorded_at: int) -> None:
        """Note that what is known about a day of a system has changed, from an instant on."""
        mark = self._marks.get((about, system))
        if mark is None:
            self._marks[about, system] = [day, day, recorded_at]
        else:
            first, last, since = mark
            if day < first or day > last or recorded_at < since:
                mark[:] = min(first, day), max(last, day), min(since, recorded_at)

    def save(self) -> None:
        """Write everything that was counted and noted."""
        self._work.add_sums(list(_changes(self.totals)))
        self._work.add_adjustments(
            [Adjustment(*key, Sums(*sums)) for key, sums in sorted(self._late.items()) if any(sums)]
        )
        self._work.add_marks([Mark(about, system, *mark) for (about, system), mark in sorted(self._marks.items())])


def _nought() -> list[int]:
    return [0] * len(Sums._fields)


def _add(total: list[int], sums: Sums, sign: int) -> None:
    for index, value in enumerate(sums):
        total[index] += sign * value


def _changes(sums: dict[tuple[int, int], list[int]]) -> Iterable[RollupChange]:
    return ((shard, basis, Sums(*total)) for (shard, basis), total in sums.items() if any(total))
