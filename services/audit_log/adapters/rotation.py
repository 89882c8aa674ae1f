"""Changing the log's keys: a new one signs beside the old one for a while, then the old one stops. Both are entries."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from services.audit_log.adapters.checkpoints import newest_checkpoint
from services.audit_log.adapters.entries import entries_named
from services.audit_log.adapters.signing_keys import KeyRing
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import message_of
from services.shared.errors import ConfigurationError, TransientError
from services.shared.events.log import KeyChange, LogKeyChanged
from services.shared.store import Store
from services.shared.tlog.note import ED25519, VerifierKey, parse_note


def rotate(store: Store, ring: KeyRing, now: datetime, *, reason: str, approver: str) -> VerifierKey:
    """Make a key that signs beside the present one from now on, and tell so. Interrupted, the same call goes on.

    Raises:
        ConfigurationError: two keys sign already, or the present one is missing.
        TransientError: the log is being signed at this moment.
    """
    with _unsigned(store):
        ring.signer()
        key = ring.draft()
        _tell(store, KeyChange(key=str(key), change="added", reason=reason, approver=approver), now)
        ring.activate(key)
    return key


def retire(
    store: Store, ring: KeyRing, now: datetime, key_id: str, *, reason: str, approver: str, destroy: bool
) -> VerifierKey:
    """Let one of two keys sign no longer, and tell so. Interrupted, the same call goes on.

    Args:
        store: the log's database.
        ring: the log's keys.
        now: when it is told.
        key_id: eight hex digits, as a verifier key names itself.
        reason: why.
        approver: whose role said so.
        destroy: whether the secret goes for good; else it is put aside.

    Raises:
        ConfigurationError: no such key signs, it is the only one, or no checkpoint that both signed is the newest.
        TransientError: the log is being signed at this moment.
    """
    with _unsigned(store):
        key = _retirable(store, ring, key_id)
        _tell(store, KeyChange(key=str(key), change="retired", reason=reason, approver=approver), now)
        ring.retire(key, destroy=destroy)
    return key


def add_post_quantum(store: Store, ring: KeyRing, now: datetime) -> None:
    """Make the ML-DSA-44 key at the start, where it is wanted and there is none, and tell so.

    Raises:
        ConfigurationError: it was lost, or this machine cannot use such a key.
    """
    with store.reading() as connection:
        newest = newest_checkpoint(connection)
    key = ring.add_post_quantum(newest[0] if newest else None)
    if key is not None:
        change = KeyChange(key=str(key), change="added", reason="VALVOMO_LOG_POST_QUANTUM is set", approver="settings")
        _tell(store, change, now)


def _retirable(store: Store, ring: KeyRing, key_id: str) -> VerifierKey:
    signing = {key.key_id.hex(): key for key in ring.signer().keys if key.kind == ED25519}
    key = signing.get(key_id)
    if key is None:
        raise ConfigurationError(
            f"found no key {key_id[:20]} among those that sign ({', '.join(signing)}); expected the eight hex digits "
            "after the first + of one of them"
        )
    if len(signing) == 1:
        raise ConfigurationError(
            f"{key_id} is the only key that signs this log; add another one first (valvomo audit key rotate)"
        )
    with store.reading() as connection:
        newest = newest_checkpoint(connection)
    lines = {line.key_id.hex() for line in parse_note(newest[0]).signatures} if newest else set()
    if not lines.issuperset(signing):
        raise ConfigurationError(
            "the newest checkpoint was not signed by both keys yet: nobody could follow the log from one to the other. "
            "Let the program run until it has signed one, then retire the key"
        )
    return key


def _tell(store: Store, change: KeyChange, now: datetime) -> None:
    """Once, also when the command was interrupted and is given again."""
    event = about_log(LogKeyChanged, change, now, change.key, change.change)
    with store.transaction() as tx:
        if not entries_named(tx.connection, [(event.source, event.id)]):
            tx.send([message_of(event)])


@contextmanager
def _unsigned(store: Store) -> Iterator[None]:
    """While nobody signs: a signature is made with the keys of before, or those of after."""
    with store.exclusive("checkpoint") as mine:
        if not mine:
            raise TransientError("the log is being signed at this moment; give the command again")
        yield
