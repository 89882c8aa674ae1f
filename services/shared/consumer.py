"""The one consumer loop: poll a batch, decode, handle, commit once.

Life of a batch: it is polled while no transaction is open; what cannot be decoded is set aside; the handler works on
the rest inside one transaction, in which the letters of what was set aside leave by the outbox and the positions move.
A batch that the handler refuses is rolled back and tried again in pieces, so that one bad record costs itself only. A
run of bad ones, or anything unforeseen, leaves the positions where the run began and stops the consumer.
"""

import gc
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry

from services.shared import metrics
from services.shared.bus import BusConsumer, EventBus, Positions, Record, TopicPartition
from services.shared.clock import Clock
from services.shared.deadletters import letter_messages
from services.shared.errors import InvalidEventError, PlatformError, StalePositionError, TransientError
from services.shared.events import Event, decode
from services.shared.logs import logger
from services.shared.store import OutgoingMessage, Store, Transaction, chunks
from services.shared.store.horizon import RebuildHorizon

STALE_PAUSE_SECONDS = 0.2
"""After another member has taken our partition: time for the bus to tell us."""

_LAG_EVERY = timedelta(seconds=5)
_COLLECT_AFTER = 500_000
"""New objects between two looks: more than twice what a batch of the default size holds, so that its own objects, which
die at its commit, never cause one. Measured at 100,000: one or two looks per batch, 11 of 87 µs per event."""

_SMALL_PIECE = 256
"""After a refusal the rest of a batch is handled in pieces of this size: the next refusal undoes less."""


def relax_garbage_collector() -> None:
    """Look for reference cycles less often. For the start of a process, when everything is imported.

    A batch is thousands of events that live until its commit, and Python's default looks at them all again and again:
    half of the loop's time. Cycles are still found, some batches later.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


class Delivered(NamedTuple):
    """A record with the event it holds."""

    record: Record
    event: Event


class RefusedRecordError(InvalidEventError):
    """A handler says that one record of its batch can never be handled; the loop sets it aside and tries the rest."""

    def __init__(self, record: Record, reason: str) -> None:
        super().__init__(reason)
        self.record = record


class DeadLetterRunError(PlatformError):
    """So many records in a row were refused that the fault is probably ours; a person decides."""


class Handler(Protocol):
    """What one consumer group does with a batch, inside the transaction that also saves its positions."""

    @property
    def group(self) -> str: ...

    @property
    def topics(self) -> tuple[str, ...]: ...

    def handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Apply the batch. Records of a partition are in order; nothing is promised between partitions.

        A batch may come again after a fault, whole or in pieces: what was written with it is then gone. Everything
        told to the world goes through `tx.send`. Reasons of refusals name members, never repeat values.

        Raises:
            RefusedRecordError: this record can never be handled.
            InvalidEventError: one of the batch can never be handled; the loop finds out which by halving the batch.
        """
        ...


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """How far a group is in one partition. `position` is None before the first commit."""

    topic: str
    partition: int
    position: int | None
    end: int

    @property
    def lag(self) -> int:
        """Records to go, at most: an upper bound where offsets have gaps."""
        return max(0, self.end - (self.position or 0))


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """How far a consumer group is, all its members together."""

    group: str
    partitions: tuple[PartitionStatus, ...]

    @property
    def caught_up(self) -> bool:
        return all(partition.lag == 0 for partition in self.partitions)


class ConsumerMetrics:
    """The consumers' metrics: one set per registry, shared by all consumers of a process."""

    _made: ClassVar[WeakKeyDictionary[CollectorRegistry, "ConsumerMetrics"]] = WeakKeyDictionary()

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = metrics.counter(metrics.EVENTS, registry)
        self.dead_letters = metrics.counter(metrics.DEAD_LETTERS, registry)
        self.lag = metrics.gauge(metrics.CONSUMER_LAG, registry)
        self.stopped = metrics.gauge(metrics.CONSUMER_STOPPED, registry)

    @classmethod
    def on(cls, registry: CollectorRegistry) -> "ConsumerMetrics":
        if registry not in cls._made:
            cls._made[registry] = cls(registry)
        return cls._made[registry]


class _SetAside(NamedTuple):
    record: Record
    reason: str


_Item = Delivered | _SetAside


