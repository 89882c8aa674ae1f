"""Work that repeats in a thread of its own until it is stopped: consumers, relays, pollers, tickers.

A loop that meets a `TransientError` waits and tries again; anything unforeseen stops it, and `problem` then says so
in one sentence, which turns `/readyz` red.
"""

import threading
from collections.abc import Callable

from services.shared.errors import PlatformError, TransientError
from services.shared.logs import frames, logger

MAX_BACK_OFF_SECONDS = 60.0
_FIRST_BACK_OFF_SECONDS = 0.5


class Loop:
    """Calls `step` again and again. `step` returns how long to pause before the next call, in seconds."""

    def __init__(self, name: str, step: Callable[[], float], on_stop: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self._step = step
        self._on_stop = on_stop
        self._stopping = threading.Event()
        self._problem: str | None = None
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._log = logger(name)

    @property
    def problem(self) -> str | None:
        """Why a person is needed or the other side is awaited; None while all is well."""
        return self._problem or self._trouble

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """Ask the loop to end after its present step and wait for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        failures = 0
        try:
            while not self._stopping.is_set():
                try:
                    pause = self._step()
                    failures, self._trouble = 0, None
                except TransientError as error:
                    failures += 1
                    pause = error.retry_after_seconds or min(
                        MAX_BACK_OFF_SECONDS, _FIRST_BACK_OFF_SECONDS * 2 ** min(failures, 10)
                    )
                    self._trouble = f"{self.name} waits: {error}"
                    self._log.warning("waiting", reason=str(error), failures=failures, pause_seconds=pause)
                self._stopping.wait(pause)
        except PlatformError as error:
            self._problem = f"{self.name} stopped: {error}"
            self._log.error("stopped", reason=str(error))  # foreseen: the sentence says all
        except Exception as error:  # noqa: BLE001  # unforeseen: stop this loop, keep the others
            self._problem = f"{self.name} stopped on an unforeseen {type(error).__name__}; see the log"
            self._log.error("stopped", error=type(error).__name__, frames=frames(error))
        finally:
            self._on_stop()
