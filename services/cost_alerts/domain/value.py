"""What AI brings for what it costs: results of uses beside their cost, and what a paid licence adds to the base one.

Pure: sums and facts in, figures out. Persons are pseudonyms and leave this module as numbers only, of five at least.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal, TypeVar

from services.shared.events.plans import BenefitResult
from services.shared.events.register import UseCase
from services.shared.money import EXACT
from services.shared.periods import Month
from services.shared.privacy import FEWEST_PERSONS

CostedBy = Literal["project", "unit_and_systems"]
"""How a use's cost is found: by the project on its charges, or by what its unit pays for its systems."""

Told = Literal["results", "no_results", "no_target"]
"""What is known of the benefit: it is reported, it is declared but never reported, or nobody declared one."""

_DAY = timedelta(days=1)

K = TypeVar("K", bound=str)


@dataclass(frozen=True, slots=True)
class CostMonth:
    """A month's cost of a use, 10⁻⁹ euro; `unpriced`: readings in it that have no price yet, so that it costs more."""

    month: Month
    eur_nano: int
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class ValueMonth:
    """A month of a use: its cost and, when it is reported, its result in the unit of its target."""

    cost: CostMonth
    result: Decimal | None

    @property
    def per_result_nano(self) -> int | None:
        """10⁻⁹ euro for one case handled or one hour saved, half-even; None without a result, or with none reached."""
        return _per(self.cost.eur_nano, self.result)


@dataclass(frozen=True, slots=True)
class UseValue:
    """A use of AI with its months, the first first. Its target stands in `use_case.benefit`."""

    use_case: UseCase
    costed_by: CostedBy
    months: tuple[ValueMonth, ...]

    @property
    def told(self) -> Told:
        if any(one.result is not None for one in self.months):
            return "results"
        return "no_target" if self.use_case.benefit is None else "no_results"

    @property
    def eur_nano(self) -> int:
        """Cost of all the months."""
        return sum(one.cost.eur_nano for one in self.months)

    @property
    def per_result_nano(self) -> int | None:
        """Over the months that have a result: their cost for one of what they brought."""
        known = [one for one in self.months if one.result is not None]
        brought = Decimal(0)
        for one in known:
            brought = EXACT.add(brought, one.result or Decimal(0))
        return _per(sum(one.cost.eur_nano for one in known), brought)


def use_value(use_case: UseCase, costs: Iterable[CostMonth], results: Iterable[BenefitResult]) -> UseValue:
    """A use's months, those with a cost or a result. `results`: also of other uses, which are left out."""
    brought = {Month.parse(one.month): one.result for one in results if one.use_case == use_case.id}
    cost = {one.month: one for one in costs}
    months = sorted(month for month in cost.keys() | brought.keys())
    found = (ValueMonth(cost.get(month, CostMonth(month, 0)), brought.get(month)) for month in months)
    shown = tuple(one for one in found if one.cost.eur_nano or one.cost.unpriced or one.result is not None)
    return UseValue(use_case, "unit_and_systems" if use_case.project is None else "project", shown)


def _per(nano: int, brought: Decimal | None) -> int | None:
    if not brought:
        return None
    return int(EXACT.divide(Decimal(nano), brought).to_integral_value())


# What a licence adds ------------------------------------------------------------------------------------------------


A_MONTH = 30
"""Days in the month that amounts of use are told for, since reports come by weeks as well as by months."""

LEAST_DAYS = 14
"""So many days must be known before and after a licence for the two to be compared."""


@dataclass(frozen=True, slots=True)
class Asked:
    """So much that a person asked of a system from `first_day` (inclusive) to `until` (exclusive)."""

    person: str
    system: str
    first_day: date
    until: date
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Licence:
    """A person's licence from `assigned_on` (inclusive) to `released_on` (exclusive; None: still held)."""

    person: str
    assigned_on: date
    released_on: date | None = None
    last_active_on: date | None = None

    def held_on(self, day: date) -> bool:
        return self.assigned_on <= day and (self.released_on is None or day < self.released_on)


Users = Literal["paid_only", "base_only", "both", "neither"]
CLASSES: tuple[Users, ...] = ("paid_only", "base_only", "both", "neither")
Counts = Mapping[Users, int]


@dataclass(frozen=True, slots=True)
class Group:
    """How many persons of a group use which of two systems; None: hidden, since it is about too few.

    `holders`: those who hold a licence; `persons`: all.
    """

    persons: int
    holders: int | None
    users: Mapping[Users, int | None]


