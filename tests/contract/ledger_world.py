"""A city of two units for the ledger's tests: a bus, a ledger on it, and short words for what happens to them."""

# ruff: noqa: ANN401  # members of any model are passed through to it, which checks them

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select

from services.cost_alerts.adapters.check import check_ledger
from services.cost_alerts.adapters.check_prices import check_prices
from services.cost_alerts.adapters.rebuild import forget_ledger
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.main import GROUPS, CostService, build
from services.shared.bus import EventBus, Message, Record
from services.shared.clock import SteppedClock
from services.shared.events import DEAD_LETTER, TOPICS, decode, encode, event_id, key_of, plans, prices, topic_of
from services.shared.events import register as facts
from services.shared.events.envelope import Event, Fact
from services.shared.events.usage import (
    Consumer,
    Reading,
    SeatAssigned,
    SeatCount,
    SeatHolding,
    SeatsObserved,
    UsageRecorded,
)
from services.shared.periods import Month
from services.shared.settings import Settings
from services.shared.store.tables import common_tables

START = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)
SOURCE = "test/city"
SYSTEM = "claude-api"
MODEL = "claude-sonnet-4-5"
OCTOBER = Month(2026, 10)

_CHANGES: Mapping[type[Fact], tuple[type[Event], type[facts.RegisterFact]]] = {
    facts.Unit: (facts.UnitDefined, facts.UnitChange),
    facts.Placement: (facts.PersonPlaced, facts.PlacementChange),
    facts.System: (facts.SystemDefined, facts.SystemChange),
    facts.AllocationRule: (facts.AllocationDefined, facts.AllocationChange),
    prices.Tariff: (facts.TariffPublished, facts.TariffChange),
    prices.Contract: (facts.ContractDefined, facts.ContractChange),
    plans.Budget: (facts.BudgetSet, facts.BudgetChange),
    plans.Vendor: (facts.VendorDefined, facts.VendorChange),
    plans.Programme: (facts.ProgrammeDefined, facts.ProgrammeChange),
    plans.PlannedChange: (facts.ChangePlanned, facts.PlannedChangeChange),
    plans.BenefitResult: (facts.BenefitReported, facts.BenefitChange),
    facts.UseCase: (facts.UseCaseRegistered, facts.UseCaseChange),
    facts.FxRates: (facts.FxPublished, facts.FxChange),
}


def tariff(meter: str, price: str, **members: Any) -> prices.Tariff:
    """A price in USD per million units, from 2026 on, for the one model."""
    given = {
        "id": f"{MODEL}-{meter}",
        "system": SYSTEM,
        "sku": MODEL,
        "meter": meter,
        "model": "per_unit",
        "price": price,
        "per": "1000000",
        "currency": "USD",
        "valid_from": date(2026, 1, 1),
        "source": "a test",
        "checked_on": date(2026, 9, 1),
    }
    return prices.Tariff.model_validate({**given, **members})


def rate(day: date, usd: str) -> facts.FxRates:
    return facts.FxRates(day=day, rates={"USD": Decimal(usd)}, source="a test")


def unit(name: str, parent: str | None = "city", **members: Any) -> facts.Unit:
    given = {"id": name, "parent": parent, "name": {"en": name.upper()}, "valid_from": date(2026, 1, 1)}
    return facts.Unit.model_validate({**given, **members})


def placed(person: str, where: str, since: date = date(2026, 1, 1), until: date | None = None) -> facts.Placement:
    return facts.Placement(person=person, unit=where, valid_from=since, valid_to=until)


def rule(name: str, order: int, where: str, since: date = date(2026, 1, 1), **match: Any) -> facts.AllocationRule:
    wanted = facts.Match.model_validate(match)
    return facts.AllocationRule(id=name, order=order, match=wanted, unit=where, valid_from=since)


