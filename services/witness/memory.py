"""What a witness remembers, in SQLite: per log the tree it cosigned last, and what it refused though the log signed it.

Triggers refuse a smaller tree, another root at the same size and an earlier time, whatever program asks for it. They
bind accidents, not who owns the file.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from services.shared.tlog.merkle import EMPTY_ROOT
from services.witness.errors import WitnessError

MAX_REFUSED = 1_000
"""Refused requests that are kept: the first ones, which tell when a log began to show something else."""
_PATIENCE_SECONDS = 10.0

_FORGET = "BEGIN SELECT RAISE(ABORT, 'a witness forgets nothing'); END"
_STEP_BACK = (
    "NEW.origin <> OLD.origin OR NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root) "
    "OR NEW.cosigned_at < OLD.cosigned_at"
)
# Without a rowid there is one key only, so INSERT OR REPLACE has no second way to remove a row.
_SCHEMA = f"""
CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), key TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE seen (
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL CHECK (size >= 0), root BLOB NOT NULL CHECK (length(root) = 32),
  cosigned_at INTEGER NOT NULL, note BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE refused (
  number INTEGER PRIMARY KEY, origin TEXT NOT NULL, refused_at INTEGER NOT NULL, reason TEXT NOT NULL,
  seen_size INTEGER NOT NULL, seen_note BLOB NOT NULL, note BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX refused_note ON refused (note);
CREATE TRIGGER identity_no_update BEFORE UPDATE ON identity {_FORGET};
CREATE TRIGGER identity_no_delete BEFORE DELETE ON identity {_FORGET};
CREATE TRIGGER identity_no_replace BEFORE INSERT ON identity WHEN EXISTS (SELECT 1 FROM identity) {_FORGET};
CREATE TRIGGER seen_no_step_back BEFORE UPDATE ON seen WHEN {_STEP_BACK} {_FORGET};
CREATE TRIGGER seen_no_delete BEFORE DELETE ON seen {_FORGET};
CREATE TRIGGER seen_no_replace BEFORE INSERT ON seen
  WHEN EXISTS (SELECT 1 FROM seen WHERE origin = NEW.origin) {_FORGET};
CREATE TRIGGER refused_no_update BEFORE UPDATE ON refused {_FORGET};
CREATE TRIGGER refused_no_delete BEFORE DELETE ON refused {_FORGET};
CREATE TRIGGER refused_no_replace BEFORE INSERT ON refused
  WHEN EXISTS (SELECT 1 FROM refused WHERE number = NEW.number OR note = NEW.note) {_FORGET};
"""  # noqa: S608  # made of constants of this file


class Seen(NamedTuple):
    """The tree of a log that was cosigned last; `note` is the cosigned checkpoint, empty before the first."""

    size: int
    root: bytes
    note: bytes


NOTHING = Seen(0, EMPTY_ROOT, b"")


class Refusal(NamedTuple):
    """A checkpoint that the log had signed, and that does not continue what was seen (`seen_note`)."""

    origin: str
    refused_at: int
    reason: str
    seen_size: int
    seen_note: bytes
    note: bytes


@dataclass(frozen=True, slots=True)
class Memory:
    """A witness's database. It is never made by opening it."""

    path: Path

    @classmethod
    def create(cls, path: Path, key: str) -> "Memory":
        """Make the database of the witness with this verifier key; there must be none."""
        path.touch(mode=0o600, exist_ok=False)
        with closing(_connect(path)) as connection:
            connection.executescript(f"BEGIN;{_SCHEMA}")
            connection.execute("INSERT INTO identity (id, key) VALUES (1, ?)", (key,))
            connection.execute("COMMIT")
        return cls(path)

    def key(self) -> str:
        """The verifier key that the database belongs to.

        Raises:
            WitnessError: there is no database, or it is not a witness's.
        """
        try:
            with closing(_connect(self.path)) as connection:
                row = connection.execute("SELECT key FROM identity").fetchone()
        except sqlite3.Error as error:
            raise WitnessError(
                f"{self.path} is not the database of a witness ({error}); make a new witness with `witness init`, or "
                "put back the database of the one that ran here: without it nobody knows what was seen"
            ) from None
        return str(row[0]) if row else ""

    @contextmanager
    def changing(self) -> Iterator["Change"]:
        """A transaction that nobody else's can come between; on the disk when the block has ended.

        Raises:
            sqlite3.Error: it could not be done; nothing changed.
        """
        with closing(_connect(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Change(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def shown(self) -> dict[str, bytes]:
        """Origin → the checkpoint cosigned last."""
        with closing(_connect(self.path)) as connection:
            return dict(connection.execute("SELECT origin, note FROM seen").fetchall())

    def refused(self) -> list[Refusal]:
        """What was refused, in the order of coming."""
        query = "SELECT origin, refused_at, reason, seen_size, seen_note, note FROM refused ORDER BY number"
        with closing(_connect(self.path)) as connection:
            return [Refusal(*row) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Change:
    """What can be done in a transaction."""

    connection: sqlite3.Connection

    def seen(self, origin: str) -> Seen:
        """The tree of a log that was cosigned last; the empty one when none was."""
        row = self.connection.execute("SELECT size, root, note FROM seen WHERE origin = ?", (origin,)).fetchone()
        return Seen(*row) if row else NOTHING

    def newest_time(self) -> int:
        """When something was cosigned last, for whatever log, in POSIX seconds."""
        return int(self.connection.execute("SELECT coalesce(max(cosigned_at), 0) FROM seen").fetchone()[0])

    def advance(self, origin: str, seen: Seen, at: int) -> None:
        """Remember the tree that is being cosigned."""
        values = (seen.size, seen.root, at, seen.note, origin)
        query = "UPDATE seen SET size = ?, root = ?, cosigned_at = ?, note = ? WHERE origin = ?"
        if not self.connection.execute(query, values).rowcount:
            self.connection.execute(
                "INSERT INTO seen (size, root, cosigned_at, note, origin) VALUES (?, ?, ?, ?, ?)", values
            )

    def keep(self, refusal: Refusal) -> None:
        """Keep what was refused, each checkpoint once, while there is room."""
        count = self.connection.execute("SELECT count(*) FROM refused").fetchone()[0]
        known = self.connection.execute("SELECT 1 FROM refused WHERE note = ?", (refusal.note,)).fetchone()
        if known is None and count < MAX_REFUSED:
            self.connection.execute("INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?)", (count + 1, *refusal))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE_SECONDS, isolation_level=None
    )
    # A single file beside nothing: what is answered must be on the disk, and the folder must know it.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = EXTRA")
    return connection
