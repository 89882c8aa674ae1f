"""What the second opinion on periods reckons with: days, parts, who pays, terms through time, pieces of readings."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any
from zoneinfo import ZoneInfo

from tests.golden.pricing import recompute as readings

Facts = dict[str, Any]
NANO = 10**9
DAY = timedelta(days=1)
END_OF_TIME = "2101-01-01"

Days = tuple[date, date, date, date]
"""First day and end of a cycle, and those of the whole month, year or term that it is cut from."""


# ---- numbers and days


def plain(number: Fraction, decimals: int = 18) -> str:
    """A number without trailing noughts, rounded half-even to so many decimals."""
    units = round(number * 10**decimals)
    sign, units = ("-" if units < 0 else ""), abs(units)
    behind = f"{units % 10**decimals:0{decimals}d}".rstrip("0")
    return f"{sign}{units // 10**decimals}" + (f".{behind}" if behind else "")


def nano(amount: Fraction) -> int:
    return round(amount * NANO)


def as_money(units: int) -> str:
    return plain(Fraction(units, NANO))


def of(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def to_day(text: str) -> date:
    return date.fromisoformat(text)


def after_a_month(day: date) -> date:
    return (day.replace(day=28) + 4 * DAY).replace(day=1)


def years_after(day: date, years: int) -> date:
    """The same day of another year; after 29 February comes 1 March."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def parts_of(total: int, weights: dict[Any, Fraction]) -> dict[Any, int]:
    """A whole number in whole parts by weight; what is left over goes to the largest, ties to the first by name."""
    whole = sum(weights.values())
    sign = -1 if total < 0 else 1
    cut = {key: sign * floor(abs(total) * weight / whole) for key, weight in weights.items()}
    heaviest = min(key for key, weight in weights.items() if weight == max(weights.values()))
    cut[heaviest] += total - sum(cut.values())
    return cut


# ---- one case: its register, what was known


class Case:
    """The register and what was known, with the questions that all agreements ask."""

    def __init__(self, case: Facts) -> None:
        self.case = case
        self.register = {name: case[name] for name in readings.SECTIONS if name in case}
        self.system = str(case["system"])
        self.today = to_day(case["today"])
        usage = [{"system": self.system, "sku": "claude-sonnet-4-5", **one} for one in case.get("usage", [])]
        self.usage = sorted(usage, key=lambda one: readings.instant(one["charge_period_start"]))

    def meters(self, reading: Facts) -> list[str]:
        return ["reported"] if readings.is_reported(self.register, reading) else sorted(reading["consumed"])

    def at_noon(self, sku: str, day: date) -> Facts:
        """A use by nobody in particular, at noon of a Helsinki day: whom rules, contracts and VAT are asked for."""
        noon = of(day, readings.HELSINKI) + timedelta(hours=12)
        return {"system": self.system, "sku": sku, "charge_period_start": noon.isoformat()}

    def vat(self, reading: Facts) -> str | None:
        return readings.vat(self.register, reading)

    def payer(self, reading: Facts, day: date) -> tuple[tuple[str, str], ...]:
        return tuple(sorted(readings.payer(self.register, reading, day).items()))

    def unit(self, unit: str, rule: str, day: date) -> tuple[tuple[str, str], ...]:
        found = [one for one in self.register.get("units", []) if one["id"] == unit and readings.on(one, day)]
        centre = {"x_CostCentre": found[0]["cost_centre"]} if found and found[0].get("cost_centre") else {}
        return tuple(sorted({"x_Unit": unit, "x_AllocationRule": rule, **centre}.items()))

    def euro(self, currency: str, day: date) -> tuple[Fraction | None, Facts]:
        """The rate last published before a day, and the day that it is of."""
        if currency == "EUR":
            return Fraction(1), {}
        known = [
            one for one in self.register.get("fx", []) if currency in one["rates"] and one["day"] < day.isoformat()
        ]
        if not known:
            return None, {"x_Unpriced": "no exchange rate"}
        last = max(known, key=lambda one: one["day"])
        return Fraction(last["rates"][currency]), {"x_RateDay": last["day"]}

    def weights(self, share: Facts, day: date, used: list[tuple[Facts, Fraction]], sku: str) -> dict[Any, Fraction]:
        """Who pays how much of a shared cost of a day."""
        found: dict[Any, Fraction] = {}
        by = share.get("by", "usage")
        if by == "usage":
            for reading, amount in used:
                who = self.payer(reading, day)
                found[who] = found.get(who, Fraction(0)) + amount
        elif by == "headcount":
            for person in {one["person"] for one in self.register.get("placements", [])}:
                placed = [
                    one for one in self.register["placements"] if one["person"] == person and readings.on(one, day)
                ]
                if placed:
                    last = max(placed, key=lambda one: (one["valid_from"], one["unit"]))
                    who = self.unit(last["unit"], "headcount", day)
                    found[who] = found.get(who, Fraction(0)) + 1
        else:
            there = {one["id"] for one in self.register.get("units", []) if readings.on(one, day)}
            found = {self.unit(u, "fixed", day): Fraction(w) for u, w in share["weights"].items() if u in there}
        found = {who: weight for who, weight in found.items() if weight > 0}
        return found or {self.payer(self.at_noon(sku, day), day): Fraction(1)}

    def worth(self, reading: Facts, meter: str) -> tuple[Fraction | None, Fraction]:
        """The list price of a metered quantity in euro (None: there is none), and the quantity."""
        day = readings.helsinki_day(readings.instant(reading["charge_period_start"]))
        if meter == "reported":
            cost = reading.get("reported_cost", {"amount": "0", "currency": "EUR"})
            rate, _ = self.euro(cost["currency"], day)
            amount = Fraction(cost["amount"])
            return (None if rate is None else amount / rate), amount
        quantity = Fraction(reading["consumed"][meter])
        with suppress(readings.UnpricedError):
            price = readings.by_tariff(self.register, reading, meter)
            if "list" in price:
                rate, _ = self.euro(price["currency"], day)
                return (None if rate is None else rounded_up(quantity, price) * price["list"] / rate), quantity
        return None, quantity


