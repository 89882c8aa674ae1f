"""The ledger computed the slow way, from the records of a bus: no store, no history, no shortcuts, only fractions.

What was known at an instant is the fold of all records until then; nothing here follows how the ledger keeps it.
"""

# ruff: noqa: ANN401  # an event or fact of any kind is taken as it comes

import calendar
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from services.shared.bus import EventBus
from services.shared.events import REGISTER, USAGE, decode, prices
from services.shared.events import register as facts
from services.shared.events.usage import Consumer, Reading, SeatAssigned, SeatsObserved, UsageRecorded

ZONE = ZoneInfo("Europe/Helsinki")
NANO = 10**9


@dataclass
class Figures:
    """One line of a report; `pricing` in 10⁻⁹."""

    eur: int = 0
    pricing: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    readings: int = 0
    unpriced: int = 0

    def document(self) -> dict[str, Any]:
        return {
            "eur": plain(self.eur),
            "pricing": {currency: plain(nano) for currency, nano in sorted(self.pricing.items())},
            "readings": self.readings,
            "unpriced": self.unpriced,
        }


def plain(nano: int) -> str:
    sign, whole, rest = "-" if nano < 0 else "", abs(nano) // NANO, f"{abs(nano) % NANO:09d}".rstrip("0")
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"


def records(bus: EventBus, topic: str) -> list[tuple[datetime, Any]]:
    """Ingest times and events, in an order in which a reader could have seen them: what is revised has one key."""
    found = [
        record for partition, end in bus.end_positions([topic]).items() for record in bus.read(partition, 0, end + 1)
    ]
    ordered = sorted(found, key=lambda one: (one.ingest_time, one.partition, one.offset))
    return [(record.ingest_time, decode(record.value)) for record in ordered]


class Told:
    """Everything that a bus holds."""

    def __init__(self, bus: EventBus) -> None:
        self._register, self._usage = records(bus, REGISTER.name), records(bus, USAGE.name)

    def until(self, known_on: date | None) -> "tuple[Register, Usage]":
        """What was known at the end of a Helsinki day."""
        before = None if known_on is None else datetime.combine(known_on + timedelta(days=1), time(), ZONE)
        register, usage = Register(), Usage()
        for state, events in ((register, self._register), (usage, self._usage)):
            for ingest_time, event in events:
                if before is None or ingest_time < before:
                    state.take(event)
        return register, usage


def expected(register: "Register", usage: "Usage", year: int, month: int) -> dict[str, dict[str, Any]]:
    """Unit → its row of the report, and the total under an empty name."""
    rows: dict[str, Figures] = defaultdict(Figures)
    for reading in usage.readings.values():
        day = reading.charge_period_start.astimezone(ZONE).date()
        if (day.year, day.month) == (year, month) and reading.purpose == "billing" and not reading.retracted:
            charge(register, reading, day, rows)
    charge_seats(register, usage, year, month, rows)
    total = Figures()
    for row in rows.values():
        total.eur += row.eur
        total.readings += row.readings
        total.unpriced += row.unpriced
        for currency, nano in row.pricing.items():
            total.pricing[currency] += nano
    return {"": total.document(), **{unit: row.document() for unit, row in rows.items()}}


class Register:
    def __init__(self) -> None:
        self.version = 0
        self.waiting: dict[tuple[str, str], Any] = {}
        self.held: dict[tuple[str, str], Any] = {}

    def take(self, event: Any) -> None:
        if not isinstance(event, facts.RegisterPublished):
            self.waiting[type(event).__name__, event.data.fact_id] = event.data.fact
            return
        if event.data.version > self.version:
            self.version = event.data.version
            self.held = {key: fact for key, fact in {**self.held, **self.waiting}.items() if fact is not None}
        self.waiting = {}

    def all(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.held.values() if isinstance(fact, kind)]


class Usage:
    def __init__(self) -> None:
        self.readings: dict[tuple[str, str], Reading] = {}
        self.counts: dict[tuple[str, str], dict[date, Any]] = defaultdict(dict)
        self.holdings: dict[tuple[str, str, str, date], Any] = {}

    def take(self, event: Any) -> None:
        if isinstance(event, UsageRecorded):
            keep(self.readings, (event.source, event.data.reading_id), event.data)
        elif isinstance(event, SeatsObserved):
            keep(self.counts[event.data.system, event.data.sku], event.data.observed_on, event.data)
        elif isinstance(event, SeatAssigned):
            one = event.data
            keep(self.holdings, (one.system, one.sku, one.person, one.assigned_on), one)


def keep(known: dict[Any, Any], key: Any, one: Any) -> None:
    if key not in known or one.revision > known[key].revision:
        known[key] = one


def holds(fact: Any, day: date) -> bool:
    return fact.valid_from <= day and (fact.valid_to is None or day < fact.valid_to)


def holds_at(tariff: prices.Tariff, moment: datetime) -> bool:
    zone = ZoneInfo(tariff.time_zone)
    first = datetime.combine(tariff.valid_from, time(), zone).astimezone(UTC)
    last = None if tariff.valid_to is None else datetime.combine(tariff.valid_to, time(), zone).astimezone(UTC)
    return first <= moment and (last is None or moment < last)