@dataclass(frozen=True, slots=True)
class Intensity:
    """What active persons ask of a system: how many they are, and how much each asks in thirty days, on average.

    None: hidden, since they are too few or would give away how many fewer than five others are.
    """

    persons: int | None
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class Change:
    """Persons who got a licence, as long as is known before and after: what each asked in thirty days, on average."""

    persons: int
    base_before: Decimal
    base_after: Decimal
    paid_after: Decimal


@dataclass(frozen=True, slots=True)
class LicenceValue:
    """What a paid system adds to the base system that its holders have anyway. `meter` None: no use is told.

    `units`: rows by unit; `None` holds those whose units have fewer than five persons. `change` None: nobody got a
    licence in days of which enough is known.
    """

    system: str
    base: str
    meter: str | None
    city: Group
    units: Mapping[str | None, Group]
    paid: Intensity
    base_use: Intensity
    change: Change | None
    eur_nano: int

    @property
    def per_active_nano(self) -> int | None:
        """Cost of the days for each person who used the paid system in them; None: hidden, as those are."""
        return None if self.paid.persons is None else _per(self.eur_nano, Decimal(self.paid.persons))


@dataclass(frozen=True, slots=True)
class LicenceFacts:
    """Everything that is known of one paid system, its base system and their users.

    `first_day` to `last_day` (inclusive) are the days asked for; `asked` may reach further back, for the comparison.
    `units`: person → unit on the last day. `eur_nano`: cost of the paid system in the days.
    """

    system: str
    base: str
    meter: str | None
    first_day: date
    last_day: date
    asked: Sequence[Asked]
    licences: Sequence[Licence]
    units: Mapping[str, str]
    eur_nano: int


def licence_value(facts: LicenceFacts) -> LicenceValue:
    """Who uses which, how much, and what changed for those who got a licence."""
    holders = {one.person for one in facts.licences if one.held_on(facts.last_day)}
    here = [one for one in facts.asked if facts.first_day <= one.first_day <= facts.last_day and one.quantity]
    paid = {one.person for one in here if one.system == facts.system} | _active(facts)
    base = {one.person for one in here if one.system == facts.base}
    classes = {who: _class(who in paid, who in base) for who in {*facts.units, *holders, *paid, *base}}
    paid_told, base_told = (_is_told({"used": len(one), "not": len(classes) - len(one)}) for one in (paid, base))
    if paid_told and not _is_told(_counts(classes, classes)):
        base_told = False  # either alone tells nothing of those who used both
    return LicenceValue(
        facts.system,
        facts.base,
        facts.meter,
        _groups({None: list(classes)}, classes, holders)[None],
        _groups(_by_unit(classes, facts.units), classes, holders),
        _intensity(here, facts.system, paid, told=paid_told),
        _intensity(here, facts.base, base, told=base_told),
        _change(facts),
        facts.eur_nano,
    )


def _active(facts: LicenceFacts) -> set[str]:
    """Who used the paid system by what its vendor tells of seats."""
    lately = ((one.person, one.last_active_on) for one in facts.licences)
    return {who for who, day in lately if day is not None and facts.first_day <= day <= facts.last_day}


def _class(paid: bool, base: bool) -> Users:  # noqa: FBT001  # the two columns of the table below
    if paid:
        return "both" if base else "paid_only"
    return "base_only" if base else "neither"


def _counts(classes: Mapping[str, Users], persons: Iterable[str]) -> dict[Users, int]:
    found = dict.fromkeys(CLASSES, 0)
    for who in persons:
        found[classes[who]] += 1
    return found


def _by_unit(classes: Iterable[str], units: Mapping[str, str]) -> Mapping[str | None, Sequence[str]]:
    persons: dict[str | None, list[str]] = {}
    for who in classes:
        persons.setdefault(units.get(who), []).append(who)
    return merged(persons)


def _groups(
    rows: Mapping[str | None, Sequence[str]], classes: Mapping[str, Users], holders: set[str]
) -> Mapping[str | None, Group]:
    """Rows that together are the whole city; one row is the city itself."""
    users = {unit: _counts(classes, found) for unit, found in rows.items()}
    held = {unit: _held(found, holders) for unit, found in rows.items()}
    no_users, no_holders = hidden_rows(users), hidden_rows(held)
    return {
        unit: Group(
            len(found),
            None if unit in no_holders else held[unit]["held"],
            {name: None if unit in no_users else count for name, count in users[unit].items()},
        )
        for unit, found in rows.items()
    }