def rounded_up(quantity: Fraction, price: Facts) -> Fraction:
    package = price.get("package")
    return quantity if package is None else ceil(quantity / package) * package


def by_value_or_quantity(found: list[tuple[Facts, Fraction | None, Fraction]]) -> list[tuple[Facts, Fraction]]:
    values = [(reading, value) for reading, value, _ in found if value is not None]
    if len(values) == len(found) and any(value > 0 for _, value in values):
        return values
    return [(reading, quantity) for reading, _, quantity in found]


def charge(key: str, day: date, category: str, sku: str, meter: str, **members: Any) -> Facts:  # noqa: ANN401
    named = {"x_Agreement": key, "ChargePeriodStart": day.isoformat(), "ChargeCategory": category}
    found = {**named, "SkuId": sku, "SkuMeter": meter, **members}
    return {name: value for name, value in found.items() if value is not None}


def parted(whole: Facts, money: dict[str, int | None], weights: dict[Any, Fraction]) -> Iterator[Facts]:
    """A charge for everybody in parts; `money`: column → 10⁻⁹, None where unknown. So is the quantity, to 10⁻¹⁸."""
    cut = {name: parts_of(amount, weights) for name, amount in money.items() if amount is not None}
    counted = parts_of(round(Fraction(whole.get("ConsumedQuantity", "0")) * 10**18), weights)
    for who in weights:
        one = {**whole, **dict(who), **{name: as_money(parts[who]) for name, parts in cut.items()}}
        one.pop("ConsumedQuantity", None)
        yield one | ({"ConsumedQuantity": plain(Fraction(counted[who], 10**18))} if counted[who] else {})


# ---- terms through time


class Stretch:
    """A term that stays the same from one day to another, also over amendments of its contract."""

    def __init__(self, contract: Facts, term: Facts, anchor: str | None = None) -> None:
        self.name = f"{contract['id']}/{term['id']}"
        self.key = f"{term['kind']}:{self.name}"
        self.term, self.zone = term, contract.get("time_zone", "UTC")
        self.first, self.until = to_day(contract["valid_from"]), to_day(contract.get("valid_to", END_OF_TIME))
        self.ends = "valid_to" in contract
        self.anchor = to_day(anchor or contract["valid_from"])

    def whole(self, day: date, every: str) -> tuple[date, date]:
        if every == "month":
            return day.replace(day=1), after_a_month(day)
        if every == "once":
            return self.first, self.until
        years = day.year - self.anchor.year
        years -= years_after(self.anchor, years) > day
        return years_after(self.anchor, years), years_after(self.anchor, years + 1)

    def cycles(self, every: str, until: date) -> Iterator[Days]:
        """First day and end of each cycle that begins before a day, and those of the whole that it is cut from."""
        day = self.first
        while day < min(self.until, until):
            first, end = self.whole(day, every)
            yield max(first, self.first), min(end, self.until), first, end
            day = min(end, self.until)


def stretches(case: Case, kind: str) -> list[Stretch]:
    """All terms of a kind; a contract's amendment goes on where the term is unchanged."""
    found: list[Stretch] = []
    contracts = [one for one in case.register.get("contracts", []) if one["system"] == case.system]
    for contract in sorted(contracts, key=lambda one: (one["id"], one["valid_from"])):
        for term in contract.get("terms", []):
            if term["kind"] != kind:
                continue
            one = Stretch(contract, term)
            before = [other for other in found if other.key == one.key and other.zone == one.zone]
            if before and before[-1].until == one.first:
                if before[-1].term == term:
                    before[-1].until, before[-1].ends = one.until, one.ends
                    continue
                one.anchor = before[-1].anchor
            found.append(one)
    return found


