"""Where a tariff says another price than the vendor's list, as the package genai-prices (pinned) carries it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

from services.shared.events.prices import Tariff
from services.shared.money import EXACT, as_text
from services.usage_collector.register.entries import Item
from services.usage_collector.register.problems import Problem
from services.usage_collector.register.seeds import CURRENCY, DIALECTS, PLAIN, Listed, Tiers, listed, seed_source


def list_price_warnings(tariffs: Sequence[Item], vendors: Mapping[str, str], today: date) -> Iterator[Problem]:
    """Tariffs in force today, in USD and by the token, that differ from the list. `vendors`: system → vendor."""
    for item in tariffs:
        vendor = vendors.get(item.fact.system, "")
        expected = _listed(item.fact, vendor, today) if _is_comparable(item.fact, today) else None
        said = Listed(_tiers(item.fact), item.fact.per)
        if expected is not None and not _equal(said, expected):
            yield item.problem(
                "tiers" if item.fact.tiers else "price",
                "differs-from-list",
                found=f"a price of {_shown(said)}",
                expected=f"{_shown(expected)}, the list price in {seed_source()}",
                write="compare it with the vendor's page; what was agreed on belongs into a contract's discounts",
            )


def _is_comparable(tariff: Tariff, today: date) -> bool:
    by_token = tariff.meter.endswith("_tokens") and tariff.model in ("per_unit", "by_request_size")
    return by_token and tariff.currency == CURRENCY and tariff.holds_on(today)


def _listed(tariff: Tariff, vendor: str, today: date) -> Listed | None:
    """The list price of what a tariff prices; a tariff for any dimensions is compared with ordinary use."""
    dialect = DIALECTS.get(vendor, PLAIN)
    name, size, below, above = dialect.context
    context = tariff.when.get(name)
    when = {key: value for key, value in tariff.when.items() if key != name} or dialect.base
    found = listed(vendor, tariff.sku, today).get((tariff.meter, frozenset(when.items())))
    if found is None or context is None:
        return found
    by_context = dict(zip((below, above), (price for _, price in found.tiers), strict=False))
    if [end for end, _ in found.tiers] != [size, None] or context not in by_context:
        return None
    return Listed([(None, by_context[context])], found.per)


def _tiers(tariff: Tariff) -> Tiers:
    return [(tier.up_to, tier.price) for tier in tariff.tiers] or [(None, tariff.price or Decimal(0))]


def _equal(one: Listed, other: Listed) -> bool:
    """Whether both say the same, whatever number of units they say it for. Multiplied, so that nothing is rounded."""
    if [end for end, _ in one.tiers] != [end for end, _ in other.tiers]:
        return False
    pairs = zip(one.tiers, other.tiers, strict=True)
    return all(EXACT.multiply(a, other.per) == EXACT.multiply(b, one.per) for (_, a), (_, b) in pairs)


def _shown(price: Listed) -> str:
    parts = [f"{as_text(one)}{'' if end is None else f' up to {as_text(end)}'}" for end, one in price.tiers]
    return f"{CURRENCY} {', then '.join(parts)} per {as_text(price.per)}"
