"""A second opinion on the pricing cases: every figure worked out again from the case's own words.

    python tests/golden/pricing/recompute.py [FILE ...]

It knows nothing of the program: fractions, calendars and the rules as README.md beside it tells them. It compares what
it finds with the `charges` written in each file, says what differs, and ends with 1 when anything does.
Charges by the period (pools, monthly tiers, seats, fees) are worked out by `recompute_periods.py`.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Facts = dict[str, Any]
"""A fact, a reading or a charge as JSON has it."""

HELSINKI = "Europe/Helsinki"
INPUT = ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
NANO = 10**9
SECTIONS = ("systems", "tariffs", "contracts", "fx", "units", "placements", "allocation")


class UnpricedError(Exception):
    """Why there is no price."""


# ---- numbers and days


def plain(number: Fraction) -> str:
    """A number of at most nine decimals, without trailing noughts."""
    units = round(number * NANO)
    sign, units = ("-" if units < 0 else ""), abs(units)
    decimals = f"{units % NANO:09d}".rstrip("0")
    return f"{sign}{units // NANO}" + (f".{decimals}" if decimals else "")


def money(amount: Fraction) -> str:
    """Rounded to 10⁻⁹, a half to the even neighbour."""
    return plain(Fraction(round(amount * NANO), NANO))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def helsinki_day(moment: datetime) -> date:
    return moment.astimezone(ZoneInfo(HELSINKI)).date()


def midnight(day: str, zone: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), ZoneInfo(zone)).astimezone(UTC)


def in_force(fact: Facts, moment: datetime) -> bool:
    """Whether a tariff or contract holds at a moment; its days begin at midnight of its own time zone."""
    zone = fact.get("time_zone", "UTC")
    ends = fact.get("valid_to")
    return midnight(fact["valid_from"], zone) <= moment and (ends is None or moment < midnight(ends, zone))


def on(fact: Facts, day: date) -> bool:
    """Whether any other fact holds on a Helsinki day."""
    ends = fact.get("valid_to")
    return fact["valid_from"] <= day.isoformat() and (ends is None or day.isoformat() < ends)


# ---- which tariff


def tariff_of(register: Facts, reading: Facts, sku: str, meter: str) -> Facts:
    """The tariff that holds at the reading's start: the SKU's own before `*`, the narrowest that fits."""
    start = instant(reading["charge_period_start"])
    metered = [
        one
        for one in register.get("tariffs", [])
        if (one["system"], one["meter"]) == (reading["system"], meter)
        and not one["model"].startswith("per_seat")
        and in_force(one, start)
    ]
    offered = [one for one in metered if one["sku"] == sku] or [one for one in metered if one["sku"] == "*"]
    if not offered:
        raise UnpricedError("no tariff")
    said = reading.get("dimensions", {}).items()
    fitting = [one for one in offered if one.get("when", {}).items() <= said]
    if not fitting:
        asked = sorted({name for one in offered for name in one.get("when", {})})
        raise UnpricedError(f"no tariff for its {', '.join(asked)}")
    for one in fitting:
        if all(other is one or other.get("when", {}).items() < one.get("when", {}).items() for other in fitting):
            found: Facts = one
            return found
    raise UnpricedError("ambiguous tariffs")


def factor(tariff: Facts, reading: Facts) -> Fraction:
    """The product of the factors for the reading's dimensions."""
    product, unknown = Fraction(1), []
    for name, factors in tariff.get("multipliers", {}).items():
        value = reading.get("dimensions", {}).get(name)
        if value in factors:
            product *= Fraction(factors[value])
        else:
            unknown.append(name)
    if unknown:
        raise UnpricedError(f"no factor for its {', '.join(sorted(unknown))}")
    return product


def size_of(reading: Facts, meter: str) -> Fraction:
    """The size of the request that a meter's price by size depends on."""
    consumed = reading["consumed"]
    if Fraction(consumed.get("requests", 1)) > 1:
        raise UnpricedError("several requests in one reading, and the price depends on the size of each")
    read = [Fraction(consumed[name]) for name in INPUT if name in consumed]
    if meter in INPUT or (meter == "output_tokens" and read):
        return sum(read, Fraction(0))
    if meter == "output_tokens" or meter not in consumed:
        raise UnpricedError("the price depends on the size of the request, and nothing says it")
    return Fraction(consumed[meter])


