"""The benchmark of the log appends what it says, bare loops get the same rows, and figures stand beside goals."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.audit_log.adapters.entries import read_entries, read_frontier
from services.audit_log.adapters.tables import entry
from services.shared.events import decode
from services.shared.store import Store
from services.shared.tlog.entry import parse_entry
from services.shared.tlog.merkle import leaf_hash, root_of
from tools.bench import log
from tools.bench.log import APPEND, HASH, SAME_ROWS, Compared, Filled, Found, Source
from tools.bench.loops import Took


def test_what_is_appended_is_a_log_of_readings_and_the_bare_loops_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BATCHES", (60, 20))
    monkeypatch.setattr(log, "PROOFS", 5)
    with log.embedded(tmp_path) as stores:
        found = log.measure(stores, 120, 400, lambda _text: None)
        assert [(one.held, one.batch, one.entries) for one in found.compared] == [
            (0, 60, 120), (180, 20, 120), (440, 60, 120), (620, 20, 120),
        ]  # fmt: skip
        assert found.filled is not None
        assert found.filled.entries == 120
        with stores.log.reading() as connection:
            frontier = read_frontier(connection)
            entries = read_entries(connection, 0, frontier.size)
        assert (frontier.size, frontier.root()) == (760, root_of(map(leaf_hash, entries)))
        assert len({decode(parse_entry(raw).value).id for raw in entries}) == 760
        compared = sum(one.entries + one.batch for one in found.compared)
        assert [_size(store) for store in (stores.alone, stores.same)] == [compared, compared]
    assert found.bytes_per_entry > 0
    told = "\n".join(log.lines(found))
    assert "into a log of 620: 120 entries in transactions of 20" in told


def test_ratios_and_goals() -> None:
    took = {APPEND: Took(20e-6, 10e-6), SAME_ROWS: Took(10e-6, 8e-6), HASH: Took(1e-6, 1e-6)}
    one = Compared(0, 5_000, 10_000, {**took, log.ENTRIES_ALONE: Took(14e-6, 9e-6)})
    assert one.ratio(SAME_ROWS) == pytest.approx((0.5, 0.8))
    filled = Filled(10_000, 5_000, Took(10e-6, 0.0), Took(11e-6, 1e-6))
    told = list(log.lines(Found("SQLite", [one], filled, (1.0, 11.0))))
    assert any("same rows: 0.50" in line and "goal 0.6: not reached" in line for line in told)
    assert any("last ÷ first: 0.91" in line and "goal 0.8: reached" in line for line in told)
    assert any("p99 11.00 ms" in line and "not reached" in line for line in told)


def test_readings_come_partition_by_partition_without_gaps() -> None:
    source = Source()
    positions = [arrival.position for _ in range(3) for arrival in source.batch(100)]
    for partition in {position.partition for position in positions}:
        offsets = [position.offset for position in positions if position.partition == partition]
        assert offsets == list(range(len(offsets)))


def _size(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(entry)).scalar_one())
