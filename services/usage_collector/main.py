"""The wiring of the collector: which vendors there are, and what a process of it does."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr

from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError, TransientError
from services.shared.events import TOPICS
from services.shared.http import ConsumerStatus
from services.shared.keys import key_bytes
from services.shared.logs import logger
from services.shared.loops import Loop
from services.shared.metrics import SOURCE_ERRORS, Guarded, OutboxMetrics, counter
from services.shared.relay import BusRelay
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.usage_collector.adapters.http import ClientCredentials, Credentials, FixedHeaders, HttpFetch, Sleep
from services.usage_collector.adapters.metrics import SourceMetrics
from services.usage_collector.adapters.people import CONTENT_KEY, check_key, key_file, open_people
from services.usage_collector.adapters.state import CollectorState
from services.usage_collector.adapters.tables import METADATA
from services.usage_collector.api import make_router
from services.usage_collector.erasing import erase_again
from services.usage_collector.intake import Intake, keyed_hash
from services.usage_collector.invoices import IMPORTED
from services.usage_collector.people import People
from services.usage_collector.poller import Poller
from services.usage_collector.source import Source, Who
from services.usage_collector.sources.anthropic import AnthropicSource
from services.usage_collector.sources.microsoft_copilot import MicrosoftCopilotSource
from services.usage_collector.sources.servicenow import ServiceNowReviews, ServiceNowUsage

ANTHROPIC_VERSION = {"anthropic-version": "2023-06-01"}
GRAPH_SCOPE = "https://graph.microsoft.com/.default"


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's sources, where they are, and how we sign in."""

    sources: Sequence[Source]
    base_url: str
    credentials: Credentials
    headers: Mapping[str, str] | None = None


def anthropic(settings: Settings, who: Who, clock: Clock) -> Vendor:  # noqa: ARG001
    key = _secret(settings.anthropic_key, "VALVOMO_ANTHROPIC_KEY")
    source = AnthropicSource(
        who,
        api=settings.anthropic_api,
        organisation=settings.anthropic_organisation,
        default_workspace=settings.anthropic_default_workspace,
    )
    return Vendor([source], settings.anthropic_url, FixedHeaders({"x-api-key": key}), ANTHROPIC_VERSION)


def microsoft_copilot(settings: Settings, who: Who, clock: Clock) -> Vendor:
    tenant = _given(settings.microsoft_tenant, "VALVOMO_MICROSOFT_TENANT")
    credentials = ClientCredentials(
        "microsoft_copilot",
        f"{settings.microsoft_login_url.rstrip('/')}/{tenant}/oauth2/v2.0/token",
        _given(settings.microsoft_client_id, "VALVOMO_MICROSOFT_CLIENT_ID"),
        _secret(settings.microsoft_client_secret, "VALVOMO_MICROSOFT_CLIENT_SECRET"),
        clock,
        GRAPH_SCOPE,
    )
    return Vendor([MicrosoftCopilotSource(who)], settings.microsoft_url, credentials)


def servicenow(settings: Settings, who: Who, clock: Clock) -> Vendor:
    base = _given(settings.servicenow_url, "VALVOMO_SERVICENOW_URL")
    credentials = ClientCredentials(
        "servicenow",
        f"{base.rstrip('/')}/oauth_token.do",
        _given(settings.servicenow_client_id, "VALVOMO_SERVICENOW_CLIENT_ID"),
        _secret(settings.servicenow_client_secret, "VALVOMO_SERVICENOW_CLIENT_SECRET"),
        clock,
    )
    environment = settings.servicenow_environment
    sources: list[Source] = [ServiceNowUsage(who, environment=environment), ServiceNowReviews(environment=environment)]
    return Vendor(sources, base, credentials)


SOURCES: dict[str, Callable[[Settings, Who, Clock], Vendor]] = {
    "anthropic": anthropic,
    "microsoft_copilot": microsoft_copilot,
    "servicenow": servicenow,
}
"""The vendors that can be polled: name in VALVOMO_SOURCES → how its sources are made."""


