"""One of several consumers of a group, in a process of its own: joins, catches up, and then reads when it is told to.

Started by `sharing`; what they say to each other are lines of JSON.
"""

import json
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.cost_alerts.handlers.register import RegisterHandler
from services.cost_alerts.handlers.usage import UsageHandler
from services.cost_alerts.main import CostService, build
from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import SystemClock
from services.shared.consumer import ConsumerRunner, Delivered, relax_garbage_collector
from services.shared.settings import Settings
from services.shared.store import Transaction
from tools.bench.forms import consumer_of, drain


class Membership(NamedTuple):
    """Where a member reads and writes. `groups` is put behind the names of its consumer groups."""

    settings: dict[str, Any]
    groups: str
    members: int


class Read(NamedTuple):
    """What a member did: records, when it committed the last of them (monotonic seconds), its processor time."""

    records: int
    last: float
    processor: float


def main() -> None:
    logging.disable(logging.WARNING)
    relax_garbage_collector()
    membership = Membership(**json.loads(sys.argv[1]))
    store = membership.settings.pop("store")
    settings = Settings(**membership.settings, store=SecretStr(store))
    bus, clock = open_bus(settings, SystemClock()), SystemClock()
    service = build(settings, bus, clock, CollectorRegistry())
    for consumer in service.consumers:
        rename(consumer, membership.groups)
    drain(consumer_of(service, RegisterHandler.group + membership.groups), service.store, bus)
    usage = consumer_of(service, UsageHandler.group + membership.groups)
    _Member(service, bus, usage).serve(len(bus.end_positions(usage.handler.topics)), membership.members)
    for consumer in service.consumers:
        consumer.close()
    service.store.close()
    bus.close()


def rename(consumer: ConsumerRunner, groups: str) -> None:
    """Put a consumer into a group of its own, on the bus and in the store."""
    consumer.group += groups


class _Member:
    def __init__(self, service: CostService, bus: EventBus, usage: ConsumerRunner) -> None:
        self._store = service.store
        self._bus = bus
        self._usage = usage
        self._handled = 0
        self._count_handled()

    def serve(self, partitions: int, members: int) -> None:
        """Read what is there; say so when the group's partitions are shared out; then read on at each line."""
        while len(self._assignment()) * members != partitions:
            self._usage.step()
        drain(self._usage, self._store, self._bus)
        print("ready", flush=True)
        for line in sys.stdin:
            print(json.dumps(self._read(int(line))), flush=True)

    def _assignment(self) -> Sequence[object]:
        consumer = self._usage._consumer  # noqa: SLF001  # the program has no need to ask
        return [] if consumer is None else list(consumer.assignment())

    def _read(self, end: int) -> Read:
        """Take part until the whole group is at `end`, the sum of its positions."""
        before, last, began = self._handled, time.monotonic(), time.process_time()
        processor = 0.0
        while sum(self._store.positions(self._bus.cluster_id, self._usage.group).values()) < end:
            seen = self._handled
            self._usage.step()
            if self._handled > seen:
                last, processor = time.monotonic(), time.process_time() - began
        return Read(self._handled - before, last, processor)

    def _count_handled(self) -> None:
        handle = self._usage.handler.handle

        def counting(batch: Sequence[Delivered], tx: Transaction) -> None:
            handle(batch, tx)
            self._handled += len(batch)

        self._usage.handler.handle = counting  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
