"""Kill the consumer anywhere: after the restart nothing is lost and nothing is counted twice."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, select

from services.shared.bus import Message
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.deadletters import waiting_letters
from services.shared.events import CHARGES, OUTCOMES, TOPICS, USAGE, decode, encode
from services.shared.events.usage import Reading, UsageRecorded
from services.shared.store import Store
from tests.contract.store_samples import METADATA
from tests.crash.life import GROUP, PARTITIONS, live, open_store
from tests.servers.process import dies_with_us

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
EVENTS = 4_000
EVERY_BAD = 97
"""So many records lie between two that nobody can decode."""


def usage(number: int) -> bytes:
    reading = Reading(
        reading_id=f"r{number}",
        system="claude-api",
        sku="claude-sonnet-4-5",
        charge_period_start=START,
        charge_period_end=START + timedelta(hours=1),
        consumed={"input_tokens": str(number)},  # type: ignore[dict-item]  # as a sender writes it
    )
    event = UsageRecorded(id=f"r{number}.0", source="test/source", subject="claude-api", time=START, data=reading)
    return encode(event)


def fill_bus(folder: Path) -> None:
    values = [b"{" if number % EVERY_BAD == 0 else usage(number) for number in range(EVENTS)]
    with closing(SqliteBus(folder / "bus.db", SystemClock(), PARTITIONS)) as bus:
        bus.ensure_topics(TOPICS)
        bus.publish([Message(USAGE.name, b"%d" % number, value) for number, value in enumerate(values)])


def outcome_of(folder: Path, store: Store) -> dict[str, Any]:
    """All that a run left behind: rows, positions, and what readers of the bus make of its messages."""
    with closing(SqliteBus(folder / "bus.db", SystemClock(), PARTITIONS)) as bus, store.reading() as connection:

        def rows(table: Table) -> list[tuple[Any, ...]]:
            return sorted(tuple(row) for row in connection.execute(select(table)))

        def published(topic: str) -> list[bytes]:
            return [record.value for key in bus.end_positions([topic]) for record in bus.read(key, 0, 100_000)]

        outcomes = set(published(OUTCOMES.name))
        return {
            "samples": rows(METADATA.tables["sample"]),
            "tallies": rows(METADATA.tables["tally"]),
            "names": sorted([*rows(METADATA.tables["seen_name"]), *rows(METADATA.tables["seen_name_recent"])]),
            "positions": store.positions(bus.cluster_id, GROUP),
            "charges": set(published(CHARGES.name)),
            "outcomes": sorted((event := decode(value)).id + event.model_dump_json() for value in outcomes),
            "letters": sorted((letter.partition, letter.offset) for letter in waiting_letters(bus)),
        }


@contextmanager
def process(folder: Path, where: str, hold_at: int = 0) -> Iterator[subprocess.Popen[str]]:
    command = dies_with_us([sys.executable, "-m", "tests.crash.life", str(folder), where, str(hold_at)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def kill_somewhere(folder: Path, where: str, chance: random.Random, *, inside: bool) -> None:
    """Let it live for some batches; end it inside a transaction, or wherever it is some moments later."""
    batches = chance.randrange(1, 6)
    with process(folder, where, hold_at=batches if inside else 0) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(batches)]
        if not inside:
            time.sleep(chance.uniform(0, 0.02))  # the moment of a crash is nobody's choice
        assert told == ["batch\n"] * batches
        assert child.poll() is None


def disturbed_and_undisturbed(tmp_path: Path, where: str, kills: int) -> tuple[dict[str, Any], dict[str, Any]]:
    chance = random.Random(kills)
    disturbed, calm = tmp_path / "disturbed", tmp_path / "calm"
    for folder in (disturbed, calm):
        folder.mkdir()
        fill_bus(folder)
    for kill in range(kills):
        kill_somewhere(disturbed, where, chance, inside=kill % 3 == 0)
    with process(disturbed, where) as last:
        assert last.stdout is not None
        told = last.stdout.read().splitlines()
    assert told[-1:] == ["done"]
    assert len(told) > 1, "nothing was left to do for the last life: the kills came too late"
    with closing(open_store(where)) as store, closing(open_store(str(tmp_path / "calm.db"))) as calm_store:
        live(calm, calm_store)
        return outcome_of(disturbed, store), outcome_of(calm, calm_store)


def compare(disturbed: dict[str, Any], calm: dict[str, Any]) -> None:
    bad = len(range(0, EVENTS, EVERY_BAD))
    assert len(calm["samples"]) == len(calm["charges"]) == EVENTS - bad
    assert len(calm["letters"]) == len(calm["outcomes"]) == bad
    assert sum(calm["positions"].values()) == EVENTS
    # The two runs had two buses, whose outcomes differ in ids and ingest times: one each, for the same records.
    assert len(disturbed.pop("outcomes")) == len(calm.pop("outcomes"))
    assert disturbed == calm


def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    compare(*disturbed_and_undisturbed(tmp_path, str(tmp_path / "disturbed.db"), kills=20))


def test_kills_change_nothing_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    compare(*disturbed_and_undisturbed(tmp_path, postgres_url, kills=6))
