"""What must be true of prices: one at a time for every reading, in a currency that there is."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import combinations

from services.shared.events.prices import MONTHLY, PER_SEAT, Pool, Tariff
from services.usage_collector.register.currencies import in_use, last_used
from services.usage_collector.register.documents import Path
from services.usage_collector.register.entries import Item
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.spans import (
    OPEN,
    Span,
    apart,
    covered,
    end_of,
    instants_of,
    meet,
    meet_by_days,
    neighbours,
    span_of,
)

OLD_PRICE = timedelta(days=180)
ANY_SKU = "*"
CREDITS = "credits"

_Alike = Mapping[tuple[str, str, str], Sequence[Item]]
"""(system, SKU, meter) → its tariffs."""


def price_problems(tariffs: Sequence[Item], contracts: Sequence[Item]) -> Iterator[Problem]:
    """Prices that nobody could reckon with."""
    yield from _overlaps(tariffs)
    yield from _credits(tariffs, contracts)


def price_warnings(tariffs: Sequence[Item], contracts: Sequence[Item], today: date) -> Iterator[Problem]:
    """Days without a price, and prices that nobody has compared for long."""
    yield from _gaps(tariffs)
    yield from _credit_gaps(tariffs, contracts)
    yield from _old_prices(tariffs, today)


def currency_problems(items: Sequence[Item]) -> Iterator[Problem]:
    """Currencies that do not exist, or not on the days of their entry; of prices, plans and exchange rates."""
    for item in items:
        for path, currency in currencies_in(item):
            span = _days_of(item)
            if not in_use(currency, span):
                ended = last_used(currency)
                yield item.problem(
                    path,
                    "unknown-currency",
                    found=f"{_said(path)}: {currency}{f', which ended on {ended}' if ended else ''}",
                    expected=f"a currency of ISO 4217 that is legal tender on {span[0]} or later",
                    write="write for example EUR or USD",
                )


def _days_of(item: Item) -> Span:
    return (item.fact.day, OPEN) if item.kind == "fx" else span_of(item)


def _said(path: Path) -> str:
    return next(str(name) for name in reversed(path) if name in ("currency", "burns", "rates"))


def currencies_in(item: Item) -> Iterator[tuple[Path, str]]:
    """The currencies that an entry names, with where each is written."""
    match item.kind:
        case "tariff" | "planned" if item.fact.currency is not None:
            yield ("currency",), item.fact.currency
        case "contract":
            for index, term in enumerate(item.fact.terms):
                for member in ("currency", "burns"):
                    if (currency := getattr(term, member, None)) is not None:
                        yield ("terms", index, member), currency
        case "fx":
            yield from ((("rates", currency), currency) for currency in item.fact.rates)


def _overlaps(tariffs: Sequence[Item]) -> Iterator[Problem]:
    for item in tariffs:
        if item.fact.model in PER_SEAT and (item.fact.meter != "seats" or item.fact.when):
            yield item.problem(
                "meter",
                "seat-price",
                found=f"{item.fact.model} for {item.fact.meter}{' with conditions' if item.fact.when else ''}",
                expected="meter: seats, without when",
                write="write meter: seats and leave when out, or model: per_unit",
            )
    for group in _priced_alike(tariffs).values():
        for one, other in combinations(group, 2):
            if _at_once(one, other):
                yield from _clash(one, other, group)


def _at_once(one: Item, other: Item) -> bool:
    """Whether both hold at once: prices of seats on one date of each, all others at one instant."""
    by_days = {one.fact.model, other.fact.model} <= {*PER_SEAT}
    return meet_by_days(one, other) if by_days else meet(one, other)


def _clash(one: Item, other: Item, group: Sequence[Item]) -> Iterator[Problem]:
    first, second = one.fact.when, other.fact.when
    models = {one.fact.model, other.fact.model}
    if first == second:
        also = "" if len(models) == 1 else f", by the model {other.fact.model} beside {one.fact.model}"
        yield other.problem(
            "valid_from",
            "overlapping-tariffs",
            found=f"a second price for the same{also}",
            expected=f"no overlap with {one.place}",
            write=apart(one, other),
        )
    elif not _may_both_fit(first, second):
        return
    elif len(models) > 1 and (models & {*PER_SEAT} or _by_month(one) or _by_month(other)):
        yield other.problem(
            "model",
            "two-models",
            found=f"model: {other.fact.model} where {one.fact.model} may fit the same reading",
            expected=f"one model for one meter at a time, as at {one.place}",
            write="write the same model, or a when that excludes the other",
        )
    elif not _nested(first, second):
        yield from _undecided(one, other, group)


def _undecided(one: Item, other: Item, group: Sequence[Item]) -> Iterator[Problem]:
    both = one.fact.when | other.fact.when
    if not any(third.fact.when == both and _covers(third, one, other) for third in group):
        said = ", ".join(f"{name}: {value}" for name, value in sorted(both.items()))
        yield other.problem(
            "when",
            "ambiguous-tariffs",
            found="two prices that fit one reading",
            expected=f"one that fits better than {one.place}",
            write=f"write a third entry with when: {{{said}}}",
        )


def _by_month(item: Item) -> bool:
    rounding = item.fact.round_up
    return item.fact.model in MONTHLY or (rounding is not None and rounding.per == "month")


def _may_both_fit(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    return all(second.get(name, value) == value for name, value in first.items())


def _nested(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Whether one says all that the other says, and more."""
    return first.items() <= second.items() or second.items() <= first.items()


