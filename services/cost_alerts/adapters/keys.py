"""The key that names dead letters in outcomes: in the ledger's database, so that all its processes use one."""

import secrets

from sqlalchemy import select

from services.cost_alerts.adapters.tables import METADATA
from services.shared.store import Store
from services.shared.store.tables import common_tables

_NAME = "hash key"
_BYTES = 32


def hash_key(store: Store) -> bytes:
    """The 32 secret bytes of this ledger, made at the first asking."""
    info = common_tables(METADATA).store_info
    with store.transaction() as tx:
        tx.bulk_insert(info, ("name", "value"), [(_NAME, secrets.token_hex(_BYTES))], ignore_conflicts=True)
        return bytes.fromhex(tx.connection.execute(select(info.c.value).where(info.c.name == _NAME)).scalar_one())
