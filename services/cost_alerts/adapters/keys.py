"""The secret keys of a ledger, in its database, so that all its processes use the same ones."""

import secrets

from sqlalchemy import select

from services.cost_alerts.adapters.tables import METADATA
from services.shared.store import Store
from services.shared.store.tables import common_tables

_BYTES = 32


def hash_key(store: Store) -> bytes:
    """The 32 secret bytes that name dead letters in outcomes, made at the first asking."""
    return _key(store, "hash key")


def acknowledgement_key(store: Store) -> bytes:
    """The 32 secret bytes behind the links that acknowledge alerts, made at the first asking."""
    return _key(store, "acknowledgement key")


def _key(store: Store, name: str) -> bytes:
    info = common_tables(METADATA).store_info
    with store.transaction() as tx:
        tx.bulk_insert(info, ("name", "value"), [(name, secrets.token_hex(_BYTES))], ignore_conflicts=True)
        return bytes.fromhex(tx.connection.execute(select(info.c.value).where(info.c.name == name)).scalar_one())
