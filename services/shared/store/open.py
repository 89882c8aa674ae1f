"""Which store the settings mean, opened and brought to the program's version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import MetaData

from services.shared.errors import ConfigurationError
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.migrate import migrate
from services.shared.store.postgres import PostgresStore
from services.shared.store.rights import is_restricted
from services.shared.store.roles import grant, make_role, role_of, take_over
from services.shared.store.sqlite import SqliteStore

ServiceName = Literal["collector", "ledger", "log", "sign_in"]


@dataclass(frozen=True, slots=True)
class _Kind:
    migrations: str
    synchronous: Literal["FULL", "NORMAL"]


# The ledger can be rebuilt from the bus, and its positions fall back together with it; the others are primary data.
_KINDS: dict[ServiceName, _Kind] = {
    "collector": _Kind("services.usage_collector.migrations", "FULL"),
    "ledger": _Kind("services.cost_alerts.migrations", "NORMAL"),
    "log": _Kind("services.audit_log.migrations", "FULL"),
    "sign_in": _Kind("services.sign_in.migrations", "FULL"),
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one schema: its service, and what belonged to another role before."""

    service: ServiceName
    taken_over: Sequence[str]


def prepare_stores(settings: Settings, metadata: Mapping[ServiceName, MetaData]) -> tuple[bool, list[Prepared]]:
    """Make and migrate the schemas as their owner, and let the role in VALVOMO_STORE do what the services need.

    Returns:
        Whether that role was made just now, and what became of each schema.

    Raises:
        ConfigurationError: an address cannot be used, both name the same role, or the owner's may not do this.
    """
    role = role_of(settings.store.get_secret_value())
    if settings.store_owner is None:
        raise ConfigurationError(
            "no address of the owner: set VALVOMO_STORE_OWNER, or name a file that holds it with --owner-url-file"
        )
    address, made, prepared = settings.store_owner.get_secret_value(), False, []
    role_of(address)
    for service, tables in metadata.items():
        store = PostgresStore(address, tables, service)
        try:
            made = make_role(store, role) or made
            taken = take_over(store)
            migrate(store, tables, _KINDS[service].migrations)
            grant(store, tables, role)
        finally:
            store.close()
        prepared.append(Prepared(service, taken))
    return made, prepared


def open_store(settings: Settings, service: ServiceName, metadata: MetaData, *, guarded: bool = True) -> Store:
    """Open a service's database, made when missing: `<data_dir>/<service>.db`, or the schema `<service>`.

    Args:
        settings: where it is.
        service: whose.
        metadata: its tables.
        guarded: on SQLite, refuse what `rights.py` does not give to the service; False for an administrator's ceremony
            (pruning). On PostgreSQL the role in VALVOMO_STORE decides.

    Raises:
        ConfigurationError: the setting VALVOMO_STORE cannot be used, or the server is too old.
        IncompatibleStoreError: the database is of a newer program, another service or not ours.
        TransientError: it is away or busy.
    """
    kind = _KINDS[service]
    address = settings.store.get_secret_value()
    store: Store
    if address == "sqlite":
        path = settings.data_dir / f"{service}.db"
        store = SqliteStore(path, metadata, service, synchronous=kind.synchronous)
    else:
        store = PostgresStore(address, metadata, service)
    try:
        migrate(store, metadata, kind.migrations)
        if guarded and isinstance(store, SqliteStore) and is_restricted(metadata):
            store.guard()
    except BaseException:
        store.close()
        raise
    return store