def budget(name: str, where: str, amount: str, *thresholds: str, **members: Any) -> plans.Budget:
    given = {
        "id": name,
        "unit": where,
        "period": 2026,
        "amount": amount,
        "currency": "EUR",
        "thresholds": thresholds or ("0.5", "0.8", "1.0"),
        "recipients": [f"finance-{where}"],
    }
    return plans.Budget.model_validate({**given, **members})


BASE: tuple[Fact, ...] = (
    unit("city", None),
    unit("kymp"),
    unit("sote"),
    facts.System(id=SYSTEM, vendor="anthropic", name="Claude", owner="city"),
    tariff("input_tokens", "3.00"),
    tariff("output_tokens", "15.00"),
    rate(date(2026, 9, 30), "1.25"),
    rule("account-kymp", 10, "kymp", account="wrk-kymp"),
    rule("account-sote", 20, "sote", account="wrk-sote"),
)
"""1.25 USD per euro; 3 and 15 USD per million tokens; two accounts, one per unit."""


def reading(name: str, revision: int = 0, **members: Any) -> UsageRecorded:
    """A request of a million input and a hundred thousand output tokens on 2 October: 4.50 USD, 3.60 EUR."""
    start = members.pop("start", datetime(2026, 10, 2, 8, 0, tzinfo=UTC))
    account = members.pop("account", "wrk-kymp")
    given = {
        "reading_id": name,
        "revision": revision,
        "system": SYSTEM,
        "sku": MODEL,
        "charge_period_start": start,
        "charge_period_end": start + timedelta(hours=1),
        "consumed": {"input_tokens": "1000000", "output_tokens": "100000"},
        "consumer": Consumer(account=account),
    }
    data = Reading.model_validate({**given, **members})
    return UsageRecorded(id=f"{name}.{revision}", source=SOURCE, subject=SYSTEM, time=START, data=data)


def seat_count(day: date, purchased: int, revision: int = 0, **members: Any) -> SeatsObserved:
    data = SeatCount.model_validate(
        {
            "system": "copilot",
            "sku": "M365",
            "observed_on": day,
            "purchased": purchased,
            "assigned": 0,
            "revision": revision,
        }
        | members
    )
    name = event_id("seats", data.system, data.sku, day.isoformat(), revision)
    return SeatsObserved(id=name, source=SOURCE, subject="copilot", time=START, data=data)


def seat(person: str, since: date, until: date | None = None, revision: int = 0, **members: Any) -> SeatAssigned:
    data = SeatHolding.model_validate(
        {
            "system": "copilot",
            "sku": "M365",
            "person": person,
            "assigned_on": since,
            "released_on": until,
            "revision": revision,
        }
        | members
    )
    name = event_id("seat", data.system, data.sku, person, since.isoformat(), revision)
    return SeatAssigned(id=name, source=SOURCE, subject="copilot", time=START, data=data)


def fact_id(fact: Any) -> str:
    match fact:
        case facts.Unit() | prices.Contract():
            return f"{fact.id}@{fact.valid_from}"
        case facts.Placement():
            return f"{fact.person}@{fact.valid_from}"
        case facts.FxRates():
            return fact.day.isoformat()
        case _:
            return str(fact.id)


