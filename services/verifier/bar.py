"""A progress bar for who watches; nothing for who does not."""

import sys
import time
from typing import TextIO

_WIDTH = 30
_EVERY_SECONDS = 0.2


class Bar:
    """Entries done of entries in all, with the time that is left, on one line that is written over."""

    def __init__(self, screen: TextIO | None = None) -> None:
        self._screen = screen or sys.stderr
        self._watched = self._screen.isatty()
        self._started, self._told, self._shown = time.monotonic(), 0.0, False
        self.total: int | None = None

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if not self._watched or now - self._told < _EVERY_SECONDS:
            return
        self._told, self._shown = now, True
        self._screen.write("\r" + self.line(done, now - self._started) + "\x1b[K")
        self._screen.flush()

    def line(self, done: int, seconds: float) -> str:
        """What is shown after so many seconds."""
        if not self.total:
            return f"{done:,}"
        share = min(done / self.total, 1)
        filled = int(share * _WIDTH)
        left = int(seconds / share - seconds) if share else 0
        bar = "#" * filled + "." * (_WIDTH - filled)
        return f"[{bar}] {done:,} / {self.total:,}  {left // 60}:{left % 60:02d}"

    def close(self) -> None:
        """Leave the screen as it was."""
        if self._shown:
            self._screen.write("\r\x1b[K")
            self._screen.flush()
