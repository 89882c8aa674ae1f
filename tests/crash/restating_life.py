"""One life of a ledger that restates and may end at any moment: `python -m tests.crash.restating_life FOLDER [HOLD]`.

It follows the bus in FOLDER until nothing is left to do. It prints `batch` inside each transaction that reprices
readings or charges by the period, after its rows are written; at the HOLD-th it waits there for good. It prints
`done` at the end.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.cost_alerts.handlers import restating
from services.cost_alerts.handlers.periods import Step
from services.cost_alerts.handlers.restating import Restater
from services.cost_alerts.main import CostService, build
from services.shared.bus.open import BUS_FILE
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SteppedClock
from services.shared.logs import configure_logs
from services.shared.settings import Settings

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARTITIONS = 2
READINGS_AT_ONCE = 10
"""So few that a restatement has hundreds of transactions to be killed in."""


def open_ledger(folder: Path) -> tuple[SqliteBus, CostService]:
    clock = SteppedClock(NOW)
    bus = SqliteBus(folder / BUS_FILE, clock, PARTITIONS)
    service = build(Settings(data_dir=folder), bus, clock, CollectorRegistry())
    service.periods._step_seconds = 0.0  # one cycle in each transaction
    return bus, service


def live(folder: Path) -> None:
    """Read, reprice and publish until nothing is left; what is published is read too."""
    bus, service = open_ledger(folder)
    try:
        for _ in range(2):
            service.catch_up(lambda _done, _total: None)
            while service.relay.step() == 0.0:
                pass
        service.catch_up(lambda _done, _total: None)
    finally:
        service.stop()
        bus.close()


class Teller:
    """Tells of each transaction that it is about to be committed; the last one never is."""

    def __init__(self, hold_at: int) -> None:
        self._seen, self._hold_at = 0, hold_at

    def watch(self, owner: type, name: str) -> None:
        inner = getattr(owner, name)

        def outer(*arguments: Any) -> Any:  # noqa: ANN401  # whatever it takes and gives
            found = inner(*arguments)
            self._tell()
            return found

        setattr(owner, name, outer)

    def _tell(self) -> None:
        self._seen += 1
        print("batch", flush=True)  # noqa: T201  # who kills us reads it
        if self._seen == self._hold_at:
            time.sleep(3600)  # until somebody kills us, inside the transaction


if __name__ == "__main__":
    configure_logs("json", "error")
    restating.READINGS_AT_ONCE = READINGS_AT_ONCE
    teller = Teller(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    teller.watch(Restater, "_walk_on")
    teller.watch(Step, "run")
    live(Path(sys.argv[1]))
    print("done", flush=True)  # noqa: T201  # likewise