def _held(persons: Sequence[str], holders: set[str]) -> Mapping[str, int]:
    held = len(holders.intersection(persons))
    return {"held": held, "not": len(persons) - held}


def merged(persons: Mapping[str | None, Sequence[str]]) -> dict[str | None, list[str]]:
    """Units with their persons; those of fewer than five stand together under None, with as many more as that takes."""
    rows = {unit: list(found) for unit, found in persons.items() if unit is not None}
    rest = list(persons.get(None, ()))
    for unit in sorted(rows, key=lambda one: (len(rows[one]), one)):
        if len(rows[unit]) < FEWEST_PERSONS or 0 < len(rest) < FEWEST_PERSONS:
            rest += rows.pop(unit)
    return {**dict(sorted(rows.items())), **({None: rest} if rest else {})}


def hidden_rows(counts: Mapping[str | None, Mapping[K, int]]) -> set[str | None]:
    """Rows whose cells must not be shown: those with a cell of one to four persons, and others.

    So many others, the smallest first, that what all hidden ones add up to is not about so few either: it can be taken
    from the sums.
    Whole rows: of single cells those could be told that stand in other sums too, such as who used either system.
    """
    hidden = {row for row, cells in counts.items() if not _is_told(cells)}
    for row in sorted(counts.keys() - hidden, key=lambda one: (sum(counts[one].values()), one or "")):
        if not hidden or (len(hidden) > 1 and _is_told(_sums(counts[one] for one in hidden))):
            break
        hidden.add(row)
    return hidden


def _sums(rows: Iterable[Mapping[K, int]]) -> Mapping[K, int]:
    found: dict[K, int] = {}
    for cells in rows:
        for name, count in cells.items():
            found[name] = found.get(name, 0) + count
    return found


def _is_told(cells: Mapping[K, int]) -> bool:
    """Whether none of these is about so few that it must not be told."""
    return not any(0 < count < FEWEST_PERSONS for count in cells.values())


def _intensity(here: Sequence[Asked], system: str, active: set[str], *, told: bool) -> Intensity:
    """`told`: whether how many they are may be said."""
    mine = [one for one in here if one.system == system]
    days, persons = len(_days(_spans(mine))), len(active) if told else None
    if len(active) < FEWEST_PERSONS or not days:
        return Intensity(persons, None)
    return Intensity(persons, _rounded(_sum(mine) * A_MONTH / (len(active) * days)))


def _change(facts: LicenceFacts) -> Change | None:
    """What those asked who got their licence with enough days known before and after it, each against their own day."""
    spans = _spans(facts.asked)
    by_person: dict[str, list[Asked]] = defaultdict(list)
    for one in facts.asked:
        by_person[one.person].append(one)
    cohorts: dict[date, list[str]] = defaultdict(list)
    for licence in facts.licences:
        if licence.held_on(facts.last_day):
            cohorts[licence.assigned_on].append(licence.person)
    persons, sums = 0, [Decimal(0)] * 3
    for day, cohort in sorted(cohorts.items()):
        before, after = len(_days(spans, until=day)), len(_days(spans, first=day))
        if min(before, after) >= LEAST_DAYS:
            persons += len(cohort)
            mine = [one for who in cohort for one in by_person[who]]
            for at, total in enumerate(_sides(facts, mine, day)):
                sums[at] += total * A_MONTH / (after if at else before)
    if persons < FEWEST_PERSONS:
        return None
    base_before, base_after, paid_after = (_rounded(one / persons) for one in sums)
    return Change(persons, base_before, base_after, paid_after)


def _sides(facts: LicenceFacts, asked: Sequence[Asked], day: date) -> Iterator[Decimal]:
    """What was asked of the base system before a day, of it from then on, and of the paid one from then on."""
    yield _sum(one for one in asked if one.system == facts.base and one.until <= day)
    for system in (facts.base, facts.system):
        yield _sum(one for one in asked if one.system == system and one.first_day >= day)


def _spans(asked: Iterable[Asked]) -> set[tuple[date, date]]:
    return {(one.first_day, one.until) for one in asked}


def _days(spans: Iterable[tuple[date, date]], first: date = date.min, until: date = date.max) -> set[date]:
    """The days that reports tell of which lie wholly between two days."""
    return {
        begins + number * _DAY
        for begins, ends in spans
        if first <= begins and ends <= until
        for number in range((ends - begins).days)
    }


def _sum(asked: Iterable[Asked]) -> Decimal:
    return sum((one.quantity for one in asked), Decimal(0))


def _rounded(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.1"))