class CollectorService:
    """The collector in one process: a loop per source, one for the outbox, and the intake's routes."""

    name = "usage-collector"

    def __init__(
        self,
        store: Store,
        people: People,
        pollers: Sequence[Poller],
        relay: BusRelay,
        *,
        router: APIRouter,
        intake_problem: Callable[[], str | None],
        learn: Callable[[], None],
        stopping: threading.Event,
    ) -> None:
        self.router = router
        self.people = people
        self.pollers = tuple(pollers)
        self._store = store
        self._stopping = stopping
        self._learn = learn
        self._intake_problem = intake_problem
        self._loops = [Loop(f"collect {one.source.name}", partial(self._poll, one)) for one in pollers]
        self._loops.append(Loop("collector relay", relay.step))

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        self._stopping.set()
        for loop in self._loops:
            loop.stop()
        for poller in self.pollers:
            poller.close()
        self._store.close()

    def problems(self) -> Sequence[str]:
        """A vendor that fails turns no light red here: the intake works, and the source's metrics tell."""
        return [found for found in (self._intake_problem(), *(loop.problem for loop in self._loops)) if found]

    def statuses(self) -> Sequence[ConsumerStatus]:
        """Caught up: every source was read to the present and all that it told is on the bus."""
        behind = sum(not poller.caught_up for poller in self.pollers)
        waiting = sum(count for (_, state), count in self._store.pending_counts().items() if state == "waiting")
        return [ConsumerStatus("usage_collector", (), {}, behind + waiting)]

    def _poll(self, poller: Poller) -> float:
        self._learn()
        return poller.step()


def build(settings: Settings, bus: EventBus, clock: Clock, registry: CollectorRegistry) -> CollectorService:
    """The collector, built and not started.

    Raises:
        ConfigurationError: a source is unknown or lacks a setting, or a key file is not the right one.
        IncompatibleStoreError: the database was made by another version.
    """
    bus.ensure_topics(TOPICS)
    store = open_store(settings, "collector", METADATA)
    try:
        return _built(settings, bus, clock, registry, store)
    except BaseException:
        store.close()
        raise


def _built(
    settings: Settings, bus: EventBus, clock: Clock, registry: CollectorRegistry, store: Store
) -> CollectorService:
    people = open_people(settings.data_dir, store, clock)
    store.bind(bus.cluster_id)
    if back := erase_again(store, bus):
        logger("people").warning("erased again what a backup had brought back", persons=back)
    content_key = key_bytes(key_file(settings.data_dir, CONTENT_KEY), make=True)
    check_key(store, CONTENT_KEY, content_key)
    stopping = threading.Event()
    state = CollectorState(store)
    pollers = make_pollers(
        settings, state, people, clock, counter(SOURCE_ERRORS, registry), sleep=partial(_sleep_until, stopping)
    )
    shown = SourceMetrics(state, clock, [poller.source.name for poller in pollers])
    registry.register(Guarded(CollectorService.name, shown, registry))
    OutboxMetrics.watch(registry, CollectorService.name, store.pending_counts)
    intake = Intake(bus, keyed_hash(content_key), people.pseudonym, clock)
    learn = _Once(partial(state.learn, bus, {IMPORTED, *(poller.source.event_source for poller in pollers)}))
    router = make_router(intake, registry)
    relay = BusRelay(store, bus, clock)
    return CollectorService(
        store,
        people,
        pollers,
        relay,
        router=router,
        intake_problem=lambda: intake.problem,
        learn=learn,
        stopping=stopping,
    )


def make_pollers(
    settings: Settings,
    state: CollectorState,
    people: People,
    clock: Clock,
    errors: Counter,
    *,
    sleep: Sleep = time.sleep,
    only: Sequence[str] | None = None,
) -> list[Poller]:
    """A poller per source of the vendors in the settings, or of `only` these vendors.

    Raises:
        ConfigurationError: a vendor is unknown, or a setting of it is missing.
    """
    pollers: list[Poller] = []
    for name in settings.sources if only is None else only:
        if name not in SOURCES:
            raise ConfigurationError(
                f"found the source {name!r}; expected of {', '.join(SOURCES)}. Change VALVOMO_SOURCES"
            )
        vendor = SOURCES[name](settings, people.pseudonyms, clock)
        fetch = HttpFetch(name, vendor.base_url, vendor.credentials, clock, headers=vendor.headers, sleep=sleep)
        pause = settings.poll_interval_seconds
        pollers += [
            Poller(source, fetch, state, clock, interval_seconds=pause, errors=errors) for source in vendor.sources
        ]
    return pollers


class _Once:
    """Does something the first time it is called, whoever calls; others wait for it. A failure is tried again."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        with self._lock:
            if not self._done:
                self._act()
                self._done = True


def _sleep_until(stopping: threading.Event, seconds: float) -> None:
    if stopping.wait(seconds):
        raise TransientError("the collector is stopping")


def _given(value: str | None, name: str) -> str:
    if not value:
        raise ConfigurationError(f"{name} is not set; a source in VALVOMO_SOURCES needs it")
    return value


def _secret(value: SecretStr | None, name: str) -> str:
    secret = _given(value.get_secret_value() if value else None, name)
    if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise ConfigurationError(
            f"{name} holds a letter that no key has, or a blank or a line's end around it; copy the key again"
        )
    return secret
