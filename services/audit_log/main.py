"""The wiring of the log: what a process of it does."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.audit_log.adapters.ai_register.watch import RegisterWatch
from services.audit_log.adapters.anchors.metrics import AnchorMetrics
from services.audit_log.adapters.anchors.pushing import Pusher
from services.audit_log.adapters.checkpoints import Checkpointer, newest_checkpoint
from services.audit_log.adapters.entries import SqlEntryLog, newest_of_partitions, read_frontier
from services.audit_log.adapters.indexing import Indexer
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.adapters.metrics import AuditMetrics
from services.audit_log.adapters.reads import Reads
from services.audit_log.adapters.reviews.cases import SqlCaseFiles, is_undecided, open_counts
from services.audit_log.adapters.reviews.content_key import ContentKey
from services.audit_log.adapters.reviews.refolding import refold_if_needed
from services.audit_log.adapters.reviews.register_reach import RegisterReach
from services.audit_log.adapters.reviews.sampler import Sampler, open_salts
from services.audit_log.adapters.reviews.sampling import SaltedDraws, Salts
from services.audit_log.adapters.rotation import add_post_quantum
from services.audit_log.adapters.signing_keys import KeyRing
from services.audit_log.adapters.succession import refuse_unfinished
from services.audit_log.adapters.tables import METADATA
from services.audit_log.anchoring import make_pusher
from services.audit_log.api import make_router
from services.audit_log.api.ai_register import PublicSettings, add_ai_register
from services.audit_log.handlers import GROUP, TOPICS, AppendHandler, look
from services.shared.bus import EventBus, TopicPartition
from services.shared.clock import Clock
from services.shared.consumer import ConsumerRunner
from services.shared.errors import IncompatibleStoreError
from services.shared.events import TOPICS as ALL_TOPICS
from services.shared.http import ConsumerStatus
from services.shared.keys import key_bytes
from services.shared.loops import Loop
from services.shared.metrics import Guarded, OutboxMetrics
from services.shared.relay import BusRelay
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.horizon import RebuildHorizon
from services.shared.store.open import open_store
from services.shared.tlog.note import Signer

HASH_KEY = "log-hash"
MEMORY = "log-signed.json"
MAX_TICK_SECONDS = 2.0
"""While cases wait to be judged again: register changes and catching up touch many."""


class AuditService:
    """See `Service`. Appends, signs, judges, and publishes what it decided."""

    name = "audit_log"

    def __init__(
        self, store: Store, bus: EventBus, clock: Clock, consumer: ConsumerRunner, checkpointer: Checkpointer,
        *, horizon: RebuildHorizon, settings: Settings, reads: Reads, anchors: Pusher, salts: Salts,
    ) -> None:  # fmt: skip
        key = ContentKey(settings.data_dir)
        self.store, self.reads, self.router = store, reads, make_router(store, reads, clock, horizon.passed, key)
        public = PublicSettings(settings.public_contact) if settings.public_register else None
        add_ai_register(self.router, store, reads, clock, public)
        self.consumer, self.checkpointer, self.anchors = consumer, checkpointer, anchors
        self.relay = BusRelay(store, bus, clock)
        self.indexer = Indexer(store, lambda: not consumer.status().caught_up)
        self.watch = RegisterWatch(store, clock, horizon.passed, consumer.status)
        self._bus, self._clock, self._horizon = bus, clock, horizon
        self._cases, self._reach = SqlCaseFiles(), RegisterReach(store, bus, clock)
        self._draws, self.sampler = SaltedDraws(salts), Sampler(store, salts, clock, horizon.passed)
        self._tick_seconds = settings.review_tick_seconds
        self._loops = [
            Loop("audit log", consumer.step, on_stop=consumer.close),
            Loop("audit checkpoints", checkpointer.step),
            Loop("audit anchors", anchors.step),
            Loop("audit reviews", self.tick),
            Loop("audit samples", self.sampler.step),
            Loop("audit index", self.indexer.step),
            Loop("audit register", self.watch.step),
            Loop("audit reads", reads.step, on_stop=reads.close),
            Loop("audit relay", self.relay.step),
        ]

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """End the loops and sign what was appended since the last checkpoint."""
        for loop in self._loops:
            loop.stop()
        try:
            if not self._stopped():
                self.checkpointer.step()
        finally:
            self.store.close()

    def problems(self) -> Sequence[str]:
        return [*self._stopped(), *self.anchors.refusals]

    def _stopped(self) -> Sequence[str]:
        return [loop.problem for loop in self._loops if loop.problem]

    def statuses(self) -> Sequence[ConsumerStatus]:
        """Caught up: all was appended, judged, and what was decided is on the bus."""
        positions = self.store.positions(self._bus.cluster_id, GROUP)
        waiting = sum(count for (_, state), count in self.store.pending_counts().items() if state == "waiting")
        with self.store.reading() as connection:
            waiting += is_undecided(connection)
        return [ConsumerStatus(GROUP, TOPICS, positions, waiting)]

    def summary(self) -> Mapping[str, Any]:
        """What the demo prints of the log (design 9). The root is in lower-case hex."""
        with self.store.reading() as connection:
            frontier = read_frontier(connection)
            findings = sum(count for _, _, count in open_counts(connection))
        return {"findings_open": findings, "log_size": frontier.size, "root": frontier.root().hex()}

    def tick(self) -> float:
        """Judge the outputs whose time has come; how long to pause, in seconds."""
        read_to = self._reach.read_to()
        pause = min(MAX_TICK_SECONDS, self._tick_seconds)
        if read_to is None:
            return pause
        with self.store.transaction() as tx:
            if not self._horizon.passed(tx.connection):
                return pause
            looked = look(self._cases, tx, self._clock.now(), read_to=read_to, draws=self._draws)
        return 0.0 if looked else pause


def build(settings: Settings, bus: EventBus, clock: Clock, registry: CollectorRegistry) -> AuditService:
    """The log, built and not started.

    Raises:
        ConfigurationError: a key file is missing, too open or damaged.
        IncompatibleStoreError: the database is of another version, another bus or another key, or it is shorter than
            what was signed.
    """
    bus.ensure_topics(ALL_TOPICS)
    store = open_store(settings, "log", METADATA)
    try:
        return _built(settings, bus, clock, registry, store)
    except BaseException:
        store.close()
        raise


def _built(settings: Settings, bus: EventBus, clock: Clock, registry: CollectorRegistry, store: Store) -> AuditService:
    store.bind(bus.cluster_id)
    checkpointer = make_checkpointer(settings, store, clock)
    checkpointer.check()
    check_bus(store, bus)
    horizon = RebuildHorizon(store, METADATA, bus, {GROUP: TOPICS})
    refold_if_needed(store, clock.now())
    handler = AppendHandler(SqlEntryLog(), SqlCaseFiles(), clock, bus.cluster_id)
    consumer = ConsumerRunner(
        handler,
        bus,
        store,
        clock,
        registry=registry,
        hash_key=key_bytes(_keys(settings) / HASH_KEY, make=True),
        batch_records=settings.batch_records,
        dead_letter_run=settings.dead_letter_run,
        horizon=horizon,
    )
    registry.register(Guarded(AuditService.name, AuditMetrics(store, clock), registry))
    anchors = make_pusher(settings, store, clock)
    registry.register(Guarded(AuditService.name, AnchorMetrics(anchors), registry))
    OutboxMetrics.watch(registry, AuditService.name, store.pending_counts)
    return AuditService(
        store,
        bus,
        clock,
        consumer,
        checkpointer,
        horizon=horizon,
        settings=settings,
        reads=Reads(store, clock, told=settings.log_reads),
        anchors=anchors,
        salts=open_salts(store, _keys(settings)),
    )


def check_bus(store: Store, bus: EventBus) -> None:
    """Compare what stood last on each partition with the bus; to be called at every start.

    A bus that was put back from an older copy, and has grown since, holds other records at places that consumers have
    passed: they would never be read.

    Raises:
        IncompatibleStoreError: the bus does not hold what the log took from it.
    """
    with store.reading() as connection:
        newest = newest_of_partitions(connection, bus.cluster_id)
    for position, value in ((entry.position, entry.value) for entry in newest):
        there = bus.read(TopicPartition(position.topic, position.partition), position.offset, 1)
        if not there or (there[0].offset, there[0].value) != (position.offset, value):
            raise IncompatibleStoreError(
                f"the log took an entry from {position.topic}/{position.partition}/{position.offset} that is not there "
                "on the bus: the bus is older than the log (restored, or emptied). Restore the bus that belongs to it"
            )


def make_checkpointer(settings: Settings, store: Store, clock: Clock) -> Checkpointer:
    """What signs the log. A key is made only where nothing was ever signed.

    Raises:
        ConfigurationError: the key file is missing, too open or damaged.
    """
    memory, ring = signer_memory(settings), key_ring(settings)
    refuse_unfinished(memory.path.parent)
    add_post_quantum(store, ring, clock.now())
    ring.signer(make=not _was_signed(store, memory))
    return Checkpointer(
        store,
        ring,
        memory,
        folder=checkpoint_folder(settings),
        clock=clock,
        interval=timedelta(seconds=settings.checkpoint_interval_seconds),
        heartbeat=timedelta(hours=settings.log_heartbeat_hours),
    )


def key_ring(settings: Settings) -> KeyRing:
    """The log's keys under its origin."""
    return KeyRing(_keys(settings), settings.log_origin, settings.log_post_quantum)


def signer_memory(settings: Settings) -> SignerMemory:
    """What was signed last."""
    return SignerMemory(_keys(settings) / MEMORY)


def checkpoint_folder(settings: Settings) -> Path:
    """Where every checkpoint lies as a file."""
    return settings.data_dir / "checkpoints"


def signer(settings: Settings) -> Signer:
    """Who signs the log now.

    Raises:
        ConfigurationError: a key file is missing, too open or damaged.
    """
    return key_ring(settings).signer()


def _was_signed(store: Store, memory: SignerMemory) -> bool:
    with store.reading() as connection:
        return memory.load() is not None or newest_checkpoint(connection) is not None


def _keys(settings: Settings) -> Path:
    return settings.data_dir / "keys"
