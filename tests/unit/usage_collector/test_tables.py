"""The collector's migrations make exactly its tables."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.shared.settings import Settings
from services.shared.store.open import open_store
from services.usage_collector.adapters.tables import METADATA
from tests.contract.migrations_match import assert_migrations_match


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_migrations_make_the_declared_tables(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    address = "sqlite" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    store = open_store(Settings(data_dir=tmp_path, store=SecretStr(address)), "collector", METADATA)
    try:
        assert_migrations_match(METADATA, "services.usage_collector.migrations", store)
    finally:
        store.close()
