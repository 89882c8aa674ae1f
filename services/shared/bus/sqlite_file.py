"""The file of the SQLite bus: making and checking it, what its faults mean, and who may read for a group."""

import json
import sqlite3
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from services.shared.errors import ConfigurationError, IncompatibleStoreError, PlatformError, TransientError

APPLICATION_ID = int.from_bytes(b"VlvB")
FORMAT = 1
_LOCK_PATIENCE_SECONDS = 30.0
_WAL_LEFT_BYTES = 64 * 1024 * 1024

_SCHEMA = (
    "CREATE TABLE bus (cluster_id TEXT NOT NULL) STRICT",
    """CREATE TABLE partition (
      number INTEGER PRIMARY KEY,
      topic TEXT NOT NULL,
      partition INTEGER NOT NULL,
      retention_days INTEGER,
      start_offset INTEGER NOT NULL DEFAULT 0,
      end_offset INTEGER NOT NULL DEFAULT 0,
      last_milliseconds INTEGER NOT NULL DEFAULT 0,
      UNIQUE (topic, partition)
    ) STRICT""",
    """CREATE TABLE record (
      id INTEGER PRIMARY KEY,
      milliseconds INTEGER NOT NULL,
      key BLOB NOT NULL,
      value BLOB NOT NULL,
      headers BLOB
    ) STRICT""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)

_MAY_NOT = "{path} cannot be opened for writing; give the program the right to write the file and its folder"
_REASONS: dict[str, tuple[type[PlatformError], str]] = {
    "SQLITE_FULL": (TransientError, "found no room left for {path}; free some, and it goes on"),
    "SQLITE_BUSY": (TransientError, "{path} is locked by another program; end what holds it, and it goes on"),
    "SQLITE_LOCKED": (TransientError, "{path} is locked by another connection; end what holds it, and it goes on"),
    "SQLITE_IOERR": (TransientError, "reading or writing {path} failed; look after the disk, and it goes on"),
    "SQLITE_READONLY": (
        ConfigurationError,
        _MAY_NOT,
    ),
    "SQLITE_PERM": (ConfigurationError, _MAY_NOT),
    "SQLITE_AUTH": (ConfigurationError, _MAY_NOT),
    "SQLITE_CANTOPEN": (
        ConfigurationError,
        _MAY_NOT,
    ),
    "SQLITE_NOTADB": (IncompatibleStoreError, "{path} is not a database; name another place, or move the file away"),
    "SQLITE_CORRUPT": (IncompatibleStoreError, "{path} is damaged; stop, keep the file, and restore the last back-up"),
}


def translated(error: sqlite3.Error, path: Path) -> PlatformError:
    """What a fault of SQLite means to who runs the program."""
    name = getattr(error, "sqlite_errorname", "") or ""
    for code, (kind, sentence) in _REASONS.items():
        if name == code or name.startswith(code + "_"):
            return kind(sentence.format(path=path))
    return IncompatibleStoreError(
        f"{path} cannot be used as a bus ({name or type(error).__name__}); it was made by another version, or is "
        "damaged: name another place, or restore the last back-up"
    )


def connect(path: Path) -> sqlite3.Connection:
    """A connection in which transactions begin when we say so. Usable from any thread, by one at a time."""
    connection = sqlite3.connect(path, _LOCK_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def open_file(path: Path) -> tuple[str, sqlite3.Connection]:
    """The name of the bus in this file, which is made when missing, and a connection to write it.

    Raises:
        ConfigurationError: it cannot be read or written.
        IncompatibleStoreError: the file is something else, of a newer version, or damaged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = connect(path)
        try:
            _prepare(connection, path)
            return connection.execute("SELECT cluster_id FROM bus").fetchone()[0], connection
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except OSError as error:
        raise ConfigurationError(
            f"the folder of {path} cannot be made ({error.strerror}); choose another place"
        ) from error


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _check(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LEFT_BYTES}")
    connection.execute("BEGIN IMMEDIATE")  # of several processes that come first, one makes the tables
    try:
        _make(connection, path)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _make(connection: sqlite3.Connection, path: Path) -> None:
    if _check(connection, path):
        return
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO bus VALUES (?)", (f"sqlite-{uuid4()}",))


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether this is a bus already."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application == APPLICATION_ID and version == FORMAT:
        return True
    if application == APPLICATION_ID:
        raise IncompatibleStoreError(
            f"{path} is a bus of format {version}, expected {FORMAT}; run the version that made it"
        )
    if application or version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise IncompatibleStoreError(
            f"{path} is a database of something else; name another place, or move the file away"
        )
    return False


def pack_headers(headers: tuple[tuple[str, bytes], ...]) -> bytes | None:
    return json.dumps([(name, value.decode("latin-1")) for name, value in headers]).encode() if headers else None


def unpack_headers(packed: bytes | None) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(packed)) if packed else ()


class ProcessClaim:
    """The right of one process to read for a group: an exclusive lock on a small file beside the bus.

    The system drops the lock when the process dies, so nothing has to be renewed or to run out.
    """

    def __init__(self, bus: Path, group: str) -> None:
        self._path = bus.with_name(f"{bus.name}-group-{sha256(group.encode()).hexdigest()[:16]}")
        self._group = group
        self._lock: sqlite3.Connection | None = None

    def hold(self) -> None:
        if self._lock is not None:
            return
        lock = sqlite3.connect(self._path, 0.0, isolation_level=None, check_same_thread=False)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            lock.close()
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY":
                raise translated(error, self._path) from error
            raise TransientError(
                f"another process reads for the group {self._group}; end it, or use Kafka to share the work"
            ) from error
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
