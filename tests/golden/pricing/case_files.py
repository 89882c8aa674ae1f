"""How the program reads a pricing case: its register, its readings, and its charges under FOCUS 1.2 column names."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from services.cost_alerts.domain.pricing import Line, Pricer
from services.cost_alerts.domain.timeline import Stretch, timeline
from services.cost_alerts.domain.use import Profile, Use
from services.cost_alerts.domain.view import Book, FactVersion
from services.shared.events import prices, register
from services.shared.events.envelope import Fact
from services.shared.events.usage import Reading
from services.shared.money import as_text, from_nano
from services.shared.periods import timestamp

BEFORE_ALL = datetime(2024, 1, 1, tzinfo=UTC)

SECTIONS: Mapping[str, type[Fact]] = {
    "systems": register.System,
    "tariffs": prices.Tariff,
    "contracts": prices.Contract,
    "fx": register.FxRates,
    "units": register.Unit,
    "placements": register.Placement,
    "allocation": register.AllocationRule,
}
"""Section of a case → what its entries are. Members are those of the register folder."""

Case = dict[str, Any]


def book(case: Case) -> Book:
    """The register of a case: version 1, and one more for each of `later`, which replaces the sections it names."""
    versions = [(BEFORE_ALL, case), *((_instant(one["published"]), one) for one in case.get("later", []))]
    found = [one for section, kind in SECTIONS.items() for one in _section(versions, section, kind)]
    return Book({number: published for number, (published, _) in enumerate(versions, start=1)}, found)


def _section(versions: list[tuple[datetime, Case]], section: str, kind: type[Fact]) -> Iterator[FactVersion]:
    """The facts of one section, each from the version that brought it to the one that no longer has it."""
    held: dict[str, tuple[int, Fact]] = {}
    for number, (_, given) in enumerate(versions, start=1):
        if section not in given:
            continue
        facts = TypeAdapter(list[kind]).validate_python(given[section])  # type: ignore[valid-type]
        named: dict[str, Fact] = {f"{section} {place} {fact!r}": fact for place, fact in enumerate(facts)}
        for name in held.keys() - named.keys():
            since, fact = held.pop(name)
            yield FactVersion(name, since, number, fact)
        for name in named.keys() - held.keys():
            held[name] = (number, named[name])
    for name, (since, fact) in held.items():
        yield FactVersion(name, since, None, fact)


def reading(usage: Case) -> Reading:
    """A reading of a case; system and SKU may be left out, when it was recorded is not its own to say."""
    defaults = {"reading_id": "case", "system": "claude-api", "sku": "claude-sonnet-4-5"}
    return Reading.model_validate({**defaults, **{name: usage[name] for name in usage if name != "recorded"}})


def charges(case: Case) -> list[Case]:
    """What the program charges for a case."""
    known = book(case)
    return [charge for usage in case["usage"] for charge in _history(case, known, usage)]


def _history(case: Case, known: Book, usage: Case) -> Iterator[Case]:
    found = reading(usage)
    recorded = str(usage.get("recorded", usage["charge_period_end"]))
    profile, cost = Profile.of(found), found.reported_cost
    quantities = [found.consumed[meter] for meter in profile.meters]
    use = known.use(profile, found.charge_period_start, quantities, None if cost is None else cost.currency)
    stretches = timeline(known, use, known.version_at(_instant(recorded)))
    sinces = [recorded, *(timestamp(one.since) for one in stretches if one.since is not None)]
    for stretch, since, until in zip(stretches, sinces, [*sinces[1:], None], strict=True):
        times = {"x_RecordedAt": since, "x_SupersededAt": until} if "later" in case else {}
        for charge in _charges_of(case, use, stretch, found):
            yield {name: value for name, value in {**charge, **times}.items() if value is not None}


def _charges_of(case: Case, use: Use, stretch: Stretch, found: Reading) -> Iterator[Case]:
    for pricer in stretch.pricers:
        line = pricer.line
        cost = None if found.reported_cost is None else found.reported_cost.amount
        quantity = cost if line.of_reading else found.consumed[line.meter]
        yield {
            "ChargePeriodStart": use.day.isoformat(),
            **(_payer(line) if "allocation" in case or "placements" in case else {}),
            "x_VatRate": None if line.vat_rate is None else as_text(line.vat_rate),
            "SkuMeter": line.meter,
            "ConsumedQuantity": None if quantity is None else as_text(quantity),
            **_money(pricer, quantity or Decimal(0)),
        }


def _payer(line: Line) -> Case:
    owner = line.owner
    return {
        "x_Unit": owner.unit,
        "x_AllocationRule": owner.rule,
        "x_CostCentre": owner.cost_centre or None,
        "x_Project": owner.project or None,
    }


def _money(pricer: Pricer, quantity: Decimal) -> Case:
    line = pricer.line
    nano, eur_nano = pricer.amounts(quantity)
    at_list, _ = Pricer(replace(line, nano_per_unit=line.list_per_unit)).amounts(quantity)
    return {
        "x_Tariff": line.tariff,
        "x_CreditTariff": line.credit_tariff,
        "x_Agreement": line.agreement,
        "PricingCurrency": line.currency,
        "PricingCurrencyEffectiveCost": _text(nano),
        "x_PricingCurrencyListCost": _text(at_list),
        "BillingCurrency": None if eur_nano is None else "EUR",
        "EffectiveCost": _text(eur_nano),
        "x_RateDay": None if line.rate_day is None else line.rate_day.isoformat(),
        "x_Unpriced": line.reason,
    }


def _text(nano: int | None) -> str | None:
    return None if nano is None else as_text(from_nano(nano))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def write(path: Path, case: Case) -> None:
    """Write a case so that a person can read it: each fact, reading and charge on a line of its own."""
    parts = (f"  {json.dumps(name)}: {_shown(value)}" for name, value in case.items())
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def _shown(value: Any) -> str:  # noqa: ANN401  # whatever JSON holds
    if not isinstance(value, list) or not value:
        return json.dumps(value, ensure_ascii=False)
    lines = (json.dumps(one, ensure_ascii=False) for one in value)
    return "[\n" + ",\n".join(f"    {line}" for line in lines) + "\n  ]"
