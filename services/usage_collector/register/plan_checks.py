"""What must be true of what the city plans and expects: vendors, programmes, planned changes, benefits, ends."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date

from services.usage_collector.register.documents import Path
from services.usage_collector.register.entries import Item
from services.usage_collector.register.problems import Problem

_ByKind = Mapping[str, Sequence[Item]]

NAMED = ("unit", "system", "usecase", "vendor", "programme", "budget")
"""Kinds that other entries name by their id."""


def defined(written: Sequence[tuple[str, Mapping[str, object]]]) -> Mapping[str, AbstractSet[str]]:
    """What references may name: kind → ids. `written`: (kind, members) of every entry, also of refused ones.

    A vendor needs no entry of its own: it is there as soon as a system or contract names it.
    """
    found: dict[str, set[str]] = {kind: set() for kind in NAMED}
    for kind, members in written:
        if kind in found:
            found[kind].add(str(members.get("id")))
        if kind in ("system", "contract"):
            found["vendor"].add(str(members.get("vendor")))
    return found


def plan_targets(item: Item) -> Iterator[tuple[Path, str, str]]:
    """What the entry names of other kinds: where it is written, the kind, the id."""
    fact = item.fact
    match item.kind:
        case "system" if fact.adds_to is not None:
            yield ("adds_to",), "system", fact.adds_to
        case "programme":
            yield from ((("systems",), "system", system) for system in fact.systems)
        case "planned":
            yield ("system",), "system", fact.system
            if fact.unit is not None:
                yield ("unit",), "unit", fact.unit
        case "benefit":
            yield ("use_case",), "usecase", fact.use_case
        case "budget":
            yield from _narrowings(item)


def _narrowings(item: Item) -> Iterator[tuple[Path, str, str]]:
    for kind in ("system", "vendor", "programme"):
        if (target := getattr(item.fact, kind)) is not None:
            yield (kind,), kind, target
    if item.fact.carry_over is not None:
        yield ("carry_over", "budget"), "budget", item.fact.carry_over.budget


def plan_problems(by_kind: _ByKind) -> Iterator[Problem]:
    """What nobody could reckon with: systems that add to themselves, two results of a month, an impossible notice."""
    yield from _circles(by_kind.get("system", ()))
    yield from _second_results(by_kind.get("benefit", ()))
    for item in by_kind.get("contract", ()):
        yield from _notice(item)


def _circles(systems: Sequence[Item]) -> Iterator[Problem]:
    below = {item.fact.id: item.fact.adds_to for item in systems}
    for item in systems:
        seen: set[str] = set()
        at = item.fact.adds_to
        while at is not None and at not in seen:
            seen.add(at)
            at = below.get(at)
        if item.fact.id in seen:
            yield item.problem(
                "adds_to",
                "cycle",
                found=f"{item.fact.id!r} that adds to itself",
                expected="the system that people have without this one",
                write="write the base system, or leave adds_to out",
            )


def _second_results(benefits: Sequence[Item]) -> Iterator[Problem]:
    first: dict[tuple[str, str], Item] = {}
    for item in benefits:
        told = first.setdefault((item.fact.use_case, item.fact.month), item)
        if told is not item and told.key != item.key:
            yield item.problem(
                "month",
                "duplicate-entry",
                found=f"a second result of {item.fact.use_case!r} for {item.fact.month}",
                expected=f"one result of a use case for a month; the first is {told.place}",
                write="remove one, or add the two up",
            )


def _notice(item: Item) -> Iterator[Problem]:
    fact = item.fact
    if fact.notice_days is None or fact.valid_to is None:
        return
    lasts = (fact.valid_to - fact.valid_from).days
    if fact.notice_days > lasts:
        yield item.problem(
            "notice_days",
            "notice",
            found=f"notice_days: {fact.notice_days}, in a contract of {lasts} days",
            expected="a time of notice not longer than the contract",
            write="write the days before valid_to on which notice must be given at the latest",
        )


def plan_warnings(by_kind: _ByKind, today: date) -> Iterator[Problem]:
    """What a person should look at: vendors nobody described, plans whose day has come, results without a target."""
    yield from _unknown_vendors(by_kind)
    for item in by_kind.get("planned", ()):
        yield from _past_plan(item, today)
    targets = {item.fact.id for item in by_kind.get("usecase", ()) if item.fact.benefit is not None}
    for item in by_kind.get("benefit", ()):
        yield from _result(item, targets, today)


def _unknown_vendors(by_kind: _ByKind) -> Iterator[Problem]:
    known = sorted({item.fact.id for item in by_kind.get("vendor", ())})
    if not known:
        return
    for item in (*by_kind.get("system", ()), *by_kind.get("contract", ())):
        if item.fact.vendor not in known:
            yield item.problem(
                "vendor",
                "unknown-vendor",
                found=f"vendor: {item.fact.vendor!r}, which vendors.yaml does not have",
                expected=f"one of {', '.join(known[:12])}",
                write="write one of them, or describe it in vendors.yaml",
            )


def _past_plan(item: Item, today: date) -> Iterator[Problem]:
    if item.fact.valid_from <= today:
        yield item.problem(
            "valid_from",
            "past-plan",
            found=f"a planned change of {item.fact.valid_from}, whose day has come",
            expected="a day to come: what a change did is in the ledger from then on",
            write="remove it, or write the day to which it was put off",
        )


def _result(item: Item, targets: AbstractSet[str], today: date) -> Iterator[Problem]:
    if item.fact.use_case not in targets:
        yield item.problem(
            "use_case",
            "result-without-target",
            found=f"a result of {item.fact.use_case!r}, which declares no benefit",
            expected="a use case with benefit",
            write="write in usecases.yaml what the use case is to bring",
        )
    if item.fact.month > f"{today:%Y-%m}":
        yield item.problem(
            "month",
            "future-result",
            found=f"month: {item.fact.month}",
            expected="a month that has come",
            write="write the month that was meant",
        )
