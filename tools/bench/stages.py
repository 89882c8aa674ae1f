"""Where the time of a consumer goes: stopwatches around the program's own functions, each counting its own time only.

The stopwatch on `decode`, which is called per event, costs a microsecond or two itself.
"""

import gc
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from sqlalchemy.engine.default import DefaultDialect

from services.audit_log.adapters import entries as log_entries
from services.audit_log.handlers import AppendHandler
from services.cost_alerts.adapters.ledger import Memory, SqlWork
from services.cost_alerts.handlers import usage
from services.cost_alerts.handlers.charging import Charger
from services.shared import consumer
from services.shared.bus.broker import BrokerConsumer
from services.shared.bus.groups import GroupConsumer
from services.shared.store import names
from services.shared.store.postgres import PostgresTransaction
from services.shared.store.sqlite import SqliteTransaction
from services.shared.tlog.tiles import Frontier
from tools.bench.loops import Took

REST = "the loop itself, and the rest"


class Stopwatches:
    """Seconds by stage: by the clock on the wall, and of processor time. Nested stages pause the outer one."""

    def __init__(self) -> None:
        self.spent: dict[str, Took] = defaultdict(lambda: Took(0.0, 0.0))
        self._running: list[str] = []
        self._since = Took(0.0, 0.0)

    def around(self, function: Callable[..., Any], stage: str | Callable[..., str]) -> Callable[..., Any]:
        def measured(*args: Any, **named: Any) -> Any:  # noqa: ANN401  # whatever the function takes and gives
            self._enter(stage if isinstance(stage, str) else stage(*args))
            try:
                return function(*args, **named)
            finally:
                self._leave()

        return measured

    def run(self, work: Callable[[], object]) -> None:
        """Run with the stopwatches in place."""
        with ExitStack() as stack:
            for owner, name, stage in _PLACES:
                stack.enter_context(patch.object(owner, name, self.around(getattr(owner, name), stage)))
            stack.callback(gc.callbacks.remove, self._collecting)
            gc.callbacks.append(self._collecting)
            self.around(work, REST)()

    def _collecting(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._enter("garbage collection")
        else:
            self._leave()

    def _enter(self, stage: str) -> None:
        if self._running:
            self._charge(self._running[-1])
        self._running.append(stage)
        self._since = _now()

    def _leave(self) -> None:
        self._charge(self._running.pop())
        self._since = _now()

    def _charge(self, stage: str) -> None:
        now, before = _now(), self.spent[stage]
        wall, processor = now.wall - self._since.wall, now.processor - self._since.processor
        self.spent[stage] = Took(before.wall + wall, before.processor + processor)


def _now() -> Took:
    return Took(time.perf_counter(), time.thread_time())


def _table(_tx: object, table: Any, *_more: object) -> str:  # noqa: ANN401
    return f"rows into {table.name}"


_TRANSACTIONS = (SqliteTransaction, PostgresTransaction)
_PLACES: tuple[tuple[Any, str, str | Callable[..., str]], ...] = (
    (GroupConsumer, "poll", "poll"),
    (BrokerConsumer, "poll", "poll"),
    (consumer, "_decoded", "decode"),
    (usage.UsageHandler, "handle", "handler: rows, sums, the rest"),
    (usage._Profiles, "of", "handler: profiles"),  # noqa: SLF001  # where the time goes is no public matter
    (usage, "_revisions", "handler: rows of readings"),
    (Charger, "timelines", "handler: prices"),
    (usage, "charge_plain", "handler: amounts and sums"),
    (Memory, "begin", "handler: begin"),
    (SqlWork, "add_sums", "handler: sums"),
    (AppendHandler, "handle", "handler: arrivals"),
    (log_entries.SqlEntryLog, "append", "handler: entries"),
    (log_entries, "number_by_name", "handler: numbers by name"),
    (Frontier, "append", "handler: tree"),
    (names.NameIndex, "lookup", "look up names"),
    (names.NameIndex, "_move_slices", "move names to the archive"),
    *((kind, name, _table) for kind in _TRANSACTIONS for name in ("bulk_insert", "bulk_add")),
    (DefaultDialect, "do_commit", "commit"),
    *((kind, "advance", "positions") for kind in _TRANSACTIONS),
)
