"""The agreements of a system as the periods' worker keeps them between two steps."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date

from services.cost_alerts.domain.agreements.agreement import Agreement, Cycle
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.invoice import invoice_agreement
from services.cost_alerts.domain.view import Book, View
from services.cost_alerts.handlers.cycles import Uses, kind_of
from services.cost_alerts.handlers.period_tasks import Task
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import System
from services.shared.periods import helsinki_day
from services.shared.store.tables import instant, micros

Agreements = Callable[[View, str], Sequence[Agreement]]
"""All agreements of a system under one register version, but for its seats."""

_MOST_READ = 300_000
_MOST_VERSIONS = 4


def all_agreements(view: View, system: str, seats: Iterable[str] = ()) -> Sequence[Agreement]:
    """The agreements of a system under a register version, that with invoices last; see `agreements`."""
    invoiced = invoice_agreement(view, system)
    return [*agreements(view, system, seats), *([] if invoiced is None else [invoiced])]


class Shelf:
    """The agreements of one system under every register version, and the readings that they were made of."""

    def __init__(self, book: Book, system: str, agreements: Agreements) -> None:
        self.system = system
        self.readings = 0
        self.uses: dict[tuple[date, date], Uses] = {}
        self._book = book
        self._agreements = agreements
        self._made: dict[int, Mapping[str, Agreement]] = {}
        self._changing = book.changing(Tariff, Contract, System)

    @property
    def is_worn(self) -> bool:
        """Whether so much is remembered of readings that it is time to begin anew."""
        return self.readings > _MOST_READ

    def under(self, version: int) -> Mapping[str, Agreement]:
        """By key; the last few versions that were asked for are remembered, with what they remember."""
        found = self._made.pop(version, None)
        if found is None:
            made = self._agreements(self._book.view(version), self.system)
            found = {one.key: one for one in made if kind_of(one.key) != "seats"}
        self._made[version] = found
        if len(self._made) > _MOST_VERSIONS:
            del self._made[next(iter(self._made))]
        return found

    def since(self, at: int) -> Iterator[Mapping[str, Agreement]]:
        """The agreements of the version in force just before an instant, and of every later one that changed any."""
        version = self._book.version_at(instant(at - 1))
        yield self.under(version)
        yield from (self.under(later) for later in self._changing if later > version)

    def pricing(self, touching: Sequence[int], version: int) -> int:
        """The last version up to this one that may charge days differently, of those that touch them."""
        return max((one for one in (*touching, *self._changing) if one <= version), default=0)

    def cycle(self, pricing: int, task: Task) -> tuple[Agreement, Cycle] | None:
        """The agreement and the cycle of a task under a version, when it knows them."""
        agreement = self.under(pricing).get(task.key)
        if agreement is None:
            return None
        day = helsinki_day(instant(task.starts))
        found = (one for one in agreement.cycles(day, day) if micros(one.starts) == task.starts)
        return next(((agreement, cycle) for cycle in found), None)
