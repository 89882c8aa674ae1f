"""What must be true between entries: references, validity, overlaps, order. Pure: facts in, problems out."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.shared.events.prices import Tariff
from services.shared.events.register import UNALLOCATED
from services.usage_collector.register.entries import Item
from services.usage_collector.register.problems import Code, Problem, WarningCode

OLD_PRICE = timedelta(days=180)
MOST = 10
"""Ten times a budget; a larger threshold was meant in per cent."""

OUR_TIME = range(1900, 3000)
"""Years of any day in the register: one further away is a slip, and its midnight may not exist in all time zones."""

_OPEN = date.max


def problems_between(items: Sequence[Item], ids: Mapping[str, AbstractSet[str]]) -> Iterator[Problem]:
    """Everything that makes the whole unusable.

    `ids` names what is defined, also by entries that have problems; references to a kind that is not in it stand.
    """
    by_kind = _by_kind(items)
    yield from _days(items)
    yield from _duplicates(items)
    yield from _references(items, ids)
    yield from _units(by_kind["unit"])
    for kind in ("unit", "contract", "usecase", "policy"):
        yield from _versions(by_kind[kind])
    yield from _placements(by_kind["placement"])
    yield from _tariffs(by_kind["tariff"])
    yield from _zones([*by_kind["tariff"], *by_kind["contract"]])
    yield from _thresholds(by_kind["budget"])
    yield from _policies(by_kind["policy"])


def warnings_between(items: Sequence[Item], today: date) -> Iterator[Problem]:
    """What a person should look at: gaps between prices, prices not compared for long, units that are not there yet."""
    by_kind = _by_kind(items)
    yield from _gaps(by_kind["tariff"])
    yield from _old_prices(by_kind["tariff"], today)
    yield from _outside(by_kind)


def _by_kind(items: Iterable[Item]) -> Mapping[str, list[Item]]:
    found: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.kind].append(item)
    return found


def _problem(item: Item, member: str, code: Code | WarningCode, *, found: str, expected: str, write: str) -> Problem:
    return Problem(item.entry.file, item.entry.line_of((member,)), code, found=found, expected=expected, write=write)


def _end(item: Item) -> date:
    return item.fact.valid_to or _OPEN


def _meet(one: Item, other: Item) -> bool:
    return bool(one.fact.valid_from < _end(other) and other.fact.valid_from < _end(one))


def _apart(first: Item, second: Item) -> str:
    if first.fact.valid_from >= second.fact.valid_from:
        return "remove one of the two, or give them different days"
    return f"write {second.fact.valid_from} as valid_to there, or a later valid_from here"


def _duplicates(items: Sequence[Item]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Item] = {}
    for item in items:
        first = seen.setdefault(item.key, item)
        if first is not item and item.kind != "placement":  # two placements of a person are told as an overlap
            yield _problem(
                item,
                "id",
                "duplicate-entry",
                found="an entry that is there already",
                expected=f"each once; the first is {first.place}",
                write="remove one, or give it another id or valid_from",
            )


def _days(items: Sequence[Item]) -> Iterator[Problem]:
    for item in items:
        for member in ("valid_from", "valid_to", "day"):
            day = getattr(item.fact, member, None)
            if day is not None and day.year not in OUR_TIME:
                yield _problem(
                    item,
                    member,
                    "not-a-day",
                    found=f"{member}: {day}",
                    expected=f"a day of the years {OUR_TIME[0]} to {OUR_TIME[-1]}",
                    write="write the day that was meant; what holds until further notice has no valid_to",
                )


def _references(items: Sequence[Item], ids: Mapping[str, AbstractSet[str]]) -> Iterator[Problem]:
    for item in items:
        for member, kind, target in _targets(item):
            if kind in ids and target not in ids[kind]:
                known = ", ".join(sorted(ids[kind])[:12]) or "none"
                yield _problem(
                    item,
                    member,
                    "reference",
                    found=f"{member}: {target!r}",
                    expected=f"a {kind} that is defined, as {known}",
                    write="write one of them, or define it",
                )


def _targets(item: Item) -> Iterator[tuple[str, str, str]]:
    fact = item.fact
    if item.kind == "unit" and fact.parent is not None:
        yield "parent", "unit", fact.parent
    if item.kind in ("allocation", "budget", "usecase", "reviewer", "placement"):
        yield "unit", "unit", fact.unit
    if item.kind in ("tariff", "contract"):
        yield "system", "system", fact.system
    if item.kind == "allocation" and fact.match.system is not None:
        yield "match", "system", fact.match.system
    if item.kind == "usecase":
        yield from (("systems", "system", system) for system in fact.systems)
    if item.kind == "reviewer":
        yield from (("use_cases", "usecase", use_case) for use_case in fact.use_cases)


def _units(units: Sequence[Item]) -> Iterator[Problem]:
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for item in units:
        if item.fact.parent is not None:
            parents[item.fact.id].add(item.fact.parent)
        if item.fact.id == UNALLOCATED:
            yield _problem(
                item,
                "id",
                "reserved-unit",
                found=f"a unit {UNALLOCATED!r}",
                expected="another id: this one is where costs without a unit stand",
                write="write another id",
            )
    for item in units:
        if item.fact.parent is not None and item.fact.id in _above(item.fact.parent, parents):
            yield _problem(
                item,
                "parent",
                "cycle",
                found=f"{item.fact.id!r} below itself",
                expected="a tree of units",
                write="write a parent that is not below this unit",
            )


def _above(unit: str, parents: Mapping[str, set[str]]) -> set[str]:
    above, waiting = {unit}, [unit]
    while waiting:
        new = parents.get(waiting.pop(), set()) - above
        above |= new
        waiting.extend(new)
    return above


def _versions(items: Sequence[Item]) -> Iterator[Problem]:
    for earlier, later in _neighbours(items, lambda item: item.fact.id):
        if _meet(earlier, later) and earlier.key != later.key:
            yield _problem(
                later,
                "valid_from",
                "overlapping-versions",
                found=f"{later.fact.id!r} also from {later.fact.valid_from}",
                expected=f"no overlap with {earlier.place}",
                write=_apart(earlier, later),
            )


def _placements(items: Sequence[Item]) -> Iterator[Problem]:
    for earlier, later in _neighbours(items, lambda item: item.fact.person):
        if _meet(earlier, later):
            yield _problem(
                later,
                "valid_from",
                "overlapping-placements",
                found="a person in two units at once",
                expected=f"no overlap with {earlier.place}",
                write=_apart(earlier, later),
            )


def _neighbours(items: Sequence[Item], name: object) -> Iterator[tuple[Item, Item]]:
    groups: defaultdict[object, list[Item]] = defaultdict(list)
    for item in items:
        groups[name(item)].append(item)  # type: ignore[operator]
    for group in groups.values():
        yield from pairwise(sorted(group, key=lambda item: (item.fact.valid_from, item.entry.line)))


def _tariffs(items: Sequence[Item]) -> Iterator[Problem]:
    for item in items:
        if item.fact.model == "per_seat_month" and (item.fact.meter != "seats" or item.fact.when):
            yield _problem(
                item,
                "meter",
                "seat-price",
                found=f"per_seat_month for {item.fact.meter}{' with conditions' if item.fact.when else ''}",
                expected="meter: seats, without when",
                write="write meter: seats and leave when out, or model: per_unit",
            )
    for group in _priced_alike(items).values():
        for one, other in combinations(group, 2):
            if _meet(one, other):
                yield from _clash(one, other, group)


def _clash(one: Item, other: Item, group: Sequence[Item]) -> Iterator[Problem]:
    first, second = one.fact.when, other.fact.when
    if first == second:
        yield _problem(
            other,
            "valid_from",
            "overlapping-tariffs",
            found="a second price for the same",
            expected=f"no overlap with {one.place}",
            write=_apart(one, other),
        )
    elif _may_both_fit(first, second):
        both = first | second
        if not any(third.fact.when == both and _covers(third, one, other) for third in group):
            said = ", ".join(f"{name}: {value}" for name, value in sorted(both.items()))
            yield _problem(
                other,
                "when",
                "ambiguous-tariffs",
                found="two prices that fit one reading",
                expected=f"one that fits better than {one.place}",
                write=f"write a third entry with when: {{{said}}}",
            )


def _may_both_fit(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Whether a reading can fit both, and neither says all that the other says and more."""
    nested = first.items() <= second.items() or second.items() <= first.items()
    return not nested and all(second.get(name, value) == value for name, value in first.items())


