"""The auditor's story, as docs/auditing.md tells it: one file, one library, a key and a checkpoint that they kept."""

import json
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.shared.events import Event, encode
from services.verifier.extract import parse_entry_line
from tests.end_to_end.program import PATIENCE_SECONDS, Program
from tests.unit.audit_log.events import generated, reviewed, used

CRYPTOGRAPHY = ("cryptography", "cffi", "_cffi_backend*", "pycparser")
ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)


class Auditor:
    """A machine of the auditor's own: Python, `cryptography`, the verifier, and nothing of the program."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        (packages,) = folder.glob("venv/lib/python3*/site-packages")
        for name in CRYPTOGRAPHY:
            for path in Path(sysconfig.get_path("platlib")).glob(name):
                (packages / path.name).symlink_to(path)
        self._python, self._verifier = folder / "venv/bin/python", folder / "valvomo-verify.pyz"
        subprocess.run(
            [sys.executable, "-m", "tools.verifier", "--output", self._verifier], cwd=ROOT, check=True, timeout=60
        )

    def run(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [str(self._python), "-I", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    def verify(self, folder: Path, key: str, kept: Path, *more: str) -> "subprocess.CompletedProcess[str]":
        return self.run(self._verifier, folder, "--key", key, "--checkpoint", kept, *more)

    def verdict(self, folder: Path, key: str, kept: Path) -> dict[str, Any]:
        result = self.verify(folder, key, kept, "--json")
        found: dict[str, Any] = json.loads(result.stdout or result.stderr)
        assert found["exit"] == result.returncode
        return found


@pytest.fixture
def auditor(tmp_path: Path) -> Auditor:
    made = Auditor(tmp_path)
    assert made.run("-c", "import pydantic").returncode == 1, "the auditor's Python has nothing of ours"
    return made


def live(program: Program, events: Sequence[Event]) -> None:
    """Some events, and a checkpoint over them."""
    before = signed_size(program)
    answer = program.post([json.loads(encode(event)) for event in events])
    assert answer.status_code == 202, answer.text
    program.wait_until_caught_up()
    program.wait_until("it has signed them", lambda: signed_size(program) >= before + len(events))


def signed_size(program: Program) -> int:
    """How many entries the newest checkpoint covers."""
    answer = program.get("/log/checkpoint")
    return int(answer.text.split("\n")[1]) if answer.status_code == 200 else 0


def test_the_story(tmp_path: Path, auditor: Auditor) -> None:
    others = [generated(f"other-{number}", NOW - timedelta(hours=3)) for number in range(40)]
    with Program(tmp_path / "data", log_origin="city.example/audit", checkpoint_interval_seconds=0.2) as program:
        # Yesterday: the audit office keeps the newest checkpoint, somebody makes a backup.
        latest, database = program.data_dir / "checkpoints/latest", program.data_dir / "log.db"
        live(program.start(), [generated("o-17", NOW - timedelta(hours=2)), *others])
        yesterday = Path(shutil.copy(latest, tmp_path / "yesterday"))
        back_up(database, tmp_path / "backup.db")

        # Today: the output was used before anybody reviewed it.
        live(program, [used("o-17", NOW), reviewed("o-17", NOW)])
        program.stop()
        today = Path(shutil.copy(latest, tmp_path / "today"))
        key, matter = program.command("audit", "key").strip(), tmp_path / "matter"
        program.command("audit", "export", str(matter), "--output", "o-17")

        # The auditor verifies the matter with yesterday's checkpoint in hand.
        result = auditor.verify(matter, key, yesterday)
        assert (result.returncode, result.stderr) == (0, ""), result.stdout
        assert auditor.verdict(matter, key, yesterday)["damage"] == []

        # Somebody changes one byte of the review.
        index = spoil(matter / "entries.jsonl", b"valvomo.ai.review.decided.v1")
        found = auditor.verdict(matter, key, yesterday)
        assert (found["exit"], {(one["first"], one["last"]) for one in found["damage"]}) == (1, {(index, index)})
        assert f"entry {index}" in auditor.verify(matter, key, yesterday).stdout
        assert f"merkintä {index}" in auditor.verify(matter, key, yesterday, "--language", "fi").stdout

        # Somebody puts yesterday's backup back: the program does not start, and the auditor sees what is missing.
        restore(database, tmp_path / "backup.db")
        refused = program.command("run", "all", expect=2)
        assert "Traceback" not in refused
        whole = tmp_path / "whole"
        program.command("audit", "export", str(whole))
        assert auditor.verdict(whole, key, yesterday)["exit"] == 0, "yesterday it was like this"
        found = auditor.verdict(whole, key, today)
        assert (found["exit"], [one["kind"] for one in found["damage"]]) == (1, ["truncated"])
        assert "cut off" in found["damage"][0]["sentence"]


def spoil(path: Path, kind: bytes) -> int:
    """Change one byte of the first entry of a kind; its index."""
    lines = path.read_bytes().splitlines(keepends=True)
    at, (index, _, _) = next(
        (at, parsed) for at, parsed in enumerate(map(parse_entry_line, lines)) if kind in parsed[1]
    )
    spoilt = bytearray(lines[at])
    spoilt[200] = ord("A") if spoilt[200] != ord("A") else ord("B")
    path.write_bytes(b"".join([*lines[:at], bytes(spoilt), *lines[at + 1 :]]))
    return index


def back_up(database: Path, backup: Path) -> None:
    with closing(sqlite3.connect(database)) as running, closing(sqlite3.connect(backup)) as copy:
        running.backup(copy)


def restore(database: Path, backup: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    shutil.copy(backup, database)
