"""A checker for FOCUS 1.2 files: what the public validator does not look at, and what it looks at wrongly.

Only the standard library, and nothing of ours: it must be able to disagree with us. `check(text)` gives one sentence
per problem, with the number of the line; an empty list says that every rule below holds.

Source: focus.finops.org/focus-specification v1.2 (columns, attributes, virtual currency), read November 2026.
"""

import csv
import io
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path

Row = Mapping[str, str]
"""One line: column → text; an empty text is null."""

EXACT = Context(prec=80)
TOLERANCE = Decimal("0.000000001")
"""Costs have nine decimals, so a product may differ from its rounded self by this."""

ALWAYS = frozenset(
    {
        "BilledCost",
        "BillingAccountId",
        "BillingAccountName",
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargeClass",
        "ChargeDescription",
        "ChargePeriodEnd",
        "ChargePeriodStart",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "PricingQuantity",
        "PricingUnit",
        "ProviderName",
        "PublisherName",
        "ServiceCategory",
        "ServiceName",
    }
)
"""The 21 columns that a file of 1.2 always has."""

NEWER = frozenset({"ServiceProviderName", "HostProviderName"})
"""Columns of 1.3 that stand beside those of 1.2."""

NOT_NULL = ALWAYS - {"BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"} | NEWER

KNOWN = (
    ALWAYS
    | NEWER
    | {
        "AvailabilityZone",
        "BillingAccountType",
        "CapacityReservationId",
        "CapacityReservationStatus",
        "ChargeFrequency",
        "CommitmentDiscountCategory",
        "CommitmentDiscountId",
        "CommitmentDiscountName",
        "CommitmentDiscountQuantity",
        "CommitmentDiscountStatus",
        "CommitmentDiscountType",
        "CommitmentDiscountUnit",
        "ConsumedQuantity",
        "ConsumedUnit",
        "ContractedUnitPrice",
        "InvoiceId",
        "ListUnitPrice",
        "PricingCategory",
        "PricingCurrency",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost",
        "PricingCurrencyListUnitPrice",
        "RegionId",
        "RegionName",
        "ResourceId",
        "ResourceName",
        "ResourceType",
        "ServiceSubcategory",
        "SkuId",
        "SkuMeter",
        "SkuPriceDetails",
        "SkuPriceId",
        "SubAccountId",
        "SubAccountName",
        "SubAccountType",
        "Tags",
    }
)

COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")
PRICES = (
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
)
QUANTITIES = ("ConsumedQuantity", "PricingQuantity")
NUMBERS = COSTS + PRICES + QUANTITIES
TIMES = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
OBJECTS = ("Tags", "SkuPriceDetails")
UNITS = ("ConsumedUnit", "PricingUnit")

ALLOWED: Mapping[str, frozenset[str]] = {
    "ChargeCategory": frozenset({"Usage", "Purchase", "Tax", "Credit", "Adjustment"}),
    "ChargeClass": frozenset({"Correction"}),
    "ChargeFrequency": frozenset({"One-Time", "Recurring", "Usage-Based"}),
    "PricingCategory": frozenset({"Standard", "Dynamic", "Committed", "Other"}),
    "CommitmentDiscountStatus": frozenset({"Used", "Unused"}),
    "ServiceCategory": frozenset(
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
    ),
}

AI_SUBCATEGORIES = frozenset(
    {
        "AI Platforms",
        "Bots",
        "Generative AI",
        "Machine Learning",
        "Natural Language Processing",
        "Other (AI and Machine Learning)",
    }
)

_number = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(E-?[0-9]+)?", re.ASCII).fullmatch
_time = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII).fullmatch
_currency = re.compile(r"[A-Z]{3}", re.ASCII).fullmatch
_custom = re.compile(r"x_[A-Za-z0-9]+", re.ASCII).fullmatch
_key = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII).fullmatch
_SINGLE_TIMES = "Year|Month|Day|Hour|Minute|Second"
_SIZES = "b|B|[kMGTP]i?[bB]|[KMGTPE]i?B"
_NOUN = rf"(?:{_SIZES}|[A-Z][A-Za-z]*(?: [A-Z][A-Za-z]*)*)"
_unit = re.compile(
    rf"(?:[1-9][0-9]* )?(?:{_NOUN}|{_NOUN}-(?:{_SINGLE_TIMES})s|{_NOUN}/(?:{_SINGLE_TIMES}))", re.ASCII
).fullmatch
_PLACEHOLDERS = frozenset({"n/a", "na", "none", "null", "nil", "-", "undefined", "unknown"})

