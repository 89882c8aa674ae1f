"""Closing a month: whether it can be closed, what a person should know before, and the event that closes it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from services.cost_alerts.adapters.closing import load_closings
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.rates import old_rate_nano
from services.cost_alerts.adapters.sums import grouped_sums
from services.cost_alerts.adapters.tables import DAY, ROLLUP
from services.cost_alerts.domain.closing import Closings, month_number, month_of, month_of_day
from services.cost_alerts.domain.freshness import MOST_BANKING_DAYS
from services.cost_alerts.handlers.outgoing import SOURCE
from services.shared.bus import EventBus, Message
from services.shared.errors import ConfigurationError
from services.shared.events import REGISTER, decode, encode, event_id, key_of
from services.shared.events.register import UNALLOCATED, Closing, PeriodClosed
from services.shared.money import as_text, from_nano
from services.shared.periods import Month, day_start, timestamp
from services.shared.store import Store
from services.shared.store.tables import instant

PATIENCE_SECONDS = 30.0
"""So long a closing waits for the ledger to read and charge what is on the bus."""

_LOOK_SECONDS = 0.1
_AT_ONCE = 500
_TICK = timedelta(milliseconds=1)
"""The bus tells ingest times in milliseconds."""


@dataclass(frozen=True, slots=True)
class State:
    """A month before it is closed, as booked; money in 10⁻⁹ euro."""

    eur_nano: int
    unpriced: int
    estimated_nano: int
    unallocated_nano: int
    old_rate_nano: int

    def warnings(self) -> Iterator[str]:
        """What would be booked in an open month when it is mended, a part of a sentence each."""
        if self.unpriced:
            yield f"{self.unpriced} {'item has' if self.unpriced == 1 else 'items have'} no price"
        if self.estimated_nano:
            yield f"{_euro(self.estimated_nano)} euro are estimated by their vendors"
        if self.unallocated_nano:
            yield f"{_euro(self.unallocated_nano)} euro have no unit"
        if self.old_rate_nano:
            yield f"{_euro(self.old_rate_nano)} euro are by exchange rates older than {MOST_BANKING_DAYS} banking days"

    def document(self) -> dict[str, Any]:
        return {
            "eur": _euro(self.eur_nano),
            "unpriced": self.unpriced,
            "estimated_eur": _euro(self.estimated_nano),
            "unallocated_eur": _euro(self.unallocated_nano),
            "old_rate_eur": _euro(self.old_rate_nano),
        }


class MonthCloser:
    """Closes one month of a ledger that a program somewhere keeps up to date.

    `groups`: consumer group → topics, all of which must have been read.
    """

    def __init__(self, store: Store, bus: EventBus, groups: Mapping[str, Sequence[str]], month: Month) -> None:
        self._store, self._bus, self._groups, self._month = store, bus, groups, month
        self._queries = LedgerQueries(store)

    def prepare(self, now: datetime) -> datetime:
        """The cut-off: everything that the bus took up to it is in the ledger now.

        Raises:
            ConfigurationError: the month cannot be closed; the message says why and what to do.
        """
        if now < day_start(self._month.next.first_day):
            raise ConfigurationError(f"{self._month} is not over; close it when the next month has begun in Helsinki")
        with self._store.reading() as connection:
            self._refuse_closed(load_closings(connection))
        self._wait()
        with self._store.reading() as connection:
            self._refuse_closed(load_closings(connection))
            self._refuse_earlier(connection)
            self._refuse_untold_days(connection)
        return now.replace(microsecond=now.microsecond // 1000 * 1000) - _TICK

    def state(self) -> State:
        with self._store.reading() as connection:
            found = grouped_sums(connection, self._month, ("unit", "estimated"), None, "booked")
            old_rate = old_rate_nano(connection, self._month)
        return State(
            sum(one.eur_nano for one in found),
            sum(one.unpriced for one in found),
            sum(one.eur_nano for one in found if one.names[1]),
            sum(one.eur_nano for one in found if one.names[0] == UNALLOCATED),
            old_rate,
        )

    def close(self, cut_off: datetime, closed_by: str | None, now: datetime) -> None:
        """Tell the bus that the month is closed.

        Raises:
            ConfigurationError: somebody else closed it in the same moment; theirs stands.
        """
        data = Closing(month=str(self._month), cut_off=cut_off, closed_by=closed_by)
        name = event_id("closed", str(self._month), cut_off, closed_by or "")
        event = PeriodClosed(id=name, source=SOURCE, subject=str(self._month), time=now, data=data)
        before = self._bus.end_positions([REGISTER.name])
        self._bus.publish([Message(REGISTER.name, key_of(event), encode(event))])
        first = next(self._closings_after(before), event)
        if first.id != name:
            by = "" if first.data.closed_by is None else f" by {first.data.closed_by}"
            raise ConfigurationError(f"{self._month} was closed{by} in the same moment; that closing stands")

    def _closings_after(self, before: Mapping[Any, int]) -> Iterator[PeriodClosed]:
        for partition, offset in before.items():
            records = self._bus.read(partition, offset, _AT_ONCE)
            for event in (decode(record.value) for record in records):
                if isinstance(event, PeriodClosed) and event.data.month == str(self._month):
                    yield event

    def _wait(self) -> None:
        ends = {group: self._bus.end_positions(topics) for group, topics in self._groups.items()}
        if _holds_in_time(lambda: not self._behind(ends), PATIENCE_SECONDS) and _holds_in_time(
            lambda: not self._queries.work_pending(), PATIENCE_SECONDS
        ):
            return
        behind = self._behind(ends)
        what = f"{behind} records behind the bus" if behind else "still charging or repricing"
        raise ConfigurationError(f"the ledger is {what}; start the program, or close the month when it is done")

    def _behind(self, ends: Mapping[str, Mapping[Any, int]]) -> int:
        return sum(
            max(0, end - at.get(partition, 0))
            for group, found in ends.items()
            for at in [self._store.positions(self._bus.cluster_id, group)]
            for partition, end in found.items()
        )

    def _refuse_closed(self, closings: Closings) -> None:
        cut_off = closings.cut_offs.get(month_number(self._month))
        if cut_off is not None:
            raise ConfigurationError(
                f"{self._month} is closed since {timestamp(instant(cut_off))}; later changes are in the books of the "
                "month that was open then"
            )

    def _refuse_earlier(self, connection: Connection) -> None:
        closed = load_closings(connection).cut_offs
        days = connection.execute(
            select(ROLLUP.c.day)
            .where(ROLLUP.c.day < self._month.first_day.toordinal())
            .group_by(ROLLUP.c.day)
            .having(func.sum(ROLLUP.c.charges) != 0)
        )
        months = sorted({month_of_day(row.day) for row in days} - set(closed))
        if months:
            names = ", ".join(str(month_of(one)) for one in months)
            raise ConfigurationError(f"{names} {'is' if len(months) == 1 else 'are'} open and has charges: close first")

    def _refuse_untold_days(self, connection: Connection) -> None:
        """What is charged by time alone is charged up to the last day that has begun, as the program tells it."""
        last = connection.execute(select(func.max(DAY.c.day)).where(DAY.c.recorded_at > 0)).scalar()
        if last is None or last < self._month.next.first_day.toordinal():
            raise ConfigurationError(
                f"the ledger has not yet charged {self._month} to its end: let the program run for a minute, then close"
            )


def _holds_in_time(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes to hold within so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _euro(nano: int) -> str:
    return as_text(from_nano(nano))
