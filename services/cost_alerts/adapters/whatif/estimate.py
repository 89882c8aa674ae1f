"""What a plan would cost, from what is in the ledger: see `domain/whatif/estimate.py`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from sqlalchemy import Connection, select

from services.cost_alerts.adapters.tables import SEAT_COUNT
from services.cost_alerts.adapters.whatif.files import Refusals, Written, checked, read_members
from services.cost_alerts.adapters.whatif.readings import ATTRIBUTION, Stored, stored
from services.cost_alerts.adapters.whatif.register import book_of, facts_now, two_versions
from services.cost_alerts.adapters.whatif.simulate import observed
from services.cost_alerts.domain.agreements.agreement import Metered
from services.cost_alerts.domain.agreements.reckoning import as_decimal
from services.cost_alerts.domain.agreements.split import Payers
from services.cost_alerts.domain.allocation import Owner
from services.cost_alerts.domain.view import Book, View
from services.cost_alerts.domain.whatif.basket import Basket, by_nobody
from services.cost_alerts.domain.whatif.change import AFTER, BEFORE, Change, Named, laid_over
from services.cost_alerts.domain.whatif.estimate import (
    Intensity,
    Limits,
    Means,
    Rates,
    Used,
    as_billed,
    means,
    per_person,
    per_use,
    rates,
    scaled,
    spread_over,
    worth,
)
from services.cost_alerts.domain.whatif.exposure import by_time, horizon
from services.cost_alerts.domain.whatif.plan import Estimate, Nano, Plan, PlannedSeats, PlanPart
from services.cost_alerts.domain.whatif.pricing import Days, Usage, priced, reach
from services.cost_alerts.domain.whatif.throughout import frozen
from services.shared.errors import ConfigurationError
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import UseCase
from services.shared.periods import Month
from services.shared.store import Store

_MONTHS_OF_YEAR = 12
_FINEST_SHARE = Decimal("0.0001")


def read_plan(path: Path) -> Plan:
    """The plan that a file describes.

    Raises:
        ConfigurationError: it is none; each sentence names its line.
    """
    refusals = Refusals(str(path))
    members = read_members(path, refusals)
    refusals.raise_any()
    written = Written(
        1, {name: one.value for name, one in members.items()}, {n: one.line for n, one in members.items()}
    )
    plan = checked(Plan, written, "plan", refusals)
    refusals.raise_any()
    assert plan is not None
    return plan


def estimate(store: Store, plan: Plan, months: Sequence[Month], today: date) -> Estimate:
    """What a plan would cost a month, from the use of these full months (rising) and the prices of `today`.

    Raises:
        ConfigurationError: it names a unit, a use case or a system that the register does not have.
    """
    with store.reading() as connection:
        known = _Known.read(connection, plan, months, today)
        parts = [known.use_of(system) for system in known.systems()]
        parts += [known.seats_of(one) for one in plan.seats]
    return Estimate(plan, str(months[0]), str(months[-1]), parts)


@dataclass(frozen=True, slots=True)
class _Known:
    """The register, and the use of some months, as a plan asks for them."""

    connection: Connection
    plan: Plan
    months: Sequence[Month]
    today: date
    facts: Sequence[Named]
    book: Book
    payers: Payers
    _above: dict[tuple[str, date], Sequence[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, plan: Plan, months: Sequence[Month], today: date) -> "_Known":
        facts = facts_now(connection)
        book = book_of(facts)
        known = cls(connection, plan, months, today, facts, book, Payers(book.view(BEFORE)))
        known.check()
        return known

    @property
    def view(self) -> View:
        return self.payers.view

    @property
    def days(self) -> Days:
        return (self.months[0].first_day, self.months[-1].next.first_day - timedelta(days=1))

    def check(self) -> None:
        """Refuse a plan that names what the register does not have."""
        cases = {one.id for one in self.view.use_cases}
        for name in self.plan.comparable:
            if name not in cases and name not in self.view.systems:
                known = ", ".join(sorted({*cases, *self.view.systems})) or "none yet"
                raise ConfigurationError(f"comparable: found {name}; expected use cases or systems of {known}")
        for seats in self.plan.seats:
            if seats.system not in self.view.systems:
                known = ", ".join(sorted(self.view.systems)) or "none yet"
                raise ConfigurationError(f"seats: found the system {seats.system}; expected one of {known}")
        if self.plan.unit is not None and self.view.units.on(self.plan.unit, self.today) is None:
            known = ", ".join(one.id for one in self.view.units.defined(self.today)) or "none yet"
            raise ConfigurationError(f"unit: found {self.plan.unit}; expected one of {known}")

    def systems(self) -> Sequence[str]:
        """The systems that the plan's use is of."""
        named = {name for name in self.plan.comparable if name in self.view.systems}
        return sorted(named | {system for case in self._cases() for system in case.systems})

    def _cases(self) -> Iterable[UseCase]:
        wanted = set(self.plan.comparable) - set(self.view.systems)
        return (one for one in self.view.use_cases if one.id in wanted)

    def use_of(self, system: str) -> PlanPart:
        """What the plan's use of a system would cost."""
        paid, told = self._comparable(system)
        basket = by_nobody(paid)
        known = rates(self.view, basket, self.today)
        used, lacking = self._worths(told or paid, known, means(self.view, basket, known))
        many = self.plan.uses_per_user_per_month
        found = per_person(used) if many is None else per_use(used)
        if not isinstance(found, Intensity):
            return PlanPart(system, "use", None, "no_price" if lacking and not used else found)
        covered = None
        if told:
            covered = self._covered(used, basket, known)
            skus = {one.metered.use.profile.sku for one in used}
            values = [(one, worth(self.view, one, known, {})) for one in basket if one.use.profile.sku in skus]
            billed = [(one, value) for one, value in values if value is not None]
            found = as_billed(found, [one for one, _ in billed], sum((value for _, value in billed), Fraction(0)))
        times = Fraction(self.plan.users) * (1 if many is None else Fraction(many))
        return replace(self._costed(system, found, times, sorted(lacking)), covered=covered)

    def _covered(self, used: Iterable[Used], paid: Basket, known: Rates) -> Decimal | None:
        """What is told of persons, as a share of all that is paid: of the rest nobody knows how many used it."""
        whole = sum((worth(self.view, one, known, {}) or Fraction(0) for one in paid), Fraction(0))
        share = sum((one.worth for one in used), Fraction(0)) / whole if whole else None
        return None if share is None else as_decimal(share).quantize(_FINEST_SHARE)

    def _worths(self, metered: Iterable[Metered], known: Rates, otherwise: Means) -> tuple[list[Used], set[str]]:
        """Readings with what they are worth, and the SKUs of those that have no price."""
        used, lacking = list[Used](), set[str]()
        for one in metered:
            value = worth(self.view, one, known, otherwise)
            if value is None:
                lacking.add(one.use.profile.sku)
            else:
                used.append(Used(one.use.profile.person, self._owner(one).unit, one, value))
        return used, lacking

    def _costed(self, system: str, found: Intensity, times: Fraction, lacking: Sequence[str]) -> PlanPart:
        by_price = Nano(*(round(one * times) for one in found.worth))
        monthly = self._in_addition(system, found, times)
        return PlanPart(
            system,
            "use",
            monthly,
            "no_price" if monthly is None else None,
            by_price,
            found.by,
            found.persons,
            found.groups,
            sorted({one.use.profile.sku for one in found.basket}),
            lacking,
        )

    def _comparable(self, system: str) -> tuple[list[Metered], list[Metered]]:
        """The paid use of a system that the plan's is like; and who used it, where only other readings tell of persons.

        Those are told of the system as a whole: who pays for their use is said elsewhere.
        """
        stands = stored(self.connection, system, self.days)
        paid = [one for one in stands if self._fits(system, one)]
        if self.plan.uses_per_user_per_month is not None or any(one.profile.person for one in paid):
            return [one.metered(self.book) for one in paid], []
        told = stored(self.connection, system, self.days, ATTRIBUTION)
        of_persons = [one for one in told if one.profile.person and self._fits(system, one)]
        return [one.metered(self.book) for one in (stands if of_persons else paid)], [
            one.metered(self.book) for one in of_persons
        ]

    def _fits(self, system: str, one: Stored) -> bool:
        if self.plan.skus and one.profile.sku not in self.plan.skus:
            return False
        if system in self.plan.comparable:
            return True
        owner = self.payers.of(one.profile, one.day)
        return any(system in case.systems and self._belongs(owner, case, one.day) for case in self._cases())

    def _belongs(self, owner: Owner, case: UseCase, day: date) -> bool:
        if case.project is not None:
            return owner.project == case.project
        key = (owner.unit, day)
        if key not in self._above:
            self._above[key] = self.view.units.with_ancestors(*key)
        return case.unit in self._above[key]

    def _owner(self, one: Metered) -> Owner:
        return self.payers.of(one.use.profile, one.use.day)

    def _in_addition(self, system: str, found: Intensity, times: Fraction) -> Nano | None:
        """What the city pays more at today's prices, with the plan's use beside that of the last full month."""
        month = self.months[-1]
        days = (month.first_day, month.next.first_day - timedelta(days=1))
        book = two_versions(laid_over(self.facts, self._card(system), days))
        seen, view = observed(self.connection, system), book.view(AFTER)
        metered = [one.metered(book) for one in stored(self.connection, system, reach(view, system, seen, days))]

        def cost(more: Sequence[Metered]) -> tuple[int, int]:
            readings = sorted([*metered, *more], key=lambda one: one.use.start)
            money = priced(view, Usage(system, readings, seen, self.today), days).values()
            return sum(one.eur_nano for one in money), sum(one.unpriced for one in money)

        before = cost(())
        after = [cost(spread_over(scaled(found.basket, part), month)) for part in _parts(found.worth, times)]
        if any(unpriced > before[1] for _, unpriced in after):
            return None
        return Nano(*sorted(nano - before[0] for nano, _ in after))

    def _card(self, system: str) -> Change:
        """The prices of a system that are in force today, as a change that puts them into force all the time."""
        facts = [fact for _, fact in self.facts if isinstance(fact, Tariff | Contract) and fact.system == system]
        now = [fact for fact in facts if fact.holds_on(self.today)]
        return Change(
            [fact for fact in now if isinstance(fact, Tariff)], [fact for fact in now if isinstance(fact, Contract)]
        )

    def seats_of(self, seats: PlannedSeats) -> PlanPart:
        """What seats for the plan's users would cost; free ones are taken first."""
        free = max(0, self._free().get((seats.system, seats.sku), 0))
        needed, taken = max(0, self.plan.users - free), min(free, self.plan.users)
        view = book_of(Named(str(n), one) for n, one in enumerate(frozen((f for _, f in self.facts), self.today))).view(
            1
        )
        if isinstance(view.tariffs.per_seat(seats.system, seats.sku, self.today), str):
            return PlanPart(seats.system, "seats", None, "no_price", seats=needed, free=taken)
        days = horizon(self.today)
        year = by_time(view, seats.system, {seats.sku: needed}, days), by_time(view, seats.system, {}, days)
        monthly = round(Fraction(sum(year[0].values()) - sum(year[1].values()), _MONTHS_OF_YEAR))
        figures = Nano(monthly, monthly, monthly)
        return PlanPart(seats.system, "seats", figures, None, figures, skus=[seats.sku], seats=needed, free=taken)

    def _free(self) -> Mapping[tuple[str, str], int]:
        """Purchased seats that nobody holds, as counted last."""
        columns = SEAT_COUNT.c
        query = select(columns.system, columns.sku, columns.purchased, columns.assigned)
        order = (columns.system, columns.sku, columns.observed_on, columns.revision)
        return {
            (row.system, row.sku): row.purchased - row.assigned
            for row in self.connection.execute(query.order_by(*order))
        }


def _parts(limits: Limits, times: Fraction) -> Iterator[Fraction]:
    """How many times over the mean use is taken for each of the three."""
    for one in limits:
        yield times * (one / limits.mid if limits.mid else Fraction(1))
