"""Kill the appender and the signer anywhere: nothing acknowledged is lost, and no two checkpoints disagree.

`make crash` does it two hundred times.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from services.audit_log.adapters.entries import read_entries, read_frontier
from services.audit_log.adapters.tables import checkpoint
from services.audit_log.main import signer, signer_memory
from services.shared.bus import Message
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.events import TOPICS, encode, key_of, topic_of
from services.shared.settings import Settings
from services.shared.tlog.checkpoint import open_checkpoint
from services.shared.tlog.entry import parse_entry
from services.shared.tlog.merkle import CompactRange, leaf_hash
from tests.crash.appender_life import BATCH_RECORDS, HOLDS, PARTITIONS, open_log
from tests.servers.process import dies_with_us
from tests.unit.audit_log.events import window

KILLS = int(os.environ.get("CRASH_KILLS", "40"))
RECORDS_PER_KILL = 4 * BATCH_RECORDS


def fill(folder: Path, events: int) -> set[bytes]:
    """A bus that holds so many events, of as many keys."""
    bus = SqliteBus(folder / BUS_FILE, SystemClock(), PARTITIONS)
    bus.ensure_topics(TOPICS)
    made = [window(number) for number in range(events)]
    bus.publish([Message(topic_of(event), key_of(event) + str(at).encode(), encode(event))
                 for at, event in enumerate(made)])  # fmt: skip
    bus.close()
    return {encode(event) for event in made}


@pytest.mark.timeout(600)
def test_a_log_that_is_killed_again_and_again_is_whole(tmp_path: Path) -> None:
    values = fill(tmp_path, KILLS * RECORDS_PER_KILL)
    command = [sys.executable, "-m", "tests.crash.appender_life", str(tmp_path), str(KILLS)]
    lived = subprocess.run(dies_with_us(command), capture_output=True, text=True, check=False)
    assert (lived.returncode, lived.stderr) == (0, ""), lived.stderr
    told = json.loads(lived.stdout)
    assert sum(told["kills"].values()) == KILLS
    assert told["kills"]["transaction"] * 3 >= KILLS
    assert set(told["kills"]) == {*HOLDS, "anywhere"}

    bus, service = open_log(tmp_path)
    with service.store.reading() as connection:
        frontier = read_frontier(connection)
        entries = read_entries(connection, 0, frontier.size)
        notes = {row.size: row.note for row in connection.execute(select(checkpoint))}
    service.store.close()
    bus.close()
    assert len(entries) == len(values)
    assert {parse_entry(raw).value for raw in entries} == values
    tree, roots = CompactRange(), {0: CompactRange().root()}
    for raw in entries:
        tree.append(leaf_hash(raw))
        roots[tree.size] = tree.root()
    assert frontier.root() == tree.root()
    settings = Settings(data_dir=tmp_path, log_origin="log.example/audit")
    signed = [open_checkpoint(note, signer(settings).keys) for note in notes.values()]
    assert len(signed) > KILLS
    assert all(one.root == roots[one.size] for one in signed), "two checkpoints disagree"
    files = {int(path.name): path.read_bytes() for path in (tmp_path / "checkpoints").glob("0*")}
    assert all(files[size] == notes[size] for size in files)
    assert (tmp_path / "checkpoints/latest").read_bytes() == files[max(files)] == notes[max(notes)]
    remembered = signer_memory(settings).load()
    assert remembered is not None
    assert (remembered.size, remembered.root()) == (max(notes), roots[max(notes)])