Problem = tuple[int, str]
"""Line (the header is 1; 0: the file as a whole) and sentence."""


def check(text: str) -> list[str]:
    """Every problem of a file, in the order of its lines."""
    if text.startswith("\ufeff"):
        return ["line 1: the file begins with a byte order mark; the first column's name is then another"]
    lines = list(csv.reader(io.StringIO(text), strict=True))
    header, cells = (lines[0], lines[1:]) if lines else ([], [])
    problems = list(_check_header(header))
    for line, found in enumerate(cells, 2):
        if len(found) != len(header):
            problems.append((line, f"has {len(found)} cells, the header {len(header)}"))
    rows: list[Row] = [dict(zip(header, found, strict=False)) for found in cells]
    if not problems:
        for rule in ROW_RULES:
            problems += [(line, sentence) for line, row in _numbered(rows) for sentence in rule(row)]
        for whole in FILE_RULES:
            problems += whole(rows)
    return [f"line {line}: {sentence}" if line else f"file: {sentence}" for line, sentence in sorted(problems)]


def _numbered(rows: Sequence[Row]) -> Iterable[tuple[int, Row]]:
    return enumerate(rows, 2)


def _check_header(header: Sequence[str]) -> Iterator[Problem]:
    for name in sorted(ALWAYS - set(header)):
        yield 1, f"the column {name} is missing"
    for name in sorted({name for name in header if header.count(name) > 1}):
        yield 1, f"the column {name} stands twice"
    for name in header:
        if name not in KNOWN and not _custom(name):
            yield 1, f"the column {name} is neither of FOCUS nor begins with x_"
    custom = [name.startswith("x_") for name in header]
    if custom != sorted(custom):
        yield 1, "custom columns stand after those of FOCUS"
    own = [name for name in header if not name.startswith("x_")]
    if own != sorted(own):
        yield 1, "columns of FOCUS stand in alphabetical order"


# Each row alone


def nulls(row: Row) -> Iterator[str]:
    """No value is an empty cell: never a placeholder; and some columns must have a value."""
    for name in sorted(NOT_NULL & row.keys()):
        if not row[name]:
            yield f"{name} must not be null"
    for name, value in row.items():
        if value.strip().lower() in _PLACEHOLDERS:
            yield f"{name} is {value!r}; no value is an empty cell"
        if value != value.strip():
            yield f"{name} has blanks around it"


def numbers(row: Row) -> Iterator[str]:
    for name in NUMBERS:
        value = row.get(name, "")
        if value and not _number(value):
            yield f"{name} is {value!r}; expected a plain number with a decimal point"


def prices(row: Row) -> Iterator[str]:
    for name in PRICES:
        value = _decimal(row, name)
        if value is not None and value < 0:
            yield f"{name} is negative"


def times(row: Row) -> Iterator[str]:
    for name in TIMES:
        value = row.get(name, "")
        if value and (not _time(value) or _moment(value) is None):
            yield f"{name} is {value!r}; expected UTC like 2026-10-01T00:00:00Z"


def periods(row: Row) -> Iterator[str]:
    """Periods end after they start; a charge begins within its billing period, unless it corrects an earlier one."""
    billing, charge = (_period(row, name) for name in ("BillingPeriod", "ChargePeriod"))
    for name, period in (("BillingPeriod", billing), ("ChargePeriod", charge)):
        if period and period[0] >= period[1]:
            yield f"{name} does not end after it starts"
    if not billing or not charge:
        return
    if row.get("ChargeClass") == "Correction":
        if charge[0] >= billing[0]:
            yield "a Correction is of a period before the one that bills it"
    elif not billing[0] <= charge[0] < billing[1]:
        yield "ChargePeriodStart lies outside the billing period, and the row is no Correction"