def spread(
    case: Case, at: Stretch, cycle: Days, used: list[tuple[Facts, Fraction]], *, meter: str, listed: bool
) -> Iterator[Facts]:
    """A price by the day: what the days up to each one cost, rounded, less what those before it cost."""
    first, until, whole_first, whole_until = cycle
    term, days = at.term, (whole_until - whole_first).days
    price = str(term.get("price", term.get("amount")))
    if not Fraction(price):
        return
    if at.term.get("every", "month") == "once" and not at.ends:
        reason = "paid once, and the contract names no end to spread it to"
        vat = case.vat(case.at_noon(term.get("sku", "*"), first))
        nobody = {"x_Unit": "unallocated"}
        yield charge(at.key, first, "Purchase", term.get("sku", "*"), meter, x_Unpriced=reason, x_VatRate=vat, **nobody)
        return
    day = first
    while day < until and day <= case.today:
        done = (day - whole_first).days
        amount = nano(Fraction(price) * (done + 1) / days) - nano(Fraction(price) * done / days)
        rate, said = case.euro(term["currency"], day)
        whole = charge(
            at.key,
            day,
            "Purchase",
            term.get("sku", "*"),
            meter,
            x_Tariff=at.name,
            PricingCurrency=term["currency"],
            x_VatRate=case.vat(case.at_noon(term.get("sku", "*"), day)),
            **said,
        )
        money = {
            "PricingCurrencyEffectiveCost": amount,
            "x_PricingCurrencyListCost": amount if listed else None,
            "EffectiveCost": None if rate is None else round(amount / rate),
        }
        weights = case.weights(term.get("share", {}), day, used, term.get("sku", "*"))
        yield from parted(whole, money, weights)
        day += DAY


def used_of(case: Case, at: Stretch, cycle: Days, sku: str) -> list[tuple[Facts, Fraction]]:
    """Who used how much of a SKU within a cycle; of everything, where none of the SKU was used."""
    starts, ends = of(cycle[0], at.zone), of(cycle[1], at.zone)
    within = [one for one in case.usage if starts <= readings.instant(one["charge_period_start"]) < ends]
    chosen = [one for one in within if one["sku"] == sku] or within
    return by_value_or_quantity(
        [(reading, *case.worth(reading, meter)) for reading in chosen for meter in case.meters(reading)]
    )


# ---- pieces of readings, gathered


Prices = tuple[Fraction | None, Fraction | None]
"""What a unit costs, net and by the list; None where that is not known."""


class Gathered:
    """Pieces of readings by everything that a charge says but its sums."""

    def __init__(self) -> None:
        self.sums: dict[str, tuple[Fraction, Fraction, Fraction]] = {}

    def add(self, said: Facts, prices: Prices, counted: Fraction, paid: Fraction, listed: Fraction) -> None:
        """Count a piece; `paid` and `listed`: the units to multiply by the net and by the list price."""
        key = json.dumps([said, *map(str, prices)], sort_keys=True)
        sums = self.sums.get(key, (Fraction(0), Fraction(0), Fraction(0)))
        self.sums[key] = (sums[0] + counted, sums[1] + paid, sums[2] + listed)

    def charges(self, case: Case) -> Iterator[Facts]:
        for key, (counted, paid, at_list) in self.sums.items():
            said, net, listed = json.loads(key)
            one = {**said, **({"ConsumedQuantity": plain(counted)} if counted else {})}
            if net == "None":
                yield one
                continue
            day = to_day(one["ChargePeriodStart"])
            rate, rate_day = case.euro(one["PricingCurrency"], day)
            amount = paid * Fraction(net)
            one["PricingCurrencyEffectiveCost"] = as_money(nano(amount))
            if listed != "None":
                one["x_PricingCurrencyListCost"] = as_money(nano(at_list * Fraction(listed)))
            if rate is not None or not amount:
                one["EffectiveCost"] = as_money(nano(amount / (rate or 1)))
            needs_no_rate = not amount and (rate is None or listed == "None")
            one |= {} if needs_no_rate else rate_day
            yield one


def said_of(case: Case, key: str, reading: Facts, meter: str) -> Facts:
    day = readings.helsinki_day(readings.instant(reading["charge_period_start"]))
    found = charge(
        key, day, "Usage", reading["sku"], meter, x_VatRate=case.vat(reading), **dict(case.payer(reading, day))
    )
    return found | ({"x_Estimated": True} if reading.get("finality", "final") != "final" else {})
