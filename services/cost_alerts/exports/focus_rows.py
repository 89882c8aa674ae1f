"""From a charge to its FOCUS row. Prices are per the tariff's own unit (`1000000 Tokens`), in euro and as priced."""

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from services.cost_alerts.exports.catalog import Catalog
from services.cost_alerts.exports.focus import Row, moment, money, number, ratio, unit_of
from services.cost_alerts.handlers.publishing import Detail, charge_id
from services.shared.events.prices import Tariff
from services.shared.money import NANO
from services.shared.periods import Month
from services.shared.store.tables import instant

EUR = "EUR"
REPORTED = "reported"
_TOLERANCE = Fraction(1, NANO)
_AI = "AI and Machine Learning"


class Setting(NamedTuple):
    """What all rows of an export share."""

    month: Month
    catalog: Catalog


class Pricing(NamedTuple):
    """Quantity and prices of a row: `unit` is what the prices are per."""

    quantity: Fraction
    unit: str
    listed: Fraction
    contracted: Fraction


def charge_row(setting: Setting, detail: Detail, tariff: Tariff | None, unpriced: int) -> Row:
    """The row of a charge that has a price.

    `unpriced`: how many other meters of the same reading have none.
    """
    row = _about(setting, detail)
    row |= _sku(detail, tariff)
    row |= _costs(detail)
    if detail.basis.category != "Adjustment":
        row |= _priced(detail, tariff)
    row |= _own(detail, tariff)
    if unpriced:
        row["x_Unpriced"] = str(unpriced)
    return row


def _about(setting: Setting, detail: Detail) -> Row:
    """When, what for, who from and who for."""
    basis, catalog, period = detail.basis, setting.catalog, setting.month.period
    day, start = date.fromordinal(basis.day), instant(detail.starts_at)
    vendor, category = catalog.vendor(basis.system), catalog.category(basis.system)
    contract, service = catalog.contract(basis.system, start), catalog.service_name(basis.system)
    is_adjustment = basis.category == "Adjustment"
    row = {
        "BillingAccountId": vendor if contract is None else contract.id,
        "BillingCurrency": EUR,
        "BillingPeriodStart": moment(period.start),
        "BillingPeriodEnd": moment(period.end),
        "ChargeCategory": "Adjustment" if is_adjustment else "Usage",
        "ChargeDescription": f"{service}: {basis.meter.replace('_', ' ')}",
        "ChargeFrequency": _frequency(detail),
        "ChargePeriodStart": moment(start),
        "ChargePeriodEnd": moment(instant(max(detail.ends_at, detail.starts_at + 1_000_000))),
        "HostProviderName": catalog.host(basis.system),
        "InvoiceIssuerName": vendor if contract is None or contract.issuer is None else contract.issuer,
        "ProviderName": vendor,
        "PublisherName": vendor,
        "ServiceCategory": category,
        "ServiceName": service,
        "ServiceProviderName": vendor,
        "ServiceSubcategory": "Generative AI"
        if category == _AI and basis.meter.endswith("tokens")
        else f"Other ({category})",
        "SubAccountId": basis.unit,
        "SubAccountName": catalog.unit_name(basis.unit, day),
        "SubAccountType": "Organisational Unit",
    }
    if not setting.month.first_day <= day < setting.month.next.first_day:
        row["ChargeClass"] = "Correction"
    tags = {} if detail.profile is None else dict(detail.profile.tags)
    return row | ({"Tags": json.dumps(tags, ensure_ascii=False)} if tags else {})


def _frequency(detail: Detail) -> str:
    if detail.basis.category == "Adjustment":
        return "One-Time"
    recurs = detail.basis.category == "Purchase" or detail.basis.meter == "seats"
    return "Recurring" if recurs else "Usage-Based"


def _sku(detail: Detail, tariff: Tariff | None) -> Row:
    basis = detail.basis
    if basis.category == "Adjustment":
        return {}
    sku = f"{basis.system}/{basis.sku}"
    dimensions = () if detail.profile is None else detail.profile.dimensions
    details = {f"x_{_pascal(name)}": value for name, value in dimensions}
    details["x_Model"] = basis.sku
    if basis.meter.endswith("_tokens"):
        details["x_TokenType"] = basis.meter.removesuffix("_tokens")
    return {
        "SkuId": sku,
        "SkuMeter": basis.meter,
        "SkuPriceId": f"{sku}/{basis.tariff or REPORTED}",
        "SkuPriceDetails": json.dumps(details, ensure_ascii=False, sort_keys=True),
        "PricingCategory": "Standard" if tariff is not None or detail.agreement is None else "Committed",
    }


def _pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").replace(":", "_").split("_"))


