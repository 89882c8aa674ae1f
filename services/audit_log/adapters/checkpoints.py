"""Checkpoints: signing the committed log, never smaller and never another one than was signed before.

Before signing, the new entries are read back from the database and hashed again, on top of what the signer remembers
outside of it. So a bit that flipped on the way to the disk, a restored backup and a rewritten entry are found before
anything is signed over them.

What the log says about itself is no reason to sign (design 6): receipts of a checkpoint would be answered by a
checkpoint for ever. Two things about the log are: a change of keys, which the new key confirms, and the heartbeat.
"""

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, insert, select

from services.audit_log.adapters.entries import entry_batches, read_frontier, tile_reader
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.adapters.pruned import beginning, minimum_index
from services.audit_log.adapters.signing_keys import KeyRing
from services.audit_log.adapters.tables import checkpoint
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import message_of
from services.shared.clock import Clock
from services.shared.errors import ConfigurationError, IncompatibleStoreError, TransientError
from services.shared.events import OUTCOMES
from services.shared.events.log import Beat, LogHeartbeat, is_about_log
from services.shared.keys import write_durably
from services.shared.store import Store
from services.shared.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from services.shared.tlog.entry import parse_entry
from services.shared.tlog.merkle import CompactRange, leaf_hash, root_at
from services.shared.tlog.note import NoteError, VerifierKey, parse_note
from services.shared.tlog.tiles import node_reader

LATEST = "latest"
LOSES_COMMITS = {"fsync": "off", "synchronous_commit": "off"}
"""Settings of PostgreSQL under which a power cut takes back what was committed."""

_RESTORE = (
    "put back what it lacks with `valvomo audit restore`; if that cannot be done, begin a new log with "
    "`valvomo audit succeed` (docs/log-keys.md)"
)
_OTHERS_SECONDS = 1.0
_HEARTBEAT = LogHeartbeat.model_fields["type"].default


