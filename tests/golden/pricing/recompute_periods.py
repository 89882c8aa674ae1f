"""A second opinion on the cases by the period (folder `periods`), worked out again from the case's own words.

    python -m tests.golden.pricing.recompute_periods [FILE ...]

Like `recompute.py` beside it, from which it takes prices, payers and VAT of a reading, it knows nothing of the program:
fractions, calendars and the rules as `periods/README.md` tells them, one day after the other.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.golden.pricing import recompute as readings
from tests.golden.pricing.recompute_cycles import (
    DAY,
    Case,
    Facts,
    Gathered,
    after_a_month,
    charge,
    nano,
    of,
    parted,
    plain,
    said_of,
    spread,
    stretches,
    to_day,
    used_of,
)
from tests.golden.pricing.recompute_pools import pools

# ---- fees, capacity, minimums


def fees(case: Case) -> Iterator[Facts]:
    for at in stretches(case, "fee"):
        meter = "indirect" if at.term.get("indirect") else "fee"
        for cycle in at.cycles(at.term.get("every", "month"), case.today + DAY):
            used = used_of(case, at, cycle, at.term["sku"])
            yield from spread(case, at, cycle, used, meter=meter, listed=True)


def capacities(case: Case) -> Iterator[Facts]:
    for at in stretches(case, "capacity"):
        for cycle in at.cycles("month", case.today + DAY):
            used = used_of(case, at, cycle, at.term["sku"])
            day = cycle[0]
            while day < cycle[1] and day <= case.today:
                length = of(day + DAY, at.zone) - of(day, at.zone)
                quantity = Fraction(length // timedelta(seconds=1), 3600) * Fraction(at.term["quantity"])
                amount = quantity * Fraction(at.term["price"])
                rate, said = case.euro(at.term["currency"], day)
                whole = charge(
                    at.key,
                    day,
                    "Usage",
                    at.term["sku"],
                    "capacity_hours",
                    x_Tariff=at.name,
                    PricingCurrency=at.term["currency"],
                    ConsumedQuantity=plain(quantity),
                    x_VatRate=case.vat(case.at_noon(at.term["sku"], day)),
                    **said,
                )
                money = {
                    "PricingCurrencyEffectiveCost": nano(amount),
                    "x_PricingCurrencyListCost": nano(amount),
                    "EffectiveCost": None if rate is None else nano(amount / rate),
                }
                yield from parted(whole, money, case.weights(at.term.get("share", {}), day, used, at.term["sku"]))
                day += DAY


def minimums(case: Case) -> Iterator[Facts]:
    for at in stretches(case, "minimum"):
        for cycle in at.cycles(at.term.get("every", "month"), case.today + DAY):
            first, last = cycle[0], cycle[1] - DAY
            if last >= case.today:
                continue
            spent = sum(
                (Fraction(one["eur"]) for one in case.case.get("spent", []) if first <= to_day(one["day"]) <= last),
                Fraction(0),
            )
            rate, said = case.euro(at.term["currency"], last)
            vat = case.vat(case.at_noon("*", last))
            if rate is None:
                yield charge(at.key, last, "Purchase", "*", "minimum", x_VatRate=vat, x_Unit="unallocated", **said)
                continue
            missing = Fraction(at.term["amount"]) - spent * rate
            if missing > 0:
                whole = charge(at.key, last, "Purchase", "*", "minimum", x_Tariff=at.name, x_VatRate=vat, **said)
                whole["PricingCurrency"] = at.term["currency"]
                money = {"PricingCurrencyEffectiveCost": nano(missing), "EffectiveCost": nano(missing / rate)}
                used = used_of(case, at, cycle, "*")
                yield from parted(whole, dict(money), case.weights(at.term.get("share", {}), last, used, "*"))


# ---- tiers and packages of a month


def tiers(case: Case) -> Iterator[Facts]:
    """One count per SKU and meter of the monthly tariffs, and month; each reading at the tariff of its own start."""
    counts: dict[tuple[str, date], list[tuple[Facts, Facts, Facts | None]]] = {}
    zones: dict[str, str] = {}
    for one in sorted(case.register.get("tariffs", []), key=lambda one: (one["valid_from"], one["id"])):
        if readings.is_monthly(one) and one["system"] == case.system:
            zones.setdefault(f"tariff:{one['system']}/{one['sku']}/{one['meter']}", one.get("time_zone", "UTC"))
    for reading in case.usage:
        for meter in case.meters(reading):
            with suppress(readings.UnpricedError):
                card, tariff = None, readings.tariff_of(case.register, reading, reading["sku"], meter)
                if "credit" in tariff:
                    card, tariff = tariff, readings.credit_tariff(case.register, reading, tariff["credit"])
                key = f"tariff:{tariff['system']}/{tariff['sku']}/{tariff['meter']}"
                if readings.is_monthly(tariff) and readings.pool_of(case.register, reading, meter) is None:
                    start = readings.instant(reading["charge_period_start"]).astimezone(ZoneInfo(zones[key]))
                    told = {**reading, "meter": meter}
                    counts.setdefault((key, start.date().replace(day=1)), []).append((told, tariff, card))
    for (key, _), found in counts.items():
        gathered = Gathered()
        count_month(case, key, found, gathered)
        yield from gathered.charges(case)


def counted_as(case: Case, reading: Facts, card: Facts | None) -> Fraction:
    quantity = Fraction(reading["consumed"][reading["meter"]])
    if card is None:
        return quantity
    package = card.get("round_up")
    quantity = quantity if package is None else ceil(quantity / Fraction(package["to"])) * Fraction(package["to"])
    return quantity * readings.unit_price(card, reading, reading["meter"])


def count_month(case: Case, key: str, found: list[tuple[Facts, Facts, Facts | None]], gathered: Gathered) -> None:
    total = sum((counted_as(case, reading, card) for reading, _, card in found), Fraction(0))
    before = paid = Fraction(0)
    for reading, tariff, card in found:
        counted = counted_as(case, reading, card)
        said = said_of(case, key, reading, tariff["meter"]) | {"PricingCurrency": tariff["currency"]}
        said |= {"x_Tariff": tariff["id"]} if card is None else {"x_Tariff": card["id"], "x_CreditTariff": tariff["id"]}
        goods = [(reading["sku"], reading["meter"])] + ([(card["credit"], "credits")] if card else [])
        left = 1 - readings.discount(case.register, reading, goods)
        times = readings.factor(tariff, reading) / Fraction(tariff["per"])
        for size, money, price in pieces(tariff, before, counted, total, paid):
            listed = Fraction(price) * times
            gathered.add(said, (listed * left, listed), size, money, money)
            paid += money
        before += counted


def pieces(
    tariff: Facts, before: Fraction, counted: Fraction, total: Fraction, paid: Fraction
) -> Iterator[tuple[Fraction, Fraction, str]]:
    """Units, units to pay, and the price of each piece of a reading."""
    if tariff["model"] == "volume":
        yield (
            counted,
            counted,
            next(one["price"] for one in tariff["tiers"] if "up_to" not in one or total <= Fraction(one["up_to"])),
        )
    elif tariff["model"] == "graduated":
        lower = Fraction(0)
        for one in tariff["tiers"]:
            upper = Fraction(one["up_to"]) if "up_to" in one else before + counted
            size = min(upper, before + counted) - max(lower, before)
            if size > 0:
                yield size, size, one["price"]
            lower = upper
    else:
        package = Fraction(tariff["round_up"]["to"])
        missing = before + counted - paid
        yield counted, (ceil(missing / package) * package if missing > 0 else Fraction(0)), tariff["price"]


# ---- seats


def seats(case: Case) -> Iterator[Facts]:
    for sku in sorted({one["sku"] for one in case.case.get("seats", [])}):
        counts = {to_day(one["observed_on"]): one["purchased"] for one in case.case["seats"] if one["sku"] == sku}
        held = [one for one in case.case.get("holdings", []) if one["sku"] == sku]
        day = min(counts)
        while day <= max(counts):
            purchased = counts[max(other for other in counts if other <= day)]
            if purchased:
                yield from seats_of(case, sku, day, purchased, held)
            day += DAY


def seats_of(case: Case, sku: str, day: date, purchased: int, held: list[Facts]) -> Iterator[Facts]:
    """A day's seats by who pays: their holders' units; those nobody holds by the contract or by the rules."""
    nobody = case.at_noon(sku, day)
    holders = {
        one["person"]
        for one in held
        if one["assigned_on"] <= day.isoformat() and ("released_on" not in one or day.isoformat() < one["released_on"])
    }
    owners = [case.payer({**nobody, "consumer": {"person": person}}, day) for person in sorted(holders)]
    weights: dict[Any, Fraction] = {}
    for who in owners:
        weights[who] = weights.get(who, Fraction(0)) + 1
    free = purchased - len(owners)
    if free > 0:
        shares = free_seats(case, sku, day, nobody, owners)
        for who, share in shares.items():
            weights[who] = weights.get(who, Fraction(0)) + free * share / sum(shares.values())
    yield from parted(*seat_price(case, sku, day, purchased, max(purchased, len(owners))), weights)


def free_seats(case: Case, sku: str, day: date, nobody: Facts, owners: list[Any]) -> dict[Any, Fraction]:
    for contract in readings.contracts(case.register, nobody):
        for term in contract.get("terms", []):
            if term["kind"] == "unused_seats" and term["sku"] == sku:
                if term["share"].get("by", "usage") != "usage":
                    return case.weights(term["share"], day, [], sku)
                if owners:
                    return {who: Fraction(owners.count(who)) for who in owners}
    return {case.payer(nobody, day): Fraction(1)}


def seat_price(case: Case, sku: str, day: date, purchased: int, counted: int) -> tuple[Facts, dict[str, int | None]]:
    found = [
        one
        for one in case.register.get("tariffs", [])
        if one["system"] == case.system and one["model"].startswith("per_seat") and readings.on(one, day)
    ]
    own = [one for one in found if one["sku"] == sku] or [one for one in found if one["sku"] == "*"]
    said = charge(
        f"seats:{case.system}/{sku}",
        day,
        "Purchase",
        sku,
        "seats",
        ConsumedQuantity=str(counted),
        x_VatRate=case.vat(case.at_noon(sku, day)),
    )
    if len(own) != 1:
        return {**said, "x_Unpriced": "ambiguous tariffs" if own else "no tariff"}, {}
    tariff = own[0]
    if tariff["model"] == "per_seat_year":
        days = (date(day.year + 1, 1, 1) - date(day.year, 1, 1)).days
    else:
        days = (after_a_month(day) - day.replace(day=1)).days
    listed = Fraction(tariff["price"]) / Fraction(tariff["per"]) / days * purchased
    net = listed * (1 - readings.discount(case.register, case.at_noon(sku, day), [(sku, "seats")]))
    rate, rate_day = case.euro(tariff["currency"], day)
    money = {
        "PricingCurrencyEffectiveCost": nano(net),
        "x_PricingCurrencyListCost": nano(listed),
        "EffectiveCost": None if rate is None else nano(net / rate),
    }
    return {**said, "x_Tariff": tariff["id"], "PricingCurrency": tariff["currency"], **rate_day}, dict(money)


# ---- a whole case

KINDS: tuple[Callable[[Case], Iterator[Facts]], ...] = (seats, tiers, pools, capacities, fees, minimums)


def charges(case: Facts) -> list[Facts]:
    """What a case comes to on its days."""
    first, last = case["days"]
    found = [one for kind in KINDS for one in kind(Case(case)) if first <= one["ChargePeriodStart"] <= last]
    return sorted(
        found, key=lambda one: (one["x_Agreement"], one["ChargePeriodStart"], json.dumps(one, sort_keys=True))
    )


def totals(found: list[Facts]) -> list[Facts]:
    """What all charges add up to, by agreement, unit, category and currency."""
    sums: dict[tuple[str, ...], dict[str, Fraction]] = {}
    for one in found:
        key = (one["x_Agreement"], one["x_Unit"], one["ChargeCategory"], one.get("PricingCurrency", ""))
        for name in ("ConsumedQuantity", "PricingCurrencyEffectiveCost", "x_PricingCurrencyListCost", "EffectiveCost"):
            if name in one:
                sums.setdefault(key, {})[name] = sums.get(key, {}).get(name, Fraction(0)) + Fraction(one[name])
    names = ("x_Agreement", "x_Unit", "ChargeCategory", "PricingCurrency")
    return [
        {name: text for name, text in zip(names, key, strict=True) if text}
        | {name: plain(value) for name, value in sums[key].items()}
        for key in sorted(sums)
    ]


def main(paths: list[Path]) -> int:
    wrong = 0
    for path in paths:
        case = json.loads(path.read_text())
        found = charges(case)
        written = [one for one in found if "shown" not in case or one["ChargePeriodStart"] in case["shown"]]
        for name, ours, theirs in (("charges", written, case["charges"]), ("totals", totals(found), case["totals"])):
            if ours != theirs:
                wrong += 1
                odd = [one for one in ours if one not in theirs][:1], [one for one in theirs if one not in ours][:1]
                sys.stdout.write(f"{path.name}, {name}: worked out {odd[0]}, written {odd[1]}\n")
    sys.stdout.write(f"{len(paths)} cases, {wrong} differences\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    chosen = [Path(name) for name in sys.argv[1:]]
    sys.exit(main(chosen or sorted((Path(__file__).parent / "periods").glob("*.json"))))
