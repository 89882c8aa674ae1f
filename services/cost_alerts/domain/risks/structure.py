"""Risks that lie in what is bought from whom: each is a share of the same sums, told as an exact fraction.

The formulas are those of the section "Risks" in this service's README.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from services.cost_alerts.domain.exchange import EUR
from services.cost_alerts.domain.risks.price_model import ADJUSTMENT, is_variable, price_model
from services.cost_alerts.domain.risks.spending import (
    NOTHING,
    UNKNOWN,
    YEAR_DAYS,
    Amount,
    Kind,
    Sums,
    grouped,
    shares,
)
from services.cost_alerts.domain.view import View


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of all euro, and of all use (billing readings), by name, largest first."""

    euro: Mapping[str, Fraction]
    use: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Structure:
    """The risks of one day that lie in what was bought from whom.

    Attributes:
        variable: share of the pace that use alone decides; None: nothing was spent.
        pace_nano: what 365 days cost at the present pace, 10⁻⁹ euro.
        fx_nano: the part of that which is priced in each currency other than the euro.
        vendors: share of each vendor.
        concentration: the sum of their squares (Herfindahl-Hirschman), from 0 to 1; None: nothing was spent.
        dependence: vendor → its most used model's share of all that is paid by the token.
    """

    variable: Fraction | None
    pace_nano: int
    fx_nano: Mapping[str, int]
    vendors: Mapping[str, Fraction]
    concentration: Fraction | None
    dependence: Mapping[str, Fraction]
    price_models: Shares
    jurisdictions: Shares
    regions: Shares


RegionWeights = Mapping[str, Mapping[str, int]]
"""System → region → billing readings that name it (empty: they name none)."""


def structure(view: View, year: Sums, pace: Sums, pace_days: int, regions: RegionWeights) -> Structure:
    """All of them. `year`, `pace`: sums of the last 365 and 28 complete days; `pace_days`: how many of those exist."""
    pace_nano, fx_nano = year_ahead(pace, pace_days)
    vendors = shares({name: amount.eur_nano for name, amount in grouped(year, _vendor_of(view)).items()})
    return Structure(
        variable=variable_share(pace),
        pace_nano=pace_nano,
        fx_nano=fx_nano,
        vendors=vendors,
        concentration=herfindahl(vendors),
        dependence=dependence(pace, _vendor_of(view)),
        price_models=_shares(grouped(_without_adjustments(year), price_model)),
        jurisdictions=_shares(grouped(year, _jurisdiction_of(view))),
        regions=_shares(by_region(year, view, regions)),
    )


def variable_share(pace: Sums) -> Fraction | None:
    """Consumption ÷ all cost, adjustments aside; None when nothing was spent."""
    spent = _without_adjustments(pace)
    total = sum(amount.eur_nano for amount in spent.values())
    variable = sum(amount.eur_nano for kind, amount in spent.items() if is_variable(kind))
    return Fraction(variable, total) if total > 0 else None


def year_ahead(pace: Sums, pace_days: int) -> tuple[int, Mapping[str, int]]:
    """10⁻⁹ euro of 365 days at the present pace, and of that what is priced in other currencies, by currency."""
    if not pace_days:
        return 0, {}
    by_currency = grouped(_without_adjustments(pace), lambda kind: kind.currency)
    ahead = {name: amount.eur_nano * YEAR_DAYS // pace_days for name, amount in by_currency.items()}
    return sum(ahead.values()), {name: ahead[name] for name in sorted(ahead) if name not in ("", EUR) and ahead[name]}


def herfindahl(parts: Mapping[str, Fraction]) -> Fraction | None:
    """The sum of the squared shares: 1 when one has all, 1/n when n have the same; None without any."""
    return sum((part * part for part in parts.values()), Fraction(0)) if parts else None


def dependence(pace: Sums, vendor_of: Callable[[Kind], str]) -> Mapping[str, Fraction]:
    """Vendor → the share of its dearest model (SKU) in all that the city pays by the token."""
    tokens = {kind: amount for kind, amount in pace.items() if price_model(kind) == "token" and amount.eur_nano > 0}
    total = sum(amount.eur_nano for amount in tokens.values())
    models: dict[tuple[str, str], int] = {}
    for kind, amount in tokens.items():
        key = (vendor_of(kind), kind.sku)
        models[key] = models.get(key, 0) + amount.eur_nano
    largest: dict[str, int] = {}
    for (vendor, _), eur_nano in models.items():
        largest[vendor] = max(largest.get(vendor, 0), eur_nano)
    return {vendor: Fraction(largest[vendor], total) for vendor in sorted(largest)}


def by_region(year: Sums, view: View, weights: RegionWeights) -> Mapping[str, Amount]:
    """Euro and readings by where they were processed.

    A system's are parted by how many of its readings named which region; those that named none, and systems whose
    readings never do, are where the register says that the system runs.
    """
    found: dict[str, Amount] = {}
    for system, amount in grouped(year, lambda kind: kind.system).items():
        for region, part in _parts(amount, _named(weights.get(system, {}), home(view, system))).items():
            before = found.get(region, NOTHING)
            found[region] = Amount(before.eur_nano + part.eur_nano, before.readings + part.readings)
    return found


def home(view: View, system: str) -> str:
    """Where a system runs, as the register says."""
    known = view.systems.get(system)
    return UNKNOWN if known is None or known.region is None else known.region


def vendor_of(view: View, system: str) -> str:
    """Who sells a system, as the register says."""
    known = view.systems.get(system)
    return UNKNOWN if known is None else known.vendor


def _named(weights: Mapping[str, int], where: str) -> Mapping[str, int]:
    named = {region: count for region, count in weights.items() if region}
    rest = weights.get("", 0) or (0 if named else 1)
    return {**named, where: named.get(where, 0) + rest}


def _parts(amount: Amount, weights: Mapping[str, int]) -> Mapping[str, Amount]:
    total = sum(weights.values())
    return {
        region: Amount(amount.eur_nano * count // total, amount.readings * count // total)
        for region, count in weights.items()
    }


def _shares(amounts: Mapping[str, Amount]) -> Shares:
    return Shares(
        shares({name: amount.eur_nano for name, amount in amounts.items()}),
        shares({name: amount.readings for name, amount in amounts.items()}),
    )


def _without_adjustments(sums: Sums) -> Sums:
    return {kind: amount for kind, amount in sums.items() if kind.category != ADJUSTMENT}


def _vendor_of(view: View) -> Callable[[Kind], str]:
    return lambda kind: vendor_of(view, kind.system)


def _jurisdiction_of(view: View) -> Callable[[Kind], str]:
    def jurisdiction(kind: Kind) -> str:
        vendor = view.vendors.get(vendor_of(view, kind.system))
        return UNKNOWN if vendor is None or vendor.jurisdiction is None else vendor.jurisdiction

    return jurisdiction