class Checkpointer:
    """Signs the log; for a `Loop`. One process at a time signs.

    Args:
        store: the log's database.
        keys: the log's keys under its origin, read again before each signature.
        memory: what was signed last.
        folder: where every checkpoint is also written as a file; `latest` is the newest.
        clock: when it was signed.
        interval: pause between two checkpoints of a growing log.
        heartbeat: after so long without a checkpoint the log says that it is alive, and signs that.
    """

    def __init__(
        self, store: Store, keys: KeyRing, memory: SignerMemory, *,
        folder: Path, clock: Clock, interval: timedelta, heartbeat: timedelta,
    ) -> None:  # fmt: skip
        self._store, self._keys, self._memory = store, keys, memory
        self._folder, self._clock = folder, clock
        self._interval, self._heartbeat = interval, heartbeat
        self._beaten: datetime | None = None

    def check(self) -> None:
        """Compare the log with what was signed before; to be called at every start.

        Raises:
            IncompatibleStoreError: the log is shorter than what was signed, or another one, or of another key.
        """
        with self._store.reading() as connection:
            check_signed(connection, self._memory, self._keys.known())

    def step(self) -> float:
        """Sign what was appended since, or tell that nothing was for long; how long to pause, in seconds.

        Raises:
            ConfigurationError: a key is missing, or the database does not wait for its disk. Nothing is signed.
            IncompatibleStoreError: the log does not continue what was signed. Nothing is signed any more.
            TransientError: the clock or the disk must be looked at first; nothing is signed meanwhile.
        """
        with self._store.exclusive("checkpoint") as mine:
            if not mine:
                return _OTHERS_SECONDS
            if self.sign() is None:
                self._beat()
        return self._interval.total_seconds()

    def sign(self) -> bytes | None:
        """The new checkpoint; None when nothing came that asks for one."""
        signer = self._keys.signer()
        with self._store.reading() as connection:
            check_durable(connection)
            newest = newest_checkpoint(connection)
            tree = self._continued(connection)
            wanted = newest is None or self._wanted(connection, newest[0], tree.size, signer.keys)
        self._heal_files(newest)
        if not wanted:
            return None
        now = self._now_after(newest)
        self._memory.save(tree.size, tree.nodes)
        note = sign_checkpoint(signer, tree.size, tree.root(), int(now.timestamp()))
        with self._store.transaction() as tx:
            tx.connection.execute(insert(checkpoint).values(size=tree.size, note=note, signed_at=now))
        self._write_files(tree.size, note)
        return note

    def _wanted(self, connection: Connection, newest: bytes, size: int, keys: Sequence[VerifierKey]) -> bool:
        """Whether something asks for a checkpoint over `size` entries. Two of one size would say nothing new."""
        signed = open_signed(newest, self._keys.known()).size
        if size <= signed:
            return False
        remembered = self._memory.load()
        if remembered is not None and remembered.size > signed:
            return True  # it was under way when the process died
        before = {line.key_id for line in parse_note(newest).signatures}
        if not before.issuperset(key.key_id for key in keys):
            return True
        return any(_asks(raw) for entries in entry_batches(connection, signed, size) for raw in entries)

    def _beat(self) -> None:
        """Tell, once for each time it is due, that the log is alive; the entry is signed when it is back.

        Not at once: a checkpoint needs an entry that it is the first to cover. What is told is the same whichever
        process tells it, so that the log has it once.
        """
        with self._store.reading() as connection:
            newest = newest_checkpoint(connection)
        if newest is None:
            return
        silent = (self._clock.now() - newest[1]) // self._heartbeat
        due = newest[1] + silent * self._heartbeat
        if silent < 1 or due == self._beaten:
            return
        signed = open_signed(newest[0], self._keys.known())
        beat = Beat(beat_at=due, size=signed.size, root=signed.root.hex())
        with self._store.transaction() as tx:
            tx.send([message_of(about_log(LogHeartbeat, beat, due, signed.root.hex(), due))])
        self._beaten = due

    def _now_after(self, newest: tuple[bytes, datetime] | None) -> datetime:
        now = self._clock.now()
        if newest is not None and now < newest[1]:
            raise TransientError(
                f"found the clock at {now:%Y-%m-%d %H:%M:%S} UTC, expected it after the newest checkpoint of "
                f"{newest[1]:%Y-%m-%d %H:%M:%S}: nothing is signed until it has caught up; set the clock right",
                retry_after_seconds=self._interval.total_seconds(),
            )
        return now

    def _continued(self, connection: Connection) -> CompactRange:
        """The tree of all committed entries, grown from what was signed by the bytes that the database gives back."""
        frontier = read_frontier(connection)
        node = node_reader(tile_reader(connection, frontier))
        tree = self._memory.load() or beginning(minimum_index(connection), node)
        if frontier.size < tree.size:
            raise cut_off(frontier.size, tree.size)
        for entries in entry_batches(connection, tree.size, frontier.size):
            tree.extend(map(leaf_hash, entries))
        if tree.size != frontier.size or tree.root() != frontier.root():
            raise IncompatibleStoreError(
                f"entries read back from the database do not give the tree of {frontier.size} entries that was "
                f"committed: the database or its disk is damaged, nothing is signed over it; {_RESTORE}"
            )
        return tree

    def _heal_files(self, newest: tuple[bytes, datetime] | None) -> None:
        """Write the files that a process which died, or a full disk, left out: those of the newest checkpoint."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if newest is None:
            return
        with suppress(FileNotFoundError):
            if (self._folder / LATEST).read_bytes() == newest[0]:
                return
        self._write_files(open_signed(newest[0], self._keys.known()).size, newest[0])

    def _write_files(self, size: int, note: bytes) -> None:
        for name in (f"{size:012d}", LATEST):
            write_durably(self._folder / name, note)


def check_signed(connection: Connection, memory: SignerMemory, keys: Collection[VerifierKey]) -> None:
    """Compare the log with its newest checkpoint, and with what the signer remembers.

    Raises:
        IncompatibleStoreError: it is shorter, or another one, or the checkpoint is not of these keys.
    """
    newest, remembered = newest_checkpoint(connection), memory.load()
    if newest is not None:
        signed = open_signed(newest[0], keys)
        check_beginning(connection, signed.size, signed.root)
    if remembered is not None:
        check_beginning(connection, remembered.size, remembered.root())


def check_beginning(connection: Connection, size: int, root: bytes) -> None:
    """Whether the log begins with the tree that was signed.

    Raises:
        IncompatibleStoreError: it is shorter, or another one.
    """
    frontier = read_frontier(connection)
    if frontier.size < size:
        raise cut_off(frontier.size, size)
    if root_at(size, node_reader(tile_reader(connection, frontier))) != root:
        raise IncompatibleStoreError(f"the first {size} entries of the log are not those that were signed; {_RESTORE}")


def cut_off(found: int, signed: int) -> IncompatibleStoreError:
    return IncompatibleStoreError(
        f"found a log of {found} entries, but {signed} were signed: it was cut off; {_RESTORE}"
    )


def open_signed(note: bytes, keys: Collection[VerifierKey]) -> Checkpoint:
    """A checkpoint that the log's own keys signed, now or once.

    Raises:
        IncompatibleStoreError: none of them did, or under another origin.
    """
    try:
        return open_checkpoint(note, keys)
    except NoteError as error:
        raise IncompatibleStoreError(
            f"the log's newest checkpoint was not signed by the key and origin in use ({error}): put the log's own key "
            "and VALVOMO_LOG_ORIGIN back; if the key is lost, begin a new log with `valvomo audit succeed`"
        ) from None


def check_durable(connection: Connection) -> None:
    """Whether what is committed survives a power cut. SQLite's file of the log always waits for the disk.

    Raises:
        ConfigurationError: PostgreSQL does not wait for it.
    """
    if connection.dialect.name != "postgresql":
        return
    for name, lossy in LOSES_COMMITS.items():
        found = connection.exec_driver_sql(f"SHOW {name}").scalar()
        if found == lossy:
            raise ConfigurationError(
                f"found {name} = {found} on PostgreSQL, expected on: a checkpoint over entries that a power cut may "
                "take back would be a fork. Set it right for the server and this role; nothing is signed before"
            )


def newest_checkpoint(connection: Connection) -> tuple[bytes, datetime] | None:
    """The newest note, and when it was signed."""
    query = select(checkpoint.c.note, checkpoint.c.signed_at).order_by(checkpoint.c.size.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.note, row.signed_at) if row else None


def _asks(raw: bytes) -> bool:
    """Whether an entry is a reason to sign."""
    found = parse_entry(raw)
    if found.position.topic != OUTCOMES.name:
        return True
    kind = str(json.loads(found.value)["type"])
    return kind == _HEARTBEAT or not is_about_log(kind)
