"""The PostgreSQL store keeps the contract, on the newest and the oldest version; and what happens when it goes away."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from services.shared.errors import ConfigurationError, IncompatibleStoreError, TransientError
from services.shared.store import Store
from services.shared.store.migrate import migrate
from services.shared.store.postgres import PostgresStore
from tests.contract.store_contract import COLUMNS, StoreContract, numbers, sample
from tests.contract.store_samples import METADATA, PACKAGE, SAMPLE, postgres_store
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port


class TestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _url(self, postgres_server: PostgresServer) -> Iterator[None]:
        with postgres_server.database() as self.url:
            yield

    def open_store(self) -> Store:
        return postgres_store(self.url)


class TestOldestPostgresStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _url(self, oldest_postgres_server: PostgresServer) -> Iterator[None]:
        with oldest_postgres_server.database() as self.url:
            yield

    def open_store(self) -> Store:
        return postgres_store(self.url)


def test_a_lost_connection_costs_one_transaction(postgres_url: str) -> None:
    def lose() -> None:
        with store.transaction() as tx:
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)])
            _end_other_sessions(postgres_url)
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(2)])

    with closing(postgres_store(postgres_url)) as store:
        with pytest.raises(TransientError):
            lose()
        with store.transaction() as tx:
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(3)])
        assert numbers(store) == [3]


def test_connections_that_died_idle_are_replaced_after_one_error(postgres_url: str) -> None:
    with closing(postgres_store(postgres_url)) as store:
        assert numbers(store) == []
        _end_other_sessions(postgres_url)
        with pytest.raises(TransientError):
            numbers(store)
        assert numbers(store) == []


def test_a_lock_of_another_session_is_waited_for_and_then_told(postgres_url: str) -> None:
    def write() -> None:
        with store.transaction() as tx:
            tx.connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            tx.connection.exec_driver_sql("UPDATE sample SET number = 2")

    with closing(postgres_store(postgres_url)) as store:
        with store.transaction() as tx:
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)])
        with psycopg.connect(postgres_url) as holder:
            holder.execute("SELECT * FROM sample.sample FOR UPDATE")
            with pytest.raises(TransientError, match="LockNotAvailable"):
                write()


def test_services_share_a_database_in_schemas_of_their_own(postgres_url: str) -> None:
    with closing(postgres_store(postgres_url)) as first, closing(PostgresStore(postgres_url, METADATA, "log")) as other:
        migrate(other, METADATA, PACKAGE)
        with first.transaction() as tx:
            tx.bulk_insert(SAMPLE, COLUMNS, [sample(1)])
        assert (numbers(first), numbers(other)) == ([1], [])


def test_a_schema_with_tables_of_another_program_is_refused(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE SCHEMA sample")
        connection.execute("CREATE TABLE sample.bookmarks (url text)")
    with pytest.raises(IncompatibleStoreError, match="another program"):
        postgres_store(postgres_url)


def test_a_server_that_is_away_is_waited_for() -> None:
    with pytest.raises(TransientError, match="does not answer"):
        PostgresStore(f"postgresql://valvomo:hunter2@127.0.0.1:{free_port()}/valvomo", METADATA, "sample")


@pytest.mark.parametrize("address", ["postgresql//x", "", "postgresql://host:port/x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="VALVOMO_STORE"):
        PostgresStore(address, METADATA, "sample")


def _end_other_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