def is_monthly(tariff: Facts) -> bool:
    return tariff["model"] in ("graduated", "volume") or tariff.get("round_up", {}).get("per") == "month"


def unit_price(tariff: Facts, reading: Facts, meter: str) -> Fraction:
    """What a unit costs in the tariff's currency or credits."""
    times = factor(tariff, reading)
    price = str(tariff.get("price"))
    if tariff["model"] == "by_request_size":
        size = size_of(reading, meter)
        price = next(t["price"] for t in tariff["tiers"] if "up_to" not in t or size <= Fraction(t["up_to"]))
    return Fraction(price) / Fraction(tariff["per"]) * times


# ---- what the contracts say


def contracts(register: Facts, reading: Facts) -> list[Facts]:
    """Those on the reading's system, in force at its start, by id."""
    start = instant(reading["charge_period_start"])
    found = [
        one for one in register.get("contracts", []) if one["system"] == reading["system"] and in_force(one, start)
    ]
    return sorted(found, key=lambda one: (one["id"], one["valid_from"]))


def discount(register: Facts, reading: Facts, goods: list[tuple[str, str]]) -> Fraction:
    """The part off: of the first discount that fits the SKU and meter, or the credit they are priced in."""
    for contract in contracts(register, reading):
        for one in contract.get("discounts", []):
            if any(one.get("sku", "*") in ("*", sku) and one.get("meter", meter) == meter for sku, meter in goods):
                return Fraction(one["off"])
    return Fraction(0)


def vat(register: Facts, reading: Facts) -> str | None:
    rates: list[str] = [one["vat_rate"] for one in contracts(register, reading) if one.get("vat_rate") is not None]
    return rates[0] if rates else None


def pool_of(register: Facts, reading: Facts, meter: str) -> str | None:
    """The key of the pool that takes a meter: named SKU before `*`, quantity before money, then contract and id."""
    ways = [(reading["sku"], meter)]
    price: Facts = {}
    with suppress(UnpricedError):
        price = by_tariff(register, reading, meter)
    if "credit" in price:
        ways.append((price["credit"], "credits"))
    found = []
    for contract in contracts(register, reading):
        for pool in contract.get("terms", []):
            sku, of_money = pool.get("sku", "*"), pool.get("measure") == "cost"
            if pool["kind"] != "pool":
                continue
            if of_money:
                fits = sku in ("*", reading["sku"]) and price.get("currency") == pool["burns"]
            else:
                fits = any(sku in ("*", name) and pool["meter"] == counted for name, counted in ways)
            if fits:
                found.append((sku == "*", of_money, contract["id"], pool["id"]))
    return f"pool:{min(found)[2]}/{min(found)[3]}" if found else None


# ---- the price of a meter


def credit_tariff(register: Facts, reading: Facts, credit: str) -> Facts:
    """The tariff that says what a credit costs in money."""
    tariff = tariff_of(register, reading, credit, "credits")
    if "credit" in tariff:
        raise UnpricedError("itself priced in credits")
    if "round_up" in tariff and not is_monthly(tariff):
        raise UnpricedError("its round_up belongs on the tariff of the meter")
    return tariff


def by_tariff(register: Facts, reading: Facts, meter: str) -> Facts:
    """List and net price of a unit with the tariffs that say so, or the key of the monthly tariff that counts it."""
    tariff = tariff_of(register, reading, reading["sku"], meter)
    goods = [(reading["sku"], meter)]
    found: Facts = {"x_Tariff": tariff["id"]}
    rounding = tariff.get("round_up")
    if rounding is not None:
        found["package"] = Fraction(rounding["to"])
    if is_monthly(tariff):
        factor(tariff, reading)
        return {"agreement": f"tariff:{tariff['system']}/{tariff['sku']}/{meter}"}
    list_price = unit_price(tariff, reading, meter)
    credit = tariff.get("credit")
    if credit is not None:
        found["credit"] = credit
        goods.append((credit, "credits"))
        try:
            tariff = credit_tariff(register, reading, credit)
            if is_monthly(tariff):
                factor(tariff, reading)
                return {"agreement": f"tariff:{tariff['system']}/{tariff['sku']}/credits", "credit": credit}
            list_price *= unit_price(tariff, reading, "credits")
        except UnpricedError as why:
            return {**found, "x_Unpriced": f"credit {credit}: {why}"}
        found["x_CreditTariff"] = tariff["id"]
    off = discount(register, reading, goods)
    return {**found, "currency": tariff["currency"], "list": list_price, "net": list_price * (1 - off)}


