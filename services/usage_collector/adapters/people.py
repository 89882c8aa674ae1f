"""The table of people in the collector's database, and the check that its key is still the same."""

import hmac
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from sqlalchemy import Connection, func, select

from services.shared.clock import Clock, SystemClock
from services.shared.errors import ConfigurationError
from services.shared.keys import key_bytes
from services.shared.store import Store, chunks
from services.usage_collector.adapters.tables import ERASURE, KEY_CHECK, PERSON, PERSON_LINK
from services.usage_collector.joining import join
from services.usage_collector.people import People

PEOPLE_KEY = "people"
CONTENT_KEY = "content"
_AT_ONCE = 400
_RANDOM_BYTES = 10


class StoredPeople:
    """`PeopleTable` on a store."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    def find(self, digests: Collection[bytes]) -> Mapping[bytes, str]:
        with self._store.reading() as connection:
            return _linked(connection, digests)

    def add(self, links: Mapping[bytes, str], sealed: Mapping[str, bytes]) -> Mapping[bytes, str]:
        with self._store.transaction() as tx:
            # In the order of the keys, so that two collectors wait for each other and never in a circle.
            tx.bulk_insert(PERSON_LINK, ("digest", "pseudonym"), sorted(links.items()), ignore_conflicts=True)
            found = _linked(tx.connection, links)
            kept = set(found.values())
            fresh = [(name, _new_key_id(), identity) for name, identity in sorted(sealed.items()) if name in kept]
            tx.bulk_insert(PERSON, ("pseudonym", "key_id", "sealed_identity"), fresh)
            return found

    def join(self, pairs: Mapping[str, str]) -> None:
        join(self._store, pairs, self._clock.now())

    def sealed(self, pseudonym: str) -> bytes | None:
        with self._store.reading() as connection:
            row = connection.execute(
                select(PERSON.c.sealed_identity).where(PERSON.c.pseudonym == pseudonym)
            ).one_or_none()
        return None if row is None else bytes(row.sealed_identity)

    def erasures(self) -> int:
        with self._store.reading() as connection:
            return connection.execute(select(func.count()).select_from(ERASURE)).scalar_one()


def open_people(data_dir: Path, store: Store, clock: Clock | None = None) -> People:
    """The table of people under its key file, which is made on the first start.

    Raises:
        ConfigurationError: the key file cannot be used, or is not the one of this database.
    """
    key = key_bytes(key_file(data_dir, PEOPLE_KEY), make=True)
    check_key(store, PEOPLE_KEY, key)
    return People(key, StoredPeople(store, clock))


def key_file(data_dir: Path, name: str) -> Path:
    """Where a key of the collector lies."""
    return data_dir / "keys" / f"{name}.key"


def check_key(store: Store, name: str, key: bytes) -> None:
    """Refuse to work with another key than this database was begun with: everybody would get a second pseudonym.

    Raises:
        ConfigurationError: the key is another one.
    """
    digest = hmac.digest(key, b"valvomo key check", "sha256")
    with store.transaction() as tx:
        tx.bulk_insert(KEY_CHECK, ("name", "digest"), [(name, digest)], ignore_conflicts=True)
        kept = bytes(tx.connection.execute(select(KEY_CHECK.c.digest).where(KEY_CHECK.c.name == name)).scalar_one())
    if not hmac.compare_digest(kept, digest):
        raise ConfigurationError(
            f"the key file {name}.key is not the one that the collector's database was begun with; put that file back "
            "from the backup. With another key every person and every content hash would get a second name"
        )


def _new_key_id() -> str:
    return f"k-{secrets.token_hex(_RANDOM_BYTES)}"


def _linked(connection: Connection, digests: Collection[bytes]) -> dict[bytes, str]:
    return {
        bytes(digest): pseudonym
        for some in chunks(sorted(digests), _AT_ONCE)
        for digest, pseudonym in connection.execute(
            select(PERSON_LINK.c.digest, PERSON_LINK.c.pseudonym).where(PERSON_LINK.c.digest.in_(some))
        )
    }
