"""Every error of a driver has a meaning of ours, and no meaning repeats what the driver said of a row."""

import sqlite3

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.shared.errors import ConfigurationError, IncompatibleStoreError, PlatformError, TransientError
from services.shared.store.faults import RefusedStatementError, translated
from services.shared.store.postgres import explain as explain_postgres
from services.shared.store.sqlite import explain as explain_sqlite

SECRET = "matti.virtanen@example.org"


def sqlite_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("whatever SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (sqlite3.SQLITE_BUSY, TransientError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, TransientError),
        (sqlite3.SQLITE_LOCKED, TransientError),
        (sqlite3.SQLITE_FULL, TransientError),
        (sqlite3.SQLITE_IOERR_WRITE, TransientError),
        (sqlite3.SQLITE_CANTOPEN, TransientError),
        (sqlite3.SQLITE_READONLY, TransientError),
        (sqlite3.SQLITE_CORRUPT, IncompatibleStoreError),
        (sqlite3.SQLITE_NOTADB, IncompatibleStoreError),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, RefusedStatementError),
        (sqlite3.SQLITE_ERROR, RefusedStatementError),
        (sqlite3.SQLITE_MISMATCH, RefusedStatementError),
    ],
)
def test_sqlite_codes(code: int, meaning: type[PlatformError]) -> None:
    found = explain_sqlite("ledger.db", sqlite_error(code))
    assert type(found) is meaning


def _all_psycopg_errors() -> list[type[psycopg.Error]]:
    return sorted(
        {found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, psycopg.Error)},
        key=lambda found: found.__name__,
    )


@pytest.mark.parametrize("kind", _all_psycopg_errors(), ids=lambda kind: kind.__name__)
def test_no_error_of_postgres_is_without_a_meaning(kind: type[psycopg.Error]) -> None:
    found = explain_postgres(kind(f"Key (person)=({SECRET}) already exists"))
    assert isinstance(found, PlatformError)
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        (errors.SerializationFailure, TransientError),
        (errors.DeadlockDetected, TransientError),
        (errors.LockNotAvailable, TransientError),
        (errors.AdminShutdown, TransientError),
        (errors.CannotConnectNow, TransientError),
        (errors.TooManyConnections, TransientError),
        (errors.DiskFull, TransientError),
        (errors.ReadOnlySqlTransaction, TransientError),
        (errors.ConnectionFailure, TransientError),
        (psycopg.OperationalError, TransientError),
        (errors.InvalidPassword, ConfigurationError),
        (errors.InvalidCatalogName, ConfigurationError),
        (errors.InsufficientPrivilege, ConfigurationError),
        (errors.UniqueViolation, RefusedStatementError),
        (errors.UndefinedTable, RefusedStatementError),
        (errors.NumericValueOutOfRange, RefusedStatementError),
    ],
)
def test_postgres_errors(kind: type[psycopg.Error], meaning: type[PlatformError]) -> None:
    assert type(explain_postgres(kind("whatever PostgreSQL says"))) is meaning


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(PoolTimeoutError(), id="no connection came free"),
        pytest.param(PendingRollbackError("Can't reconnect"), id="the connection died inside a transaction"),
        pytest.param(DBAPIError("SELECT 1", None, sqlite_error(sqlite3.SQLITE_BUSY)), id="wrapped by SQLAlchemy"),
    ],
)
def test_what_sqlalchemy_says_around_it(error: Exception) -> None:
    with pytest.raises(TransientError), translated(lambda found: explain_sqlite("ledger.db", found)):
        raise error


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyError("x"), ConfigurationError("x"), KeyboardInterrupt()])
def test_what_is_not_the_databases_passes_unchanged(error: BaseException) -> None:
    with pytest.raises(type(error)) as told, translated(lambda found: explain_sqlite("ledger.db", found)):
        raise error
    assert told.value is error