def in_euro(register: Facts, charge: Facts, amount: Fraction, day: date) -> None:
    """Add the euro at the rate last published before the day, or why there is none."""
    currency = charge["PricingCurrency"]
    earlier = [one for one in register.get("fx", []) if one["day"] < day.isoformat() and currency in one["rates"]]
    if currency != "EUR" and not earlier:
        charge["x_Unpriced"] = "no exchange rate"
        return
    last = max(earlier, key=lambda one: one["day"]) if currency != "EUR" else None
    rate = Fraction(last["rates"][currency]) if last else Fraction(1)
    charge["BillingCurrency"], charge["EffectiveCost"] = "EUR", money(amount / rate)
    if last:
        charge["x_RateDay"] = last["day"]


def meter_charge(register: Facts, reading: Facts, meter: str, day: date) -> Facts:
    """The charge of one meter, without who pays."""
    quantity = Fraction(reading["consumed"][meter])
    charge: Facts = {"SkuMeter": meter, "ConsumedQuantity": reading["consumed"][meter]}
    try:
        price = by_tariff(register, reading, meter)
    except UnpricedError as why:
        price = {"x_Unpriced": str(why)}
    agreement = pool_of(register, reading, meter) or price.get("agreement")
    if agreement is not None:
        nought = {"PricingCurrency": "EUR", "PricingCurrencyEffectiveCost": "0", "BillingCurrency": "EUR"}
        return {**charge, **nought, "EffectiveCost": "0", "x_Agreement": agreement}
    charge |= {name: value for name, value in price.items() if name.startswith("x_")}
    if "net" in price:
        if "package" in price:
            quantity = ceil(quantity / price["package"]) * price["package"]
        charge["PricingCurrency"] = price["currency"]
        charge["PricingCurrencyEffectiveCost"] = money(quantity * price["net"])
        charge["x_PricingCurrencyListCost"] = money(quantity * price["list"])
        in_euro(register, charge, quantity * price["net"], day)
    return charge


def reported_charge(register: Facts, reading: Facts, day: date) -> Facts:
    """The charge of a whole reading at the vendor's own figure."""
    meters, cost = sorted(reading["consumed"]), reading.get("reported_cost")
    charge: Facts = {"SkuMeter": meters[0] if len(meters) == 1 else "*"}
    if cost is None:
        return {**charge, "x_Unpriced": "no reported cost"}
    charge["ConsumedQuantity"] = cost["amount"]
    charge["PricingCurrency"] = cost["currency"]
    charge["PricingCurrencyEffectiveCost"] = money(Fraction(cost["amount"]))
    in_euro(register, charge, Fraction(cost["amount"]), day)
    return charge


# ---- who pays


def fits(match: Facts, reading: Facts) -> bool:
    consumer = reading.get("consumer", {})
    tags = consumer.get("tags", {})
    said = {
        "person": consumer.get("person"),
        "account": consumer.get("account"),
        "system": reading["system"],
        "sku": reading["sku"],
        "environment": reading.get("environment", "production"),
        "api_key": tags.get("api_key"),
        "project": tags.get("project"),
        "group": tags.get("security_group"),
    }
    for name, wanted in match.items():
        if name == "tags":
            fitting = wanted.items() <= tags.items()
        elif name == "path":
            fitting = tags.get("page_path", "").startswith(wanted)
        else:
            fitting = said[name] == wanted
        if not fitting:
            return False
    return True


