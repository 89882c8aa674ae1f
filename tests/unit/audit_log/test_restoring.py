"""A backup is put back, and the command gives it what it lacks."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.shared.clock import SystemClock
from services.shared.errors import ConfigurationError, IncompatibleStoreError
from tests.unit.audit_log.rehearsal import WHY, FileProgram, begun, run


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileProgram]:
    made = begun(tmp_path, monkeypatch)
    yield made
    made.close()
    made.bus.close()


def put_back(program: FileProgram, backup: Path) -> None:
    for path in program.settings.data_dir.glob("log.db*"):
        path.unlink()
    shutil.copy(backup, program.settings.data_dir / "log.db")


def backed_up(program: FileProgram, path: Path) -> Path:
    with (
        closing(sqlite3.connect(program.settings.data_dir / "log.db")) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)
    return path


@pytest.mark.parametrize("kind", ["export", "bus"])
def test_a_backup_of_yesterday_becomes_the_log_of_today(program: FileProgram, tmp_path: Path, kind: str) -> None:
    program.grow(260)
    backup = backed_up(program, tmp_path / "yesterday.db")
    kept = program.grow(300)
    entries = program.entries()
    folder = program.export(tmp_path / "folder")
    if kind == "bus":
        shutil.rmtree(folder / "tile/entries")
    program.close()
    put_back(program, backup)
    with pytest.raises(IncompatibleStoreError, match=r"found a log of 260 entries.*valvomo audit restore"):
        program.start()
    result = run("restore", "--from", folder, *WHY, "--json")
    assert result.exit_code == 0, result.exception
    told = json.loads(result.stdout)
    assert (told["first"], told["last"], told["filled_from"]) == (260, 299, kind)
    assert "lacks nothing" in run("restore", "--from", folder, *WHY).stderr
    program.start()
    assert program.entries() == entries
    program.clock.set(SystemClock().now())  # as the command did
    program.grow(310)
    assert program.verify(program.export(tmp_path / "after"), kept=kept).exit == 0


def test_nothing_is_left_of_the_database_but_an_export(program: FileProgram, tmp_path: Path) -> None:
    program.grow(300)
    entries, states = program.entries(), program.states()
    folder = program.export(tmp_path / "folder")
    program.close()
    for path in program.settings.data_dir.glob("log.db*"):
        path.unlink()
    result = run("restore", "--from", folder, *WHY)
    assert "Entries 0 to 299 are back, taken from the export" in result.stderr
    program.start()
    program.settle()
    assert program.entries()[:300] == entries
    assert (program.size(), program.states()) == (301, states)


def test_a_running_program_is_not_restored_under(program: FileProgram, tmp_path: Path) -> None:
    program.grow(3)
    folder = program.export(tmp_path / "folder")
    result = run("restore", "--from", folder, *WHY)
    assert isinstance(result.exception, ConfigurationError)
    assert "stop the program" in str(result.exception)


def test_an_export_of_another_log_is_refused(program: FileProgram, tmp_path: Path) -> None:
    program.grow(3)
    folder = program.export(tmp_path / "folder")
    program.close()
    for path in (program.settings.data_dir / "keys").glob("log-*"):
        path.unlink()
    for path in program.settings.data_dir.glob("log.db*"):
        path.unlink()
    program.start()
    program.grow(1)
    program.close()
    result = run("restore", "--from", folder, *WHY)
    assert isinstance(result.exception, ConfigurationError)
    assert "not one of this log" in str(result.exception)
    program.start()
