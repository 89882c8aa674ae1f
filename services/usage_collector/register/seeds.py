"""Tariff files from the vendors' list prices that the package genai-prices carries (pinned; USD; exact decimals).

A seed is a proposal: it is written into the register folder, where people check it, and prices nothing until it is
published. What a list price says and a tariff of ours cannot say is left out and told, never approximated.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from importlib.metadata import version

from genai_prices.data import providers
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices

from services.shared.errors import ConfigurationError
from services.shared.events.prices import Tariff
from services.shared.money import as_text

CURRENCY = "USD"
MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1_000)

_METERS: Mapping[str, tuple[str, Decimal]] = {
    "input_mtok": ("input_tokens", MILLION),
    "cache_read_mtok": ("cache_read_tokens", MILLION),
    "cache_write_mtok": ("cache_write_5m_tokens", MILLION),
    "cache_write_1h_mtok": ("cache_write_1h_tokens", MILLION),
    "output_mtok": ("output_tokens", MILLION),
    "web_searches_kcount": ("web_searches", THOUSAND),
}
"""Price key of genai-prices → our meter, and the quantity priced. A cache write without an hour is for five minutes."""

Tiers = Sequence[tuple[Decimal | None, Decimal]]
"""Size of a request up to which a price holds (inclusive; None: without limit), and the price; rising."""

_PRICED_ALIKE = {"web_searches"}
"""Meters whose price no dimension changes."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a vendor's usage report names what its prices depend on.

    Attributes:
        base: the dimensions of ordinary use, so that another service tier is unpriced and not taken for this one.
        variants: request context of genai-prices → dimensions.
        context: the dimension for the size of the context, the size from which the upper price holds, both values.
        skus: models that are seeded when none are asked for, spelled as the vendor reports them.
    """

    base: Mapping[str, str]
    variants: Mapping[tuple[tuple[str, str], ...], Mapping[str, str]]
    context: tuple[str, int, str, str]
    skus: tuple[str, ...]


DIALECTS: Mapping[str, Dialect] = {
    "anthropic": Dialect(
        base={"service_tier": "standard"},
        variants={
            (("processing", "batch"),): {"service_tier": "batch"},
            (("speed", "fast"),): {"service_tier": "standard", "speed": "fast"},
        },
        context=("context_window", 200_000, "0-200k", "200k-1M"),
        skus=(
            "claude-haiku-4-5",
            "claude-haiku-4-5-20251001",
            "claude-opus-4-8",
            "claude-opus-5",
            "claude-sonnet-4-5",
            "claude-sonnet-4-5-20250929",
            "claude-sonnet-5",
        ),
    )
}


PLAIN = Dialect(base={}, variants={}, context=("", 0, "", ""), skus=())
"""Of vendors whose reports nobody has described here: only their base prices are known."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What could be expressed, and a sentence for each thing that could not."""

    tariffs: Sequence[Tariff]
    left_out: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Line:
    """Prices that hold from `start` to `end` for one set of dimensions."""

    start: date
    end: date | None
    when: Mapping[str, str]
    prices: ModelPrice


def seed_source() -> str:
    """What a seeded tariff names as its source."""
    return f"genai-prices {version('genai-prices')}"


def seed(vendor: str, system: str, skus: Sequence[str], *, valid_from: date, checked_on: date) -> Seed:
    """Tariffs of `system` for `skus` (the vendor's usual ones when empty), from `valid_from` (UTC) on.

    Raises:
        ConfigurationError: no list prices are known for the vendor.
    """
    provider, dialect = _provider(vendor), DIALECTS[vendor]
    tariffs: list[Tariff] = []
    left_out: list[str] = []
    for sku in skus or dialect.skus:
        model = provider.find_model(sku)
        if model is None:
            left_out.append(f"{sku}: not among the prices of {vendor}; write its tariffs by hand")
            continue
        for line in _lines(model, dialect, sku, valid_from, left_out):
            tariffs.extend(_tariffs(line, dialect, sku=sku, system=system, checked_on=checked_on, left_out=left_out))
    return Seed(tariffs, list(dict.fromkeys(left_out)))


@dataclass(frozen=True, slots=True)
class Listed:
    """What a vendor's list says of one meter: prices in USD for `per` units."""

    tiers: Tiers
    per: Decimal


def listed(vendor: str, sku: str, day: date) -> Mapping[tuple[str, frozenset[tuple[str, str]]], Listed]:
    """(Meter, dimensions) → the list price on `day`; empty when the vendor or the SKU is not known."""
    provider = next((provider for provider in providers if provider.id == vendor), None)
    model = None if provider is None else provider.find_model(sku)
    if model is None:
        return {}
    lines = [line for line in _lines(model, DIALECTS.get(vendor, PLAIN), sku, day, []) if line.start <= day]
    return {
        (_METERS[key][0], frozenset(line.when.items())): Listed(_tiers(price), _METERS[key][1])
        for line in lines
        for key, price in vars(line.prices).items()
        if key in _METERS and price is not None
    }


def _tiers(price: Decimal | TieredPrices) -> Tiers:
    if isinstance(price, Decimal):
        return [(None, price)]
    ends = [*(Decimal(tier.start) for tier in price.tiers), None]
    return list(zip(ends, [price.base, *(tier.price for tier in price.tiers)], strict=True))


