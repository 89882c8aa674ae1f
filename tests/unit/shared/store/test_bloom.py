"""The filter never says "never seen" of what was added, and seldom says "perhaps" of what was not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.store import bloom
from services.shared.store.bloom import BloomFilter

digests = st.binary(min_size=16, max_size=16)


@given(st.lists(st.lists(digests)), st.lists(digests))
def test_what_was_added_is_perhaps_there(batches: list[list[bytes]], others: list[bytes]) -> None:
    seen = BloomFilter()
    for batch in batches:
        seen.add(batch)
    added = [digest for batch in batches for digest in batch]
    assert seen.perhaps(added) == added
    assert set(added) & set(others) <= set(seen.perhaps(others))


def test_an_empty_filter_has_seen_nothing() -> None:
    assert BloomFilter().perhaps([bytes(16), b"\xff" * 16]) == []


@pytest.mark.parametrize("added", [3_000, 60_000])
def test_few_of_the_others_are_perhaps_there_however_far_it_grew(added: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bloom, "_FIRST_CAPACITY", 1_024)
    chance, seen = random.Random(1), BloomFilter()
    for _ in range(0, added, 500):
        seen.add([chance.randbytes(16) for _ in range(500)])
    wrong = seen.perhaps([chance.randbytes(16) for _ in range(20_000)])
    assert len(wrong) < 0.02 * 20_000