def allowed(row: Row) -> Iterator[str]:
    for name, values in ALLOWED.items():
        value = row.get(name, "")
        if value and value not in values:
            yield f"{name} is {value!r}, which is not one of its values"
    for name in ("BillingCurrency",):
        if row.get(name) and not _currency(row[name]):
            yield f"{name} is {row[name]!r}; expected an ISO 4217 code"
    subcategory, category = row.get("ServiceSubcategory", ""), row.get("ServiceCategory", "")
    if subcategory and category == "AI and Machine Learning" and subcategory not in AI_SUBCATEGORIES:
        yield f"ServiceSubcategory {subcategory!r} is none of {category}"
    if subcategory.startswith("Other (") and subcategory != f"Other ({category})":
        yield f"ServiceSubcategory {subcategory!r} is of another category than {category}"


def units(row: Row) -> Iterator[str]:
    """Units are capitalised nouns, sizes, `Unit-Times` or `Units/Time`, with a whole number before them or none."""
    for name in UNITS:
        value = row.get(name, "")
        if value and not _unit(value):
            yield f"{name} is {value!r}, which is no unit"


def quantities_have_units(row: Row) -> Iterator[str]:
    for quantity, unit in (("ConsumedQuantity", "ConsumedUnit"), ("PricingQuantity", "PricingUnit")):
        if bool(row.get(quantity)) != bool(row.get(unit)):
            yield f"{unit} is null exactly when {quantity} is"


_OF_PRICED = ("PricingQuantity", "ListUnitPrice", "ContractedUnitPrice", "SkuId", "SkuPriceId")


def by_category(row: Row) -> Iterator[str]:
    """What is null or not by the category of a charge."""
    category = row.get("ChargeCategory")
    for name in _OF_PRICED:
        if category in ("Usage", "Purchase") and name in row and not row[name]:
            yield f"{name} must not be null on {category}"
        if category == "Tax" and row.get(name):
            yield f"{name} must be null on Tax"
    if category != "Usage" and row.get("ConsumedQuantity"):
        yield f"ConsumedQuantity must be null on {category}"
    if category == "Purchase" and row.get("ChargeFrequency") == "Usage-Based":
        yield "a Purchase is not Usage-Based"


_DESCRIBES = (("SkuPriceDetails", "SkuPriceId"), ("SubAccountName", "SubAccountId"), ("SubAccountType", "SubAccountId"))


def describes_something(row: Row) -> Iterator[str]:
    """What describes a thing is null where the thing is; a currency of pricing is never null."""
    for given, needed in _DESCRIBES:
        if row.get(given) and needed in row and not row[needed]:
            yield f"{given} must be null when {needed} is"
    if "PricingCurrency" in row and not row["PricingCurrency"]:
        yield "PricingCurrency must not be null"


def products(row: Row) -> Iterator[str]:
    """Unit price × quantity is the cost, also where nobody wrote a ChargeClass."""
    quantity = _decimal(row, "PricingQuantity")
    for price_name, cost_name in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        price, cost = _decimal(row, price_name), _decimal(row, cost_name)
        if quantity is None or price is None or cost is None:
            continue
        if abs(EXACT.subtract(EXACT.multiply(price, quantity), cost)) > TOLERANCE:
            yield f"{price_name} × PricingQuantity is not {cost_name}"


def objects(row: Row) -> Iterator[str]:
    """Flat JSON objects; the keys of SkuPriceDetails that FOCUS does not define begin with x_."""
    for name in OBJECTS:
        value = row.get(name, "")
        if not value:
            continue
        try:
            found = json.loads(value)
        except ValueError:
            yield f"{name} is no JSON"
            continue
        if not isinstance(found, dict) or any(isinstance(one, dict | list) for one in found.values()):
            yield f"{name} is no flat object"
        elif name == "SkuPriceDetails" and not all(key.startswith("x_") and _key(key) for key in found):
            yield "a key of SkuPriceDetails does not begin with x_"


def characters(row: Row) -> Iterator[str]:
    """Any Unicode text; no control characters, no character that stands for one that was lost."""
    for name, value in row.items():
        if any(
            ord(one) < 32 or 127 <= ord(one) < 160 or one == "\ufffd" or 0xD800 <= ord(one) < 0xE000 for one in value
        ):
            yield f"{name} holds a control character, or one that was lost on the way"


ROW_RULES: tuple[Callable[[Row], Iterator[str]], ...] = (
    nulls,
    numbers,
    prices,
    times,
    periods,
    allowed,
    units,
    quantities_have_units,
    by_category,
    describes_something,
    products,
    objects,
    characters,
)


# All rows together


