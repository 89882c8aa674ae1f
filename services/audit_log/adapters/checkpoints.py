"""Checkpoints: signing the committed log, never smaller and never another one than was signed before.

Before signing, the new entries are read back from the database and hashed again, on top of what the signer remembers
outside of it. So a bit that flipped on the way to the disk, a restored backup and a rewritten entry are found before
anything is signed over them.
"""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, insert, select

from services.audit_log.adapters.entries import entry_batches, read_frontier, tile_reader
from services.audit_log.adapters.memory import SignerMemory
from services.audit_log.adapters.tables import checkpoint
from services.shared.clock import Clock
from services.shared.errors import IncompatibleStoreError
from services.shared.keys import write_durably
from services.shared.store import Store
from services.shared.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from services.shared.tlog.merkle import CompactRange, leaf_hash, root_at
from services.shared.tlog.note import NoteError, Signer
from services.shared.tlog.tiles import node_reader

_RESTORE = "restore the log as it was; if it cannot be restored, start a new log under another VALVOMO_LOG_ORIGIN"
_OTHERS_SECONDS = 1.0


class Checkpointer:
    """Signs the log; for a `Loop`. One process at a time signs.

    Args:
        store: the log's database.
        signer: the log's key under its origin.
        memory: what was signed last.
        folder: where every checkpoint is also written as a file; `latest` is the newest.
        clock: when it was signed.
        interval: pause between two checkpoints of a growing log.
    """

    def __init__(
        self, store: Store, signer: Signer, memory: SignerMemory, *, folder: Path, clock: Clock, interval: timedelta
    ) -> None:
        self._store, self._signer, self._memory = store, signer, memory
        self._folder, self._clock, self._interval = folder, clock, interval

    def check(self) -> None:
        """Compare the log with what was signed before; to be called at every start.

        Raises:
            IncompatibleStoreError: the log is shorter than what was signed, or another one, or of another key.
        """
        with self._store.reading() as connection:
            newest = newest_checkpoint(connection)
            if newest is not None:
                self._check_signed(connection, self._open(newest[0]))
            remembered = self._memory.load()
            if remembered is not None:
                self._check_signed(connection, Checkpoint(self._origin, remembered.size, remembered.root()))

    def step(self) -> float:
        """Sign what was appended since; how long to pause, in seconds.

        Raises:
            IncompatibleStoreError: the log does not continue what was signed. Nothing is signed any more.
        """
        with self._store.exclusive("checkpoint") as mine:
            if not mine:
                return _OTHERS_SECONDS
            self.sign()
        return self._interval.total_seconds()

    def sign(self) -> bytes | None:
        """The new checkpoint; None when the log has not grown since the newest, of which there is one."""
        with self._store.reading() as connection:
            newest = newest_checkpoint(connection)
            signed = self._open(newest[0]).size if newest else -1
            tree = self._continued(connection)
        if tree.size <= signed:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        self._memory.save(tree.size, tree.nodes)
        note = sign_checkpoint(self._signer, tree.size, tree.root())
        row = {"size": tree.size, "note": note, "signed_at": self._clock.now()}
        with self._store.transaction() as tx:
            tx.connection.execute(insert(checkpoint).values(row))
        self._write_files(tree.size, note)
        return note

    @property
    def _origin(self) -> str:
        return self._signer.key.name

    def _open(self, note: bytes) -> Checkpoint:
        try:
            return open_checkpoint(note, self._signer.key)
        except NoteError as error:
            raise IncompatibleStoreError(
                f"the log's newest checkpoint was not signed by the key and origin in use ({error}): "
                "put the log's own key and VALVOMO_LOG_ORIGIN back"
            ) from None

    def _check_signed(self, connection: Connection, signed: Checkpoint) -> None:
        frontier = read_frontier(connection)
        if frontier.size < signed.size:
            raise IncompatibleStoreError(
                f"found a log of {frontier.size} entries, but {signed.size} were signed: it was cut off; {_RESTORE}"
            )
        if root_at(signed.size, node_reader(tile_reader(connection, frontier))) != signed.root:
            raise IncompatibleStoreError(
                f"the first {signed.size} entries of the log are not those that were signed; {_RESTORE}"
            )

    def _continued(self, connection: Connection) -> CompactRange:
        """The tree of all committed entries, grown from what was signed by the bytes that the database gives back."""
        tree, frontier = self._memory.load() or CompactRange(), read_frontier(connection)
        if frontier.size < tree.size:
            raise IncompatibleStoreError(
                f"found a log of {frontier.size} entries, but {tree.size} were signed: it was cut off; {_RESTORE}"
            )
        for entries in entry_batches(connection, tree.size, frontier.size):
            tree.extend(map(leaf_hash, entries))
        if tree.size != frontier.size or tree.root() != frontier.root():
            raise IncompatibleStoreError(
                f"entries read back from the database do not give the tree of {frontier.size} entries that was "
                f"committed: the database or its disk is damaged, nothing is signed over it; {_RESTORE}"
            )
        return tree

    def _write_files(self, size: int, note: bytes) -> None:
        for name in (f"{size:012d}", "latest"):
            write_durably(self._folder / name, note)


def newest_checkpoint(connection: Connection) -> tuple[bytes, datetime] | None:
    """The newest note, and when it was signed."""
    query = select(checkpoint.c.note, checkpoint.c.signed_at).order_by(checkpoint.c.size.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.note, row.signed_at) if row else None
