"""How the program reads a case by the period: what was known, all agreements of its system, and their charges."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from services.cost_alerts.domain.agreements.agreement import Agreement, Cycle, Known, Metered, Part, Spent
from services.cost_alerts.domain.agreements.all import agreements
from services.cost_alerts.domain.agreements.seating import Count, Holding, Observed
from services.cost_alerts.domain.allocation import NOBODY
from services.cost_alerts.domain.use import Profile
from services.cost_alerts.domain.view import Book, View
from services.shared.money import EXACT, as_text, exact, from_nano, to_nano
from tests.golden.pricing.case_files import Case, book, reading

TOLD = datetime(2026, 12, 1, tzinfo=UTC)
"""When everything in a case had been told."""


def charges(case: Case) -> list[Case]:
    """What the program charges by the period for a case, on its days."""
    view, known = book(case).view(1), known_of(case)
    made = (
        _charge(agreement.key, part)
        for agreement, cycle in cycles_of(case, view)
        for part in agreement.parts(view, cycle, known)
        if _first(case) <= part.day <= _last(case)
    )
    return sorted(made, key=order)


def cycles_of(case: Case, view: View) -> Iterator[tuple[Agreement, Cycle]]:
    for agreement in agreements(view, case["system"], {one["sku"] for one in case.get("seats", [])}):
        for cycle in agreement.cycles(_first(case), _last(case)):
            yield agreement, cycle


def order(charge: Case) -> tuple[str, str, str]:
    """By agreement and day; the rest only so that the same charges are always in the same order."""
    return (charge["x_Agreement"], charge["ChargePeriodStart"], json.dumps(charge, sort_keys=True))


def known_of(case: Case) -> Known:
    known = book(case)
    return Known(
        today=date.fromisoformat(case["today"]),
        metered=sorted(_metered(case, known), key=lambda one: one.use.start),
        seats=_seats(case),
        spent=[
            Spent(date.fromisoformat(one["day"]), NOBODY, case["system"], to_nano(exact(one["eur"])))
            for one in case.get("spent", [])
        ],
    )


def _metered(case: Case, known: Book) -> Iterator[Metered]:
    for usage in case.get("usage", []):
        found = reading({"system": case["system"], **usage})
        profile, cost = Profile.of(found), found.reported_cost
        quantities = [found.consumed[meter] for meter in profile.meters]
        use = known.use(profile, found.charge_period_start, quantities, None if cost is None else cost.currency)
        yield Metered(use, tuple(quantities), None if cost is None else cost.amount, found.finality != "final")


def _seats(case: Case) -> Mapping[str, Observed]:
    return {
        sku: Observed.at(
            TOLD,
            [_count(one) for one in case["seats"] if one["sku"] == sku],
            [_holding(one) for one in case.get("holdings", []) if one["sku"] == sku],
        )
        for sku in {one["sku"] for one in case.get("seats", [])}
    }


def _count(one: Case) -> Count:
    return Count(date.fromisoformat(one["observed_on"]), one.get("revision", 0), one["purchased"], TOLD)


def _holding(one: Case) -> Holding:
    released = one.get("released_on")
    until = None if released is None else date.fromisoformat(released)
    return Holding(one["person"], date.fromisoformat(one["assigned_on"]), one.get("revision", 0), until, TOLD)


def _first(case: Case) -> date:
    return date.fromisoformat(case["days"][0])


def _last(case: Case) -> date:
    return date.fromisoformat(case["days"][1])


def _charge(agreement: str, part: Part) -> Case:
    line, owner = part.line, part.line.owner
    nano, eur_nano = part.amounts
    found = {
        "x_Agreement": agreement,
        "ChargePeriodStart": part.day.isoformat(),
        "ChargeCategory": line.category,
        "SkuId": part.sku,
        "SkuMeter": line.meter,
        "x_Unit": owner.unit,
        "x_AllocationRule": owner.rule,
        "x_CostCentre": owner.cost_centre or None,
        "x_Project": owner.project or None,
        "ConsumedQuantity": as_text(part.quantity) if part.quantity else None,
        "x_Tariff": line.tariff,
        "x_CreditTariff": line.credit_tariff,
        "PricingCurrency": line.currency,
        "PricingCurrencyEffectiveCost": _text(nano),
        "x_PricingCurrencyListCost": _text(part.list_nano),
        "EffectiveCost": _text(eur_nano),
        "x_RateDay": None if line.rate_day is None else line.rate_day.isoformat(),
        "x_VatRate": None if line.vat_rate is None else as_text(line.vat_rate),
        "x_Unpriced": line.reason,
        "x_Estimated": part.estimated or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _text(nano: int | None) -> str | None:
    return None if nano is None else as_text(EXACT.add(from_nano(nano), Decimal(0)))


def shown(case: Case, found: list[Case]) -> list[Case]:
    """The charges that a case writes down: of the days it shows, or all of them."""
    return [one for one in found if one["ChargePeriodStart"] in case["shown"]] if "shown" in case else found


def totals(found: list[Case]) -> list[Case]:
    """What all charges of a case add up to, by agreement, unit, category and currency."""
    sums: dict[tuple[str, str, str, str], dict[str, Decimal]] = {}
    for one in found:
        key = (one["x_Agreement"], one["x_Unit"], one["ChargeCategory"], one.get("PricingCurrency", ""))
        for name in ("ConsumedQuantity", "PricingCurrencyEffectiveCost", "x_PricingCurrencyListCost", "EffectiveCost"):
            if name in one:
                summed = sums.setdefault(key, {}).get(name, Decimal(0))
                sums[key][name] = EXACT.add(summed, Decimal(one[name]))
    named = ("x_Agreement", "x_Unit", "ChargeCategory", "PricingCurrency")
    return [
        {**{name: text for name, text in zip(named, key, strict=True) if text}, **_texts(sums[key])}
        for key in sorted(sums)
    ]


def _texts(sums: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: f"{EXACT.normalize(value):f}" if value else "0" for name, value in sums.items()}
