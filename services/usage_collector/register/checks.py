"""What must be true between entries: references, validity, overlaps, order. Pure: facts in, problems out."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.shared.events.register import UNALLOCATED
from services.usage_collector.register.budget_checks import budget_problems
from services.usage_collector.register.contract_checks import contract_problems
from services.usage_collector.register.documents import Path
from services.usage_collector.register.entries import Item
from services.usage_collector.register.governance_checks import (
    governance_problems,
    governance_targets,
    governance_warnings,
)
from services.usage_collector.register.plan_checks import plan_problems, plan_targets, plan_warnings
from services.usage_collector.register.policy_checks import policy_problems, policy_warnings
from services.usage_collector.register.price_checks import currency_problems, price_problems, price_warnings
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.spans import apart, meet, neighbours
from services.usage_collector.register.unit_checks import rule_warnings, unit_problems, unit_warnings, weights_of

OUR_TIME = range(1900, 3000)
"""Years of any day in the register: one further away is a slip, and its midnight may not exist in all time zones."""

_DAYS = (
    "valid_from", "valid_to", "day", "trained_on", "trained_until", "workers_informed_on", "in_use_since",
    "design_changed_on", "published_on",
)  # fmt: skip


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
    yield from unit_problems(by_kind)
    yield from price_problems(by_kind["tariff"], by_kind["contract"])
    yield from contract_problems(by_kind["contract"])
    yield from currency_problems(items)
    yield from _zones([*by_kind["tariff"], *by_kind["contract"]])
    yield from budget_problems(by_kind["budget"])
    yield from plan_problems(by_kind)
    yield from governance_problems(by_kind)
    yield from policy_problems(by_kind["policy"])


def warnings_between(items: Sequence[Item], today: date) -> Iterator[Problem]:
    """What a person should look at: gaps between prices, old prices, units not there yet, idle rules, past plans."""
    by_kind = _by_kind(items)
    yield from price_warnings(by_kind["tariff"], by_kind["contract"], today)
    yield from _future_rates(by_kind["fx"], today)
    yield from _list_prices(by_kind, today)
    yield from unit_warnings(by_kind)
    yield from rule_warnings(by_kind)
    yield from plan_warnings(by_kind, today)
    yield from governance_warnings(by_kind, today)
    yield from policy_warnings(by_kind["policy"], by_kind["reviewer"], today)


def _future_rates(rates: Sequence[Item], today: date) -> Iterator[Problem]:
    for item in rates:
        if item.fact.day > today:
            yield item.problem(
                "day",
                "future-rate",
                found=f"day: {item.fact.day}",
                expected="a day that has come",
                write=f"write the day on which the rates were published, {today} at the latest",
            )


def _list_prices(by_kind: Mapping[str, Sequence[Item]], today: date) -> Iterator[Problem]:
    if not any(item.fact.meter.endswith("_tokens") for item in by_kind["tariff"]):
        return
    from services.usage_collector.register.list_prices import list_price_warnings  # noqa: PLC0415  # slow to load

    vendors = {item.fact.id: item.fact.vendor for item in by_kind["system"]}
    yield from list_price_warnings(by_kind["tariff"], vendors, today)


def _by_kind(items: Iterable[Item]) -> Mapping[str, list[Item]]:
    found: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.kind].append(item)
    return found


def _duplicates(items: Sequence[Item]) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Item] = {}
    for item in items:
        first = seen.setdefault(item.key, item)
        if first is not item and item.kind != "placement":  # two placements of a person are told as an overlap
            yield item.problem(
                "id",
                "duplicate-entry",
                found="an entry that is there already",
                expected=f"each once; the first is {first.place}",
                write="remove one, or give it another id or valid_from",
            )


def _days(items: Sequence[Item]) -> Iterator[Problem]:
    for item in items:
        for member in _DAYS:
            day = getattr(item.fact, member, None)
            if day is not None and day.year not in OUR_TIME:
                yield item.problem(
                    member,
                    "not-a-day",
                    found=f"{member}: {day}",
                    expected=f"a day of the years {OUR_TIME[0]} to {OUR_TIME[-1]}",
                    write="write the day that was meant; what holds until further notice has no valid_to",
                )


def _references(items: Sequence[Item], ids: Mapping[str, AbstractSet[str]]) -> Iterator[Problem]:
    for item in items:
        for path, kind, target in (*_targets(item), *plan_targets(item), *governance_targets(item)):
            if kind in ids and target not in ids[kind]:
                known = ", ".join(sorted(ids[kind])[:12]) or "none"
                yield item.problem(
                    path,
                    "reference",
                    found=f"{path[-2] if len(path) > 1 else path[0]}: {target!r}",
                    expected=f"a {kind} that is defined, as {known}",
                    write="write one of them, or define it",
                )


def _targets(item: Item) -> Iterator[tuple[Path, str, str]]:
    fact = item.fact
    if item.kind == "unit" and fact.parent is not None:
        yield ("parent",), "unit", fact.parent
    if item.kind in ("allocation", "budget", "usecase", "reviewer", "placement"):
        yield ("unit",), "unit", fact.unit
    if item.kind in ("tariff", "contract"):
        yield ("system",), "system", fact.system
    if item.kind == "allocation" and fact.match.system is not None:
        yield ("match",), "system", fact.match.system
    if item.kind == "contract":
        yield from ((path, "unit", unit) for path, unit in weights_of(item.fact))
    if item.kind == "usecase":
        yield from ((("systems",), "system", system) for system in fact.systems)
    if item.kind == "reviewer":
        yield from ((("use_cases",), "usecase", use_case) for use_case in fact.use_cases)


def _units(units: Sequence[Item]) -> Iterator[Problem]:
    parents: defaultdict[str, set[str]] = defaultdict(set)
    for item in units:
        if item.fact.parent is not None:
            parents[item.fact.id].add(item.fact.parent)
        if item.fact.id == UNALLOCATED:
            yield item.problem(
                "id",
                "reserved-unit",
                found=f"a unit {UNALLOCATED!r}",
                expected="another id: this one is where costs without a unit stand",
                write="write another id",
            )
    for item in units:
        if item.fact.parent is not None and item.fact.id in _above(item.fact.parent, parents):
            yield item.problem(
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
    for earlier, later in neighbours(items, lambda item: item.fact.id):
        if meet(earlier, later) and earlier.key != later.key:
            yield later.problem(
                "valid_from",
                "overlapping-versions",
                found=f"{later.fact.id!r} also from {later.fact.valid_from}",
                expected=f"no overlap with {earlier.place}",
                write=apart(earlier, later),
            )


def _placements(items: Sequence[Item]) -> Iterator[Problem]:
    for earlier, later in neighbours(items, lambda item: item.fact.person):
        if meet(earlier, later):
            yield later.problem(
                "valid_from",
                "overlapping-placements",
                found="a person in two units at once",
                expected=f"no overlap with {earlier.place}",
                write=apart(earlier, later),
            )


def _zones(items: Sequence[Item]) -> Iterator[Problem]:
    for item in items:
        try:
            ZoneInfo(item.fact.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield item.problem(
                "time_zone",
                "time-zone",
                found=f"time_zone: {item.fact.time_zone!r}",
                expected="a time zone",
                write="write for example time_zone: Europe/Helsinki",
            )
