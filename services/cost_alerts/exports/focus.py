"""The columns of FOCUS 1.2 that are filled, with ServiceProviderName and HostProviderName of 1.3, and ours.

Source: focus.finops.org/focus-specification, read November 2026. Rows are dicts of column → text; a column that a row
does not name is null. Costs are net of VAT. BilledCost is what an invoice is based on, EffectiveCost what the ledger
says it costs: the sum of EffectiveCost over a month is the month's report, to the last 10⁻⁹.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from services.shared.money import EXACT, as_text, from_nano
from services.shared.periods import timestamp

FOCUS_VERSION = "1.2"

FOCUS_COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountStatus",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
)
OWN_COLUMNS = (
    "x_OrgUnitId",
    "x_CostCentre",
    "x_Project",
    "x_ChargeId",
    "x_Agreement",
    "x_TariffId",
    "x_TariffValidFrom",
    "x_ExchangeRate",
    "x_ExchangeRateDate",
    "x_RegisterVersion",
    "x_VatRate",
    "x_Estimated",
    "x_Unpriced",
)
COLUMNS = FOCUS_COLUMNS + OWN_COLUMNS

SERVICE_CATEGORIES = frozenset(
    {
        "AI and Machine Learning",
        "Analytics",
        "Business Applications",
        "Compute",
        "Databases",
        "Developer Tools",
        "Identity",
        "Integration",
        "Internet of Things",
        "Management and Governance",
        "Media",
        "Migration",
        "Mobile",
        "Multicloud",
        "Networking",
        "Other",
        "Security",
        "Storage",
        "Web",
    }
)

Row = dict[str, str]

_UNITS: Mapping[str, str] = {
    "input_tokens": "Tokens",
    "cache_read_tokens": "Tokens",
    "cache_write_5m_tokens": "Tokens",
    "cache_write_1h_tokens": "Tokens",
    "output_tokens": "Tokens",
    "requests": "Requests",
    "web_searches": "Searches",
    "assists": "Assists",
    "credits": "Credits",
    "seats": "Seat-Days",
    "conversations": "Conversations",
    "messages": "Messages",
    "audio_minutes": "Minutes",
    "characters": "Characters",
    "gigabytes": "GB",
    "capacity_hours": "Hours",
}
_PLACES = 30
"""Digits of a price that has no end."""

_SIXTY = EXACT.prec


def number(value: Decimal) -> str:
    """Plain notation with a decimal point, also where the number is whole: some readers take `100` for no decimal."""
    text = as_text(value.normalize(EXACT)) if value else "0"
    return text if "." in text else f"{text}.0"


def money(nano: int) -> str:
    """10⁻⁹ units as a cost."""
    return number(from_nano(nano))


def ratio(value: Fraction) -> Decimal:
    """A price; one without an end is rounded to 30 digits after its first."""
    exact = EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    digits = exact.as_tuple().digits
    if len(digits) < _SIXTY:
        return exact
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - _PLACES), context=EXACT)


def moment(instant: datetime) -> str:
    return timestamp(instant.replace(microsecond=0))


def unit_of(meter: str) -> str:
    """A meter's unit in FOCUS's grammar: a capitalised plural; `Units` for what has no name of its own."""
    return _UNITS.get(meter) or plural(meter.rpartition(":")[2])


def plural(name: str) -> str:
    """A name as a capitalised noun in the plural, for example `copilot-credit` as `Copilot Credits`."""
    words = [word for word in re.split(r"[^A-Za-z]+", name) if word]
    if not words:
        return "Units"
    text = " ".join(word if word.isupper() else word.capitalize() for word in words)
    return text if text.endswith(("s", "S")) else f"{text}s"
