"""The wiring of signing in: where the collector runs, people sign in; any other process only knows who has."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import select

from services.shared.bus import EventBus
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError
from services.shared.keys import key_bytes
from services.shared.loops import Loop
from services.shared.metrics import OutboxMetrics
from services.shared.relay import BusRelay
from services.shared.sessions import Sessions
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.sign_in.adapters.hashing import Hashing
from services.sign_in.adapters.provider import Client, Directory
from services.sign_in.adapters.sealing import Sealer, key_digest
from services.sign_in.adapters.sessions import StoredSessions
from services.sign_in.adapters.tables import METADATA, key_check
from services.sign_in.api.directory import DirectoryRoutes
from services.sign_in.api.pages import Cookies, Pages
from services.sign_in.domain.directory import role_map
from services.sign_in.domain.sessions import Lasting
from services.sign_in.door import Door, Persons

KEY = "sign-in"
_RELAY_PAUSE_SECONDS = 1.0
"""Roles change seldom."""


class SignIn:
    """Signing in, as a service of the process that the collector runs in."""

    name = "sign-in"

    def __init__(
        self, store: Store, sessions: Sessions, router: APIRouter, relay: BusRelay, directory: Directory | None
    ) -> None:
        self.router, self.sessions = router, sessions
        self._store, self._directory = store, directory
        self._loop = Loop("sign-in relay", lambda: max(relay.step(), _RELAY_PAUSE_SECONDS))

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()
        if self._directory is not None:
            self._directory.close()
        self._store.close()

    def problems(self) -> Sequence[str]:
        return [self._loop.problem] if self._loop.problem else []


class SessionsOnly:
    """Knowing who has signed in, for a process where nobody does: its routes ask, `/sign-in` is elsewhere."""

    name = "sessions"

    def __init__(self, store: Store, sessions: Sessions) -> None:
        self.router, self.sessions = APIRouter(), sessions
        self._store = store

    def start(self) -> None:
        """Nothing runs here; sessions are looked up when somebody asks."""

    def stop(self) -> None:
        self._store.close()

    def problems(self) -> Sequence[str]:
        return ()


def build(
    settings: Settings,
    bus: EventBus,
    clock: Clock,
    registry: CollectorRegistry,
    *,
    persons: Persons,
    hashing: Hashing | None = None,
) -> SignIn:
    """Signing in, built and not started. `hashing`: with other parameters than those that are safe.

    Raises:
        ConfigurationError: a setting of the directory is missing, or the key file is not the right one.
        IncompatibleStoreError: the database was made by another version.
    """
    directory = _directory(settings, clock)
    roles = role_map(settings.oidc_roles)
    store = open_store(settings, "sign_in", METADATA)
    try:
        store.bind(bus.cluster_id)
        sealer = own_sealer(settings, store)
    except BaseException:
        store.close()
        raise
    OutboxMetrics.watch(registry, SignIn.name, store.pending_counts)
    lasting = lasting_of(settings)
    sessions = StoredSessions(store, lambda: sealer, lasting, clock)
    door = Door(store, sealer, persons, clock, hashing=hashing or Hashing(), lasting=lasting)
    secure = (settings.public_url or "").startswith("https://")
    cookies = Cookies(secure, int(lasting.whole.total_seconds()))
    pages = Pages(door, sessions, cookies, directory=directory is not None)
    router = APIRouter()
    router.include_router(pages.router)
    if directory is not None:
        ways = DirectoryRoutes(directory, dict(roles), door, pages, cookies=cookies, clock=clock)
        router.include_router(ways.router)
    return SignIn(store, sessions, router, BusRelay(store, bus, clock), directory)


def build_sessions(settings: Settings, clock: Clock) -> SessionsOnly:
    """For a process without the collector. Its key file may come later than the process: it is looked for when needed.

    Raises:
        IncompatibleStoreError: the database was made by another version.
    """
    store = open_store(settings, "sign_in", METADATA)
    found: list[Sealer] = []

    def sealer() -> Sealer:
        if not found:
            found.append(known_sealer(settings, store))
        return found[0]

    return SessionsOnly(store, StoredSessions(store, sealer, lasting_of(settings), clock))


@contextmanager
def open_door(
    settings: Settings, persons: Persons, clock: Clock, hashing: Hashing | None = None
) -> Iterator[tuple[Door, Store]]:
    """The accounts, for a command line."""
    with closing(open_store(settings, "sign_in", METADATA)) as store:
        door = Door(
            store,
            own_sealer(settings, store),
            persons,
            clock,
            hashing=hashing or Hashing(),
            lasting=lasting_of(settings),
        )
        yield door, store


def lasting_of(settings: Settings) -> Lasting:
    """How long sessions last, as the settings say."""
    return Lasting(timedelta(minutes=settings.session_idle_minutes), timedelta(hours=settings.session_hours))


def key_file(settings: Settings) -> Path:
    """Where the key of seals lies."""
    return settings.sign_in_key_file or settings.data_dir / "keys" / f"{KEY}.key"


def own_sealer(settings: Settings, store: Store) -> Sealer:
    """The seals of this database; its key is made when the database is new.

    Raises:
        ConfigurationError: the key file is missing or another database's.
    """
    with store.reading() as connection:
        is_new = connection.execute(select(key_check.c.name).where(key_check.c.name == KEY)).first() is None
    return _checked(store, key_bytes(key_file(settings), make=is_new))


def known_sealer(settings: Settings, store: Store) -> Sealer:
    """The same for who only looks: no key is made.

    Raises:
        ConfigurationError: the key file is missing or another database's.
    """
    return _checked(store, key_bytes(key_file(settings), make=False))


def _checked(store: Store, key: bytes) -> Sealer:
    digest = key_digest(key)
    with store.transaction() as tx:
        tx.bulk_insert(key_check, ("name", "digest"), [(KEY, digest)], ignore_conflicts=True)
        kept = bytes(tx.connection.execute(select(key_check.c.digest).where(key_check.c.name == KEY)).scalar_one())
    if kept != digest:
        raise ConfigurationError(
            f"the key file {KEY}.key is not the one that the accounts were sealed with; put that file back from the "
            "backup, on every machine that runs a service. With another key nobody's account would count"
        )
    return Sealer(key)


def _directory(settings: Settings, clock: Clock) -> Directory | None:
    if settings.oidc_issuer is None:
        return None
    client = Client(
        settings.oidc_issuer,
        _given(settings.oidc_client_id, "VALVOMO_OIDC_CLIENT_ID"),
        _secret(settings.oidc_client_secret, "VALVOMO_OIDC_CLIENT_SECRET"),
        f"{_given(settings.public_url, 'VALVOMO_PUBLIC_URL').rstrip('/')}/oidc/callback",
    )
    return Directory(client, clock)


def _given(value: str | None, name: str) -> str:
    if not value:
        raise ConfigurationError(f"{name} is not set; VALVOMO_OIDC_ISSUER needs it (docs/sign-in.md)")
    return value


def _secret(value: SecretStr | None, name: str) -> str:
    return _given(value.get_secret_value() if value else None, name)
