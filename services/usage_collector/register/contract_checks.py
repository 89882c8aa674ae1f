"""What must be true of contracts: one pool, one discount for one use, and cycles that end."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from services.shared.events.prices import Discount, Pool, Term, UnusedSeats
from services.usage_collector.register.documents import Path
from services.usage_collector.register.entries import Item
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.spans import meet

ANY_SKU = "*"


class _Placed(NamedTuple):
    item: Item
    position: int
    term: Term

    @property
    def place(self) -> str:
        return f"{self.item.entry.file}:{self.item.entry.line_of(('terms', self.position))}"

    def path(self, member: str) -> Path:
        return "terms", self.position, member


def contract_problems(contracts: Sequence[Item]) -> Iterator[Problem]:
    """Terms and discounts of which nobody could say what they come to."""
    for item in contracts:
        yield from _vat_rate(item)
        yield from _term_ids(item)
        yield from _endless(item)
    terms = [_Placed(item, index, term) for item in contracts for index, term in enumerate(item.fact.terms)]
    for one, other in combinations(terms, 2):
        if _on_one_system(one.item, other.item) and _covers_the_same(one.term, other.term):
            yield _two_terms(one, other)
    for first, second in combinations(contracts, 2):
        if _on_one_system(first, second):
            yield from _discounts(first, second)
            yield from _two_vat_rates(first, second)


def _on_one_system(one: Item, other: Item) -> bool:
    return bool(one.fact.system == other.fact.system) and meet(one, other)


def _vat_rate(item: Item) -> Iterator[Problem]:
    if item.fact.vat_rate is not None and item.fact.vat_rate > 1:
        yield item.problem(
            "vat_rate",
            "vat-rate",
            found=f"vat_rate: {item.fact.vat_rate:f}",
            expected="a share of the net amount: 0.255 is 25.5 %",
            write='write for example vat_rate: "0.255"',
        )


def _two_vat_rates(first: Item, second: Item) -> Iterator[Problem]:
    """A charge has the VAT of its system's contract, and nobody could say of which."""
    rate, other = second.fact.vat_rate, first.fact.vat_rate
    if None not in (rate, other) and rate != other:
        yield second.problem(
            "vat_rate",
            "vat-rate",
            found=f"vat_rate: {rate:f}, where {first.place} has {other:f} for the same system",
            expected="one rate for a system at a time",
            write="write the same rate in both, or let one contract end before the other begins",
        )


def _term_ids(item: Item) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, term in enumerate(item.fact.terms):
        if term.id in seen:
            yield item.problem(
                ("terms", index, "id"),
                "duplicate-entry",
                found=f"a term {term.id!r} that is there already",
                expected="each term of a contract with its own id",
                write="write another id",
            )
        seen.add(term.id)


def _endless(item: Item) -> Iterator[Problem]:
    for index, term in enumerate(item.fact.terms):
        if getattr(term, "every", None) == "once" and item.fact.valid_to is None:
            yield item.problem(
                ("terms", index, "every"),
                "endless-term",
                found="every: once in a contract without valid_to",
                expected="a last day: an amount is spread over the days of the contract",
                write="write valid_to of the contract, or every: year",
            )


def _covers_the_same(one: Term, other: Term) -> bool:
    """Whether two terms are about the same use and neither goes first, as a named SKU before `*` does."""
    if isinstance(one, Pool) and isinstance(other, Pool):
        return (one.sku, one.meter, one.burns) == (other.sku, other.meter, other.burns)
    return isinstance(one, UnusedSeats) and isinstance(other, UnusedSeats) and one.sku == other.sku


def _two_terms(one: _Placed, other: _Placed) -> Problem:
    term = other.term
    what = f"{term.meter or f'cost in {term.burns}'} of" if isinstance(term, Pool) else "unused seats of"
    return other.item.problem(
        other.path("id"),
        "overlapping-terms",
        found=f"a second {term.kind} for {what} sku: {getattr(term, 'sku', ANY_SKU)}",
        expected=f"one at a time; the other is {one.place}",
        write="make one of the two, or let one contract end before the other begins",
    )


def _discounts(first: Item, second: Item) -> Iterator[Problem]:
    for index, discount in enumerate(second.fact.discounts):
        if any(_take_off_the_same(discount, other) for other in first.fact.discounts):
            yield second.problem(
                ("discounts", index),
                "overlapping-discounts",
                found=f"a discount for what {first.place} has one for",
                expected="the discounts of a use in one contract at a time",
                write="write them into one contract, or let one end before the other begins",
            )


def _take_off_the_same(one: Discount, other: Discount) -> bool:
    same_sku = one.sku == other.sku or ANY_SKU in (one.sku, other.sku)
    return same_sku and (one.meter == other.meter or None in (one.meter, other.meter))