def _covers(third: Item, one: Item, other: Item) -> bool:
    start, end = max(one.fact.valid_from, other.fact.valid_from), min(_end(one), _end(other))
    return bool(third.fact.valid_from <= start and end <= _end(third))


def _priced_alike(items: Sequence[Item]) -> Mapping[tuple[str, str, str], list[Item]]:
    groups: defaultdict[tuple[str, str, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.fact.system, item.fact.sku, item.fact.meter].append(item)
    return groups


def _zones(items: Sequence[Item]) -> Iterator[Problem]:
    for item in items:
        try:
            ZoneInfo(item.fact.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield _problem(
                item,
                "time_zone",
                "time-zone",
                found=f"time_zone: {item.fact.time_zone!r}",
                expected="a time zone",
                write="write for example time_zone: Europe/Helsinki",
            )


def _thresholds(items: Sequence[Item]) -> Iterator[Problem]:
    for item in items:
        shares = item.fact.thresholds
        if not all(shares) or any(low >= high for low, high in pairwise(shares)) or max(shares, default=0) > MOST:
            found = ", ".join(f"{share:f}" for share in shares)
            yield _problem(
                item,
                "thresholds",
                "thresholds",
                found=f"thresholds {found}",
                expected=f"shares of the amount that rise, above 0 and at most {MOST}: 0.8 is 80 %",
                write='write for example thresholds: ["0.5", "0.8", "1.0"]',
            )


def _policies(items: Sequence[Item]) -> Iterator[Problem]:
    for item in items:
        classes = [rule.risk_class for rule in item.fact.rules]
        for risk_class in sorted({name for name in classes if classes.count(name) > 1}):
            yield _problem(
                item,
                "rules",
                "two-rules-per-class",
                found=f"several rules for {risk_class}",
                expected="one rule per risk class",
                write="remove all but one",
            )


def _gaps(items: Sequence[Item]) -> Iterator[Problem]:
    def price(item: Item) -> object:
        tariff: Tariff = item.fact
        return tariff.system, tariff.sku, tariff.meter, tuple(sorted(tariff.when.items()))

    for earlier, later in _neighbours(items, price):
        if _end(earlier) < later.fact.valid_from:
            yield _problem(
                later,
                "valid_from",
                "gap",
                found=f"no price from {_end(earlier)} to {later.fact.valid_from}",
                expected=f"prices without a gap after {earlier.place}",
                write="what is used in between will be unpriced",
            )


def _old_prices(items: Sequence[Item], today: date) -> Iterator[Problem]:
    for item in items:
        if item.fact.checked_on > today:
            yield _problem(
                item,
                "checked_on",
                "future-check",
                found=f"checked_on: {item.fact.checked_on}",
                expected="a day that has come",
                write=f"write checked_on: {today}",
            )
        if today - item.fact.checked_on > OLD_PRICE and _end(item) > today:
            yield _problem(
                item,
                "checked_on",
                "old-price",
                found=f"a price last compared on {item.fact.checked_on}",
                expected=f"not longer ago than {OLD_PRICE.days} days",
                write="compare it with its source and write the day",
            )


def _outside(by_kind: Mapping[str, Sequence[Item]]) -> Iterator[Problem]:
    spans: defaultdict[str, list[tuple[date, date]]] = defaultdict(list)
    for unit in by_kind["unit"]:
        spans[unit.fact.id].append((unit.fact.valid_from, _end(unit)))
    for kind in ("unit", "allocation", "placement", "usecase", "reviewer"):
        for item in by_kind.get(kind, ()):
            target = item.fact.parent if kind == "unit" else item.fact.unit
            if target in spans and not _within(item, spans[target]):
                yield _problem(
                    item,
                    "valid_from",
                    "outside-validity",
                    found=f"an entry that holds when its unit {target!r} does not",
                    expected="a unit for the whole time",
                    write="look at valid_from and valid_to of both",
                )


def _within(item: Item, spans: Sequence[tuple[date, date]]) -> bool:
    reached: date = item.fact.valid_from
    for start, end in sorted(spans):
        if start <= reached:
            reached = max(reached, end)
    return reached >= _end(item)