def owner(register: Register, day: date, system: str, consumer: Consumer) -> tuple[str, str]:
    person, account, tags = consumer.person, consumer.account, consumer.tags
    placed = [one for one in register.all(facts.Placement) if one.person == person and holds(one, day)]
    if placed:
        return max(placed, key=lambda one: (one.valid_from, one.unit)).unit, "placement"
    for rule in sorted(register.all(facts.AllocationRule), key=lambda one: (one.order, one.id)):
        match = rule.match
        wanted = [(match.person, person), (match.account, account), (match.system, system)]
        if holds(rule, day) and all(want in {None, got} for want, got in wanted) and all(
            tags.get(name) == value for name, value in match.tags.items()
        ) and match.environment in {None, "production"}:  # fmt: skip
            return rule.unit, rule.id
    return "unallocated", ""


def per_euro(register: Register, currency: str, day: date) -> Decimal | None:
    if currency == "EUR":
        return Decimal(1)
    known = [one for one in register.all(facts.FxRates) if one.day < day and currency in one.rates]
    return max(known, key=lambda one: one.day).rates[currency] if known else None


def half_even(amount: Fraction) -> int:
    return round(amount)


def named(tariffs: Sequence[prices.Tariff], sku: str) -> Sequence[prices.Tariff]:
    return [one for one in tariffs if one.sku == sku] or [one for one in tariffs if one.sku == "*"]


def price(register: Register, reading: Reading, meter: str) -> prices.Tariff | None:
    asked = [
        one
        for one in register.all(prices.Tariff)
        if (one.system, one.meter, one.model) == (reading.system, meter, "per_unit")
        and holds_at(one, reading.charge_period_start)
    ]
    fitting = [one for one in named(asked, reading.sku) if one.when.items() <= reading.dimensions.items()]
    widest = [one for one in fitting if all(other.when.items() <= one.when.items() for other in fitting)]
    alike = [one for one in fitting if widest and one.when == widest[0].when]
    return widest[0] if len(alike) == 1 else None


def charge(register: Register, reading: Reading, day: date, rows: dict[str, Figures]) -> None:
    row = rows[owner(register, day, reading.system, reading.consumer)[0]]
    row.readings += 1
    system = next((one for one in register.all(facts.System) if one.id == reading.system), None)
    if system is not None and system.price_from == "reported":
        cost = reading.reported_cost
        known = cost is not None and pay(register, row, Fraction(cost.amount), cost.currency, day)
        row.unpriced += not known
        return
    unpriced = not reading.consumed
    for meter, quantity in reading.consumed.items():
        found = price(register, reading, meter)
        if found is not None:
            each, currency = of_one(found)
            if quantity == 0 and per_euro(register, currency, day) is None:
                continue
            unpriced |= not pay(register, row, Fraction(quantity) * each, currency, day)
        elif quantity:
            unpriced = True
    row.unpriced += unpriced


def of_one(tariff: prices.Tariff) -> tuple[Fraction, str]:
    """The price of one unit and its currency; the oracle knows prices in money only."""
    assert tariff.price is not None
    assert tariff.currency is not None
    return Fraction(tariff.price) / Fraction(tariff.per), tariff.currency


def pay(register: Register, row: Figures, amount: Fraction, currency: str, day: date) -> bool:
    """Add an amount; whether its euro are known."""
    rate = per_euro(register, currency, day)
    limit = 10**15
    nano = half_even(amount * NANO)
    eur = None if rate is None else half_even(amount * NANO / Fraction(rate))
    if abs(nano) > limit or (eur is not None and abs(eur) > limit):
        return False
    row.pricing[currency] += nano
    row.eur += eur or 0
    return eur is not None


def charge_seats(register: Register, usage: Usage, year: int, month: int, rows: dict[str, Figures]) -> None:
    days = calendar.monthrange(year, month)[1]
    for (system, sku), counts in usage.counts.items():
        for day in (date(year, month, number + 1) for number in range(days)):
            before = [one for one in counts if one <= day]
            if before and max(counts) >= day and counts[max(before)].purchased:
                charge_seat_day(register, usage, (system, sku), day, rows)


def charge_seat_day(
    register: Register, usage: Usage, product: tuple[str, str], day: date, rows: dict[str, Figures]
) -> None:
    (system, sku), counts = product, usage.counts[product]
    purchased = counts[max(one for one in counts if one <= day)].purchased
    days = calendar.monthrange(day.year, day.month)[1]
    holders = {
        one.person
        for (its_system, its_sku, *_), one in usage.holdings.items()
        if (its_system, its_sku) == product
        and one.assigned_on <= day
        and (one.released_on is None or day < one.released_on)
    }
    weights = Counter(owner(register, day, system, Consumer(person=person)) for person in holders)
    if purchased > len(holders):
        weights[owner(register, day, system, Consumer())] += purchased - len(holders)
    asked = [one for one in register.all(prices.Tariff) if (one.system, one.model) == (system, "per_seat_month")]
    found = named([one for one in asked if holds(one, day)], sku)
    if len(found) != 1:
        for unit, _ in weights:
            rows[unit].unpriced += 1
        return
    each, currency = of_one(found[0])
    rate = per_euro(register, currency, day)
    amount = purchased * each / days * NANO
    for (unit, _), nano in shares(half_even(amount), weights):
        rows[unit].pricing[currency] += nano
    if rate is None:
        for unit, _ in weights:
            rows[unit].unpriced += 1
        return
    for (unit, _), nano in shares(half_even(amount / Fraction(rate)), weights):
        rows[unit].eur += nano


def shares(total: int, weights: Counter[tuple[str, str]]) -> Iterable[tuple[tuple[str, str], int]]:
    whole = sum(weights.values())
    cut = {key: total * weight // whole for key, weight in weights.items()}
    heaviest = min(weights, key=lambda key: (-weights[key], key))
    cut[heaviest] += total - sum(cut.values())
    return cut.items()
