"""What the benchmark sends: readings of a city's people as in design 3, and the register that prices and places them.

The readings come in the order of time, a few seconds apart, as applications send them: 500 people in 12 units, each
with three of the vendor's models and requests of three meters. Names of readings are digests, so they come in random
order. The same numbers give the same events.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from services.shared.bus import EventBus, Message
from services.shared.clock import Clock
from services.shared.events import USAGE, register
from services.shared.events.envelope import Fact
from services.usage_collector.register.facts import KIND, Facts
from services.usage_collector.register.publish import publish

SOURCE = "bench/proxy"
SYSTEM = "claude-api"
MODELS = ("claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5")
METERS = ("input_tokens", "cache_read_tokens", "output_tokens")
PEOPLE = 500
UNITS = 12
PER_DAY = 20_000
FIRST = datetime(2026, 1, 5, tzinfo=UTC)
PUBLISHED_AT_ONCE = 5_000

PRICES = ("3.00", "0.30", "15.00")
"""US dollars per 1,000,000 tokens of each meter, of every model."""
CORRECTED = ("3.30", "0.33", "16.50")
"""What turns out to have been the prices all along."""

_STEP = timedelta(days=1) / PER_DAY
_EVENT = (
    '{{"specversion":"1.0","type":"valvomo.usage.recorded.v1","source":"' + SOURCE + '","id":"{name}.0",'
    '"subject":"' + SYSTEM + '","time":"{end}","datacontenttype":"application/json","data":{{"reading_id":"{name}",'
    '"revision":0,"system":"' + SYSTEM + '","sku":"{model}","charge_period_start":"{start}",'
    '"charge_period_end":"{end}","consumed":{{"input_tokens":"{input}","cache_read_tokens":"{cached}",'
    '"output_tokens":"{output}"}},"dimensions":{{"service_tier":"standard","context_window":"0-200k","region":"eu"}},'
    '"consumer":{{"person":"p-{person:04d}","account":"wrk-{unit:03d}","tags":{{"department":"unit-{unit}"}}}},'
    '"environment":"production","finality":"provisional","purpose":"billing","retracted":false,'
    '"reported_cost":{{"amount":"0.0{output}","currency":"USD"}}}}}}'
)


def reading(number: int) -> tuple[str, bytes]:
    """The id and the event of the reading of this number."""
    name = sha256(number.to_bytes(8)).hexdigest()[:32]
    chance = int(name[:12], 16)
    person = chance % PEOPLE
    start = FIRST + number * _STEP
    event = _EVENT.format(
        name=name,
        model=MODELS[chance // PEOPLE % len(MODELS)],
        start=_text(start),
        end=_text(start + timedelta(seconds=1)),
        input=1_000 + chance % 30_011,
        cached=chance % 4_001,
        output=100 + chance % 2_003,
        person=person,
        unit=person % UNITS,
    )
    return name, event.encode()


def messages(first: int, count: int) -> Iterator[list[Message]]:
    """The events of so many readings from number `first` on, in portions to be published at once."""
    for start in range(first, first + count, PUBLISHED_AT_ONCE):
        numbers = range(start, min(start + PUBLISHED_AT_ONCE, first + count))
        yield [Message(USAGE.name, f"{SOURCE}\x1f{name}".encode(), value) for name, value in map(reading, numbers)]


def publish_readings(bus: EventBus, first: int, count: int) -> None:
    for portion in messages(first, count):
        bus.publish(portion)


def publish_register(bus: EventBus, clock: Clock, prices: Sequence[str] = PRICES) -> None:
    """Publish units, people, prices, daily rates and one budget per unit."""
    publish(facts(prices), bus, clock)


def facts(prices: Sequence[str] = PRICES) -> Facts:
    """What `publish_register` publishes."""
    since = date(2025, 1, 1)
    found: list[tuple[str, Fact]] = [
        ("system", register.System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city")),
        ("unit", register.Unit(id="city", name={"en": "City"}, valid_from=since)),
    ]
    for number in range(UNITS):
        unit = f"unit-{number}"
        found.append(("unit", register.Unit(id=unit, parent="city", name={"en": unit}, valid_from=since)))
        match = register.Match(account=f"wrk-{number:03d}")
        found.append(
            ("allocation", register.AllocationRule(id=unit, order=number, match=match, unit=unit, valid_from=since))
        )
        found.append(("budget", _fact("budget", **_budget(unit))))
    for person in range(0, PEOPLE, 2):  # every second person by placement, the others by their account
        unit = f"unit-{person % UNITS}"
        found.append(("placement", register.Placement(person=f"p-{person:04d}", unit=unit, valid_from=since)))
    found += [
        ("tariff", _fact("tariff", **_tariff(model, meter, price, since)))
        for model in MODELS
        for meter, price in zip(METERS, prices, strict=True)
    ]
    found += [("fx", _rates(FIRST.date() + timedelta(days=number))) for number in range(-5, 400)]
    return {(kind, KIND[kind].fact_id(fact)): fact for kind, fact in found}


def _fact(kind: str, **members: object) -> Fact:
    return KIND[kind].model.model_validate(members)


def _budget(unit: str) -> dict[str, Any]:
    return {
        "id": f"{unit}-2026", "unit": unit, "period": 2026, "amount": "10000000.00", "currency": "EUR",
        "thresholds": ["0.5", "0.8", "1.0"], "recipients": [f"finance-{unit}"],
    }  # fmt: skip


def _tariff(model: str, meter: str, price: str, since: date) -> dict[str, Any]:
    return {
        "id": f"{model}-{meter}", "system": SYSTEM, "sku": model, "meter": meter, "model": "per_unit",
        "price": price, "per": "1000000", "currency": "USD", "when": {"service_tier": "standard"},
        "valid_from": since, "source": "made up for the benchmark", "checked_on": since,
    }  # fmt: skip


def _rates(day: date) -> Fact:
    return register.FxRates(day=day, rates={"USD": Decimal("1.15")}, source="made up for the benchmark")


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
