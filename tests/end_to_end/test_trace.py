"""Nineteen thousand real requests, posted over HTTP: counted once and priced to the last digit, whatever happens."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def test_on_kafka_and_postgresql_it_is_the_same(distributed: Program) -> None:
    events = trace.events()
    random.Random(11).shuffle(events)
    trace.send(distributed, events)
    trace.send(distributed, events[:5_000])
    trace.assert_exact(distributed)
