"""One process of the program: all three services on one port, or a single one of them on its own.

The same code serves both forms; settings choose the bus and the stores.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

from prometheus_client import CollectorRegistry

from services.audit_log.main import build as build_audit_log
from services.cost_alerts.main import build as build_cost_alerts
from services.shared.access import load_access
from services.shared.bus import EventBus
from services.shared.bus.open import open_bus
from services.shared.clock import Clock, SystemClock
from services.shared.events import TOPICS
from services.shared.http import Server, make_app
from services.shared.service import Service, TellsFigures
from services.shared.settings import Settings
from services.sign_in.door import Persons
from services.sign_in.main import SessionsOnly, SignIn, build_sessions
from services.sign_in.main import build as build_sign_in
from services.usage_collector.main import CollectorService
from services.usage_collector.main import build as build_usage_collector

BUILDERS: dict[str, Callable[[Settings, EventBus, Clock, CollectorRegistry], Service]] = {
    "usage-collector": build_usage_collector,
    "cost-alerts": build_cost_alerts,
    "audit-log": build_audit_log,
}
"""Service → what wires it."""

OWN_PORTS = {"usage-collector": 8601, "cost-alerts": 8602, "audit-log": 8603}
"""Ports of services that run alone (design 8.3)."""


@dataclass
class Program:
    """Built services behind one HTTP server; use as a context manager."""

    settings: Settings
    bus: EventBus
    services: Sequence[Service]
    server: Server

    @classmethod
    def build(cls, settings: Settings, names: Sequence[str] = tuple(BUILDERS), clock: Clock | None = None) -> "Program":
        """Wire the named services. Databases and topics are made or checked here.

        Raises:
            ConfigurationError, IncompatibleStoreError: what to change is in the sentence.
        """
        clock = clock or SystemClock()
        access = load_access(settings)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        bus = open_bus(settings, clock)
        bus.ensure_topics(TOPICS)
        registry = CollectorRegistry()
        services = [BUILDERS[name](settings, bus, clock, registry) for name in names]
        signing_in = _signing_in(settings, bus, clock, registry, services)
        services.append(signing_in)
        access.use(signing_in.sessions)
        app = make_app(services, registry, access, bus)
        return cls(settings, bus, services, Server(app, settings.host, settings.port))

    def __enter__(self) -> Self:
        self.server.start()
        for service in self.services:
            service.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.server.stop()
        for service in self.services:
            service.stop()
        self.bus.close()

    @property
    def address(self) -> str:
        """Where the program listens, for example `http://127.0.0.1:8600`."""
        return self.server.base

    def summary(self) -> dict[str, Any]:
        """The services' figures in one table of names (`valvomo demo --once`)."""
        telling = (service for service in self.services if isinstance(service, TellsFigures))
        return {name: value for service in telling for name, value in service.summary().items()}


def _signing_in(
    settings: Settings, bus: EventBus, clock: Clock, registry: CollectorRegistry, services: Sequence[Service]
) -> SignIn | SessionsOnly:
    """People sign in where the collector is, which alone knows whose pseudonym is whose."""
    collector = next((one for one in services if isinstance(one, CollectorService)), None)
    if collector is None:
        return build_sessions(settings, clock)
    persons = Persons(collector.people.find, collector.people.pseudonym)
    return build_sign_in(settings, bus, clock, registry, persons=persons)


def wait_for_signal() -> None:
    """Return when the process is asked to end (SIGTERM, SIGINT)."""
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    while not asked.wait(3600):
        pass
