"""Short lives of a log that decides, each killed: `python -m tests.crash.deciding_life FOLDER KILLS`.

Before each life the bus is given outputs that were due long ago. A child opens the log in FOLDER, reads the bus,
decides what is overdue and publishes it, until it comes to a chosen point and is killed there: inside the transaction
that decides, after it, or after the bus took the decisions and before the outbox forgot them. Prints JSON: how often it
was killed at which point.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from services.audit_log import main as main_of_log
from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.main import AuditService
from services.shared.bus import Message
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.events import TOPICS, encode, key_of, topic_of
from services.shared.logs import configure_logs
from services.shared.store.sqlite import SqliteStore
from tests.crash.appender_life import PARTITIONS, open_log
from tests.unit.audit_log.events import generated, register_events, used

OUTPUTS = 6
"""As many more are told before each life; every third one was used unreviewed."""

POINTS: dict[str, tuple[type, str, bool]] = {
    "decided": (SqlCaseFiles, "decided_first", False),
    "committed": (SqliteBus, "publish", True),
    "published": (SqliteStore, "mark_sent", True),
}
"""Where a child waits: (class, method, before it is called)."""


def live(folder: Path) -> None:
    """Read, decide and publish until nothing is left to do."""
    bus, service = open_log(folder)
    service.consumer._poll_seconds = 0.0
    while not settled(service):
        service.consumer.step()
        service.tick()
        service.relay.step()
    service.consumer.close()
    service.store.close()
    bus.close()


def settled(service: AuditService) -> bool:
    (status,) = service.statuses()
    return service.consumer.status().caught_up and status.pending == 0


def fill(folder: Path, life: int) -> None:
    """Outputs that were due a week ago; before them, once, the register."""
    bus = SqliteBus(folder / BUS_FILE, SystemClock(), PARTITIONS)
    bus.ensure_topics(TOPICS)
    when = SystemClock().now() - timedelta(days=10)
    names = [(number, f"o-{number}") for number in range(life * OUTPUTS, (life + 1) * OUTPUTS)]
    events = [*([] if life else register_events()), *(generated(name, when) for _, name in names)]
    events += [used(name, when) for number, name in names if number % 3 == 0]
    for event in events:
        bus.publish([Message(topic_of(event), key_of(event), encode(event))])
    bus.close()


def wait_at(point: str, pipe: int) -> None:
    """Wait for good when this point is passed with something to do."""
    owner, name, before = POINTS[point]
    inner: Callable[..., Any] = getattr(owner, name)

    def outer(*arguments: Any) -> Any:  # noqa: ANN401  # whatever it takes and gives
        found = None if before else inner(*arguments)
        if before or found:
            os.write(pipe, b"w")
            time.sleep(3600)
        return found

    setattr(owner, name, outer)


def kill_once(folder: Path, point: str) -> bool:
    """One life and its end; False when it came to its own end before the point."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            wait_at(point, writing)
            live(folder)
            os._exit(0)
        except BaseException as error:  # noqa: BLE001  # the parent's stack is below us: nothing of it may run here
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
    os.close(writing)
    waits = os.read(reading, 1) == b"w"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    return waits


def main(folder: Path, kills: int) -> None:
    done = Counter[str]()
    for life in range(kills):
        point = list(POINTS)[life % len(POINTS)]
        fill(folder, life)
        done[point if kill_once(folder, point) else "too late"] += 1
    live(folder)
    print(json.dumps(done))  # noqa: T201  # the test reads it


if __name__ == "__main__":
    configure_logs("json", "error")
    main_of_log.make_router = lambda *_unused, **_named: APIRouter()  # type: ignore[attr-defined]  # half of a start, unasked
    main(Path(sys.argv[1]), int(sys.argv[2]))
