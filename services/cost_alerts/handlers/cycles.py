"""One cycle of an agreement, made again: its charges at each moment at which something became known, as rows.

A moment is the last instant of a Helsinki day at which something about the cycle was recorded; the cut-off of a closed
month, inclusive, ends a day early. What was known at a moment is a function of the events, so rows are one too, however
often and in whatever pieces a cycle is made again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from services.cost_alerts.domain.agreements.agreement import Metered, Part
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.handlers.charging import BILLING, FINAL, basis_of
from services.cost_alerts.ports.ledger import Basis, Work
from services.cost_alerts.ports.periods import PeriodRow, Version
from services.shared.money import EXACT, shortest
from services.shared.periods import day_start, helsinki_day
from services.shared.store.tables import instant, micros


class Entry(NamedTuple):
    """A row of a cycle with its basis spelled out; `superseded_at` None: it stands."""

    basis: Basis
    quantity: str
    nano: int | None
    eur_nano: int | None
    list_nano: int | None
    recorded_at: int
    superseded_at: int | None

    @classmethod
    def of(cls, row: PeriodRow, basis: Basis) -> "Entry":
        return cls(basis, row.quantity, row.nano, row.eur_nano, row.list_nano, row.recorded_at, row.superseded_at)

    def row(self, basis: int) -> PeriodRow:
        """As it is kept; `basis` is the number of its basis."""
        return PeriodRow(
            self.basis.day,
            self.recorded_at,
            basis,
            self.quantity,
            self.nano,
            self.eur_nano,
            self.list_nano,
            self.superseded_at,
        )


_Face = tuple[Basis, str, int | None, int | None, int | None]
"""What of an entry a reader of the ledger would notice."""


class Moment(NamedTuple):
    """What a cycle is charged, as known at an instant, under the register version of then."""

    at: int
    version: int
    system: str
    parts: Sequence[Part]


class Stretches:
    """Time cut at every midnight of Helsinki and behind every cut-off."""

    def __init__(self, cut_offs: Iterable[int]) -> None:
        self._cut_offs = sorted(set(cut_offs))

    def start(self, at: int) -> int:
        """The first instant of the stretch that an instant lies in."""
        midnight = micros(day_start(helsinki_day(instant(at))))
        before = bisect_left(self._cut_offs, at)
        return max(midnight, self._cut_offs[before - 1] + 1) if before else midnight

    def moments(self, instants: Iterable[int], since: int) -> list[int]:
        """The last of the instants of each stretch, from `since` on, rising."""
        found = sorted({at for at in instants if at >= since})
        last: list[int] = []
        while found:
            last.append(found[-1])
            del found[bisect_left(found, self.start(found[-1])) :]
        return last[::-1]


def fold(kept: Iterable[Entry], since: int, moments: Iterable[Moment]) -> list[Entry]:
    """The rows of a cycle: what was recorded before `since` stands as it was known then, and goes on from there."""
    entries = [_as_known(one, since) for one in kept if one.recorded_at < since]
    done = [one for one in entries if one.superseded_at is not None]
    standing = {_face(one): one for one in entries if one.superseded_at is None}
    for moment in moments:
        now = {_face(one): one for one in _entries(moment)}
        done += [one._replace(superseded_at=moment.at) for face, one in standing.items() if face not in now]
        standing = {face: standing.get(face, one) for face, one in now.items()}
    return [*done, *standing.values()]


def _as_known(one: Entry, since: int) -> Entry:
    ended = one.superseded_at is not None and one.superseded_at < since
    return one if ended else one._replace(superseded_at=None)


def _face(one: Entry) -> _Face:
    return (_noticed(one.basis), *one[1:5])


def _noticed(basis: Basis) -> Basis:
    """A newer version of the same fact with the same price, or the same rate of another day, is no news."""
    return basis._replace(register_version=0, tariff_version=None, credit_tariff_version=None, rate_day=None)


def _entries(moment: Moment) -> Iterable[Entry]:
    """The parts of a moment; those that differ in nothing that is kept are one."""
    found: dict[Basis, Entry] = {}
    for part in moment.parts:
        one = entry(part, moment.system, moment.at, moment.version)
        key = _noticed(one.basis)
        found[key] = _added(found[key], one) if key in found else one
    return found.values()


def entry(part: Part, system: str, at: int, version: int) -> Entry:
    """A part as a row that stands from an instant on."""
    use = Use(Profile(system, part.sku, (part.line.meter,)), day_start(part.day), part.day)
    basis = basis_of(part.line, use, version, estimated=part.estimated)
    return Entry(basis, shortest(part.quantity), *part.amounts, part.list_nano, at, None)


def _added(left: Entry, right: Entry) -> Entry:
    quantity = EXACT.add(Decimal(left.quantity), Decimal(right.quantity))
    return left._replace(
        quantity=shortest(quantity),
        nano=_sum(left.nano, right.nano),
        eur_nano=_sum(left.eur_nano, right.eur_nano),
        list_nano=_sum(left.list_nano, right.list_nano),
    )


def _sum(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


class _Told(NamedTuple):
    """A revision as it was recorded; `metered` None: whatever was known of its reading counts no more."""

    recorded_at: int
    revision: int
    number: int
    order: tuple[int, str, str]
    metered: Metered | None


class Uses:
    """The paid readings of some days of a system, as they were known at any moment."""

    def __init__(self, versions: Iterable[Version], work: Work, system: str, days: tuple[date, date]) -> None:
        """Of all these revisions, those of `system` and `days` (inclusive) count; the highest known one decides."""
        self._within = (system, days[0].toordinal(), days[1].toordinal())
        self._told: dict[tuple[int, int], _Told] = {}
        self._steps: list[_Told] = []
        self.tell(versions, work)

    def __len__(self) -> int:
        """How many revisions were told."""
        return len(self._told)

    @property
    def last(self) -> int:
        """When the last was recorded; 0 when there is none."""
        return self._steps[-1].recorded_at if self._steps else 0

    def tell(self, versions: Iterable[Version], work: Work) -> None:
        """Add revisions; one that was told before stays as it is, for a revision never changes."""
        before = len(self._told)
        for one in versions:
            if (one.number, one.revision) not in self._told:
                order = (one.starts_at, one.source, one.reading_id)
                told = _Told(one.recorded_at, one.revision, one.number, order, self._metered(one, work))
                self._told[one.number, one.revision] = told
        if len(self._told) != before:
            self._steps = sorted(_rising(self._told.values()), key=itemgetter(0, 2))

    @property
    def instants(self) -> Iterator[int]:
        """When something about these readings became known."""
        return (step.recorded_at for step in self._steps)

    def sweep(self) -> Callable[[int], Sequence[Metered]]:
        """What is known at a moment, by start, source and reading id; ask for rising moments."""
        standing: dict[int, tuple[tuple[int, str, str], Metered]] = {}
        known: list[Metered] = []
        position = 0

        def at(moment: int) -> Sequence[Metered]:
            nonlocal known, position
            before = position
            position = bisect_right(self._steps, moment, lo=before, key=itemgetter(0))
            for _, _, number, order, metered in self._steps[before:position]:
                standing.pop(number, None)
                if metered is not None:
                    standing[number] = (order, metered)
            if position != before:
                known = [metered for _, metered in sorted(standing.values(), key=itemgetter(0))]
            return known

        return at

    def _metered(self, one: Version, work: Work) -> Metered | None:
        """A revision that is paid and lies here."""
        system, first, last = self._within
        if one.purpose != BILLING or one.retracted or not first <= one.day <= last:
            return None
        profile = work.profile(one.profile)
        if profile.system != system:
            return None
        quantities = tuple(map(Decimal, one.quantities.split()))
        sizes = work.book.sizes(profile, quantities)
        use = Use(profile, instant(one.starts_at), date.fromordinal(one.day), one.cost_currency, sizes)
        cost = None if one.cost is None else Decimal(one.cost)
        return Metered(use, quantities, cost, one.finality != FINAL)


def _rising(told: Iterable[_Told]) -> Iterator[_Told]:
    """Those that were told with a higher revision than all of the same reading before them."""
    highest: dict[int, int] = {}
    for one in sorted(told, key=itemgetter(0, 1)):
        if one.revision > highest.get(one.number, -1):
            highest[one.number] = one.revision
            yield one


NEVER = date(1999, 12, 31)
"""Before every day of use: no day is known to have begun."""


class Today:
    """The last Helsinki day that was known to have begun, at any moment."""

    def __init__(self, begun: Iterable[tuple[date, datetime]]) -> None:
        self._instants: list[int] = []
        self._days: list[date] = []
        last = NEVER
        for day, recorded_at in sorted(begun, key=itemgetter(1, 0)):
            if day > last:
                last = day
                self._instants.append(micros(recorded_at))
                self._days.append(day)

    def at(self, moment: int) -> date:
        found = bisect_left(self._instants, moment + 1)
        return self._days[found - 1] if found else NEVER

    def instants(self, first: date, last: date) -> Iterator[int]:
        """When a day of these, or the first after them, was known to have begun."""
        seen = first - timedelta(days=1)
        for at, day in zip(self._instants, self._days, strict=True):
            reached = min(day, last + timedelta(days=1))
            if reached > seen:
                seen = reached
                yield at


NEEDS: Mapping[str, frozenset[str]] = {
    "seats": frozenset({"seats", "register"}),
    "tariff": frozenset({"usage", "register"}),
    "pool": frozenset({"usage", "register", "day"}),
    "fee": frozenset({"usage", "register", "day"}),
    "capacity": frozenset({"usage", "register", "day"}),
    "minimum": frozenset({"usage", "register", "day", "spent"}),
    "invoice": frozenset({"usage", "register", "day", "spent", "minimum", "invoice"}),
}
"""Kind of agreement → what its charges are made of. Compared with others: minimums, and, last of all, invoices."""

RANK = {"minimum": 1, "invoice": 2}
"""Which come after all others, in this order."""

CHANGED = ("spent", "minimum", "")
"""By rank: what a change of such charges is a mark about; the last are compared with by nobody."""


def kind_of(key: str) -> str:
    return key.split(":", 1)[0]


USED_ONLY = frozenset({"tariff", "invoice"})
"""Kinds that charge only what was used or invoiced."""


def is_reached(key: str, about: str) -> bool:
    """Whether a mark is about something that an agreement is made of; a closing reaches every one."""
    return about == "closing" or about in NEEDS[kind_of(key)]