def seed_file(vendor: str, found: Seed) -> str:
    """The text of a tariff file."""
    head = [
        f"# Made by `valvomo register seed` from {seed_source()}: list prices of {vendor}, without any discount.",
        "# Compare with the vendor's price page, correct what differs, and set checked_on to the day on which you did.",
        *(f"# Left out: {sentence}" for sentence in found.left_out),
    ]
    return "\n".join([*head, *map(_entry, found.tariffs)]) + "\n"


def _provider(vendor: str) -> Provider:
    found = next((provider for provider in providers if provider.id == vendor and vendor in DIALECTS), None)
    if found is None:
        raise ConfigurationError(
            f"found the vendor {vendor!r}; list prices are known for {', '.join(DIALECTS)}; "
            "write the tariffs of others by hand"
        )
    return found


def _lines(model: ModelInfo, dialect: Dialect, sku: str, valid_from: date, left_out: list[str]) -> Iterator[_Line]:
    yield from _dated(model.prices, dialect.base, valid_from, sku, left_out)
    for variant in model.price_variants or ():
        when = dialect.variants.get(tuple(sorted(variant.when.items())))
        said = ", ".join(f"{name}={value}" for name, value in variant.when.items())
        if when is None:
            left_out.append(f"{sku}: its price for {said}, which usage reports do not tell apart")
        elif variant.constraint is None:
            yield _Line(valid_from, None, when, variant.prices)
        elif isinstance(variant.constraint, StartDateConstraint):
            start = max(variant.constraint.start_date, valid_from)
            if start > valid_from:
                left_out.append(f"{sku}: its price for {said} before {start}, which is not known")
            yield _Line(start, None, when, variant.prices)
        else:
            left_out.append(f"{sku}: its price for {said} at certain hours; tariffs hold for whole days")


def _dated(
    prices: ModelPrice | list[ConditionalPrice],
    when: Mapping[str, str],
    valid_from: date,
    sku: str,
    left_out: list[str],
) -> Iterator[_Line]:
    if isinstance(prices, ModelPrice):
        yield _Line(valid_from, None, when, prices)
        return
    lines: list[_Line] = []
    for priced in prices:
        if priced.constraint is None:
            lines.append(_Line(date.min, None, when, priced.prices))
        elif isinstance(priced.constraint, StartDateConstraint):
            lines.append(_Line(priced.constraint.start_date, None, when, priced.prices))
        else:
            left_out.append(f"{sku}: prices at certain hours; tariffs hold for whole days")
    lines.sort(key=lambda line: line.start)
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        end = following.start if following else None
        if end is None or end > valid_from:
            yield replace(line, start=max(line.start, valid_from), end=end)


def _tariffs(
    line: _Line, dialect: Dialect, *, sku: str, system: str, checked_on: date, left_out: list[str]
) -> Iterator[Tariff]:
    for key, price in vars(line.prices).items():
        if price is None or key.startswith("_"):
            continue
        if key not in _METERS:
            left_out.append(f"{sku}: {key}, for which there is no meter")
            continue
        meter, per = _METERS[key]
        for when, amount in _sizes(price, line.when, dialect, sku, left_out):
            dimensions = {} if meter in _PRICED_ALIKE else dict(when)
            name = "-".join([sku, meter, *dimensions.values(), str(line.start)])
            yield Tariff(
                id=name,
                system=system,
                sku=sku,
                meter=meter,
                model="per_unit",
                price=amount,
                per=per,
                currency=CURRENCY,
                when=dimensions,
                valid_from=line.start,
                valid_to=line.end,
                source=seed_source(),
                checked_on=checked_on,
            )


def _sizes(
    price: Decimal | TieredPrices, when: Mapping[str, str], dialect: Dialect, sku: str, left_out: list[str]
) -> Iterator[tuple[Mapping[str, str], Decimal]]:
    if isinstance(price, Decimal):
        yield when, price
        return
    name, size, below, above = dialect.context
    if [tier.start for tier in price.tiers] == [size]:
        yield {**when, name: below}, price.base
        yield {**when, name: above}, price.tiers[0].price
    else:
        starts = ", ".join(f"{tier.start:,}" for tier in price.tiers)
        left_out.append(
            f"{sku}: prices that change at {starts} tokens of a request; usage reports tell only {size:,} apart"
        )


def _entry(tariff: Tariff) -> str:
    price = "" if tariff.price is None else f'price: "{as_text(tariff.price)}", '
    when = ", ".join(f"{name}: {json.dumps(value)}" for name, value in tariff.when.items())
    end = f", valid_to: {tariff.valid_to}" if tariff.valid_to else ""
    return (
        f"- {{id: {json.dumps(tariff.id)}, system: {json.dumps(tariff.system)}, sku: {json.dumps(tariff.sku)}, "
        f"meter: {tariff.meter}, model: {tariff.model}, {price}"
        f'per: "{as_text(tariff.per)}", currency: {tariff.currency}, when: {{{when}}}, '
        f"valid_from: {tariff.valid_from}{end}, source: {tariff.source}, checked_on: {tariff.checked_on}}}"
    )