def net(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a report without what it tells of VAT."""
    return {name: value for name, value in row.items() if name not in {"vat_eur", "without_vat_rate"}}


@dataclass
class World:
    """A bus, and ledgers on it. Time stands still until somebody moves it."""

    bus: EventBus
    settings: Settings
    clock: SteppedClock
    version: int = 0
    held: dict[tuple[type[Fact], str], Fact] = field(default_factory=dict)
    _service: CostService | None = None

    def __post_init__(self) -> None:
        self.bus.ensure_topics(TOPICS)

    @property
    def service(self) -> CostService:
        if self._service is None:
            self._service = build(self.settings, self.bus, self.clock, CollectorRegistry())
        return self._service

    def publish(self, *events: Event) -> None:
        self.bus.publish([Message(topic_of(event), key_of(event), encode(event)) for event in events])

    def later(self, **step: float) -> None:
        self.clock.advance(timedelta(**step))

    def register(self, *changed: Fact, without: Sequence[Fact] = (), marker: Mapping[str, str] | None = None) -> int:
        """Publish a version with these facts new or changed, and those gone; its number.

        `marker`: author, approver, reason.
        """
        self.version += 1
        events: list[Event] = [self._change(one, one) for one in changed]
        events += [self._change(one, None) for one in without]
        data = facts.RegisterVersion(version=self.version, changes=len(events), digest="0" * 64, **(marker or {}))
        published = facts.RegisterPublished(
            id=f"version-{self.version}",
            source="valvomo/register",
            subject="register",
            time=self.clock.now(),
            data=data,
        )
        self.publish(*events, published)
        return self.version

    def _change(self, fact: Fact, after: Fact | None) -> Event:
        event, change = _CHANGES[type(fact)]
        name = event_id("register", type(fact).__name__, fact_id(fact), self.version)
        data = change.model_validate({"version": self.version, "fact_id": fact_id(fact), "fact": after})
        return event.model_validate(
            {"id": name, "source": "valvomo/register", "subject": fact_id(fact), "time": self.clock.now(), "data": data}
        )

    def settle(self) -> None:
        """Let the ledger read everything, price everything, and decide; what it publishes is read too."""
        self.service.catch_up(lambda _done, _total: None)
        self.service.watch.step()
        self.service.conflicts.step()
        while self.service.relay.step() == 0.0:
            pass
        self.service.catch_up(lambda _done, _total: None)

    def begin_day(self) -> None:
        """Let the ledger tell which day has begun, if it is a new one, and read it."""
        self.service.days.step()
        self.settle()

    def close(self) -> None:
        if self._service is not None:
            self._service.store.close()
            for consumer in self._service.consumers:
                consumer.close()
            self._service = None

    def restart(self) -> None:
        """Another process on the same database."""
        self.close()

    def rebuild(self) -> None:
        """Throw the ledger away and fold it again."""
        forget_ledger(self.service.store, tuple(GROUPS))
        self.restart()
        self.settle()

    def report(self, month: Month = OCTOBER, **how: Any) -> dict[str, Any]:
        return self.service.queries.report(month, **how).document()

    def rows(self, month: Month = OCTOBER, **how: Any) -> dict[str, dict[str, Any]]:
        """The report's rows by unit, net."""
        return {row["unit"]: net(row) for row in self.report(month, **how)["rows"]}

    def eur(self, month: Month = OCTOBER, **how: Any) -> dict[str, str]:
        """Unit → euro."""
        return {name: row["eur"] for name, row in self.rows(month, **how).items() if row["eur"] != "0"}

    def problems(self) -> Sequence[str]:
        return [*check_ledger(self.service.store), *check_prices(self.service.store)]

    def events(self, kind: type[Event]) -> list[Any]:
        """The events of a kind on the bus."""
        found: list[Record] = []
        for topic in TOPICS:
            for partition, end in self.bus.end_positions([topic.name]).items():
                found += self.bus.read(partition, 0, max(1, end))
        decoded = [decode(record.value) for record in found if record.topic != DEAD_LETTER.name]
        return [event for event in decoded if isinstance(event, kind)]

    def outgoing(self, destination: str) -> list[tuple[str, str]]:
        """(message id, recipient) of mails or webhooks in the outbox, sent or not."""
        outbox = common_tables(METADATA).outbox
        with self.service.store.reading() as connection:
            query = select(outbox.c.message_id, outbox.c.recipient).where(outbox.c.destination == destination)
            return [(row.message_id, row.recipient) for row in connection.execute(query.order_by(outbox.c.sequence))]


def make_world(folder: Path, bus: Callable[[SteppedClock], EventBus], store: str = "sqlite") -> World:
    """A world whose ledger is in `folder`, or at a PostgreSQL address."""
    clock = SteppedClock(START)
    settings = Settings(data_dir=folder, store=SecretStr(store))
    return World(bus(clock), settings, clock)
