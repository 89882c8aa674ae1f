"""The SQLite store keeps the contract, and its files tell whose they are."""

import sqlite3
import threading
from pathlib import Path

import pytest

from services.shared.errors import IncompatibleStoreError, TransientError
from services.shared.store import Store
from services.shared.store.migrate import migrate
from services.shared.store.sqlite import APPLICATION_ID, SqliteStore
from tests.contract.store_contract import COLUMNS, StoreContract, numbers, sample
from tests.contract.store_samples import METADATA, PACKAGE, SAMPLE, sqlite_store


class TestSqliteStore(StoreContract):
    def open_store(self) -> Store:
        return sqlite_store(self.tmp_path / "sample.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sample.db"


def test_a_file_of_another_program_is_refused_and_untouched(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(IncompatibleStoreError, match="another program"):
        SqliteStore(path, METADATA, "sample")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"unit;eur\nkymp;1,00\n" * 100)
    with pytest.raises(IncompatibleStoreError, match="no SQLite database"):
        SqliteStore(path, METADATA, "sample")


def test_a_file_of_another_service_is_refused(path: Path) -> None:
    sqlite_store(path).close()
    other = SqliteStore(path, METADATA, "log")
    with pytest.raises(IncompatibleStoreError, match=r"database of sample; expected the one of log"):
        migrate(other, METADATA, PACKAGE)
    other.close()


def test_a_folder_that_nobody_may_write_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "sample.db").mkdir()
    with pytest.raises(TransientError, match="cannot be opened"):
        SqliteStore(tmp_path / "sample.db", METADATA, "sample")


def test_our_files_carry_our_mark(path: Path) -> None:
    sqlite_store(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize(("synchronous", "level"), [("NORMAL", 1), ("FULL", 2)])
def test_how_much_a_power_cut_may_take_is_what_the_service_chose(path: Path, synchronous: str, level: int) -> None:
    store = SqliteStore(path, METADATA, "sample", synchronous=synchronous)  # type: ignore[arg-type]  # from a table
    with store.transaction() as tx:
        assert tx.connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
    store.close()


def test_a_lock_of_another_process_is_waited_for_and_then_told(path: Path) -> None:
    store = sqlite_store(path, busy_seconds=0.1)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="locked by another process"), store.transaction():
        pass
    holder.execute("ROLLBACK")
    holder.close()
    with store.transaction() as tx:
        tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)])
    assert numbers(store) == [1]
    store.close()


def test_a_lock_of_another_thread_is_waited_for_and_then_told(path: Path) -> None:
    store = sqlite_store(path, busy_seconds=0.1)
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.transaction():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with pytest.raises(TransientError, match="another thread"), store.transaction():
        pass
    done.set()
    thread.join()
    store.close()


def test_a_transaction_inside_a_transaction_is_a_defect_and_not_a_hang(path: Path) -> None:
    store = sqlite_store(path)
    with pytest.raises(RuntimeError, match="inside another"), store.transaction(), store.transaction():
        pass
    store.close()
