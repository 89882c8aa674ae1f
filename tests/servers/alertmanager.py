"""Alertmanager, as it is found on PATH: Debian calls it prometheus-alertmanager, its makers alertmanager."""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from tests.servers.process import HOST, Running, ServerProcess, free_port
from tests.servers.roll import ServerUnavailableError

NAMES = ("prometheus-alertmanager", "alertmanager")
START_SECONDS = 60
STOP_SECONDS = 30


def program() -> Path:
    """Find it.

    Raises:
        ServerUnavailableError: it is not on PATH.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise ServerUnavailableError(f"{NAMES[0]} is not on PATH: install Debian's package {NAMES[0]}")
    return Path(found)


class AlertmanagerServer(Running):
    """One Alertmanager on a free loopback port, alone in its cluster.

    Args:
        path: the program.
        receiver: the address that gets its webhooks, at once and one per alert.
        folder: an empty folder for its data, configuration and log.
    """

    def __init__(self, path: Path, receiver: str, folder: Path) -> None:
        self._path, self._folder = path, folder
        self._config = folder / "alertmanager.yml"
        self._config.write_text(
            "route: {receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"
            f"receivers: [{{name: test, webhook_configs: [{{url: '{receiver}', send_resolved: true}}]}}]\n"
        )
        self._process = ServerProcess("Alertmanager", folder / "alertmanager.log")
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def start(self) -> Self:
        """Start it and wait until it takes alerts."""
        command = [
            str(self._path),
            f"--config.file={self._config}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address={HOST}:{self._port}",
            "--cluster.listen-address=",
        ]
        self._process.spawn(command)
        self._process.until(self._ready, START_SECONDS)
        return self

    def remove(self) -> None:
        self._process.end(signal.SIGTERM, STOP_SECONDS)

    def alerts(self) -> list[Mapping[str, Any]]:
        """The alerts that are open, by name and severity."""
        answer = httpx.get(f"{self.url}/api/v2/alerts").raise_for_status().json()
        found: list[Mapping[str, Any]] = answer
        return sorted(found, key=lambda one: (one["labels"]["alertname"], one["labels"].get("severity", "")))

    def version(self) -> str:
        found: str = httpx.get(f"{self.url}/api/v2/status").raise_for_status().json()["versionInfo"]["version"]
        return found

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False