def _costs(detail: Detail) -> Row:
    eur, nano = signed(detail, detail.eur_nano), signed(detail, detail.nano)
    return {
        "BilledCost": money(eur),
        "ContractedCost": money(eur),
        "EffectiveCost": money(eur),
        "ListCost": money(signed(detail, listed_eur(detail))),
        "PricingCurrency": detail.basis.currency or EUR,
        "PricingCurrencyEffectiveCost": money(nano),
    }


def signed(detail: Detail, nano: int | None) -> int:
    return detail.sign * (nano or 0)


def listed_eur(detail: Detail) -> int:
    """What a charge would cost at list price, 10⁻⁹ euro; where no list price is known, what it costs."""
    rate = _rate(detail)
    if detail.list_nano is None or rate is None:
        return detail.eur_nano or 0
    return round(Fraction(detail.list_nano) / rate)


def _rate(detail: Detail) -> Fraction | None:
    return None if detail.basis.rate is None else Fraction(detail.basis.rate)


def _priced(detail: Detail, tariff: Tariff | None) -> Row:
    """Quantities and prices; in euro, and in the currency that the price is written in."""
    pricing = pricing_of(detail, tariff)
    euro_rate = _rate(detail) or Fraction(1)
    row = {
        "PricingQuantity": number(detail.sign * ratio(pricing.quantity)),
        "PricingUnit": pricing.unit,
        "ListUnitPrice": number(_matching(pricing, pricing.listed, listed_eur(detail))),
        "ContractedUnitPrice": number(_matching(pricing, pricing.contracted, detail.eur_nano or 0)),
        "PricingCurrencyListUnitPrice": number(ratio(pricing.listed * euro_rate)),
        "PricingCurrencyContractedUnitPrice": number(ratio(pricing.contracted * euro_rate)),
    }
    if detail.quantity is not None:
        row["ConsumedQuantity"] = number(detail.sign * detail.quantity)
        row["ConsumedUnit"] = unit_of(detail.basis.meter)
    return row


def pricing_of(detail: Detail, tariff: Tariff | None) -> Pricing:
    """The quantity of a charge in what its price is per, and its prices in euro.

    A cost without a price per unit (reported by the vendor, or an amount for a day) is one unit at that cost.
    """
    basis, quantity = detail.basis, detail.priced_quantity
    if basis.nano_per_unit is None or not quantity or (basis.tariff is None and detail.agreement is None):
        return _lump(detail)
    per = Fraction(1 if tariff is None else tariff.per)
    rate, meter_unit = (_rate(detail) or Fraction(1)) * NANO, unit_of(basis.meter)
    contracted = Fraction(basis.nano_per_unit) * per / rate
    listed = contracted if basis.list_per_unit is None else Fraction(basis.list_per_unit) * per / rate
    unit = meter_unit if per == 1 else f"{int(per)} {meter_unit}"
    if per.denominator != 1:  # the grammar of units knows whole numbers only
        return Pricing(Fraction(quantity), meter_unit, listed / per, contracted / per)
    return Pricing(Fraction(quantity) / per, unit, listed, contracted)


def _lump(detail: Detail) -> Pricing:
    unit = "Days" if detail.agreement is not None else "Units"
    eur, listed = Fraction(detail.eur_nano or 0, NANO), Fraction(listed_eur(detail), NANO)
    if not detail.quantity and detail.quantity is not None and not eur:
        return Pricing(Fraction(0), unit_of(detail.basis.meter), Fraction(0), Fraction(0))
    quantity = Fraction(-1 if eur < 0 else 1)  # prices are never negative; what a vendor gives back is
    return Pricing(quantity, unit, listed * quantity, eur * quantity)


def _matching(pricing: Pricing, price: Fraction, cost: int) -> Decimal:
    """The price; where parts of a sum were cut to add up, the price that makes this very cost."""
    exact = Fraction(cost, NANO)
    if abs(price * pricing.quantity - exact) <= _TOLERANCE or not pricing.quantity:
        return ratio(price)
    return ratio(exact / pricing.quantity)


def _own(detail: Detail, tariff: Tariff | None) -> Row:
    basis = detail.basis
    found = {
        "x_OrgUnitId": basis.unit,
        "x_CostCentre": basis.cost_centre,
        "x_Project": basis.project,
        "x_ChargeId": charge_id(detail),
        "x_Agreement": detail.agreement or "",
        "x_TariffId": basis.tariff or "",
        "x_TariffValidFrom": "" if tariff is None else tariff.valid_from.isoformat(),
        "x_ExchangeRate": basis.rate or "",
        "x_ExchangeRateDate": "" if basis.rate_day is None else date.fromordinal(basis.rate_day).isoformat(),
        "x_RegisterVersion": str(basis.register_version),
        "x_VatRate": basis.vat_rate,
        "x_Estimated": "true" if basis.estimated else "false",
    }
    return {name: text for name, text in found.items() if text}
