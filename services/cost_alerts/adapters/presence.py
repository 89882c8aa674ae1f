"""Whether a program is at work on a ledger: a rebuild under its feet would make it read on from the wrong place."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from services.shared.store import Store

_NAME = "program"

_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND application_name = current_setting('application_name')
"""
"""Sessions of the ledger's other processes: each keeps some open as long as it lives."""


@contextmanager
def presence(store: Store) -> Iterator[None]:
    """Be seen as at work, until the end of the block."""
    if store.dialect == "postgresql":
        yield  # its sessions are seen
        return
    with store.exclusive(_NAME):  # or another of this folder is seen already
        yield


def is_another_at_work(store: Store) -> bool:
    """Whether another process works on this ledger. Ask before this one opens a second session."""
    if store.dialect == "postgresql":
        with store.reading() as connection:
            return bool(connection.execute(text(_OTHERS)).scalar_one())
    with store.exclusive(_NAME) as alone:
        return not alone
