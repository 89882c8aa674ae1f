"""Nineteen thousand real requests, posted over HTTP: counted once and priced to the last digit, whatever happens."""

import random
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from services.shared.bus.kafka import KafkaBus
from services.shared.events import CHARGES
from tests.contract.exports_contract import folded
from tests.end_to_end import trace
from tests.end_to_end.program import Program
from tests.servers.kafka import KafkaServer


@pytest.fixture
def register_dir(tmp_path: Path) -> Path:
    return trace.write_register(tmp_path / "register")


@pytest.fixture
def embedded(tmp_path: Path, register_dir: Path) -> Iterator[Program]:
    with Program(tmp_path / "data") as program:
        program.start()
        program.command("register", "publish", str(register_dir))
        yield program


@pytest.fixture
def distributed(tmp_path: Path, register_dir: Path, kafka_server: KafkaServer, postgres_url: str) -> Iterator[Program]:
    with Program(
        tmp_path / "data", bus=f"kafka://{kafka_server.bootstrap}", store=postgres_url, bus_partitions=3
    ) as program:
        program.start()
        program.command("register", "publish", str(register_dir))
        yield program


def test_posted_twice_and_shuffled_it_is_counted_once(embedded: Program) -> None:
    events = trace.events()
    trace.send(embedded, events)
    trace.assert_exact(embedded)
    random.Random(7).shuffle(events)
    trace.send(embedded, events)
    trace.assert_exact(embedded)


def test_on_kafka_and_postgresql_it_is_the_same(distributed: Program, kafka_server: KafkaServer) -> None:
    events = trace.events()
    random.Random(11).shuffle(events)
    trace.send(distributed, events)
    trace.send(distributed, events[:5_000])
    trace.assert_exact(distributed)
    assert_a_reader_of_charges_knows_as_much(distributed, kafka_server.bootstrap)


def assert_a_reader_of_charges_knows_as_much(program: Program, bootstrap: str) -> None:
    """The published charges, highest version of each, add up to the same dollars."""
    charges = 2 * len(trace.events())
    with closing(KafkaBus([bootstrap])) as bus:
        program.wait_until("every charge is published", lambda: records_of(bus) >= charges)
        known = folded(bus).values()
    assert len(known) == charges
    assert sum(event.data.contracted_cost or 0 for event in known) == Decimal(trace.TOTAL_USD)


def records_of(bus: KafkaBus) -> int:
    return sum(bus.end_positions([CHARGES.name]).values())
