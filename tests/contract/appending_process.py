"""A second process that appends to a log: `python -m tests.contract.appending_process FOLDER TOPIC BATCHES`.

VALVOMO_STORE says where. It prints `ready`, waits for a line, and then appends batches of twenty.
"""

import sys
from pathlib import Path

from services.audit_log.adapters.entries import SqlEntryLog
from services.audit_log.adapters.tables import METADATA
from services.audit_log.ports import Arrival
from services.shared.settings import Settings
from services.shared.store import Store
from services.shared.store.open import open_store
from services.shared.tlog.entry import Position
from tests.unit.audit_log.events import MONDAY

BATCH = 20


def append(store: Store, topic: str, batches: int) -> None:
    log = SqlEntryLog()
    for first in range(0, batches * BATCH, BATCH):
        places = [Position("c", topic, 0, offset, MONDAY) for offset in range(first, first + BATCH)]
        with store.transaction() as tx:
            log.append(tx, [Arrival(place, (topic, str(place.offset)), b"{}") for place in places])


if __name__ == "__main__":
    opened = open_store(Settings(data_dir=Path(sys.argv[1])), "log", METADATA)
    print("ready", flush=True)  # noqa: T201  # who started us reads it
    sys.stdin.readline()
    append(opened, sys.argv[2], int(sys.argv[3]))
    opened.close()