def one_category_per_service(rows: Sequence[Row]) -> Iterator[Problem]:
    yield from _one_each(rows, "ServiceName", "ServiceCategory")


def one_sku_per_price(rows: Sequence[Row]) -> Iterator[Problem]:
    yield from _one_each(rows, "SkuPriceId", "SkuId")


def one_type_per_sub_account(rows: Sequence[Row]) -> Iterator[Problem]:
    """Its name may change: a unit is renamed."""
    yield from _one_each(rows, "SubAccountId", "SubAccountType")


def one_currency_per_invoice(rows: Sequence[Row]) -> Iterator[Problem]:
    yield from _one_each(rows, "InvoiceId", "BillingCurrency")
    yield from _one_each(rows, "InvoiceId", "InvoiceIssuerName")


def _one_each(rows: Sequence[Row], of: str, other: str) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for line, row in _numbered(rows):
        key, value = row.get(of, ""), row.get(other, "")
        if key and first.setdefault(key, value) != value:
            yield line, f"{of} {key!r} has another {other} than before"


def charges_stand_once(rows: Sequence[Row]) -> Iterator[Problem]:
    """A charge id stands once in a file, corrections apart: one takes a charge back, another puts one in its place."""
    seen: set[str] = set()
    for line, row in _numbered(rows):
        name = row.get("x_ChargeId", "")
        if name and not row.get("ChargeClass"):
            if name in seen:
                yield line, f"the charge {name!r} stands twice"
            seen.add(name)


def credits_add_up(rows: Sequence[Row]) -> Iterator[Problem]:
    """What was bought in a virtual currency is what its use costs in effect, and nothing is billed for the use."""
    bought: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    used: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for line, row in _numbered(rows):
        effective, billed = _decimal(row, "EffectiveCost"), _decimal(row, "BilledCost")
        if effective is None or billed is None:
            continue
        place = (row.get("ServiceName", ""), row.get("BillingPeriodStart", ""))
        if row.get("ChargeCategory") == "Purchase":
            if effective:
                yield line, "EffectiveCost of a purchase in advance is 0"
            bought[*place, row.get("PricingUnit", "")] += billed
        elif row.get("PricingCurrency") and not _currency(row["PricingCurrency"]):
            if billed:
                yield line, "BilledCost of use in a virtual currency is 0"
            used[*place, row["PricingCurrency"]] += effective
    for key in sorted({*bought, *used}):
        if bought[key] != used[key]:
            yield 0, f"{key[2]} of {key[0]}: use costs {used[key]} in effect, the purchase {bought[key]}"


FILE_RULES: tuple[Callable[[Sequence[Row]], Iterator[Problem]], ...] = (
    one_category_per_service,
    one_sku_per_price,
    one_type_per_sub_account,
    one_currency_per_invoice,
    charges_stand_once,
    credits_add_up,
)


def invoice_problems(text: str, invoices: Mapping[str, Decimal]) -> list[str]:
    """Whether the rows of each invoice add up to it: BilledCost per InvoiceId, to the last decimal."""
    billed: dict[str, Decimal] = defaultdict(Decimal)
    for row in csv.DictReader(io.StringIO(text)):
        billed[row.get("InvoiceId") or ""] += _decimal(row, "BilledCost") or Decimal(0)
    del billed[""]
    return [
        f"invoice {name}: its rows add up to {billed.get(name, Decimal(0))}, it says {invoices.get(name, Decimal(0))}"
        for name in sorted({*billed, *invoices})
        if billed.get(name, Decimal(0)) != invoices.get(name, Decimal(0))
    ]


def _decimal(row: Row, name: str) -> Decimal | None:
    value = row.get(name, "")
    try:
        return Decimal(value) if value else None
    except InvalidOperation:
        return None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _period(row: Row, name: str) -> tuple[datetime, datetime] | None:
    start, end = _moment(row.get(f"{name}Start", "")), _moment(row.get(f"{name}End", ""))
    return None if start is None or end is None else (start, end)


def main() -> int:
    """Check files; exit code 1 when one has a problem.

    Example: python tests/golden/focus/checker.py october.csv
    """
    found = False
    for name in sys.argv[1:]:
        for sentence in check(Path(name).read_text(encoding="utf-8")):
            found = True
            print(f"{name}: {sentence}")  # noqa: T201  # a command
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
