"""The wiring of the ledger: what a process of it does."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any

from fastapi import APIRouter
from prometheus_client import CollectorRegistry

from services.cost_alerts.adapters.alerts import SqlAlerts
from services.cost_alerts.adapters.budgets import brief
from services.cost_alerts.adapters.conflicts import SqlConflicts
from services.cost_alerts.adapters.decisions import SqlBudgets
from services.cost_alerts.adapters.findings import SqlFindings
from services.cost_alerts.adapters.foreseen import drying, rises
from services.cost_alerts.adapters.foresight.book import SqlForesight
from services.cost_alerts.adapters.invoices import SqlInvoices
from services.cost_alerts.adapters.keys import hash_key
from services.cost_alerts.adapters.ledger import Memory
from services.cost_alerts.adapters.metrics import AlertMetrics, ForecastMetrics, LedgerMetrics, RiskMetrics
from services.cost_alerts.adapters.periods import SqlPeriods
from services.cost_alerts.adapters.postings import SqlPostings
from services.cost_alerts.adapters.presence import presence
from services.cost_alerts.adapters.publishing import SqlCharges
from services.cost_alerts.adapters.queries import LedgerQueries
from services.cost_alerts.adapters.register import SqlRegister
from services.cost_alerts.adapters.restatements import SqlRestatements
from services.cost_alerts.adapters.risks import RiskWatch
from services.cost_alerts.adapters.seats import SqlSeats
from services.cost_alerts.adapters.situation import SqlLookout
from services.cost_alerts.adapters.tables import METADATA
from services.cost_alerts.adapters.use_costs import SqlUseCosts
from services.cost_alerts.api import make_router
from services.cost_alerts.delivery.wiring import telling_loops
from services.cost_alerts.handlers.alerting import AlertWatch
from services.cost_alerts.handlers.budgets import BudgetWatch
from services.cost_alerts.handlers.conflicts import ConflictTeller
from services.cost_alerts.handlers.costing import CostTeller
from services.cost_alerts.handlers.days import DayTeller
from services.cost_alerts.handlers.forecasting import Forecaster
from services.cost_alerts.handlers.outcomes import OutcomesHandler
from services.cost_alerts.handlers.periods import PeriodWorker
from services.cost_alerts.handlers.publishing import NAME as PUBLISHER
from services.cost_alerts.handlers.publishing import ChargePublisher
from services.cost_alerts.handlers.register import RegisterHandler
from services.cost_alerts.handlers.restating import Restater
from services.cost_alerts.handlers.usage import UsageHandler
from services.shared.bus import EventBus, TopicPartition
from services.shared.clock import Clock
from services.shared.consumer import ConsumerRunner, Handler
from services.shared.events import TOPICS
from services.shared.http import ConsumerStatus
from services.shared.loops import Loop
from services.shared.metrics import Guarded, OutboxMetrics
from services.shared.money import as_text, from_nano
from services.shared.periods import helsinki_day
from services.shared.relay import BusRelay
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.horizon import RebuildHorizon
from services.shared.store.open import open_store

GROUPS: Mapping[str, tuple[str, ...]] = {
    handler.group: handler.topics for handler in (RegisterHandler, UsageHandler, OutcomesHandler)
}
"""Consumer group → topics. Readings wait until the register has been read: priced once, not twice."""

WAIT_SECONDS = 0.05


class CostService:
    """See `Service`. Prices what arrives, prices again what changes, and watches the budgets."""

    name = "cost_alerts"

    def __init__(
        self, store: Store, bus: EventBus, clock: Clock, consumers: Sequence[ConsumerRunner],
        *, horizon: RebuildHorizon, telling: Sequence[Loop], risks: RiskWatch, publishes: bool,
        forecast_interval_seconds: float,
    ) -> None:  # fmt: skip
        self.store = store
        self.queries = LedgerQueries(store)
        self.consumers = tuple(consumers)
        periods, restatements, budgets = SqlPeriods(), SqlRestatements(), SqlBudgets()
        self.periods = PeriodWorker(store, Memory(publishes=publishes).begin, periods)
        self.days = DayTeller(store, periods, clock, horizon.passed)
        self.restater = Restater(store, Memory(publishes=publishes).begin, restatements, clock, horizon.passed)
        self.watch = BudgetWatch(store, Memory().begin, budgets, clock, horizon.passed, brief)
        self.alerts = AlertWatch(store, SqlLookout(store, rises, drying), SqlAlerts(), clock, horizon.passed)
        self.forecaster = Forecaster(
            store, SqlForesight(), clock, horizon.passed, interval_seconds=forecast_interval_seconds
        )
        self.conflicts = ConflictTeller(store, SqlConflicts(), horizon.passed)
        self.costs = CostTeller(
            store,
            SqlUseCosts(),
            clock,
            horizon.passed,
            is_idle=lambda: not self.queries.work_pending(),
            interval_seconds=forecast_interval_seconds,
        )
        self.risks = risks
        self.relay = BusRelay(store, bus, clock)
        self.publisher = ChargePublisher(store, bus, SqlCharges(), horizon.passed)
        self._bus, self._clock = bus, clock
        self._horizon = horizon
        self._presence = ExitStack()
        self._loops = [
            *(Loop(one.group, partial(self.consume, one), on_stop=one.close) for one in self.consumers),
            Loop("periods", self._charge_periods),
            Loop("days", self.days.step),
            Loop("restater", self.restater.step),
            Loop("budget watch", self.watch.step),
            Loop("alert watch", self.alerts.step),
            Loop("forecaster", self.forecaster.step),
            Loop("conflicts", self.conflicts.step),
            Loop("risks", self.risks.step),
            Loop("use case costs", self.costs.step),
            Loop("cost-alerts relay", self.relay.step),
            *([Loop(PUBLISHER, self.publisher.step)] if publishes else []),
            *telling,
        ]

    @cached_property
    def router(self) -> APIRouter:
        """Made when somebody will ask over HTTP: a rebuild and the commands ask the ledger itself."""
        return make_router(self.store, self.queries, self._clock, lambda: self.risks.newest)

    def start(self) -> None:
        self._presence.enter_context(presence(self.store))
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """End the loops; what was under way is finished or rolled back."""
        for loop in self._loops:
            loop.stop()
        self._presence.close()
        self.store.close()

    def look_ahead(self) -> None:
        """Do at once what loops do in their own time: forecasts, budgets, conditions, risks. For who waits for it."""
        self.forecaster.make(helsinki_day(self._clock.now()))
        for look in (self.watch, self.alerts, self.risks):
            look.step()

    def problems(self) -> Sequence[str]:
        return [*(loop.problem for loop in self._loops if loop.problem), *self.periods.problems()]

    def statuses(self) -> Sequence[ConsumerStatus]:
        """Caught up: all was read, priced by the newest register, and what was decided is on the bus."""
        waiting = sum(
            count
            for (destination, state), count in self.store.pending_counts().items()
            if destination == "bus" and state == "waiting"
        )
        pending = {UsageHandler.group: self.queries.work_pending() + waiting}
        return [
            ConsumerStatus(group, topics, self.store.positions(self._bus.cluster_id, group), pending.get(group, 0))
            for group, topics in GROUPS.items()
        ]

    def summary(self) -> Mapping[str, Any]:
        """What the demo prints of the ledger (design 9)."""
        counts, by_unit = self.queries.counts(), self.queries.total_by_unit()
        return {
            "readings": counts["readings"],
            "charges": counts["charges"],
            "total_eur": as_text(from_nano(sum(by_unit.values()))),
            "by_unit": {unit: as_text(from_nano(nano)) for unit, nano in by_unit.items()},
            "unpriced": sum(one.unpriced for one in self.queries.unpriced()),
        }

    def catch_up(self, tell: Callable[[int, int], None]) -> None:
        """Read the bus to its present end and price everything, in this thread, without the loops.

        `tell` gets how many records were read and how many there are. Used by a rebuild.
        """
        ends = {group: self._bus.end_positions(topics) for group, topics in GROUPS.items()}
        total = sum(end for found in ends.values() for end in found.values())
        for consumer in self.consumers:  # the register first, see `GROUPS`
            while self._behind(consumer.group, ends[consumer.group]):
                consumer.step()
                tell(total - sum(self._behind(group, found) for group, found in ends.items()), total)
        while self.queries.work_pending():
            self.restater.step()
            self.periods.step()
            if self.periods.problems() and self.periods.is_done:
                return  # what is left waits for a person

    def _behind(self, group: str, ends: Mapping[TopicPartition, int]) -> int:
        at = self.store.positions(self._bus.cluster_id, group)
        return sum(max(0, end - at.get(key, 0)) for key, end in ends.items())

    def _charge_periods(self) -> float:
        """While an empty ledger catches up, cycles would be made again and again: they wait for its end."""
        with self.store.reading() as connection:
            caught_up = self._horizon.passed(connection)
        return self.periods.step() if caught_up else WAIT_SECONDS

    def consume(self, consumer: ConsumerRunner) -> float:
        """Let a consumer read on, readings only behind the register; how long to pause, in seconds."""
        if consumer.group == UsageHandler.group and not self._has_read_register():
            return WAIT_SECONDS
        return consumer.step()

    def _has_read_register(self) -> bool:
        """Whether all that the register's topic holds by now was read, by whichever process.

        A reading that came after a version is priced by it from the first: of two revisions in one batch, the earlier
        would keep the prices of a version that was not in force any more.
        """
        at = self.store.positions(self._bus.cluster_id, RegisterHandler.group)
        ends = self._bus.end_positions(RegisterHandler.topics)
        return all(at.get(key, 0) >= end for key, end in ends.items())


def build(settings: Settings, bus: EventBus, clock: Clock, registry: CollectorRegistry) -> CostService:
    """The ledger, built and not started.

    Raises:
        IncompatibleStoreError: the database was made by another version, or follows another bus.
    """
    bus.ensure_topics(TOPICS)
    store = open_store(settings, "ledger", METADATA)
    try:
        return _built(settings, bus, clock, registry, store)
    except BaseException:
        store.close()
        raise


def _built(settings: Settings, bus: EventBus, clock: Clock, registry: CollectorRegistry, store: Store) -> CostService:
    horizon = RebuildHorizon(store, METADATA, bus, GROUPS)
    budgets, periods, alerts = SqlBudgets(), SqlPeriods(), SqlAlerts()
    handlers: Sequence[Handler] = (
        RegisterHandler(SqlRegister(), budgets),
        UsageHandler(Memory(publishes=settings.publish_charges).begin, SqlSeats(), SqlInvoices(), alerts),
        OutcomesHandler(
            budgets, SqlRestatements(), SqlConflicts(), SqlFindings(), SqlPostings(), periods, alerts, SqlUseCosts()
        ),
    )
    key = hash_key(store)
    consumers = [
        ConsumerRunner(
            handler,
            bus,
            store,
            clock,
            registry=registry,
            hash_key=key,
            batch_records=settings.batch_records,
            dead_letter_run=settings.dead_letter_run,
            horizon=horizon,
        )
        for handler in handlers
    ]
    telling = telling_loops(settings, store, clock)
    risks = RiskWatch(store, clock)
    ledger = LedgerMetrics(LedgerQueries(store), clock)
    for shown in (ledger, ForecastMetrics(store, clock), RiskMetrics(risks), AlertMetrics(store)):
        registry.register(Guarded(CostService.name, shown, registry))
    OutboxMetrics.watch(registry, CostService.name, store.pending_counts, ("bus", "mail", "teams", "webhook"))
    return CostService(
        store,
        bus,
        clock,
        consumers,
        horizon=horizon,
        telling=telling,
        risks=risks,
        publishes=settings.publish_charges,
        forecast_interval_seconds=settings.forecast_interval_seconds,
    )
