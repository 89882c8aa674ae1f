"""The benchmark measures what it says: readings that are priced, every loop over all of them, nothing left over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cost_alerts.adapters.check import check_ledger
from services.shared.events import decode
from services.shared.events.usage import UsageRecorded
from services.shared.store import Store
from tools.bench import city, forms, loops
from tools.bench.forms import Pipeline
from tools.bench.stages import REST, Stopwatches

READINGS = 300


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Pipeline]:
    with forms.embedded(tmp_path) as form, forms.pipeline(form) as line:
        yield line


def test_readings_are_those_of_the_design_and_all_different() -> None:
    events = [decode(city.reading(number)[1]) for number in range(READINGS)]
    assert all(isinstance(event, UsageRecorded) and len(event.data.consumed) == 3 for event in events)
    assert len({event.id for event in events}) == READINGS


def test_a_round_runs_every_loop_over_the_same_readings(line: Pipeline) -> None:
    poller, bare = loops.Poller(line), loops.Bare(line)
    try:
        took = loops.one_round(line, poller, bare, READINGS)
        assert set(took) == set(loops.ORDER)
        assert [len(poller.records), line.ledger.summary()["readings"]] == [READINGS, READINGS]
        assert _rows(bare.ledger, "reading", "charge") == [READINGS, 3 * READINGS]
        assert _rows(bare.log, "entry") == _rows(line.log.store, "entry")
    finally:
        poller.close()
        bare.close()
    assert line.ledger.summary()["unpriced"] == 0
    assert check_ledger(line.ledger.store) == []


def test_stopwatches_divide_the_time_and_leave_the_program_as_it_was(line: Pipeline) -> None:
    before = type(line.usage.handler).handle
    line.publish(READINGS)
    watches = Stopwatches()
    watches.run(lambda: forms.drain(line.usage, line.ledger.store, line.bus))
    assert {"poll", "decode", "rows into reading", "rows into charge", "commit", REST} <= set(watches.spent)
    assert all(spent.wall >= 0 for spent in watches.spent.values())
    assert type(line.usage.handler).handle is before


def _rows(store: Store, *tables: str) -> list[int]:
    with store.reading() as connection:
        return [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables]  # noqa: S608
