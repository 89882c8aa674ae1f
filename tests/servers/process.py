"""Server processes of the tests: free loopback ports, one log file, stopped by their own id."""

import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
POLL_SECONDS = 0.05


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    It lies below the range from which the kernel takes the ports of outgoing connections, so that a server finds its
    port still free when it comes back after a crash.
    """
    by_chance = random.SystemRandom()  # a seeded one would give two runs of the tests the same ports
    while True:
        port = by_chance.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port in TIME_WAIT is free
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def listens(port: int) -> bool:
    """Does somebody accept connections on this loopback port?"""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def dies_with_us(command: Sequence[str]) -> list[str]:
    """Return `command`, on Linux so wrapped that a killed test run leaves no server behind.

    The kernel sends the signal when the *thread* that started the child ends; so only the main thread may ask for it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return list(command)
    return [setpriv, "--pdeathsig", "KILL", *command]


class ServerProcess:
    """One process at a time, started with the same command again and again."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self, command: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - Popen's own, checked there
        """Start `command` (options as subprocess has them); its output goes to the log. It is not ready yet."""
        assert not self.running, f"{self.name} is running already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                dies_with_us(command), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **options
            )

    def until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready` answers true.

        Raises:
            RuntimeError: the process ended, or `seconds` went by; the message holds the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise RuntimeError(f"{self.name} ended before it was ready:\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} was not ready after {seconds:.0f} s:\n{self.log_end()}")
            time.sleep(POLL_SECONDS)

    def end(self, how: signal.Signals, seconds: float) -> None:
        """Send the signal and wait until the process is gone; nothing happens when it is gone already."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(
                f"{self.name} did not stop within {seconds:.0f} s of {how.name}:\n{self.log_end()}"
            ) from None

    def log_end(self, lines: int = 30) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(it printed nothing)"


class Running(ABC):
    """A server that runs while a `with` block does, and is gone after it, also when it did not come up."""

    @abstractmethod
    def start(self) -> Self:
        """Start it and wait until it serves."""

    @abstractmethod
    def remove(self) -> None:
        """End it; nothing of it is left."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