class ConsumerRunner:
    """One member of a consumer group, for a `Loop`: `Loop(name, runner.step, on_stop=runner.close)`.

    Args:
        handler: what to do with the events.
        bus: with the handler's topics made.
        store: the service's, where positions, outbox and the handler's rows change together.
        clock: tells when a record was set aside, and when to look at the lag again.
        batch_records: records in one transaction, at most.
        dead_letter_run: so many refused records in a row stop this consumer.
        registry: where its metrics are shown.
        hash_key: keys the hash of a dead letter in its outcome, so that nobody can guess a text back.
        horizon: of a service that can be rebuilt: records before it send no letters, their first reading did.
        poll_seconds: how long one step waits for the first record.
    """

    def __init__(
        self,
        handler: Handler,
        bus: EventBus,
        store: Store,
        clock: Clock,
        *,
        registry: CollectorRegistry,
        hash_key: bytes,
        batch_records: int = 5_000,
        dead_letter_run: int = 100,
        horizon: RebuildHorizon | None = None,
        poll_seconds: float = 1.0,
    ) -> None:
        self.handler, self.group = handler, handler.group
        self._bus, self._store, self._clock = bus, store, clock
        self._batch_records, self._run_limit = batch_records, dead_letter_run
        self._hash_key, self._horizon, self._poll_seconds = hash_key, horizon, poll_seconds
        self._metrics = ConsumerMetrics.on(registry)
        self._metrics.stopped.labels(self.group).set(0)
        self._metrics.dead_letters.labels(self.group)
        self._consumer: BusConsumer | None = None
        self._expected: dict[TopicPartition, int] = {}
        self._first_seen: dict[TopicPartition, int] = {}
        self._lost_place = False
        self._run = 0
        self._look_at_lag: datetime | None = None
        self._log = logger(f"consumer {self.group}")

    def step(self) -> float:
        """Poll one batch and handle it; how long to pause, in seconds.

        Raises:
            TransientError: bus or store is away; the same records come again.
            DeadLetterRunError: too many refused records in a row.
            Exception: whatever the handler did not foresee. Positions stand where the last good commit left them.
        """
        try:
            return self._step()
        except TransientError:
            raise
        except Exception:
            self._metrics.stopped.labels(self.group).set(1)
            raise

    def status(self) -> ConsumerStatus:
        """How far the whole group is, from the store and the bus; from any thread."""
        at = self._store.positions(self._bus.cluster_id, self.group)
        ends = self._bus.end_positions(self.handler.topics)
        return ConsumerStatus(
            self.group, tuple(PartitionStatus(*key, at.get(key), end) for key, end in sorted(ends.items()))
        )

    def close(self) -> None:
        """Leave the group. In the thread that calls `step`."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _step(self) -> float:
        consumer = self._joined()
        if self._lost_place:
            self._find_place(consumer)
        records = consumer.poll(self._poll_seconds, self._batch_records)
        try:
            if records:
                self._work(records, consumer)
        except StalePositionError as error:
            self._lost_place = True
            self._log.info("batch dropped", reason=str(error))
            return STALE_PAUSE_SECONDS
        except BaseException:
            self._lost_place = True
            raise
        self._show_lag()
        return 0.0

    def _joined(self) -> BusConsumer:
        if self._consumer is None:
            self._store.bind(self._bus.cluster_id)
            self._consumer = self._bus.consumer(self.group, self.handler.topics, self._load)
        return self._consumer

    def _load(self, partitions: Collection[TopicPartition]) -> Positions:
        """The stored positions of partitions that are ours from now on."""
        found = self._store.positions(self._bus.cluster_id, self.group, partitions)
        for partition in partitions:
            self._expected.pop(partition, None)
        self._expected.update(found)
        return found

    def _find_place(self, consumer: BusConsumer) -> None:
        """Read on from where the store is. A partition without a position goes back to the first record we saw."""
        assigned = consumer.assignment()
        seen = {key: self._first_seen[key] for key in assigned if key in self._first_seen}
        consumer.seek({**seen, **self._load(assigned)})
        self._lost_place = False

    def _work(self, records: Sequence[Record], consumer: BusConsumer) -> None:
        for key, offset in {record[:2]: record.offset for record in reversed(records)}.items():
            self._first_seen.setdefault(TopicPartition(*key), offset)
        for piece in self._pieces([_decoded(record) for record in records]):
            consumer.report(piece)

    def _pieces(self, items: Sequence[_Item]) -> Iterator[Positions]:
        """Commit a batch, in one piece when all goes well; the positions after each commit.

        What is set aside at a piece's end waits for the next piece, so that a run of refusals is seen whole before
        any of it is committed.
        """
        waiting: list[Sequence[_Item]] = [items]
        carried: list[_Item] = []
        while waiting:
            piece = [*carried, *waiting.pop()]
            good = _good_length(piece) if waiting else len(piece)
            self._refuse_a_run(piece)
            piece, carried = piece[:good], piece[good:]
            try:
                if piece:
                    yield self._commit(piece)
            except InvalidEventError as error:
                waiting.extend(reversed([*_split(piece, error), *([carried] if carried else [])]))
                carried = []

    def _commit(self, items: Sequence[_Item]) -> Positions:
        good = [item for item in items if isinstance(item, Delivered)]
        aside = [item for item in items if isinstance(item, _SetAside)]
        last = {item.record[:2]: item.record.offset for item in items}
        ends = {TopicPartition(*key): offset + 1 for key, offset in last.items()}
        with self._store.transaction() as tx:
            if good:
                self.handler.handle(good, tx)
            tx.send([message for item in aside for message in self._letter(item)])
            for partition, end in ends.items():
                tx.advance(self._bus.cluster_id, self.group, partition, self._expected.get(partition), end)
        self._expected.update(ends)
        self._run = _run_after(self._run, items)
        self._count(good, aside)
        return ends

    def _letter(self, item: _SetAside) -> list[OutgoingMessage]:
        where = TopicPartition(item.record.topic, item.record.partition)
        if self._horizon is not None and self._horizon.covers(self.group, where, item.record.offset):
            return []
        return letter_messages(
            item.record,
            item.reason,
            cluster=self._bus.cluster_id,
            group=self.group,
            now=self._clock.now(),
            hash_key=self._hash_key,
        )

    def _refuse_a_run(self, items: Sequence[_Item]) -> None:
        run = self._run
        for item in items:
            run = run + 1 if isinstance(item, _SetAside) else 0
            if isinstance(item, _SetAside) and run >= self._run_limit:
                raise DeadLetterRunError(
                    f"{self.group} set aside {run} records in a row, the last at {_place(item.record)} "
                    f"({item.reason}); expected fewer than {self._run_limit}: mend the sender, use a newer "
                    "program, or raise VALVOMO_DEAD_LETTER_RUN to set them all aside; the position has not moved"
                )

    def _count(self, good: Sequence[Delivered], aside: Sequence[_SetAside]) -> None:
        for topic in self.handler.topics:
            handled = sum(item.record.topic == topic for item in good)
            self._metrics.events.labels(topic, self.group).inc(handled)
        self._metrics.dead_letters.labels(self.group).inc(len(aside))
        for record, reason in aside:
            self._log.warning(
                "set aside", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
            )

    def _show_lag(self) -> None:
        now = self._clock.now()
        if self._look_at_lag is not None and self._look_at_lag - _LAG_EVERY <= now < self._look_at_lag:
            return
        self._look_at_lag = now + _LAG_EVERY
        with suppress(TransientError):  # it is for eyes only; the next poll says what is wrong
            found = self.status().partitions
            for topic in self.handler.topics:
                lag = sum(partition.lag for partition in found if partition.topic == topic)
                self._metrics.lag.labels(topic, self.group).set(lag)


def _decoded(record: Record) -> _Item:
    try:
        return Delivered(record, decode(record.value))
    except InvalidEventError as error:
        return _SetAside(record, str(error))


def _good_length(items: Sequence[_Item]) -> int:
    """How many items there are up to the last that was not set aside."""
    length = len(items)
    while length and isinstance(items[length - 1], _SetAside):
        length -= 1
    return length


def _run_after(run: int, items: Sequence[_Item]) -> int:
    """How many records in a row are set aside at the end of `items`, when `run` were before them."""
    trailing = len(items) - _good_length(items)
    return trailing if trailing < len(items) else run + trailing


def _split(items: Sequence[_Item], error: InvalidEventError) -> list[Sequence[_Item]]:
    """A refused batch in pieces: the record to blame set aside at the end of one, or the batch in halves."""
    good = [at for at, item in enumerate(items) if isinstance(item, Delivered)]
    if isinstance(error, RefusedRecordError):
        blamed = [at for at in good if _place(items[at].record) == _place(error.record)]
        if not blamed:
            raise RuntimeError(f"a handler refused {_place(error.record)}, which is not in its batch") from error
        at = blamed[0]
    elif len(good) == 1:
        at = good[0]
    else:
        middle = good[len(good) // 2]
        return [items[:middle], items[middle:]]
    return [[*items[:at], _SetAside(items[at].record, str(error))], *chunks(items[at + 1 :], _SMALL_PIECE)]


def _place(record: Record) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
