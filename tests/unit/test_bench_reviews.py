"""The benchmark of the reviews measures what the program does, on a city whose log is almost complete."""

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from services.audit_log.adapters.tables import METADATA, case_file
from services.shared.events import decode
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from tools.bench import review_city, reviews


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(Settings(data_dir=tmp_path), "log", METADATA)


def test_its_log_holds_most_of_what_the_log_would_have_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "_MORE", 3)
    entries = reviews.fill(store, 200)
    reviews._refold(store)  # what the benchmark times
    assert sum(reviews._look(store)) > 0
    said = Counter(decode(found.message.value).type for found in store.pending(["bus"], review_city.NOW, 1_000))
    assert set(said) <= {"valvomo.ai.review.escalated.v1", "valvomo.finding.opened.v1"}, "demands stand in the log"
    assert said["valvomo.finding.opened.v1"] < 30, "nor does much else lack"
    reviews._one_more(store, entries)
    with store.reading() as connection:
        states = Counter(connection.execute(select(case_file.c.state)).scalars())
    store.close()
    assert sum(states.values()) == 203
    assert states["exempt"] > states["approved"] > 0
