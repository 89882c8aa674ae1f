"""The settings choose the store; each service has its own, and nothing stays open when it cannot be used."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.shared.errors import ConfigurationError, IncompatibleStoreError
from services.shared.settings import Settings
from services.shared.store import open as opening
from services.shared.store.open import ServiceName, open_store
from tests.contract.store_samples import METADATA, PACKAGE, sqlite_store


@pytest.fixture(autouse=True)
def _samples(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {name: opening._Kind(PACKAGE, kind.synchronous) for name, kind in opening._KINDS.items()}
    monkeypatch.setattr(opening, "_KINDS", kinds)


def settings(folder: Path, store: str = "sqlite") -> Settings:
    return Settings(data_dir=folder, store=SecretStr(store))


@pytest.mark.parametrize(("service", "synchronous"), [("collector", 2), ("ledger", 1), ("log", 2)])
def test_each_service_has_a_file_and_the_durability_it_needs(
    tmp_path: Path, service: ServiceName, synchronous: int
) -> None:
    store = open_store(settings(tmp_path / "var"), service, METADATA)
    with store.transaction() as tx:
        assert tx.connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
    store.close()
    assert (tmp_path / "var" / f"{service}.db").exists()


def test_each_service_has_a_schema_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    names: list[ServiceName] = ["collector", "ledger"]
    for service in names:
        store = open_store(settings(tmp_path, postgres_url), service, METADATA)
        with store.reading() as connection:
            assert connection.exec_driver_sql("SELECT current_schema()").scalar() == service
        store.close()


def test_the_file_of_another_service_is_refused(tmp_path: Path) -> None:
    sqlite_store(tmp_path / "ledger.db").close()
    with pytest.raises(IncompatibleStoreError, match="expected the one of ledger"):
        open_store(settings(tmp_path), "ledger", METADATA)


def test_an_address_that_is_none_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as told:
        open_store(settings(tmp_path, "mysql//u:hunter2@x"), "ledger", METADATA)
    assert "hunter2" not in str(told.value)
