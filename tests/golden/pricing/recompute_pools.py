"""The second opinion on prepaid pools: what is inside, what is beyond, and who pays for both."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from fractions import Fraction

from tests.golden.pricing import recompute as readings
from tests.golden.pricing.recompute_cycles import (
    DAY,
    Case,
    Days,
    Facts,
    Gathered,
    Stretch,
    by_value_or_quantity,
    nano,
    of,
    parted,
    rounded_up,
    said_of,
    spread,
    stretches,
    to_day,
)


def pools(case: Case) -> Iterator[Facts]:
    for at in stretches(case, "pool"):
        left, every = Fraction(0), at.term.get("every", "month")
        last_use = max((of_reading(one) for one in case.usage), default=case.today)
        for cycle in at.cycles(every, max(case.today, last_use) + DAY):
            left = Fraction(at.term["size"]) + (left if at.term.get("carries_over") else 0)
            drawn = list(drawn_from(case, at, cycle))
            used = by_value_or_quantity(
                [(reading, case.worth(reading, meter)[0], counted) for reading, meter, counted, _ in drawn]
            )
            yield from spread(case, at, cycle, used, meter=at.term.get("meter", "*"), listed=False)
            inside, beyond = Gathered(), Gathered()
            for one in drawn:
                left -= burn(case, at, one, left, (inside, beyond))
            yield from inside.charges(case)
            for found in beyond.charges(case):
                yield from shared_overage(case, at, found, used)


def of_reading(reading: Facts) -> date:
    return readings.helsinki_day(readings.instant(reading["charge_period_start"]))


Drawn = tuple[Facts, str, Fraction, Fraction]
"""A reading, its meter, what it counts as in the pool, and what one metered unit counts as."""


def drawn_from(case: Case, at: Stretch, cycle: Days) -> Iterator[Drawn]:
    starts, ends = of(cycle[0], at.zone), of(cycle[1], at.zone)
    for reading in case.usage:
        if starts <= readings.instant(reading["charge_period_start"]) < ends:
            for meter in case.meters(reading):
                if takes(case, at, reading, meter):
                    unit, quantity = unit_of(case, at, reading, meter)
                    if unit * quantity:
                        yield reading, meter, unit * quantity, unit


def takes(case: Case, at: Stretch, reading: Facts, meter: str) -> bool:
    if meter != "reported":
        return readings.pool_of(case.register, reading, meter) == at.key
    cost = reading.get("reported_cost")
    of_sku = at.term.get("sku", "*") in ("*", reading["sku"])
    return cost is not None and of_sku and at.term.get("burns") == cost["currency"]


def unit_of(case: Case, at: Stretch, reading: Facts, meter: str) -> tuple[Fraction, Fraction]:
    """What a metered unit counts as in a pool, and the quantity, rounded up as its tariff says."""
    if meter == "reported":
        return Fraction(1), Fraction(reading["reported_cost"]["amount"])
    price: Facts = {}
    with suppress(readings.UnpricedError):
        price = readings.by_tariff(case.register, reading, meter)
    quantity = rounded_up(Fraction(reading["consumed"][meter]), price)
    if at.term.get("measure") == "cost":
        return price["net"], quantity
    if at.term["meter"] == meter:
        return Fraction(1), quantity
    card = readings.tariff_of(case.register, reading, reading["sku"], meter)
    return readings.unit_price(card, reading, meter), quantity


def burn(case: Case, at: Stretch, drawn: Drawn, left: Fraction, to: tuple[Gathered, Gathered]) -> Fraction:
    """Count a reading to what is inside the pool and what is beyond it; what it burnt."""
    reading, meter, counted, unit = drawn
    inside = min(counted, left)
    of_money = at.term.get("measure") == "cost"
    metered = Fraction(reading["reported_cost"]["amount"] if meter == "reported" else reading["consumed"][meter])
    price = priced(case, reading, meter)
    shown = "*" if meter == "reported" and len(reading["consumed"]) != 1 else meter
    shown = (min(reading["consumed"]) if shown == "reported" else shown) if of_money else at.term["meter"]
    said = said_of(case, at.key, reading, shown)
    scale = Fraction(1) if of_money else 1 / unit
    net, listed = ((price[name] * scale if name in price else None) for name in ("net", "list"))
    for gathered, amount in zip(to, (inside, counted - inside), strict=True):
        if not amount:
            continue
        quantity = metered * amount / counted if of_money else amount
        units = rounded_up(metered, price) * amount / counted if of_money else amount
        if gathered is to[1] and "overage_share" in at.term:
            said = {name: value for name, value in said.items() if name not in PAYER}
        if gathered is to[0]:
            currency = price.get("currency", at.term["currency"])
            inner = said | {"x_Tariff": at.name, "PricingCurrency": currency}
            gathered.add(inner, (Fraction(0), listed), quantity, Fraction(0), units)
        elif at.term.get("overage") == "none" or net is None:
            gathered.add(said | {"x_Unpriced": why_not(at, price)}, (None, None), quantity, units, units)
        else:
            named = {name: price[name] for name in ("x_Tariff", "x_CreditTariff") if name in price}
            outer = said | named | {"PricingCurrency": price["currency"]}
            gathered.add(outer, (net, listed), quantity, units, units)
    return inside


def why_not(at: Stretch, price: Facts) -> str:
    if at.term.get("overage") == "none":
        return "beyond the pool, and the contract has no price for that"
    return f"beyond the pool: {price['x_Unpriced']}"


def priced(case: Case, reading: Facts, meter: str) -> Facts:
    if meter == "reported":
        return {"currency": reading["reported_cost"]["currency"], "net": Fraction(1), "list": Fraction(1)}
    try:
        found = readings.by_tariff(case.register, reading, meter)
        return {"x_Unpriced": "priced by the month"} if "agreement" in found else found
    except readings.UnpricedError as why:
        return {"x_Unpriced": str(why)}


def shared_overage(case: Case, at: Stretch, found: Facts, used: list[tuple[Facts, Fraction]]) -> Iterator[Facts]:
    """Use beyond the pool as it is, or parted by the contract's key."""
    share = at.term.get("overage_share")
    if share is None:
        yield found
        return
    columns = ("PricingCurrencyEffectiveCost", "x_PricingCurrencyListCost", "EffectiveCost")
    money: dict[str, int | None] = {name: nano(Fraction(found[name])) for name in columns if name in found}
    bare = {name: value for name, value in found.items() if name not in PAYER}
    weights = case.weights(share, to_day(found["ChargePeriodStart"]), used, found["SkuId"])
    yield from parted(bare, money, weights)


PAYER = ("x_Unit", "x_AllocationRule", "x_CostCentre", "x_Project")
