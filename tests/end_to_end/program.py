"""Runs the program in a child process, as `valvomo run` does, and asks it over HTTP and by its commands."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

PATIENCE_SECONDS = 120.0


class EndedError(Exception):
    """The program ended while a test still wanted something of it."""


class Program:
    """One data folder and the processes that work on it, one after the other."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VALVOMO_")},
            "VALVOMO_DATA_DIR": str(data_dir),
            "VALVOMO_PORT": str(self.port),
            "VALVOMO_LOG_FORMAT": "json",
            **{f"VALVOMO_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        # A connection per request: one that is kept may be closed by the other side just as it is used again.
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=60, headers={"connection": "close"}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def start(self, command: Sequence[str] = ("-m", "services", "run", "all"), **extra: str) -> Self:
        """Start and wait until it answers."""
        log = (self.data_dir.parent / f"{self.data_dir.name}.log").open("ab")
        self._process = subprocess.Popen(  # our own program
            [sys.executable, *command], env=self.environment | extra, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        self.wait_until("it answers", self._answers)
        return self

    def _answers(self) -> bool:
        try:
            return self._client.get("/healthz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        """Poll `holds` until it is true.

        Raises:
            EndedError: the process ended before.
            AssertionError: it did not become true in time.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if not self.running:
                raise EndedError(f"the program ended while the test waited until {what}:\n{self.log()[-3000:]}")
            assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s until {what}:\n{self.log()[-3000:]}"
            time.sleep(0.05)

    def log(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.log").read_text()

    def stop(self) -> None:
        """End it as an operator does."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE_SECONDS)

    def wait_for_end(self) -> int:
        assert self._process is not None
        return self._process.wait(PATIENCE_SECONDS)

    def post(self, events: Sequence[Mapping[str, Any]]) -> httpx.Response:
        """Send one batch to the intake."""
        return self._client.post(
            "/v1/events", content=json.dumps(events), headers={"content-type": "application/cloudevents-batch+json"}
        )

    def get(self, path: str, **parameters: str) -> httpx.Response:
        return self._client.get(path, params=parameters)

    def caught_up(self) -> bool:
        """Whether every consumer has read to the end, and nothing waits to be sent or priced again."""
        answer = self._client.get("/api/v1/status")
        return answer.status_code == httpx.codes.OK and bool(answer.json()["caught_up"])

    def wait_until_caught_up(self) -> None:
        self.wait_until("it has caught up", self.caught_up)

    def command(self, *arguments: str, expect: int = 0) -> str:
        """Run a command of the command line; what it printed."""
        done = subprocess.run(  # our own program
            [sys.executable, "-m", "services", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == expect, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def report(self, month: str, *more: str) -> dict[str, Any]:
        """`valvomo report` as JSON."""
        found: dict[str, Any] = json.loads(
            self.command("report", "--month", month, "--by", "unit", "--format", "json", *more)
        )
        return found


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
