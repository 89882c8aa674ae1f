"""Prometheus and its promtool, as they are found on PATH."""

import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx

from tests.servers.process import HOST, Running, ServerProcess, free_port
from tests.servers.roll import ServerUnavailableError

START_SECONDS = 60
STOP_SECONDS = 30
ANSWER_SECONDS = 30.0
RETENTION = "10y"
"""Or Prometheus would throw blocks of days past away when it starts."""


def program(name: str) -> Path:
    """Find `promtool` or `prometheus`.

    Raises:
        ServerUnavailableError: it is not on PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise ServerUnavailableError(f"{name} is not on PATH: install Debian's package prometheus")
    return Path(found)


def version_of(path: Path) -> str:
    """Return the version of promtool or prometheus, as in "2.42.0"."""
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+(?:\.\d+)+)", answer.stdout + answer.stderr)
    assert found is not None, f"no version in {answer.stdout + answer.stderr!r}"
    return found[1]


class Promtool:
    """Each check returns what promtool printed, and raises AssertionError with the same text when it finds fault."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_rules(self, *files: Path) -> str:
        """Are these rule files well-formed?"""
        return self._run("check", "rules", "--lint-fatal", *files)

    def test_rules(self, *files: Path) -> str:
        """Do the unit tests in these files pass?"""
        return self._run("test", "rules", *files)

    def check_config(self, file: Path) -> str:
        """Would Prometheus start with this configuration?"""
        return self._run("check", "config", file)

    def check_metrics(self, exposition: str) -> str:
        """Can Prometheus read the text of a /metrics page, and do names and help follow its rules?"""
        return self._run("check", "metrics", given=exposition)

    def create_blocks(self, openmetrics: Path, folder: Path) -> str:
        """Make blocks of a Prometheus's data folder from OpenMetrics text with timestamps."""
        return self._run("tsdb", "create-blocks-from", "openmetrics", openmetrics, folder)

    def _run(self, *arguments: str | Path, given: str | None = None) -> str:
        done = subprocess.run([self.path, *arguments], input=given, capture_output=True, text=True, check=False)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"promtool {' '.join(map(str, arguments))} found fault:\n{printed}"
        return printed


class PrometheusServer(Running):
    """One Prometheus on a free loopback port.

    Args:
        path: the program.
        config: its configuration, as YAML.
        folder: an empty folder for its data and log.
    """

    def __init__(self, path: Path, config: str, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self._config = folder / "prometheus.yml"
        self._config.write_text(config)
        self._process = ServerProcess("Prometheus", folder / "server.log")
        self._port = free_port()
        self._client = httpx.Client(timeout=ANSWER_SECONDS)

    @property
    def data(self) -> Path:
        """The folder of its blocks."""
        return self._folder / "data"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def start(self) -> Self:
        """Start it and wait until it serves queries."""
        self._process.spawn(
            [
                str(self._path),
                f"--config.file={self._config}",
                f"--storage.tsdb.path={self.data}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--web.listen-address={HOST}:{self._port}",
            ]
        )
        self._process.until(self._ready, START_SECONDS)
        return self

    def remove(self) -> None:
        self._client.close()
        self._process.end(signal.SIGTERM, STOP_SECONDS)

    def query(self, expression: str, at: datetime | None = None) -> list[Mapping[str, Any]]:
        """Return the result of an instant query; each element has `metric` (labels) and `value` (time, text)."""
        moment = {} if at is None else {"time": at.timestamp()}
        return self._ask("query", {"query": expression, **moment})

    def range(self, expression: str, first: datetime, last: datetime, step: timedelta) -> list[Mapping[str, Any]]:
        """Return the result of a range query; each element has `metric` and `values` (time, text)."""
        times = {"start": first.timestamp(), "end": last.timestamp(), "step": step.total_seconds()}
        return self._ask("query_range", {"query": expression, **times})

    def _ask(self, how: str, asked: Mapping[str, str | float]) -> list[Mapping[str, Any]]:
        answer = self._client.get(f"{self.url}/api/v1/{how}", params=dict(asked)).raise_for_status().json()
        result: list[Mapping[str, Any]] = answer["data"]["result"]
        return result

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False