def _covers(third: Item, one: Item, other: Item) -> bool:
    start, end = max(one.fact.valid_from, other.fact.valid_from), min(end_of(one), end_of(other))
    return bool(third.fact.valid_from <= start and end <= end_of(third))


def _priced_alike(items: Sequence[Item]) -> _Alike:
    groups: defaultdict[tuple[str, str, str], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.fact.system, item.fact.sku, item.fact.meter].append(item)
    return groups


def _gaps(items: Sequence[Item]) -> Iterator[Problem]:
    def price(item: Item) -> Hashable:
        tariff: Tariff = item.fact
        return tariff.system, tariff.sku, tariff.meter, tuple(sorted(tariff.when.items()))

    for earlier, later in neighbours(items, price):
        if end_of(earlier) < later.fact.valid_from or _in_hours(earlier, later):
            yield later.problem(
                "valid_from",
                "gap",
                found=f"no price from {_ended(earlier, later)} to {_begun(earlier, later)}",
                expected=f"prices without a gap after {earlier.place}",
                write="what is used in between will be unpriced",
            )


def _in_hours(earlier: Item, later: Item) -> bool:
    """Whether hours are left between two prices by the days of two time zones; seats are bought by the date."""
    if earlier.fact.model in PER_SEAT or end_of(earlier) == OPEN:
        return False
    return instants_of(earlier)[1] < instants_of(later)[0]


def _ended(earlier: Item, later: Item) -> str:
    end = str(end_of(earlier))
    return end if earlier.fact.time_zone == later.fact.time_zone else f"{end} in {earlier.fact.time_zone}"


def _begun(earlier: Item, later: Item) -> str:
    start = str(later.fact.valid_from)
    return start if earlier.fact.time_zone == later.fact.time_zone else f"{start} in {later.fact.time_zone}"


def _old_prices(items: Sequence[Item], today: date) -> Iterator[Problem]:
    for item in items:
        if item.fact.checked_on > today:
            yield item.problem(
                "checked_on",
                "future-check",
                found=f"checked_on: {item.fact.checked_on}",
                expected="a day that has come",
                write=f"write checked_on: {today}",
            )
        if today - item.fact.checked_on > OLD_PRICE and end_of(item) > today:
            yield item.problem(
                "checked_on",
                "old-price",
                found=f"a price last compared on {item.fact.checked_on}",
                expected=f"not longer ago than {OLD_PRICE.days} days",
                write="compare it with its source and write the day",
            )


def _credits(tariffs: Sequence[Item], contracts: Sequence[Item]) -> Iterator[Problem]:
    cards = _priced_alike([item for item in tariffs if item.fact.meter == CREDITS])
    for item in tariffs:
        if item.fact.credit is None:
            continue
        if item.fact.meter == CREDITS:
            yield _of_credits(item)
        elif not _prices_of(item, cards, contracts):
            yield item.problem(
                "credit",
                "credit-without-price",
                found=f"credit: {item.fact.credit}, whose price nothing tells",
                expected=f"a tariff of {item.fact.system} with that sku and meter: {CREDITS}, or a pool of it",
                write=f"write one with sku: {item.fact.credit}, meter: {CREDITS}, its price and currency",
            )
        yield from _roundings(item, cards)


def _of_credits(item: Item) -> Problem:
    return item.problem(
        "credit",
        "credit-in-credits",
        found=f"credit: {item.fact.credit} as the price of {item.fact.sku}, a credit itself",
        expected="a price in money: cards that name each other would never end in it",
        write="write what it costs, with currency in place of credit",
    )


def _roundings(item: Item, cards: _Alike) -> Iterator[Problem]:
    """Quantities are rounded before they become credits, reading by reading."""
    own = item.fact.round_up is not None and item.fact.round_up.per == "month"
    wrong = [card for card in [*([item] if own else []), *_cards_of(item, cards)] if card.fact.round_up is not None]
    for card in wrong:
        yield card.problem(
            "round_up",
            "credit-rounding",
            found="round_up of credits, or of what is counted in them, by the month",
            expected="round_up with per: reading, on the tariff that turns the meter into credits",
            write='write round_up: {to: "1", per: reading} there, and none here',
        )


def _cards_of(item: Item, cards: _Alike) -> Sequence[Item]:
    """The tariffs that say what the credit of a price costs."""
    system, credit = item.fact.system, item.fact.credit
    return cards.get((system, credit, CREDITS)) or cards.get((system, ANY_SKU, CREDITS), ())


def _prices_of(item: Item, cards: _Alike, contracts: Sequence[Item]) -> Sequence[Span]:
    """When the credit of a price has one: by a tariff, or by a pool that it is drawn from."""
    skus = (item.fact.credit, ANY_SKU)
    pooled = [
        contract
        for contract in contracts
        for term in contract.fact.terms
        if contract.fact.system == item.fact.system
        and isinstance(term, Pool)
        and term.meter == CREDITS
        and term.sku in skus
    ]
    return [span_of(found) for found in [*_cards_of(item, cards), *pooled]]


def _credit_gaps(tariffs: Sequence[Item], contracts: Sequence[Item]) -> Iterator[Problem]:
    cards = _priced_alike([item for item in tariffs if item.fact.meter == CREDITS])
    for item in tariffs:
        if item.fact.credit is not None and not covered(span_of(item), _prices_of(item, cards, contracts)):
            yield item.problem(
                "credit",
                "gap",
                found=f"days on which credit: {item.fact.credit} has no price",
                expected="a price of the credit for as long as this entry holds",
                write="what is used on those days will be unpriced",
            )
