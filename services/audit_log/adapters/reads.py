"""Who looked into the log is an entry, too: noted by the routes, written by a loop, sent by the outbox.

A route neither waits for a writer nor fails because of it; what was noted and not yet written is lost if the process
dies within that second. The same reader with the same question is told once in ten minutes, and no reader can fill the
log by reading it: after sixty questions in ten minutes one event says that there were more.
"""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from services.audit_log.adapters.reviews.cases import SqlCaseFiles
from services.audit_log.domain.telling import about_log
from services.audit_log.handlers import say_once
from services.shared.clock import Clock
from services.shared.errors import TransientError
from services.shared.events.log import LogRead, Lookup
from services.shared.store import Store
from services.shared.store.tables import micros

What = Literal["entries", "entry", "proof", "outputs", "findings", "page"]

WINDOW = timedelta(minutes=10)
QUESTIONS = 60
"""Of one reader in a window, that are told one by one."""

NOT_TOLD = "not told: nothing was found"
"""In place of what was looked for in vain: it may be anything, also a name or an address."""

_WAITING = 10_000
_PAUSE_SECONDS = 1.0
_PLAIN = frozenset({"state", "since", "until", "index", "old_size"})
"""What the program itself gives a form to."""


class Reads:
    """What was read, by whom; `step` is for a `Loop`.

    Args:
        store: the log's database, whose outbox the events leave by.
        clock: when it was read.
        told: whether reads become entries at all (`VALVOMO_LOG_READS`).
    """

    def __init__(self, store: Store, clock: Clock, *, told: bool = True) -> None:
        self._store, self._clock, self._told = store, clock, told
        self._lock = threading.Lock()
        self._window = -1
        self._seen: set[tuple[str, ...]] = set()
        self._questions: Counter[str] = Counter()
        self._waiting: list[Lookup] = []

    def note(self, reader: str, what: What, asked: Mapping[str, str], entries: int) -> None:
        """Somebody was shown `entries` entries (outputs, findings) for what was `asked`. Never waits, never fails."""
        if not self._told:
            return
        now = self._clock.now()
        with self._lock:
            self._enter(_window_of(now))
            told = dict(asked) if entries else {name: _harmless(name, text) for name, text in asked.items()}
            if self._questions[reader] >= QUESTIONS:
                what, told = "entries", {"questions": f"more than {QUESTIONS}"}
            if len(self._waiting) < _WAITING and self._is_new(reader, what, told):
                lookup = {"reader": reader, "what": what, "asked": told, "entries": entries, "read_at": now}
                self._waiting.append(Lookup.model_validate(lookup))

    def step(self) -> float:
        """Write down what was noted; how long to pause, in seconds."""
        self.flush()
        return _PAUSE_SECONDS

    def flush(self) -> int:
        """Write down what was noted, each once, in all processes; how many were new.

        Raises:
            TransientError: the database is away. Nothing is lost; the next call writes it.
        """
        with self._lock:
            waiting = tuple(self._waiting)
        events = [_event(lookup) for lookup in waiting]
        new: set[str] = set()
        if events:
            with self._store.transaction() as tx:
                new = say_once(SqlCaseFiles(), tx, events, self._clock.now())
        with self._lock:
            del self._waiting[: len(waiting)]
        return len(new)

    def close(self) -> None:
        """Write down what was noted, if the database takes it now."""
        with suppress(TransientError):
            self.flush()

    def _enter(self, window: int) -> None:
        if window != self._window:
            self._window = window
            self._seen.clear()
            self._questions.clear()

    def _is_new(self, reader: str, what: What, asked: Mapping[str, str]) -> bool:
        question = (reader, what, _written(asked))
        if question in self._seen:
            return False
        self._seen.add(question)
        self._questions[reader] += 1
        return True


def _event(lookup: Lookup) -> LogRead:
    named = (lookup.reader, lookup.what, _written(lookup.asked), _window_of(lookup.read_at))
    return about_log(LogRead, lookup, lookup.read_at, *named)


def _written(asked: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(asked.items())), ensure_ascii=False)


def _window_of(moment: datetime) -> int:
    return micros(moment) // (WINDOW // timedelta(microseconds=1))


def _harmless(name: str, text: str) -> str:
    return text if name in _PLAIN else NOT_TOLD
