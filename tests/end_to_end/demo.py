"""The demo as a process, and what it leaves behind."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from functools import cached_property
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 240
WITH_A_MONTH = max(30, datetime.now(UTC).day + 12)
"""So many days reach into a month that is over, whatever day it is; the library passes its whole budget in them."""


@dataclass(frozen=True)
class Shown:
    """What a demo that has ended leaves behind."""

    data_dir: Path
    status: int
    printed: str
    told: str

    @cached_property
    def figures(self) -> Mapping[str, Any]:
        assert self.status == 0, self.told
        found = json.loads(self.printed)
        assert isinstance(found, dict)
        return found

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Everything on the bus."""
        connection = sqlite3.connect(f"file:{self.data_dir}/demo/bus.db?mode=ro", uri=True)
        try:
            return [json.loads(value) for (value,) in connection.execute("SELECT value FROM record")]
        finally:
            connection.close()

    def said(self, event_type: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["type"] == f"valvomo.{event_type}.v1"]

    @cached_property
    def mails(self) -> list[str]:
        """To whom, and about what."""
        files = sorted((self.data_dir / "demo" / "mail").glob("*.eml"))
        found = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return [f"{mail['To']} {mail['Subject']}".replace("\N{NO-BREAK SPACE}", " ") for mail in found]


def start(data_dir: Path, *options: str, **settings: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VALVOMO_")}
    environment |= {"VALVOMO_DATA_DIR": str(data_dir), "VALVOMO_PORT": "0", **settings}
    with heeding_ctrl_c():
        return subprocess.Popen(
            [sys.executable, "-m", "services", "demo", *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Children started here heed Ctrl-C, also where the tests are a shell's background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def ended(child: "subprocess.Popen[str]", data_dir: Path) -> Shown:
    try:
        printed, told = child.communicate(timeout=PATIENCE_SECONDS)
    finally:
        child.kill()
        child.communicate()
    return Shown(data_dir, child.returncode, printed, told)
