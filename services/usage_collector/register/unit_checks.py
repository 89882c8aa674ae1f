"""Whether the units that entries name exist on their days, and whether allocation rules can fit anything."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import NamedTuple

from services.shared.events.prices import Contract, SplitKey
from services.shared.events.register import Match
from services.usage_collector.register.documents import Path
from services.usage_collector.register.entries import Item
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.spans import Span, covered, end_of, span_of, spans_meet

_ByKind = Mapping[str, Sequence[Item]]

_Conditions = Mapping[tuple[str, str], set[str]]
"""(what is looked at, name of the tag) → the values that are demanded."""

MUST_MEET = ("allocation", "budget", "contract", "placement", "planned")
"""Kinds whose units must exist on one of their days at least."""

_PATH = ("tag", "page_path")
_ANY_SKU = "*"


class _Naming(NamedTuple):
    """That an entry names a unit, for these days."""

    item: Item
    path: Path
    unit: str
    span: Span


def weights_of(contract: Contract) -> Iterator[tuple[Path, str]]:
    """The units that the terms of a contract part their cost among by fixed weights, with where each is written."""
    for index, term in enumerate(contract.terms):
        for member in ("share", "overage_share"):
            key: SplitKey | None = getattr(term, member, None)
            for unit in () if key is None else key.weights:
                yield ("terms", index, member, "weights", unit), unit


def unit_problems(by_kind: _ByKind) -> Iterator[Problem]:
    """Entries whose unit exists on none of their days."""
    spans = _spans(by_kind)
    for kind in MUST_MEET:
        for item, path, unit, span in _namings(kind, by_kind):
            if unit in spans and not any(spans_meet(span, one) for one in spans[unit]):
                first, last = min(spans[unit])[0], max(end for _, end in spans[unit])
                yield item.problem(
                    path,
                    "ended-unit",
                    found=f"the unit {unit!r}, which exists on none of the days from {span[0]} on",
                    expected=f"days between {first} and {last}",
                    write="write the unit that took its place, or other days",
                )


def unit_warnings(by_kind: _ByKind) -> Iterator[Problem]:
    """Entries whose unit does not exist on some of their days."""
    spans = _spans(by_kind)
    for kind in ("unit", *MUST_MEET, "usecase", "reviewer"):
        for item, path, unit, span in _namings(kind, by_kind):
            if unit in spans and not covered(span, spans[unit]):
                yield item.problem(
                    path,
                    "outside-validity",
                    found=f"an entry that holds when its unit {unit!r} does not",
                    expected="a unit for the whole time",
                    write="look at valid_from and valid_to of both",
                )


def rule_warnings(by_kind: _ByKind) -> Iterator[Problem]:
    """Allocation rules that no reading can reach."""
    rules = sorted(by_kind.get("allocation", ()), key=lambda item: (item.fact.order, item.fact.id))
    for item in rules:
        yield from _contradiction(item)
        yield from _unknown_sku(item, by_kind)
    demands = [(item, _conditions(item.fact.match)) for item in rules]
    for (earlier, demanded), (later, given) in combinations(demands, 2):
        if _takes_all(earlier, demanded, later, given):
            yield later.problem(
                "match",
                "rule-without-effect",
                found=f"a rule that nothing reaches: {earlier.place} comes first and fits all that it fits",
                expected="the narrower rule first",
                write=f"write an order below {earlier.fact.order}, or remove it",
            )


def _spans(by_kind: _ByKind) -> Mapping[str, Sequence[Span]]:
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for unit in by_kind.get("unit", ()):
        spans[unit.fact.id].append(span_of(unit))
    return spans


def _namings(kind: str, by_kind: _ByKind) -> Iterator[_Naming]:
    for item in by_kind.get(kind, ()):
        match kind:
            case "unit":
                if item.fact.parent is not None:
                    yield _Naming(item, ("valid_from",), item.fact.parent, span_of(item))
            case "contract":
                yield from (_Naming(item, path, unit, span_of(item)) for path, unit in weights_of(item.fact))
            case "budget":
                year = item.fact.period
                yield _Naming(item, ("unit",), item.fact.unit, (date(year, 1, 1), date(year + 1, 1, 1)))
            case "planned":
                if item.fact.unit is not None:
                    yield _Naming(item, ("unit",), item.fact.unit, span_of(item))
            case _:
                yield _Naming(item, ("valid_from",), item.fact.unit, span_of(item))


def _conditions(match: Match) -> _Conditions:
    """What a rule demands, each thing by one name: an API key is the tag `api_key`, and so on."""
    said = [(("tag", name), value) for name, value in match.tags.items()]
    named = {
        ("person", ""): match.person,
        ("account", ""): match.account,
        ("system", ""): match.system,
        ("sku", ""): match.sku,
        ("environment", ""): match.environment,
        ("tag", "api_key"): match.api_key,
        ("tag", "project"): match.project,
        ("tag", "security_group"): match.group,
    }
    said += [(name, value) for name, value in named.items() if value is not None]
    conditions: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name, value in said:
        conditions[name].add(value)
    return conditions


def _contradiction(item: Item) -> Iterator[Problem]:
    conditions = _conditions(item.fact.match)
    begins = item.fact.match.path or ""
    pages = conditions.get(_PATH, {begins})
    twice = [name for name, values in conditions.items() if len(values) > 1]
    if twice or not all(page.startswith(begins) for page in pages):
        yield item.problem(
            "match",
            "rule-without-effect",
            found=f"a rule that nothing fits: it demands two values of {(twice or [_PATH])[0][1]}",
            expected="one value of each",
            write="remove one of the two from match or its tags",
        )


def _unknown_sku(item: Item, by_kind: _ByKind) -> Iterator[Problem]:
    match: Match = item.fact.match
    systems = [one for one in by_kind.get("system", ()) if match.system in (None, one.fact.id)]
    if match.sku is None or any(one.fact.price_from == "reported" for one in systems):
        return
    ids = {one.fact.id for one in systems}
    known = {one.fact.sku for one in by_kind.get("tariff", ()) if one.fact.system in ids}
    terms = [term for one in by_kind.get("contract", ()) if one.fact.system in ids for term in one.fact.terms]
    known |= {sku for term in terms if (sku := getattr(term, "sku", None)) is not None}
    if match.sku not in known and _ANY_SKU not in known:
        yield item.problem(
            ("match", "sku"),
            "rule-without-effect",
            found=f"sku: {match.sku!r}, which nothing has a price for",
            expected="a sku of a tariff or a contract of its system",
            write="write it as the vendor reports it, or remove the rule",
        )


def _takes_all(earlier: Item, demanded: _Conditions, later: Item, given: _Conditions) -> bool:
    first, second = earlier.fact, later.fact
    if first.valid_from > second.valid_from or end_of(earlier) < end_of(later):
        return False
    pages = {second.match.path} | given.get(_PATH, set())
    begins = first.match.path is None or any(page and page.startswith(first.match.path) for page in pages)
    return begins and all(values <= given.get(name, set()) for name, values in demanded.items())