def payer(register: Facts, reading: Facts, day: date) -> Facts:
    """The unit that pays, by which rule, with its cost centre and the project."""
    rules = sorted(register.get("allocation", []), key=lambda one: (one["order"], one["id"]))
    rule = next((one for one in rules if on(one, day) and fits(one["match"], reading)), None)
    person = reading.get("consumer", {}).get("person")
    placed = [one for one in register.get("placements", []) if one["person"] == person and on(one, day)]
    if not placed and rule is None:
        return {"x_Unit": "unallocated"}
    unit = max(placed, key=lambda one: (one["valid_from"], one["unit"]))["unit"] if placed else rule["unit"]  # type: ignore[index]
    centre = next((u.get("cost_centre") for u in register.get("units", []) if u["id"] == unit and on(u, day)), None)
    found = {"x_Unit": unit, "x_AllocationRule": "placement" if placed else rule["id"]}  # type: ignore[index]
    found |= {"x_CostCentre": centre} if centre else {}
    return found | ({"x_Project": rule["project"]} if rule and rule.get("project") else {})


# ---- a whole case


def is_reported(register: Facts, reading: Facts) -> bool:
    systems = {one["id"]: one.get("price_from", "tariff") for one in register.get("systems", [])}
    return systems.get(reading["system"]) == "reported"


def charged(register: Facts, reading: Facts) -> list[Facts]:
    """The charges of a reading under one version of the register, in the order of their meters."""
    day = helsinki_day(instant(reading["charge_period_start"]))
    if is_reported(register, reading):
        found = [reported_charge(register, reading, day)]
    else:
        found = [meter_charge(register, reading, meter, day) for meter in sorted(reading["consumed"])]
    everybody: Facts = {"ChargePeriodStart": day.isoformat()}
    if "allocation" in register or "placements" in register:
        everybody |= payer(register, reading, day)
    rate = vat(register, reading)
    everybody |= {} if rate is None else {"x_VatRate": rate}
    return [{**everybody, **charge} for charge in found]


NOT_AN_EFFECT = ("x_Tariff", "x_CreditTariff", "x_RateDay", "x_AllocationRule")


def effect(charges: list[Facts]) -> list[Facts]:
    return [{name: value for name, value in one.items() if name not in NOT_AN_EFFECT} for one in charges]


def history(case: Facts, reading: Facts) -> Iterator[Facts]:
    """The charges as first recorded and as each later version of the register changed them."""
    register = {name: case[name] for name in SECTIONS if name in case}
    recorded = str(reading.get("recorded", reading["charge_period_end"]))
    known = charged(register, reading)
    since = recorded
    for later in case["later"]:
        register = {**register, **{name: later[name] for name in SECTIONS if name in later}}
        made = charged(register, reading)
        if instant(later["published"]) <= instant(recorded):
            known = made
        elif effect(made) != effect(known):
            yield from ({**one, "x_RecordedAt": since, "x_SupersededAt": later["published"]} for one in known)
            known, since = made, later["published"]
    yield from ({**one, "x_RecordedAt": since} for one in known)


def charges(case: Facts) -> list[Facts]:
    """What a case comes to."""
    found: list[Facts] = []
    for usage in case["usage"]:
        reading = {"system": "claude-api", "sku": "claude-sonnet-4-5", **usage}
        found += history(case, reading) if "later" in case else charged(case, reading)
    return found


def main(paths: list[Path]) -> int:
    wrong = 0
    for path in paths:
        case = json.loads(path.read_text())
        found = charges(case)
        for number, (one, other) in enumerate(zip(found, case["charges"], strict=False), start=1):
            if one != other:
                wrong += 1
                sys.stdout.write(f"{path.name}, charge {number}: worked out {one}, written {other}\n")
        if len(found) != len(case["charges"]):
            wrong += 1
            sys.stdout.write(f"{path.name}: worked out {len(found)} charges, written {len(case['charges'])}\n")
    sys.stdout.write(f"{len(paths)} cases, {wrong} differences\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    sys.exit(main(given or sorted(Path(__file__).parent.glob("*.json"))))
