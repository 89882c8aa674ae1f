"""The benchmark measures what it says: readings that are priced, every loop over all of them, nothing left over."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, update

from services.cost_alerts.adapters.check import check_ledger
from services.cost_alerts.adapters.tables import CHARGE, METADATA, WORD
from services.cost_alerts.main import build
from services.shared.events import decode
from services.shared.events.usage import UsageRecorded
from services.shared.periods import Month, helsinki_day
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from tools.bench import city, forms, loops, others, scale
from tools.bench.ageing import Ageing
from tools.bench.fingerprint import fingerprint
from tools.bench.forms import Pipeline
from tools.bench.loops import Took
from tools.bench.member import rename
from tools.bench.others import Library, LibraryError, Others
from tools.bench.rates import rates, ratios
from tools.bench.stages import REST, Stopwatches
from tools.bench.telling import scale_lines

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


def test_the_job_of_the_libraries_is_the_sum_of_prices_times_quantities() -> None:
    prices = {"input_tokens": Fraction(3, 10**6), "cache_read_tokens": Fraction(3, 10**7)}
    values = [city.reading(number)[1] for number in range(READINGS)]
    expected: dict[str, Fraction] = defaultdict(Fraction)
    for data in (json.loads(value)["data"] for value in values):
        expected[data["consumer"]["account"]] += sum(
            Fraction(quantity) * prices.get(meter, Fraction(15, 10**6)) for meter, quantity in data["consumed"].items()
        )
    assert {account: Fraction(cost) for account, cost in others.added_up(values).items()} == expected


def _library(folder: Path, name: str, done: Mapping[str, object]) -> Library:
    """A library whose Python answers with this, whatever it is asked."""
    program = folder / name / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{json.dumps(done)}'\n")
    program.chmod(0o755)
    return Library(name, "any", name)


def test_a_library_counts_only_when_its_sums_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "ENVIRONMENTS", tmp_path)
    values = [city.reading(number)[1] for number in range(READINGS)]
    sums = dict(others.added_up(values))
    done = {"records": READINGS, "wall": 2.0, "processor": 1.0, "sums": sums}
    right = _library(tmp_path, "right", done)
    wrong = _library(tmp_path, "wrong", {**done, "sums": {**sums, "wrk-003": "0.01"}})
    settings = Settings(bus="kafka://127.0.0.1:1")
    assert dict(Others(settings, [right]).run(values)) == {"right": Took(2.0, 1.0)}
    with pytest.raises(LibraryError, match=r"wrong added up .*'wrk-003': '0\.01'"):
        list(Others(settings, [wrong]).run(values))


def test_rates_and_ratios_are_medians_of_rounds() -> None:
    took = [
        {loops.LEDGER: Took(wall, 0.5), loops.LEDGER_ROWS: Took(1.0, 0.1)} for wall in (1.5, 10.0, 2.0)
    ]  # in the second round the machine was busy
    ledger, rows = rates(took, 1_000)
    assert (ledger.median, ledger.slowest, round(ledger.fastest), rows.median) == (500, 100, 667, 1_000)
    [ratio] = ratios(took)
    assert (ratio.clock, ratio.goal, ratio.reached) == (0.5, 0.6, False)


def test_a_full_ledger_answers_and_is_restated_whole(line: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "ASKED", 1)
    found = scale.measure(line, READINGS, lambda _text: None)
    assert (found.ageing.stored, found.charges, found.restated.charges) == (READINGS, 3 * READINGS, 3 * READINGS)
    assert found.problems == []
    costs = line.ledger.queries.daily_costs(Month.of(helsinki_day(city.FIRST)))
    by_unit = {(unit, day.toordinal()): nano for unit, days in costs.items() for day, nano in days.items()}
    assert by_unit == scale.from_charges(line)
    told = "\n".join(scale_lines("embedded", found))
    assert f"{3 * READINGS:,} charges" in told
    assert "ledger check: 0 problems" in told


def test_a_ledger_that_slows_down_is_told_so() -> None:
    ageing = Ageing(stored=4, window=1, first=1_000.0, last=700.0, by_processor=0.9)
    full = scale.Scale(ageing, 12, [], scale.Restated(12, 0.0, Took(0.001, 0.001)), [])
    told = "\n".join(scale_lines("embedded", full))
    assert "last ÷ first: 0.70   (by processor time 0.90)   goal 0.8: not reached" in told
    assert "goal 10,000: reached" in told


def test_ledgers_are_the_same_whatever_numbers_they_gave_and_differ_by_one_nano(line: Pipeline, tmp_path: Path) -> None:
    other = open_store(Settings(data_dir=tmp_path / "other"), "ledger", METADATA)
    with other.transaction() as tx:
        tx.connection.execute(insert(WORD).values(text="takes the first number"))
    other.close()
    service = build(Settings(data_dir=tmp_path / "other"), line.bus, line.clock, CollectorRegistry())
    try:
        line.publish(READINGS)
        forms.drain(line.usage, line.ledger.store, line.bus)
        for consumer in service.consumers:  # the register first
            rename(consumer, "-other")
            forms.drain(consumer, service.store, line.bus)
        first = fingerprint(line.ledger.store)
        assert (first.readings, first.charges) == (READINGS, 3 * READINGS)
        assert fingerprint(service.store) == first
        with service.store.transaction() as tx:
            tx.connection.execute(update(CHARGE).where(CHARGE.c.reading == 1).values(nano=CHARGE.c.nano + 1))
        assert fingerprint(service.store).hash != first.hash
    finally:
        for consumer in service.consumers:
            consumer.close()
        service.store.close()


def _rows(store: Store, *tables: str) -> list[int]:
    with store.reading() as connection:
        return [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables]  # noqa: S608
