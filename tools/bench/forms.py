"""The two forms of the program, opened as production opens them: the same settings, builders and syncs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.audit_log.main import AuditService
from services.audit_log.main import build as build_log
from services.cost_alerts.handlers.usage import UsageHandler
from services.cost_alerts.main import CostService
from services.cost_alerts.main import build as build_ledger
from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import Clock, SystemClock
from services.shared.consumer import ConsumerRunner
from services.shared.events import TOPICS
from services.shared.settings import Settings
from services.shared.store import Store
from tests.servers.kafka import KafkaServer, kafka_program
from tests.servers.postgres import PostgresServer, newest_postgres
from tools.bench import city

EMBEDDED = "embedded"
DISTRIBUTED = "Kafka + PostgreSQL"


@dataclass(frozen=True)
class Form:
    """Where one form of the program keeps its data, and other databases of the same kind.

    One is for bare inserts. One is for two consumers that share the work, where that can be: the embedded store has one
    writer.
    """

    name: str
    settings: Settings
    bare_settings: Settings
    syncs: str
    shared_settings: Settings | None = None
    postgres: PostgresServer | None = None


@dataclass
class Pipeline:
    """A bus with the register on it, and the ledger and the log that read it; no loop runs by itself."""

    form: Form
    bus: EventBus
    clock: Clock
    ledger: CostService
    log: AuditService
    published: int = 0

    @property
    def usage(self) -> ConsumerRunner:
        return consumer_of(self.ledger, UsageHandler.group)

    def publish(self, count: int) -> None:
        """Publish so many more readings."""
        city.publish_readings(self.bus, self.published, count)
        self.published += count


@contextmanager
def embedded(folder: Path) -> Iterator[Form]:
    syncs = "bus.db FULL, ledger.db NORMAL (rebuilt from the bus), log.db FULL, all WAL"
    settings = Settings(data_dir=folder / "data")
    yield Form(EMBEDDED, settings, Settings(data_dir=folder / "bare"), syncs)


@contextmanager
def distributed(folder: Path) -> Iterator[Form]:
    """Real servers, started for this.

    Raises:
        ServerUnavailableError: this machine lacks one; the message says what to install.
    """
    jars, programs = kafka_program(), newest_postgres()
    syncs = "Kafka acks=all, one broker; PostgreSQL fsync=on, synchronous_commit=on, full_page_writes=on"
    with (
        KafkaServer(jars, KafkaServer.LONG_RUNNING) as kafka,
        PostgresServer(programs, durable=True) as postgres,
        postgres.database() as store,
        postgres.database() as bare,
        postgres.database() as shared,
    ):
        name = f"{DISTRIBUTED} ({kafka.version}, {postgres.version})"
        yield Form(
            name,
            Settings(data_dir=folder / "data", bus=kafka.url, store=SecretStr(store)),
            Settings(data_dir=folder / "bare", store=SecretStr(bare)),
            syncs,
            Settings(data_dir=folder / "shared", bus=kafka.url, store=SecretStr(shared)),
            postgres,
        )


@contextmanager
def pipeline(form: Form) -> Iterator[Pipeline]:
    """The services of a form on its bus, the register published and read."""
    clock = SystemClock()
    bus = open_bus(form.settings, clock)
    bus.ensure_topics(TOPICS)
    city.publish_register(bus, clock)
    ledger = build_ledger(form.settings, bus, clock, CollectorRegistry())
    log = build_log(form.settings, bus, clock, CollectorRegistry())
    try:
        ledger.catch_up(lambda _done, _total: None)
        drain(log.consumer, log.store, bus)
        yield Pipeline(form, bus, clock, ledger, log)
    finally:
        for consumer in (*ledger.consumers, log.consumer):
            consumer.close()
        ledger.store.close()
        log.store.close()
        bus.close()


def consumer_of(service: CostService, group: str) -> ConsumerRunner:
    """The consumer of this group."""
    return next(one for one in service.consumers if one.group == group)


def drain(consumer: ConsumerRunner, store: Store, bus: EventBus) -> None:
    """Let a consumer read to the present end of its topics."""
    end = sum(bus.end_positions(consumer.handler.topics).values())
    while sum(store.positions(bus.cluster_id, consumer.group).values()) < end:
        consumer.step()
